//! From interactions to a recommender.

use super::artefact;
use super::weighting::{WeightModel, Weighting};
use super::{Interactions, Recommender};
use crate::als::{Model, Params, Trainer};
use crate::error::{BuildError, Error};
use crate::progress::Report;

/// How a recommender is made from interactions.
#[derive(Debug, Clone)]
pub struct FitOptions {
    /// Of the training; its seed is the forests' too, its threads theirs.
    pub params: Params,
    /// What makes weights ready for training.
    pub weighting: Weighting,
    /// A name for people for each item, in the order of the interactions' items.
    pub labels: Option<Vec<String>>,
}

impl Default for FitOptions {
    /// 64 factors, `log1p`, an unobserved weight of 0.2 and a regularization of 1: a compromise
    /// between two training sets (listening counts and check-ins, held-out parts) that want a
    /// larger and a smaller weight, and the sense of similar items. `docs/tuning.md` has the table.
    fn default() -> FitOptions {
        let params = Params { unobserved_weight: 0.2, regularization: 1.0, ..Params::default() };
        FitOptions { params, weighting: Weighting::default(), labels: None }
    }
}

impl Recommender {
    /// Trains on interactions, then builds: see [`from_model`](Self::from_model).
    ///
    /// # Errors
    /// If the training or the build refuses its input.
    pub fn fit(data: &Interactions, options: &FitOptions) -> Result<Recommender, Error> {
        Recommender::fit_with(data, options, |trainer| trainer, &|_, _| true)
    }

    /// [`fit`](Self::fit) with a trainer that `prepare` has given its progress, interrupt or start;
    /// `building` hears of the forests afterwards, and may stop them.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and if the training is interrupted or the building stopped.
    pub fn fit_with<'a>(
        data: &Interactions,
        options: &FitOptions,
        prepare: impl FnOnce(Trainer<'a>) -> Trainer<'a>,
        building: Report<'_>,
    ) -> Result<Recommender, Error> {
        crate::memory::attempt(|| {
            let in_words = |error| data.in_words(error, options.weighting);
            let weights = WeightModel::fit(options.weighting, &data.matrix).map_err(in_words)?;
            let matrix = weights.apply(data.matrix.clone()).map_err(in_words)?;
            let trainer = prepare(Trainer::new(options.params.clone()));
            let model = trainer.fit(&matrix).map_err(in_words)?;
            assemble(&model, data, &weights, options, building)
        })
    }

    /// Puts a trained model and the interactions it was trained on into one artefact, and builds
    /// the forests over its items.
    ///
    /// # Errors
    /// If model and interactions differ in shape, ids repeat, or there are not as many labels as
    /// items.
    pub fn from_model(
        model: &Model,
        data: &Interactions,
        options: &FitOptions,
    ) -> Result<Recommender, Error> {
        Recommender::from_model_with(model, data, options, &|_, _| true)
    }

    /// [`from_model`](Self::from_model), telling `progress` each percent that is done.
    ///
    /// # Errors
    /// As [`from_model`](Self::from_model), and if `progress` stops it.
    pub fn from_model_with(
        model: &Model,
        data: &Interactions,
        options: &FitOptions,
        progress: Report<'_>,
    ) -> Result<Recommender, Error> {
        crate::memory::attempt(|| {
            let weights = WeightModel::fit(options.weighting, &data.matrix)
                .map_err(|error| data.in_words(error, options.weighting))?;
            assemble(model, data, &weights, options, progress)
        })
    }
}

fn assemble(
    model: &Model,
    data: &Interactions,
    weights: &WeightModel,
    options: &FitOptions,
    progress: Report<'_>,
) -> Result<Recommender, Error> {
    let bytes = artefact::compose_model(model, data, weights, options, progress)?;
    let opened = Recommender::from_shared(bytes.into());
    opened.map_err(|defect| BuildError::composed(&defect).into())
}
