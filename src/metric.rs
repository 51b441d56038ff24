//! How near two vectors are.

use std::fmt;
use std::str::FromStr;

use crate::error::BuildError;

/// How near two vectors are, and which way the numbers run.
///
/// | metric | what a search returns | order |
/// |---|---|---|
/// | `Euclidean` | the L2 distance | smallest first |
/// | `Angular` | 1 - cos; a vector shorter than 1e-30 is at distance 1 from everything | smallest first |
/// | `Dot` | the inner product | largest first |
/// | `Manhattan` | the L1 distance | smallest first |
/// | `Hamming` | how many components differ, each 1 above 0.5 and else 0 | smallest first |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// L2 distance.
    Euclidean,
    /// 1 - cosine.
    Angular,
    /// Inner product, largest first.
    Dot,
    /// L1 distance.
    Manhattan,
    /// How many bits differ; a component above 0.5 is a 1.
    Hamming,
}

impl Metric {
    /// Every metric, in the order of their codes.
    pub const ALL: [Metric; 5] =
        [Metric::Euclidean, Metric::Angular, Metric::Dot, Metric::Manhattan, Metric::Hamming];

    /// The name that users type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Metric::Euclidean => "euclidean",
            Metric::Angular => "angular",
            Metric::Dot => "dot",
            Metric::Manhattan => "manhattan",
            Metric::Hamming => "hamming",
        }
    }

    /// The number that stands for this metric in a file.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Metric::Euclidean => 0,
            Metric::Angular => 1,
            Metric::Dot => 2,
            Metric::Manhattan => 3,
            Metric::Hamming => 4,
        }
    }

    /// The metric of a number in a file.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Metric> {
        Metric::ALL.into_iter().find(|m| m.code() == code)
    }

    /// Whether a larger returned number is nearer.
    #[must_use]
    pub fn larger_is_nearer(self) -> bool {
        self == Metric::Dot
    }

    /// What stands in the place of a result that is missing: infinitely far away.
    #[must_use]
    pub fn missing(self) -> f32 {
        if self.larger_is_nearer() { f32::NEG_INFINITY } else { f32::INFINITY }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What other libraries call the metrics; whole names, in lower case with `_` between words.
const ALIASES: [(&str, Metric); 13] = [
    ("l2", Metric::Euclidean),
    ("euclid", Metric::Euclidean),
    ("cosine", Metric::Angular),
    ("cos", Metric::Angular),
    ("ip", Metric::Dot),
    ("inner", Metric::Dot),
    ("inner_product", Metric::Dot),
    ("innerproduct", Metric::Dot),
    ("dot_product", Metric::Dot),
    ("dotproduct", Metric::Dot),
    ("l1", Metric::Manhattan),
    ("cityblock", Metric::Manhattan),
    ("taxicab", Metric::Manhattan),
];

/// A metric by its name or by what other libraries call it, in any case: "cosine" and "cos" are
/// `Angular`, "l2" is `Euclidean`, "ip" and "inner_product" are `Dot`, "l1" and "cityblock" are
/// `Manhattan`. Names of squared distances are refused, because distances are not squared here.
impl FromStr for Metric {
    type Err = BuildError;

    fn from_str(name: &str) -> Result<Metric, BuildError> {
        let plain = name.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        let alias = || ALIASES.iter().find(|(alias, _)| *alias == plain).map(|alias| alias.1);
        let metric = Metric::ALL.into_iter().find(|m| m.name() == plain).or_else(alias);
        metric.ok_or_else(|| BuildError::Parameter {
            name: "metric",
            got: format!("{name:?}"),
            expected: "\"euclidean\" (\"l2\"), \"angular\" (\"cosine\"), \"dot\" (\"ip\"), \
                       \"manhattan\" (\"l1\") or \"hamming\"",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_the_names_of_other_libraries() {
        let metric = |name: &str| name.parse::<Metric>().ok();
        for m in Metric::ALL {
            assert_eq!(metric(m.name()), Some(m));
            assert_eq!(metric(&m.name().to_uppercase()), Some(m));
        }
        for (name, expected) in [
            ("cosine", Metric::Angular),
            ("Cos", Metric::Angular),
            ("L2", Metric::Euclidean),
            ("ip", Metric::Dot),
            ("Inner-Product", Metric::Dot),
            ("inner product", Metric::Dot),
            ("l1", Metric::Manhattan),
            ("CityBlock", Metric::Manhattan),
        ] {
            assert_eq!(metric(name), Some(expected), "{name}");
        }
        for wrong in ["", "sqeuclidean", "l2sq", "jaccard", "cosin", "l 2"] {
            let error = wrong.parse::<Metric>().unwrap_err().to_string();
            assert!(error.contains("expected \"euclidean\" (\"l2\")"), "{error}");
        }
    }
}
