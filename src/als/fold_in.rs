//! Vectors for rows that came after the training.

use super::csr::Csr;
use super::gramian::Gramian;
use super::half_step::HalfStep;
use super::loss::Terms;
use super::method::Method;
use super::model::whole_rows;
use super::objective::Objective;
use super::params::Params;
use super::solve::{Fixed, Scratch, solve_alone};
use super::whitening::Whitening;
use crate::error::TrainError;
use crate::memory;
use crate::threads;

/// Gives users a vector from their interactions alone, the items' factors being fixed: the users'
/// half-step of a training by an exact solver, for any rows. An unchanged row gets the bits that such
/// a training gave it.
///
/// It keeps the items' Gramian, so that one user costs a row's equations and no more. The factors
/// may be borrowed, owned or mapped. [`for_items`](Self::for_items) folds in items in the same way,
/// from rows of item x user.
pub struct FoldIn<F: AsRef<[f32]>> {
    factors: F,
    params: Params,
    objective: Objective,
    gramian: Gramian,
    /// The Gramian times alpha0 in float32.
    matrix: Vec<f32>,
    whitening: Whitening,
    /// What is folded in, and what the factors are of.
    sides: Sides,
}

/// "user" and "item", or the other way round, for messages.
type Sides = (&'static str, &'static str);

impl<F: AsRef<[f32]>> FoldIn<F> {
    /// From the items' factors (n_items x `params.factors`, row-major) and the parameters of the
    /// training. n_items d^2 operations, on `params.n_threads` threads.
    ///
    /// # Errors
    /// If a parameter is refused, the factors do not fill whole rows, or one is not finite.
    pub fn new(item_factors: F, params: &Params) -> Result<FoldIn<F>, TrainError> {
        FoldIn::of(item_factors, params, ("user", "item"))
    }

    /// The items' half-step instead, from the users' factors: where this type says user it is then
    /// an item, and where it says item a user.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn for_items(user_factors: F, params: &Params) -> Result<FoldIn<F>, TrainError> {
        FoldIn::of(user_factors, params, ("item", "user"))
    }

    fn of(fixed: F, params: &Params, sides: Sides) -> Result<FoldIn<F>, TrainError> {
        memory::attempt(|| {
            params.check()?;
            let (factors, d) = (fixed.as_ref(), params.factors);
            let others = whole_rows(&format!("{}s", sides.1), factors, d)?;
            let gramian = threads::run(params.n_threads, || Gramian::of(factors, d));
            let objective = Objective::new(params);
            let matrix = gramian.scaled(objective.unobserved);
            let whitening = Whitening::new(&gramian, &objective, Method::Exact, others, d);
            let params = params.clone();
            Ok(FoldIn { factors: fixed, params, objective, gramian, matrix, whitening, sides })
        })
    }

    /// How many items there are: the columns that a row may have.
    pub fn n_items(&self) -> usize {
        self.factors.as_ref().len() / self.params.factors
    }

    /// Memory for [`solve`](Self::solve), one a thread.
    pub fn scratch(&self) -> Scratch {
        Scratch::new(self.params.factors)
    }

    /// A vector for each of many rows (m x n_items): m x factors, row-major, on
    /// `params.n_threads` threads. A row without entries gets the zero vector.
    ///
    /// # Errors
    /// If the rows have another number of columns, a weight is refused, or a row has no finite
    /// solution.
    pub fn fold_in(&self, rows: &Csr) -> Result<Vec<f32>, TrainError> {
        memory::attempt(|| {
            if rows.n_cols() != self.n_items() {
                return Err(TrainError::Matrix {
                    what: "the number of columns of the rows to fold in".into(),
                    got: rows.n_cols().to_string(),
                    expected: format!(
                        "{}, one for each {} of the model",
                        self.n_items(),
                        self.sides.1
                    ),
                });
            }
            self.objective.check(rows)?;
            let mut out = memory::zeroed(rows.n_rows() * self.params.factors);
            let (few, step) = (self.are_few(rows), self.half_step());
            threads::run(self.params.n_threads, || match few {
                true => step.one_by_one(rows, &mut out),
                false => step.run(rows, &mut out, Terms::None).map(|_| ()),
            })?;
            Ok(out)
        })
    }

    /// Whether rows take less time one by one than together, where all items are rotated first.
    ///
    /// A row by itself rotates its own items' factors and, having no others beside it, takes the
    /// time of about four more. With 32 to 256 factors and 5,000 to 50,000 items, rows of 4 entries
    /// are even where they have 0.15 to 0.4 entries for each item, rows of 20 at 0.4 to 1, longer
    /// ones later; the bound is on the safe side of each.
    fn are_few(&self, rows: &Csr) -> bool {
        (rows.nnz() + 4 * rows.n_rows()).saturating_mul(3) < self.n_items()
    }

    fn half_step(&self) -> HalfStep<'_> {
        HalfStep { fixed: self.fixed(), side: self.sides.0, interrupt: &|| false }
    }

    /// One user's vector into `x`, on the caller's thread and without allocation once `scratch` is
    /// warm. `items` and `weights` are the user's entries; for the bits of the training the items
    /// ascend. Takes n (d^2 + 3 d) + d^3 / 3 + 4 d^2 operations for n entries.
    ///
    /// # Errors
    /// If the lists differ in length, an item is out of range, a weight is refused, `x` or
    /// `scratch` is of another size, or there is no finite solution.
    pub fn solve(
        &self,
        scratch: &mut Scratch,
        items: &[u32],
        weights: &[f32],
        x: &mut [f32],
    ) -> Result<(), TrainError> {
        self.check_row(scratch, items, weights, x)?;
        solve_alone(scratch, &self.fixed(), items, weights, x)
            .map_err(|_| self.half_step().singular(0))
    }

    pub(super) fn fixed(&self) -> Fixed<'_> {
        Fixed {
            objective: self.objective,
            factors: self.factors.as_ref(),
            d: self.params.factors,
            method: Method::Exact,
            gramian: &self.gramian,
            matrix: &self.matrix,
            whitening: &self.whitening,
        }
    }

    fn check_row(
        &self,
        scratch: &Scratch,
        items: &[u32],
        weights: &[f32],
        x: &[f32],
    ) -> Result<(), TrainError> {
        let d = self.params.factors;
        same("the length of the vector to fill", x.len(), d, "the number of factors")?;
        same("the size of the scratch", scratch.equations.unknowns(), d, "the number of factors")?;
        self.check_entries(items, weights)
    }

    /// That a user's entries are such.
    pub(super) fn check_entries(&self, items: &[u32], weights: &[f32]) -> Result<(), TrainError> {
        same("the number of weights", weights.len(), items.len(), "one for each item")?;
        items.iter().try_for_each(|&item| self.check_item(item))?;
        self.objective.check_row(items, weights)
    }

    pub(super) fn check_item(&self, item: u32) -> Result<(), TrainError> {
        match (item as usize) < self.n_items() {
            true => Ok(()),
            false => Err(TrainError::Matrix {
                what: if self.sides.1 == "item" { "an item" } else { "a user" }.into(),
                got: item.to_string(),
                expected: format!("below {}, the number of {}s", self.n_items(), self.sides.1),
            }),
        }
    }
}

fn same(what: &str, got: usize, expected: usize, why: &str) -> Result<(), TrainError> {
    if got == expected {
        return Ok(());
    }
    let expected = format!("{expected}, {why}");
    Err(TrainError::Matrix { what: what.into(), got: got.to_string(), expected })
}
