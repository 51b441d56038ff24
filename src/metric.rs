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

impl FromStr for Metric {
    type Err = BuildError;

    fn from_str(name: &str) -> Result<Metric, BuildError> {
        Metric::ALL.into_iter().find(|m| m.name() == name).ok_or_else(|| BuildError::Parameter {
            name: "metric",
            got: format!("{name:?}"),
            expected: "\"euclidean\", \"angular\", \"dot\", \"manhattan\" or \"hamming\"",
        })
    }
}
