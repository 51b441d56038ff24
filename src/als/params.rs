//! What a user may choose.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// How a weight r becomes the a (weight) and b (weight times target) of the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Confidence {
    /// a = b = alpha r beside a free weight of the unobserved (Rendle et al., "Revisiting the
    /// performance of iALS on item recommendation benchmarks", 2021). A negative r pulls towards a
    /// target below zero and must stay above -unobserved_weight / alpha.
    #[default]
    Ials,
    /// a = alpha |r| - 1, b = max(alpha r, 0), as the Python package `implicit`: a pair weighs
    /// alpha |r| in place of 1. A negative r means target 0; a stored 0 takes the pair out.
    Implicit,
    /// a = alpha |r|, b = 1 + alpha r for r > 0, else 0, as Spark MLlib and Hu, Koren and Volinsky
    /// ("Collaborative filtering for implicit feedback datasets", 2008). A negative r means
    /// target 0; a stored 0 says no more than no entry.
    Spark,
}

impl Confidence {
    /// Every convention.
    pub const ALL: [Confidence; 3] = [Confidence::Ials, Confidence::Implicit, Confidence::Spark];

    /// The name that users type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Ials => "ials",
            Confidence::Implicit => "implicit",
            Confidence::Spark => "spark",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Confidence {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Confidence, TrainError> {
        Confidence::ALL.into_iter().find(|c| c.name() == name).ok_or_else(|| {
            parameter("confidence", format!("{name:?}"), "\"ials\", \"implicit\" or \"spark\"")
        })
    }
}

/// How the equations of a row are solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Solver {
    /// [`Cholesky`](Self::Cholesky), or [`Block`](Self::Block) where an exact epoch would take
    /// several times as long: many factors and rows with many entries.
    #[default]
    Auto,
    /// Exactly, by a symmetric factorisation: in the row's unknowns, or in its entries where those
    /// are fewer.
    Cholesky,
    /// By a few steps of conjugate gradients ([`Params::cg_steps`]) from the last epoch's vector; rows
    /// with few entries exactly, since that takes less.
    Cg,
    /// By one pass over blocks of 64 coordinates from the last epoch's vector (iALS++); rows with few
    /// entries exactly. For many factors.
    Block,
}

impl Solver {
    /// Every solver.
    pub const ALL: [Solver; 4] = [Solver::Auto, Solver::Cholesky, Solver::Cg, Solver::Block];

    /// The name that users type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Solver::Auto => "auto",
            Solver::Cholesky => "cholesky",
            Solver::Cg => "cg",
            Solver::Block => "block",
        }
    }
}

impl fmt::Display for Solver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Solver {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Solver, TrainError> {
        Solver::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| {
            let expected = "\"auto\", \"cholesky\", \"cg\" or \"block\"";
            parameter("solver", format!("{name:?}"), expected)
        })
    }
}

/// The parameters of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Params {
    /// The length d of each vector, 1 to [`Params::MAX_FACTORS`].
    pub factors: usize,
    /// Lambda, at least 0. Far below 1e-5 rounding may outweigh it: see `docs/objective.md`.
    pub regularization: f32,
    /// The weight of one unit of r, above 0.
    pub alpha: f32,
    /// Epochs: half-steps of the items and then of the users; at least 1.
    pub iterations: usize,
    /// What a weight means.
    pub confidence: Confidence,
    /// Alpha0, the weight of every pair, seen or not: at least 0, and 1 under the conventions that
    /// fix it (`implicit`, `spark`).
    pub unobserved_weight: f32,
    /// Nu: a row with m entries, facing n rows, is regularised by lambda (m + alpha0 n)^nu. From
    /// 0 (lambda for all) to 1 (Rendle et al. 2021).
    pub regularization_scaling: f32,
    /// How a row is solved.
    pub solver: Solver,
    /// Steps of conjugate gradients a row and epoch, at least 1; read by the solver of that name.
    pub cg_steps: usize,
    /// The seed of the start. A seed fixes every bit of the model, at any number of threads.
    pub seed: u64,
    /// Threads; all cores for `None`.
    pub n_threads: Option<usize>,
}

impl Default for Params {
    fn default() -> Params {
        Params {
            factors: 64,
            regularization: 0.01,
            alpha: 1.0,
            iterations: 15,
            confidence: Confidence::Ials,
            unobserved_weight: 1.0,
            regularization_scaling: 0.0,
            solver: Solver::Auto,
            cg_steps: 3,
            seed: 0,
            n_threads: None,
        }
    }
}

