//! Ranking metrics for a page: a recommender's lists beside popularity's.

use crate::error::Error;
use crate::eval::{Aligned, Evaluation, Measure, Options, Popularity, Task, align, seen_by};
use crate::index::{Effort, Id};
use crate::recommend::{Interactions, Recommender};

use super::text::{table, thousands};

/// What a recommender's lists are worth on interactions that it was not trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// The recommender.
    pub model: Evaluation,
    /// What everybody likes, without which the other figures say little.
    pub popularity: Evaluation,
    /// The test, and what of it the recommender does not know.
    pub test: Aligned,
}

impl Metrics {
    /// Measures as `nearwood evaluate` does; once `stop` says true the figures are of some of the
    /// users, for the caller to throw away.
    ///
    /// # Errors
    /// If the recommender was trained on the test, a k is 0 or there is none, the effort is out of
    /// its range, or the file is damaged.
    pub fn measure(
        recommender: &Recommender,
        test: &Interactions,
        options: &Options,
        effort: Effort,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Metrics, Error> {
        let items = recommender.items();
        let shape = (recommender.n_users(), items.len());
        let test = align(test, shape, |id: &Id| recommender.user(id), |id| items.position(id))?;
        let train = seen_by(recommender)?;
        let task = Task::new(&train, &test.matrix, options)?.interrupt(stop);
        let model = task.served(recommender, effort)?;
        let popularity = task.popularity(&Popularity::fit(&train));
        Ok(Metrics { model, popularity, test })
    }

    /// Why the figures mean nothing: [`Evaluation::why_empty`].
    #[must_use]
    pub fn why_empty(&self) -> Option<String> {
        self.model.why_empty(&self.test)
    }

    pub(super) fn table(&self) -> String {
        let mut rows = Vec::new();
        for (at, figures) in self.model.at.iter().enumerate() {
            for measure in Measure::ALL {
                let figure = |e: &Evaluation| format!("{:.4}", e.at[at].get(measure));
                let name = format!("{measure}@{}", figures.k);
                rows.push(vec![name, figure(&self.model), figure(&self.popularity)]);
            }
        }
        table(&["measure", "recommender", "popularity"], &rows)
    }

    /// Over whom, and what was left out.
    pub(super) fn caption(&self) -> String {
        let count = |n: usize| thousands(n as u64);
        let left_out = match self.test.entries_dropped {
            0 => String::new(),
            n => format!(
                " {} interactions of the test are left out: the recommender does not know their \
                 user or item.",
                count(n)
            ),
        };
        let seen = match self.model.entries_seen {
            0 => String::new(),
            n => {
                format!(" {} more are in the recommender's own history and are left out.", count(n))
            }
        };
        format!(
            "Means over {} users with {} items to find, over the whole catalogue.{seen}{left_out}",
            count(self.model.n_users),
            count(self.model.test_entries)
        )
    }
}
