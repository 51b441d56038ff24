//! When to stop: a training watched by any number, larger being better.
//!
//! The trainer knows no metric. [`HeldOut`](crate::eval::HeldOut) gives recall or NDCG on entries
//! that the training does not see.

use std::ops::ControlFlow;

use super::model::Model;
use super::train::Epoch;
use crate::memory;

/// Ends a training once its measure has not risen for some epochs, and goes back to the best one.
///
/// ```
/// use nearwood::als::{Csr, EarlyStopping, Params, Trainer};
/// use nearwood::eval::HeldOut;
///
/// let plays = Csr::from_triplets(3, 3, &[0, 0, 1, 1, 2], &[0, 1, 0, 1, 2], &[1.0; 5])?;
/// let (train, held) = HeldOut::split(&plays, 0.3, 1)?;
/// let params = Params { factors: 2, ..Params::default() };
/// let held = HeldOut::new(&train, &held, HeldOut::target("recall@2")?, params.n_threads)?;
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
            let (users, items) =
                (memory::copied(epoch.user_factors), memory::copied(epoch.item_factors));
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