impl Params {
    /// The most factors: a thread needs 20 d^2 bytes, 320 MiB at this many.
    pub const MAX_FACTORS: usize = 4096;

    /// The parameters as JSON, by the names of the fields; numbers have the fewest digits that read
    /// back as the same float32.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A `Value` would widen float32 to float64, digits of rounding included.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Parameters from JSON; those that it does not name have their defaults.
    ///
    /// # Errors
    /// If it is no such JSON or a parameter is out of its range.
    pub fn from_json(text: &str) -> Result<Params, TrainError> {
        let read = serde_json::from_str::<Params>(text);
        let params =
            read.map_err(|e| parameter("params", e.to_string(), "JSON with parameters"))?;
        params.check().map(|()| params)
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`TrainError::Parameter`] names the first that is out of its range.
    pub fn check(&self) -> Result<(), TrainError> {
        let fixed = self.confidence != Confidence::Ials;
        let positive = |x: f32| x.is_finite() && x > 0.0;
        let at_least_zero = |x: f32| x.is_finite() && x >= 0.0;
        let factors = 1..=Params::MAX_FACTORS;
        require(factors.contains(&self.factors), "factors", &self.factors, "1 to 4096")?;
        let (name, got) = ("regularization", &self.regularization);
        require(at_least_zero(*got), name, got, "a finite number, at least 0")?;
        require(positive(self.alpha), "alpha", &self.alpha, "a finite number above 0")?;
        require(self.iterations > 0, "iterations", &self.iterations, "at least 1")?;
        require(self.cg_steps > 0, "cg_steps", &self.cg_steps, "at least 1")?;
        let (name, got) = ("unobserved_weight", &self.unobserved_weight);
        require(at_least_zero(*got), name, got, "a finite number, at least 0")?;
        let expected = "1, which the conventions \"implicit\" and \"spark\" fix; \
                        choose \"ials\" to vary it";
        require(!fixed || *got == 1.0, name, got, expected)?;
        let (name, got) = ("regularization_scaling", &self.regularization_scaling);
        require((0.0..=1.0).contains(got), name, got, "0 to 1")
    }
}

fn require(
    ok: bool,
    name: &'static str,
    got: &dyn fmt::Display,
    expected: &str,
) -> Result<(), TrainError> {
    if ok { Ok(()) } else { Err(parameter(name, got.to_string(), expected)) }
}

fn parameter(name: &'static str, got: String, expected: &str) -> TrainError {
    TrainError::Parameter { name, got, expected: expected.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_unknown_ones_are_refused() {
        for c in Confidence::ALL {
            assert_eq!(c.to_string().parse::<Confidence>(), Ok(c));
        }
        for s in Solver::ALL {
            assert_eq!(s.to_string().parse::<Solver>(), Ok(s));
        }
        assert_eq!(
            "hkv".parse::<Confidence>().unwrap_err().to_string(),
            "confidence is \"hkv\", expected \"ials\", \"implicit\" or \"spark\""
        );
        assert_eq!(
            "qr".parse::<Solver>().unwrap_err().to_string(),
            "solver is \"qr\", expected \"auto\", \"cholesky\", \"cg\" or \"block\""
        );
    }

    #[test]
    fn each_parameter_has_its_range() {
        let refused = |change: fn(&mut Params)| {
            let mut params = Params::default();
            change(&mut params);
            match params.check() {
                Err(TrainError::Parameter { name, .. }) => name,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(Params::default().check(), Ok(()));
        assert_eq!(refused(|p| p.factors = 0), "factors");
        assert_eq!(refused(|p| p.factors = 4097), "factors");
        assert_eq!(refused(|p| p.regularization = -0.1), "regularization");
        assert_eq!(refused(|p| p.regularization = f32::NAN), "regularization");
        assert_eq!(refused(|p| p.alpha = 0.0), "alpha");
        assert_eq!(refused(|p| p.alpha = f32::INFINITY), "alpha");
        assert_eq!(refused(|p| p.iterations = 0), "iterations");
        assert_eq!(refused(|p| p.cg_steps = 0), "cg_steps");
        assert_eq!(refused(|p| p.unobserved_weight = -1.0), "unobserved_weight");
        assert_eq!(refused(|p| p.regularization_scaling = 1.5), "regularization_scaling");
        for confidence in [Confidence::Implicit, Confidence::Spark] {
            let params = Params { confidence, unobserved_weight: 0.5, ..Params::default() };
            assert!(params.check().unwrap_err().to_string().contains("choose \"ials\""));
        }
    }
}
