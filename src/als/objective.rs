//! The weights of the objective: what each entry and each row brings to it.

use super::csr::Csr;
use super::params::{Confidence, Params};
use crate::error::{Entry, TrainError};

/// The choice of (a, b), alpha0 and lambda.
#[derive(Debug, Clone, Copy)]
pub(super) struct Objective {
    confidence: Confidence,
    alpha: f32,
    /// Alpha0.
    pub(super) unobserved: f32,
    /// Lambda before any scaling.
    pub(super) regularization: f32,
    scaling: f32,
}

impl Objective {
    pub(super) fn new(params: &Params) -> Objective {
        Objective {
            confidence: params.confidence,
            alpha: params.alpha,
            unobserved: params.unobserved_weight,
            regularization: params.regularization,
            scaling: params.regularization_scaling,
        }
    }

    /// The entry's a and b.
    #[inline]
    pub(super) fn weigh(&self, r: f32) -> (f32, f32) {
        let w = self.alpha * r;
        match self.confidence {
            Confidence::Ials => (w, w),
            Confidence::Implicit => (w.abs() - 1.0, w.max(0.0)),
            Confidence::Spark => (w.abs(), if r > 0.0 { 1.0 + w } else { 0.0 }),
        }
    }

    /// The regularisation of a row with `entries` entries facing `others` rows.
    pub(super) fn ridge(&self, entries: usize, others: usize) -> f32 {
        let size = entries as f64 + f64::from(self.unobserved) * others as f64;
        // The two common exponents need no power function, whose last bit platforms disagree on.
        let scale = match self.scaling {
            0.0 => 1.0,
            1.0 => size,
            nu => size.powf(f64::from(nu)),
        };
        (f64::from(self.regularization) * scale) as f32
    }

    /// Whether the number of a row's entries shows in its regularisation.
    pub(super) fn is_scaled(&self) -> bool {
        self.scaling != 0.0
    }

    /// Refuses weights under which the objective has no minimum.
    pub(super) fn check(&self, matrix: &Csr) -> Result<(), TrainError> {
        match matrix.values().iter().position(|&r| !self.is_bounded(r)) {
            None => Ok(()),
            Some(at) => {
                let row = matrix.indptr().partition_point(|&start| start as usize <= at) - 1;
                Err(self.unbounded(row, matrix.indices()[at], matrix.values()[at]))
            }
        }
    }

    /// The same for one row.
    pub(super) fn check_row(&self, items: &[u32], values: &[f32]) -> Result<(), TrainError> {
        match values.iter().position(|&r| !self.is_bounded(r)) {
            None => Ok(()),
            Some(at) => Err(self.unbounded(0, items[at], values[at])),
        }
    }

    /// A pair adds c s^2 - 2 b s with c = alpha0 + a: bounded below if c > 0, or if both are 0.
    fn is_bounded(&self, r: f32) -> bool {
        let (a, b) = self.weigh(r);
        let c = f64::from(self.unobserved) + f64::from(a);
        a.is_finite() && b.is_finite() && (c > 0.0 || (c == 0.0 && b == 0.0))
    }

    fn unbounded(&self, row: usize, column: u32, r: f32) -> TrainError {
        let expected = if !r.is_finite() || !(self.alpha * r).is_finite() {
            "a weight that, times alpha, is a finite float32".to_string()
        } else {
            let least = -self.unobserved / self.alpha;
            format!(
                "above {least} (-unobserved_weight / alpha), below which the objective has no \
                 minimum: drop the entry, or choose confidence \"implicit\" or \"spark\", where a \
                 negative weight means a target of 0"
            )
        };
        let entry = Entry::Place { row, column: column as usize };
        TrainError::Weight { entry, value: r, weighted: None, expected }
    }
}

impl Params {
    /// Refuses weights with which a training by these parameters has no minimum.
    ///
    /// # Errors
    /// [`TrainError::Weight`] names the first.
    pub fn check_weights(&self, matrix: &Csr) -> Result<(), TrainError> {
        Objective::new(self).check(matrix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objective(confidence: Confidence, alpha: f32) -> Objective {
        Objective::new(&Params { confidence, alpha, ..Params::default() })
    }

    #[test]
    fn the_table_of_conventions() {
        let cases = [
            (Confidence::Ials, [(6.0, 6.0), (0.0, 0.0), (-0.5, -0.5)]),
            (Confidence::Implicit, [(5.0, 6.0), (-1.0, 0.0), (-0.5, 0.0)]),
            (Confidence::Spark, [(6.0, 7.0), (0.0, 0.0), (0.5, 0.0)]),
        ];
        for (confidence, expected) in cases {
            let o = objective(confidence, 2.0);
            assert_eq!([3.0, 0.0, -0.25].map(|r| o.weigh(r)), expected, "{confidence}");
        }
    }

    #[test]
    fn an_objective_without_a_minimum_is_refused() {
        let m = Csr::from_triplets(3, 9, &[0, 2], &[1, 5], &[1.0, -0.5]).unwrap();
        assert_eq!(objective(Confidence::Ials, 1.0).check(&m), Ok(()));
        let error = objective(Confidence::Ials, 2.0).check(&m).unwrap_err().to_string();
        assert!(error.starts_with("the weight of row 2, column 5 is -0.5, expected above -0.5"));
        assert_eq!(objective(Confidence::Implicit, 2.0).check(&m), Ok(()));
        assert_eq!(objective(Confidence::Spark, 2.0).check(&m), Ok(()));
        let error = objective(Confidence::Spark, 2.0).check_row(&[7], &[3e38]).unwrap_err();
        assert!(error.to_string().contains("a finite float32"), "{error}");
    }

    #[test]
    fn regularisation_scales_with_the_row() {
        let ridge = |scaling: f32| {
            let p = Params {
                regularization: 0.5,
                unobserved_weight: 0.25,
                regularization_scaling: scaling,
                ..Params::default()
            };
            Objective::new(&p).ridge(6, 40)
        };
        assert_eq!([ridge(0.0), ridge(0.5), ridge(1.0)], [0.5, 2.0, 8.0]);
    }
}
