//! The recommender's own sections: written and read.

use serde::{Deserialize, Serialize};

use super::fit::FitOptions;
use super::weighting::WeightModel;
use super::{Interactions, Weighting};
use crate::als::{Model, Params};
use crate::error::{BuildError, Error, IdsError, OpenError, TrainError};
use crate::exact::Values;
use crate::format::{Content, Directory, Image, Key, Kind, Layout};
use crate::index::{
    Composition, Index, Source, SpanGuard, Vectors, compose, fill_ids, plan_ids, view,
};
use crate::metric::Metric;
use crate::progress::{Report, Work};
use crate::store::Buffer;
use crate::threads;

/// The space of the users' ids in a file.
pub(super) const USERS: u16 = 2;
/// The space in which the items' vectors are searched by cosine.
pub(super) const BY_COSINE: u16 = 1;

/// What the metadata says about the training.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Facts {
    pub params: Params,
    pub weighting: String,
    pub mean_total: f64,
    pub loss_history: Vec<f64>,
}

pub(super) fn read_facts(items: &Index) -> Result<Facts, OpenError> {
    let invalid = |got: String| OpenError::Invalid {
        what: "the metadata".into(),
        got,
        expected: "the training's parameters, weighting and losses".into(),
    };
    // Read by `get`: indexing for writing panics on metadata that is no object.
    let training = items.metadata().get("training").cloned().unwrap_or_default();
    let mut facts: Facts = serde_json::from_value(training).map_err(|e| invalid(e.to_string()))?;
    // How many threads a reader starts is not for the file to say.
    facts.params.n_threads = None;
    facts.params.check().map_err(|e| invalid(e.to_string()))?;
    match facts.params.factors == items.dim() {
        true => Ok(facts),
        false => {
            Err(invalid(format!("{} factors, vectors of {}", facts.params.factors, items.dim())))
        }
    }
}

/// The weighting of the training, for users who come later.
pub(super) fn weight_model(
    facts: &Facts,
    file: &[u8],
    d: &Directory,
    n_items: usize,
) -> Result<WeightModel, OpenError> {
    let weighting: Weighting = facts.weighting.parse().map_err(|_| OpenError::Invalid {
        what: "the weighting".into(),
        got: format!("{:?}", facts.weighting),
        expected: "one that this library knows: upgrade nearwood".into(),
    })?;
    let item_factors = match weighting {
        Weighting::Bm25 | Weighting::Normalized { .. } => {
            let range = d.sized(Key::new(Kind::ItemWeights, 0), n_items, "weighting")?;
            view::<f32>(file, &range).to_vec()
        }
        _ => Vec::new(),
    };
    Ok(WeightModel { weighting, item_factors, mean_total: facts.mean_total })
}

/// Who has seen what.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub offsets: &'a [u64],
    pub items: &'a [u32],
    pub guard: &'a SpanGuard,
}

impl<'a> Seen<'a> {
    /// A user's items; none where a damaged file names items that do not exist, or the same ones again
    /// and again.
    pub fn row(self, user: usize) -> &'a [u32] {
        let span = self.guard.span(self.offsets, user);
        span.and_then(|span| self.items.get(span)).unwrap_or(&[])
    }
}

/// That offsets ascend to the number of items, and every user's items exist and ascend.
pub(super) fn verify_seen(seen: Seen<'_>, n_items: usize) -> Result<(), OpenError> {
    let wrong = |got: &str, expected: String| OpenError::Invalid {
        what: "the seen items".into(),
        got: got.into(),
        expected,
    };
    let (first, last) = (seen.offsets.first(), seen.offsets.last());
    if first != Some(&0) || !seen.offsets.is_sorted() || last != Some(&(seen.items.len() as u64)) {
        return Err(wrong("offsets out of order", format!("0 to {}", seen.items.len())));
    }
    for user in 0..seen.offsets.len() - 1 {
        let row = seen.row(user);
        let inside = row.last().is_none_or(|&item| (item as usize) < n_items);
        if !inside || !row.is_sorted_by(|a, b| a < b) {
            let expected = format!("items below {n_items}, ascending");
            return Err(wrong(&format!("those of user {user}"), expected));
        }
    }
    Ok(())
}

