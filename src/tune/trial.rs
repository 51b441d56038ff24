//! What was tried, and its line in the journal.

use serde::{Deserialize, Serialize};

use super::space::Candidate;
use crate::als::Params;
use crate::error::{ReadError, TrainError};

/// Parameters, and how good they were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trial {
    /// Its number, from 0.
    pub trial: usize,
    /// What was trained with.
    #[serde(flatten)]
    pub candidate: Candidate,
    /// Epochs until the best figure.
    pub epochs: usize,
    /// The best figure on the validation part; `None` where the equations had no finite solution.
    pub score: Option<f64>,
    /// How long it took.
    pub seconds: f64,
}

impl Trial {
    /// Parameters of a training with as many epochs as were best; what was not searched is
    /// `base`'s.
    #[must_use]
    pub fn params(&self, base: &Params) -> Params {
        Params { iterations: self.epochs.max(1), ..self.candidate.params(base) }
    }

    pub(super) fn line(&self) -> Result<String, TrainError> {
        serde_json::to_string(self).map_err(|defect| TrainError::Parameter {
            name: "a line of the journal",
            got: defect.to_string(),
            expected: "a trial that can be written: please report this".into(),
        })
    }

    /// Reads a line; `number` is the trial's, `path` the journal's.
    pub(super) fn parse(
        line: &str,
        number: usize,
        path: &std::path::Path,
    ) -> Result<Trial, ReadError> {
        let fault = |problem: String| ReadError::Line {
            path: path.to_path_buf(),
            // The first line says what is searched.
            line: number as u64 + 2,
            problem,
        };
        let trial: Trial = serde_json::from_str(line)
            .map_err(|e| fault(format!("got no trial ({e}): take another journal")))?;
        match trial.trial == number {
            true => Ok(trial),
            false => Err(fault(format!("got trial {}, expected {number}", trial.trial))),
        }
    }
}

impl Candidate {
    /// The parameters of a training; what was not searched is `base`'s.
    #[must_use]
    pub fn params(&self, base: &Params) -> Params {
        Params {
            factors: self.factors,
            alpha: self.alpha,
            unobserved_weight: self.unobserved_weight,
            regularization: self.regularization,
            regularization_scaling: self.regularization_scaling,
            ..base.clone()
        }
    }
}
