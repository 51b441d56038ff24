//! When to stop: a training watched by a measure of its own, and a measure that serves.
//!
//! The trainer knows no metric. [`EarlyStopping`] takes any number, larger being better; [`HeldOut`]
//! gives recall or NDCG on entries that the training does not see.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use super::csr::Csr;
use super::model::Model;
use super::train::Epoch;
use crate::error::TrainError;
use crate::exact::{self, Rows};
use crate::metric::Metric;
use crate::random::Random;
use crate::threads;

/// Ends a training once its measure has not risen for some epochs, and goes back to the best one.
///
/// ```
/// use nearwood::als::{Csr, EarlyStopping, HeldOut, Measure, Params, Trainer};
///
/// let plays = Csr::from_triplets(3, 3, &[0, 0, 1, 1, 2], &[0, 1, 0, 1, 2], &[1.0; 5])?;
/// let (train, held) = HeldOut::split(&plays, 0.3, 1)?;
/// let params = Params { factors: 2, ..Params::default() };
/// let held = HeldOut::new(&train, &held, "recall@2".parse()?, params.n_threads)?;
/// let mut early = EarlyStopping::new(3, |epoch| held.measure(epoch));
/// let mut model = Trainer::new(params).progress(|epoch| early.after(epoch)).fit(&train)?;
/// let measured = early.finish(&mut model);
/// assert!(measured.len() <= 15 && model.loss_history.len() <= measured.len());
/// # Ok::<(), nearwood::error::TrainError>(())
/// ```
pub struct EarlyStopping<'a> {
    patience: usize,
    measure: Box<dyn FnMut(&Epoch<'_>) -> f64 + Send + 'a>,
    measured: Vec<f64>,
    best: Option<Best>,
}

struct Best {
    epoch: usize,
    value: f64,
    users: Vec<f32>,
    items: Vec<f32>,
}

impl<'a> EarlyStopping<'a> {
    /// Stops after `patience` epochs that did not better the best; 0 never stops, and still keeps
    /// the best epoch. Memory: the factors once more.
    pub fn new(
        patience: usize,
        measure: impl FnMut(&Epoch<'_>) -> f64 + Send + 'a,
    ) -> EarlyStopping<'a> {
        EarlyStopping { patience, measure: Box::new(measure), measured: Vec::new(), best: None }
    }

    /// To be called after each epoch. NaN betters nothing.
    pub fn after(&mut self, epoch: &Epoch<'_>) -> ControlFlow<()> {
        let value = (self.measure)(epoch);
        self.measured.push(value);
        let is_better = self.best.as_ref().is_none_or(|best| value > best.value);
        if is_better && !value.is_nan() {
            let (users, items) = (epoch.user_factors.to_vec(), epoch.item_factors.to_vec());
            self.best = Some(Best { epoch: self.measured.len(), value, users, items });
        }
        let since = self.measured.len() - self.best.as_ref().map_or(0, |best| best.epoch);
        match self.patience > 0 && since >= self.patience {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Gives a model the factors of its best epoch, and the losses up to there; returns what was
    /// measured after every epoch.
    pub fn finish(self, model: &mut Model) -> Vec<f64> {
        if let Some(best) = self.best {
            (model.user_factors, model.item_factors) = (best.users, best.items);
            model.loss_history.truncate(best.epoch);
        }
        self.measured
    }
}

/// What is measured on held-out entries, with its k: `"recall@20"`, `"ndcg@20"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Measure {
    /// The share of a user's held-out items among the first k, of min(k, held out).
    Recall(usize),
    /// Discounted gain of the first k over that of the best order.
    Ndcg(usize),
}

impl Measure {
    fn k(self) -> usize {
        match self {
            Measure::Recall(k) | Measure::Ndcg(k) => k,
        }
    }

    /// Of one ranking, with as many items held out.
    fn of(self, hits: impl Iterator<Item = bool>, held: usize) -> f64 {
        let most = self.k().min(held);
        let gain = |rank: usize| match self {
            Measure::Recall(_) => 1.0,
            Measure::Ndcg(_) => 1.0 / (rank as f64 + 2.0).log2(),
        };
        let got: f64 = hits.enumerate().map(|(rank, hit)| if hit { gain(rank) } else { 0.0 }).sum();
        got / (0..most).map(gain).sum::<f64>()
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Measure::Recall(k) => write!(f, "recall@{k}"),
            Measure::Ndcg(k) => write!(f, "ndcg@{k}"),
        }
    }
}

