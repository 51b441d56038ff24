//! The figure that early stopping watches.

use super::measure::{Measure, Target};
use super::split::kept;
use super::task::{Options, Task};
use crate::als::{Csr, Epoch};
use crate::error::TrainError;
use crate::random::Random;

/// Entries kept from a training to measure it by, over the whole catalogue: a number for
/// [`EarlyStopping`].
///
/// All of them are wanted, also where the training has the same, which is never ranked: what is
/// given here says what a user's denominator is.
///
/// [`EarlyStopping`]: crate::als::EarlyStopping
pub struct HeldOut<'a> {
    task: Task<'a>,
    target: Target,
    n_items: usize,
}

/// The first stream of a split; far from those of a start.
const STREAM: u64 = 0x7661_6c00_0000_0000;

impl<'a> HeldOut<'a> {
    /// Measures by `held`, users x items as `train` is. Users without held-out entries do not
    /// count.
    ///
    /// # Errors
    /// If the shapes differ, the target's k is 0, or nothing that is held out can be found: every
    /// epoch would measure 0, and early stopping would keep the first.
    pub fn new(
        train: &'a Csr,
        held: &Csr,
        target: Target,
        n_threads: Option<usize>,
    ) -> Result<HeldOut<'a>, TrainError> {
        let shape = |m: &Csr| format!("{} x {}", m.n_rows(), m.n_cols());
        if shape(train) != shape(held) {
            return Err(TrainError::Matrix {
                what: "the shape of the validation's matrix".into(),
                got: shape(held),
                expected: format!("{}, that of the training's", shape(train)),
            });
        }
        if target.k == 0 {
            return Err(no_target(&target.to_string()));
        }
        let options = Options { ks: vec![target.k], n_threads, ..Options::default() };
        let task = Task::wanting_all(train, held, &options);
        if !task.has_findable() {
            return Err(nothing_found(train, held));
        }
        Ok(HeldOut { task, target, n_items: train.n_cols() })
    }

    /// The target that a training's `metric` names: `"ndcg@k"`, or `"recall@k"` with the
    /// denominator min(k, held out), which is [`Measure::CappedRecall`].
    ///
    /// # Errors
    /// If it names none, or k is not a number of at least 1.
    pub fn target(name: &str) -> Result<Target, TrainError> {
        let (kind, k) = name.split_once('@').unwrap_or((name, ""));
        let measure = match kind {
            "recall" => Measure::CappedRecall,
            "ndcg" => Measure::Ndcg,
            _ => return Err(no_target(name)),
        };
        match k.parse() {
            Ok(k) if k > 0 => Ok(Target { measure, k }),
            _ => Err(no_target(name)),
        }
    }

    /// Parts a matrix into (training, held out): each entry is held out with probability `share`,
    /// drawn from the seed, one entry of each user excepted: everybody keeps at least one.
    ///
    /// # Errors
    /// If `share` is not between 0 and 1.
    pub fn split(matrix: &Csr, share: f64, seed: u64) -> Result<(Csr, Csr), TrainError> {
        if !(share > 0.0 && share < 1.0) {
            return Err(TrainError::Parameter {
                name: "validation",
                got: share.to_string(),
                expected: "a matrix, or a share above 0 and below 1".into(),
            });
        }
        let mut is_held = vec![false; matrix.nnz()];
        for (user, ends) in matrix.indptr().windows(2).enumerate() {
            let entries = ends[0] as usize..ends[1] as usize;
            let mut random = Random::new(seed, STREAM + user as u64);
            let stays = random.below(entries.len().max(1));
            for (at, is_held) in is_held[entries].iter_mut().enumerate() {
                *is_held = random.uniform() < share && at != stays;
            }
        }
        Ok((kept(matrix, |entry| !is_held[entry])?, kept(matrix, |entry| is_held[entry])?))
    }

    /// The mean over the users who have held-out entries: n_users n_items d operations. NaN, which
    /// betters nothing, for an epoch of a training of another shape.
    #[must_use]
    pub fn measure(&self, epoch: &Epoch<'_>) -> f64 {
        let factors = epoch.item_factors.len() / self.n_items;
        let figures = self.task.factors(epoch.user_factors, epoch.item_factors, factors);
        figures.ok().and_then(|figures| figures.get(self.target)).unwrap_or(f64::NAN)
    }
}

/// Why no held-out entry can be found.
fn nothing_found(train: &Csr, held: &Csr) -> TrainError {
    let users = (0..held.n_rows()).filter(|&user| !held.row(user).0.is_empty());
    let of_known = users.filter(|&user| !train.row(user).0.is_empty()).count();
    let got = match (held.nnz(), of_known) {
        (0, _) => "without entries".to_string(),
        (n, 0) => format!("{n} entries of users who have none in the training"),
        (n, _) => format!("{n} entries that the training has too, or of items that it lacks"),
    };
    TrainError::Parameter {
        name: "validation",
        got,
        expected: "entries that were held out, of users and items that have others in the training"
            .into(),
    }
}

fn no_target(got: &str) -> TrainError {
    TrainError::Parameter {
        name: "metric",
        got: format!("{got:?}"),
        expected: "\"recall@k\" or \"ndcg@k\" with k of at least 1".into(),
    }
}
