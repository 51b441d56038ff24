//! Figures and counts by name, for programs.

use serde_json::{Map, Value};

use super::align::Aligned;
use super::measure::Measure;
use super::task::Evaluation;

impl Evaluation {
    /// The figures, named as in `ndcg@20`.
    fn figures(&self) -> Map<String, Value> {
        let named = |at: &super::measure::AtK| {
            Measure::ALL.map(|measure| (format!("{measure}@{}", at.k), at.get(measure).into()))
        };
        self.at.iter().flat_map(named).collect()
    }

    /// An object of the figures, named as in `ndcg@20`, whom they were taken over, and what was left out on the way; `baselines` with
    /// their names, objects of figures only.
    #[must_use]
    pub fn report(&self, test: &Aligned, baselines: &[(&str, Evaluation)]) -> Value {
        let mut report = self.figures();
        for (name, count) in [
            ("n_users", self.n_users),
            ("n_items", self.n_items),
            ("test_entries", self.test_entries),
            ("users_without_test", self.users_without_test),
            ("users_without_history", self.users_without_history),
            ("entries_seen", self.entries_seen),
            ("entries_not_positive", self.entries_not_positive),
            ("entries_trained_on", self.entries_trained_on),
            ("unknown_users", test.unknown_users),
            ("unknown_items", test.unknown_items),
            ("entries_dropped", test.entries_dropped),
        ] {
            report.insert(name.to_string(), count.into());
        }
        for (name, baseline) in baselines {
            report.insert((*name).to_string(), Value::Object(baseline.figures()));
        }
        Value::Object(report)
    }
}