impl FromStr for Measure {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Measure, TrainError> {
        let (kind, k) = name.split_once('@').unwrap_or((name, ""));
        match (kind, k.parse::<usize>()) {
            ("recall", Ok(k)) if k > 0 => Ok(Measure::Recall(k)),
            ("ndcg", Ok(k)) if k > 0 => Ok(Measure::Ndcg(k)),
            _ => Err(TrainError::Parameter {
                name: "metric",
                got: format!("{name:?}"),
                expected: "\"recall@k\" or \"ndcg@k\" with k of at least 1".into(),
            }),
        }
    }
}

/// Entries kept from a training to measure it by, over the whole catalogue.
pub struct HeldOut<'a> {
    train: &'a Csr,
    held: &'a Csr,
    measure: Measure,
    n_threads: Option<usize>,
    /// Users with held-out entries, ascending.
    users: Vec<u32>,
}

/// The first stream of a split; far from those of a start.
const STREAM: u64 = 0x7661_6c00_0000_0000;

/// Users whose rankings are held at a time.
const BLOCK: usize = 1024;

impl<'a> HeldOut<'a> {
    /// Measures by `held`, users x items as `train` is; a training entry is never ranked. Users
    /// without held-out entries do not count.
    ///
    /// # Errors
    /// If the shapes differ or nothing is held out.
    pub fn new(
        train: &'a Csr,
        held: &'a Csr,
        measure: Measure,
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
        let users: Vec<u32> = (0..held.n_rows())
            .filter(|&user| !held.row(user).0.is_empty())
            .map(|user| user as u32)
            .collect();
        match users.is_empty() {
            true => Err(nothing_held()),
            false => Ok(HeldOut { train, held, measure, n_threads, users }),
        }
    }

    /// Parts a matrix into (training, held out): each entry is held out with probability `share`,
    /// drawn from the seed, a user's first entry to stay excepted: everybody keeps at least one.
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
        let mut parts = [(vec![0u64], vec![], vec![]), (vec![0u64], vec![], vec![])];
        for user in 0..matrix.n_rows() {
            let (columns, values) = matrix.row(user);
            let mut random = Random::new(seed, STREAM + user as u64);
            let stays = random.below(columns.len().max(1));
            for (at, (&column, &value)) in columns.iter().zip(values).enumerate() {
                let is_held = random.uniform() < share && at != stays;
                let (_, indices, weights) = &mut parts[usize::from(is_held)];
                indices.push(column);
                weights.push(value);
            }
            parts.iter_mut().for_each(|(ends, indices, _)| ends.push(indices.len() as u64));
        }
        let [train, held] = parts.map(|(indptr, indices, values)| {
            Csr::from_parts(matrix.n_cols(), indptr, indices, values)
        });
        Ok((train?, held?))
    }

    /// The mean over the users who have held-out entries: n_users n_items d operations.
    #[must_use]
    pub fn measure(&self, epoch: &Epoch<'_>) -> f64 {
        let d = epoch.item_factors.len() / self.train.n_cols();
        let mean = |users: &[u32]| -> f64 { self.block(users, epoch, d) };
        let sum: f64 = self.users.chunks(BLOCK).map(mean).sum();
        sum / self.users.len() as f64
    }

    fn block(&self, users: &[u32], epoch: &Epoch<'_>, d: usize) -> f64 {
        let mut queries = Vec::with_capacity(users.len() * d);
        for &user in users {
            queries.extend_from_slice(&epoch.user_factors[user as usize * d..][..d]);
        }
        let values = epoch.item_factors.into();
        let rows = Rows { metric: Metric::Dot, dim: d, values, inverse_norms: &[] };
        queries.chunks_exact_mut(d).for_each(|query| rows.prepare(query));
        let k = self.measure.k().min(rows.len());
        let free = |at: usize, item: u32| {
            self.train.row(users[at] as usize).0.binary_search(&item).is_err().then_some(item)
        };
        let lists = threads::run(self.n_threads, || exact::search(rows, &queries, k, free));
        let of_user = |(&user, list): (&u32, Vec<(f32, u32)>)| {
            let (held, _) = self.held.row(user as usize);
            let hits = list.iter().map(|(_, item)| held.binary_search(item).is_ok());
            self.measure.of(hits, held.len())
        };
        users.iter().zip(lists).map(of_user).sum()
    }
}

fn nothing_held() -> TrainError {
    TrainError::Matrix {
        what: "the number of held-out entries".into(),
        got: "0".into(),
        expected: "at least 1".into(),
    }
}
