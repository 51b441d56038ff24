//! Where the factors of `nearwood.AlternatingLeastSquares` come from: a training, arrays, a file.

use std::sync::Arc;

use nearwood::als::{Csr, EarlyStopping, Model, ModelFile, Params, Start, Trainer};
use nearwood::error::TrainError;
use nearwood::eval::{HeldOut, Target, align_to};
use nearwood::recommend::Weighting;
use nearwood::{Ids, Interactions};
use pyo3::prelude::*;

use crate::bulk;
use crate::convert;
use crate::errors::{OrRaise, warn};
use crate::interactions::interactions;
use crate::options::Named;
use crate::ranking::Fitted;
use crate::scalar::is_bool;
use crate::train;
use crate::watch::{self, Watched};

/// What early stopping is measured by.
pub enum Validation {
    /// Of the training's entries.
    Share(f64),
    /// Of the training's shape.
    Matrix(Arc<Interactions>),
}

impl Validation {
    /// A matrix, or a share.
    pub fn new(object: &Bound<'_, PyAny>) -> PyResult<Validation> {
        match <f64 as Named>::named(object, "validation") {
            Ok(share) => Ok(Validation::Share(share)),
            Err(error) if is_bool(object) => Err(error),
            Err(_) => Ok(Validation::Matrix(interactions(object, "validation")?)),
        }
    }

    /// With the users and items of the training, found by id; matrices are such by shape. A warning
    /// says what is left out.
    pub fn matched(self, py: Python<'_>, data: &Interactions) -> PyResult<Validation> {
        let Validation::Matrix(held) = self else { return Ok(self) };
        let numbered = |ids: &Ids| matches!(ids, Ids::Sequential(_));
        let all = [&held.users, &held.items, &data.users, &data.items];
        if all.into_iter().all(numbered) {
            return Ok(Validation::Matrix(held));
        }
        let aligned = watch::detach(py, || align_to(&held, data))?.or_raise()?;
        if aligned.entries_dropped > 0 {
            let (dropped, n) = (aligned.entries_dropped, aligned.n_entries());
            let text = "of validation are left out: user_items does not have their user or item";
            warn(py, &format!("{dropped} of {n} entries {text}"))?;
        }
        Ok(Validation::Matrix(Arc::new(Interactions::from_matrix(aligned.matrix))))
    }
}

/// The items' vectors to continue a training from; a warning says which items are gone.
pub fn start(py: Python<'_>, data: &Interactions, before: &Fitted) -> PyResult<Vec<f32>> {
    let start =
        watch::detach(py, || data.continue_from(&before.model, &before.data))?.or_raise()?;
    if start.gone > 0 {
        let text = "are not in user_items: warm_start drops them";
        warn(py, &format!("{} of the model's {} items {text}", start.gone, before.model.n_items))?;
    }
    Ok(start.items)
}

/// A training as it was asked for.
pub struct Fit<'a> {
    pub params: &'a Params,
    pub data: &'a Interactions,
    /// The items' vectors to continue from.
    pub start: Option<&'a [f32]>,
    pub validation: Option<&'a Validation>,
    pub patience: usize,
    pub target: Target,
}

impl Fit<'_> {
    /// The model, and what was measured.
    pub fn run(&self, watched: &Watched) -> Result<(Model, Vec<f64>), TrainError> {
        self.trained(watched).map_err(|error| self.data.in_words(error, Weighting::Raw))
    }

    fn trained(&self, watched: &Watched) -> Result<(Model, Vec<f64>), TrainError> {
        let start = self.start.map_or(Start::Random, Start::Items);
        let trainer = Trainer::new(self.params.clone()).start(start);
        let data = &self.data.matrix;
        match self.validation {
            None => Ok((train::attend(trainer, watched).fit(data)?, Vec::new())),
            Some(Validation::Matrix(held)) => self.measured(trainer, watched, data, &held.matrix),
            Some(Validation::Share(share)) => {
                let (train, held) = HeldOut::split(data, *share, self.params.seed)?;
                self.measured(trainer, watched, &train, &held)
            }
        }
    }

    fn measured(
        &self,
        trainer: Trainer<'_>,
        watched: &Watched,
        train: &Csr,
        held: &Csr,
    ) -> Result<(Model, Vec<f64>), TrainError> {
        let held = HeldOut::new(train, held, self.target, self.params.n_threads)?;
        let mut early = EarlyStopping::new(self.patience, |epoch| held.measure(epoch));
        let trainer = train::attend_and(trainer, watched, |epoch| early.after(epoch));
        let mut model = trainer.fit(train)?;
        let measured = early.finish(&mut model);
        Ok((model, measured))
    }
}

/// A model of two arrays.
pub fn of_factors(
    users: &Bound<'_, PyAny>,
    items: &Bound<'_, PyAny>,
    user_items: Option<&Bound<'_, PyAny>>,
    params: &Params,
) -> PyResult<Fitted> {
    let py = users.py();
    let (users, items) =
        (rows(users, "user_factors", params)?, rows(items, "item_factors", params)?);
    let made = || Model::from_factors(users, items, params.clone());
    let model = watch::detach(py, made)?.or_raise()?;
    let data = match user_items {
        Some(rows) => interactions(rows, "user_items")?,
        None => nothing_seen(&model).or_raise()?,
    };
    convert::same_rows("user_items", data.matrix.n_rows(), model.n_users)?;
    convert::same_dim("user_items", data.matrix.n_cols(), model.n_items)?;
    Ok(Fitted::new(model, data, Vec::new()))
}

fn rows(object: &Bound<'_, PyAny>, what: &str, params: &Params) -> PyResult<Vec<f32>> {
    let matrix = convert::matrix(object, what)?;
    convert::same_dim(what, matrix.as_array().ncols(), params.factors)?;
    bulk::copied(object.py(), convert::values(&matrix)?)
}

/// A model that was saved.
pub fn of_file(params: &Params, file: ModelFile) -> Result<Fitted, TrainError> {
    let mut model = file.model;
    model.params = params.clone();
    let data = match file.interactions {
        Some(matrix) => Arc::new(Interactions::from_matrix(matrix)),
        None => nothing_seen(&model)?,
    };
    Ok(Fitted::new(model, data, Vec::new()))
}

/// No interactions, in the shape of a model.
fn nothing_seen(model: &Model) -> Result<Arc<Interactions>, TrainError> {
    let nothing = Csr::from_parts(model.n_items, vec![0; model.n_users + 1], vec![], vec![])?;
    Ok(Arc::new(Interactions::from_matrix(nothing)))
}
