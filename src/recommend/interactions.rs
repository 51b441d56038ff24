//! Who played what, how often, with the names of both.

use std::fmt;
use std::str::FromStr;

use crate::als::Csr;
use crate::error::TrainError;
use crate::index::Ids;

/// How raw weights (play counts, seconds, stars) become the r of the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Weighting {
    /// As they stand.
    Raw,
    /// ln(1 + w); negative weights keep their sign. The default, because play counts are
    /// heavy-tailed.
    #[default]
    Log1p,
    /// Okapi BM25 with k1 = 100 and b = 0.8 over the items a user has: frequent items and busy
    /// users count less.
    Bm25,
}

impl Weighting {
    /// Every weighting.
    pub const ALL: [Weighting; 3] = [Weighting::Raw, Weighting::Log1p, Weighting::Bm25];

    /// The name that users type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Weighting::Raw => "raw",
            Weighting::Log1p => "log1p",
            Weighting::Bm25 => "bm25",
        }
    }
}

impl fmt::Display for Weighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Weighting {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Weighting, TrainError> {
        Weighting::ALL.into_iter().find(|w| w.name() == name).ok_or_else(|| TrainError::Parameter {
            name: "weighting",
            got: format!("{name:?}"),
            expected: "\"raw\", \"log1p\" or \"bm25\"".into(),
        })
    }
}

/// A user-item matrix of raw weights with the ids of its rows and columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Interactions {
    /// Users x items; raw weights.
    pub matrix: Csr,
    /// The id of each row.
    pub users: Ids,
    /// The id of each column.
    pub items: Ids,
}

impl Interactions {
    /// Interactions whose rows and columns are their own ids.
    #[must_use]
    pub fn from_matrix(matrix: Csr) -> Interactions {
        let (users, items) = (Ids::Sequential(matrix.n_rows()), Ids::Sequential(matrix.n_cols()));
        Interactions { matrix, users, items }
    }
}