/// Builds both forests over the items, without a graph, and composes the file.
pub(super) fn compose_model(
    model: &Model,
    data: &Interactions,
    weights: &WeightModel,
    options: &FitOptions,
    progress: Report<'_>,
) -> Result<Buffer, Error> {
    check(model, data, options)?;
    let d = model.factors;
    Vectors::new(&model.item_factors, d)?;
    let values = Values::F32(&model.item_factors);
    let users = known_users(model);
    let builder = |metric| Index::builder(metric).seed(model.params.seed).graph(Some(false));
    let work = Work::new(2 * builder(Metric::Dot).work(model.n_items), progress);
    let bytes = threads::run(model.params.n_threads, || {
        let spaces = vec![
            builder(Metric::Dot).space(values, d, &work)?,
            builder(Metric::Angular).space(values, d, &work)?,
        ];
        let composition = Composition {
            content: Content::Recommender,
            values,
            dim: d,
            spaces,
            calibrate_with: vec![
                if users.is_empty() { Source::Rows } else { Source::Vectors(&users) },
                Source::Positions(data.matrix.indices()),
            ],
            seed: model.params.seed,
            ids: &data.items,
            labels: options.labels.as_deref(),
            users: model.n_users as u64,
            metadata: metadata(model, weights),
            window: usize::MAX,
            plan: &|layout| plan(layout, model, data, weights),
            fill: &|image| fill(image, model, data, weights),
            work: &work,
        };
        compose(composition, |length| Ok::<_, BuildError>(Buffer::in_memory(length)))
    })?;
    if work.is_stopped() {
        return Err(BuildError::Cancelled.into());
    }
    work.finish();
    Ok(bytes)
}

fn check(model: &Model, data: &Interactions, options: &FitOptions) -> Result<(), Error> {
    if (model.n_users, model.n_items) != (data.matrix.n_rows(), data.matrix.n_cols()) {
        return Err(Error::Train(TrainError::Matrix {
            what: "the shape of the interactions".into(),
            got: format!("{} x {}", data.matrix.n_rows(), data.matrix.n_cols()),
            expected: format!("{} x {}, the model's", model.n_users, model.n_items),
        }));
    }
    data.items.check(model.n_items).map_err(BuildError::from)?;
    data.users.check(model.n_users).map_err(BuildError::from)?;
    match options.labels.as_ref().filter(|l| l.len() != model.n_items) {
        Some(labels) => {
            let count = IdsError::Count { got: labels.len(), expected: model.n_items };
            Err(Error::Build(count.into()))
        }
        None => Ok(()),
    }
}

/// The users to calibrate with: a zero vector, of a user without history, asks for nothing.
fn known_users(model: &Model) -> Vec<f32> {
    let rows = model.user_factors.chunks_exact(model.factors);
    rows.filter(|row| row.iter().any(|&x| x != 0.0)).flatten().copied().collect()
}

fn metadata(model: &Model, weights: &WeightModel) -> serde_json::Value {
    let facts = Facts {
        params: Params { n_threads: None, ..model.params.clone() },
        weighting: weights.weighting.to_string(),
        mean_total: weights.mean_total,
        loss_history: model.loss_history.clone(),
    };
    serde_json::json!({
        "library": concat!("nearwood ", env!("CARGO_PKG_VERSION")),
        "seed": model.params.seed,
        "training": facts,
    })
}

fn plan(layout: &mut Layout, model: &Model, data: &Interactions, weights: &WeightModel) {
    plan_ids(layout, &data.users, USERS);
    layout.add(Key::new(Kind::UserFactors, 0), model.user_factors.len());
    layout.add(Key::new(Kind::SeenOffsets, 0), data.matrix.indptr().len());
    layout.add(Key::new(Kind::SeenItems, 0), data.matrix.nnz());
    if !weights.item_factors.is_empty() {
        layout.add(Key::new(Kind::ItemWeights, 0), weights.item_factors.len());
    }
}

fn fill(image: &mut Image, model: &Model, data: &Interactions, weights: &WeightModel) {
    fill_ids(image, &data.users, USERS);
    image.fill(Key::new(Kind::UserFactors, 0), &model.user_factors);
    image.fill(Key::new(Kind::SeenOffsets, 0), data.matrix.indptr());
    image.fill(Key::new(Kind::SeenItems, 0), data.matrix.indices());
    if !weights.item_factors.is_empty() {
        image.fill(Key::new(Kind::ItemWeights, 0), &weights.item_factors);
    }
}
