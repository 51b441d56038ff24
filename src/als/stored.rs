//! A model in a file: factors in single or half precision, parameters, losses and, if wanted, what
//! it was trained on. The container is `docs/format.md`'s.

use std::ops::Range;
use std::path::Path;

use bytemuck::Pod;
use half::f16;
use serde::{Deserialize, Serialize};

use super::csr::Csr;
use super::model::{Model, whole_rows};
use super::params::Params;
use crate::error::{BuildError, Error, OpenError, TrainError};
use crate::exact::{Storage, halves};
use crate::format::{Content, Directory, Header, Image, Key, Kind, Layout};
use crate::memory;
use crate::metric::Metric;
use crate::store::{self, Buffer, Bytes};

const PURPOSE: &str = "a model";

/// A model as it stands in a file, with the interactions that were saved beside it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelFile {
    /// The model.
    pub model: Model,
    /// Users x items, if they were saved.
    pub interactions: Option<Csr>,
}

#[derive(Serialize, Deserialize)]
struct Facts {
    params: Params,
    loss_history: Vec<f64>,
}

impl Model {
    /// Writes the model to a file, atomically; [`ModelFile::to_bytes`] says what of it.
    ///
    /// # Errors
    /// As [`ModelFile::to_bytes`], and if the system refuses; what stood at `path` is then
    /// untouched, but for [`SaveError::Replaced`](crate::error::SaveError::Replaced).
    pub fn save(&self, path: impl AsRef<Path>, storage: Storage) -> Result<(), Error> {
        ModelFile::write(path, self, None, storage)
    }

    /// Reads a model from a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// As [`ModelFile::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Model, OpenError> {
        Ok(ModelFile::open(path)?.model)
    }
}

impl ModelFile {
    /// The bytes of a file: the factors as they are (`Float32`) or rounded to half precision
    /// (`Float16`, half the bytes; a score then differs by about 1e-3 of its size), the parameters
    /// but for the number of threads, the losses, and the interactions if given.
    ///
    /// # Errors
    /// For another storage, a factor beyond 65,504 in half precision, vectors that do not fill
    /// n_users and n_items rows, or interactions of another shape than n_users x n_items.
    pub fn to_bytes(
        model: &Model,
        interactions: Option<&Csr>,
        storage: Storage,
    ) -> Result<Buffer, Error> {
        check(model, interactions)?;
        let factors = Factors::of(model, storage)?;
        let metadata = metadata(model).to_string();
        let mut layout = Layout::default();
        layout.add(key(Kind::Metadata), metadata.len());
        layout.add(key(factors.kinds().0), model.item_factors.len());
        layout.add(key(factors.kinds().1), model.user_factors.len());
        if let Some(matrix) = interactions {
            layout.add(key(Kind::SeenOffsets), matrix.indptr().len());
            layout.add(key(Kind::SeenItems), matrix.nnz());
            layout.add(key(Kind::SeenWeights), matrix.nnz());
        }
        let mut bytes = Buffer::in_memory(layout.size());
        let mut image = layout.image(bytes.as_mut());
        image.section_bytes(key(Kind::Metadata)).copy_from_slice(metadata.as_bytes());
        factors.fill(&mut image);
        if let Some(matrix) = interactions {
            image.fill(key(Kind::SeenOffsets), matrix.indptr());
            image.fill(key(Kind::SeenItems), matrix.indices());
            image.fill(key(Kind::SeenWeights), matrix.values());
        }
        image.finish(&header(model));
        Ok(bytes)
    }

    /// Writes the bytes of [`to_bytes`](Self::to_bytes): a temporary file beside `path`, synced,
    /// then renamed over it.
    ///
    /// # Errors
    /// As [`to_bytes`](Self::to_bytes), and if the system refuses; what stood at `path` is then
    /// untouched.
    pub fn write(
        path: impl AsRef<Path>,
        model: &Model,
        interactions: Option<&Csr>,
        storage: Storage,
    ) -> Result<(), Error> {
        let bytes = ModelFile::to_bytes(model, interactions, storage)?;
        Ok(store::write_atomic(path.as_ref(), bytes.as_ref())?)
    }

    /// Reads a file whole and checks all of it, every checksum included: what opens is sound.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a whole and undamaged model of a version that is
    /// known.
    pub fn open(path: impl AsRef<Path>) -> Result<ModelFile, OpenError> {
        ModelFile::from_shared(&Bytes::map_or_read(path.as_ref())?)
    }

    /// As [`open`](Self::open), from the bytes of a file.
    ///
    /// # Errors
    /// If they are not a whole and undamaged model of a version that is known.
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Result<ModelFile, OpenError> {
        ModelFile::from_shared(&Bytes::copy(bytes.as_ref()))
    }

    /// As [`open`](Self::open), from bytes that are mapped or in memory already.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_shared(file: &Bytes) -> Result<ModelFile, OpenError> {
        let d = Directory::parse(file)?;
        if d.header.content != Content::Model {
            let (got, expected) = (d.header.content.name(), Content::Model.name());
            return Err(OpenError::Content { got, expected });
        }
        d.verify(file)?;
        let facts = facts(file, &d)?;
        let factors = d.header.dim as usize;
        let (items, users) = (d.header.rows as usize, d.header.users as usize);
        let item_factors =
            read_factors(file, &d, (Kind::Vectors, Kind::HalfVectors), items, factors)?;
        let user_factors =
            read_factors(file, &d, (Kind::UserFactors, Kind::HalfUserFactors), users, factors)?;
        let model = Model::from_factors(user_factors, item_factors, facts.params);
        let model = model.map_err(|e| invalid("the factors", e.to_string(), "finite rows"))?;
        let interactions = interactions(file, &d, users, items)?;
        let model = Model { loss_history: facts.loss_history, ..model };
        Ok(ModelFile { model, interactions })
    }
}

enum Factors<'a> {
    Single { items: &'a [f32], users: &'a [f32] },
    Half { items: Vec<f16>, users: Vec<f16> },
}

impl<'a> Factors<'a> {
    fn of(model: &'a Model, storage: Storage) -> Result<Factors<'a>, BuildError> {
        let (items, users) = (&model.item_factors[..], &model.user_factors[..]);
        match storage {
            Storage::Float32 => Ok(Factors::Single { items, users }),
            Storage::Float16 => Ok(Factors::Half {
                items: halves(items, model.factors)?,
                users: halves(users, model.factors)?,
            }),
            Storage::Int8 => Err(BuildError::Parameter {
                name: "storage",
                got: format!("{:?}", storage.name()),
                expected: "\"float32\" or \"float16\" for a model's factors",
            }),
        }
    }

    fn kinds(&self) -> (Kind, Kind) {
        match self {
            Factors::Single { .. } => (Kind::Vectors, Kind::UserFactors),
            Factors::Half { .. } => (Kind::HalfVectors, Kind::HalfUserFactors),
        }
    }

    fn fill(&self, image: &mut Image<'_>) {
        let (of_items, of_users) = (key(self.kinds().0), key(self.kinds().1));
        match self {
            Factors::Single { items, users } => {
                image.fill(of_items, items);
                image.fill(of_users, users);
            }
            Factors::Half { items, users } => {
                image.fill(of_items, items);
                image.fill(of_users, users);
            }
        }
    }
}

fn key(kind: Kind) -> Key {
    Key::new(kind, 0)
}

fn header(model: &Model) -> Header {
    Header {
        content: Content::Model,
        rows: model.n_items as u64,
        dim: model.factors as u32,
        metric: Metric::Dot.code(),
        users: model.n_users as u64,
    }
}

fn metadata(model: &Model) -> serde_json::Value {
    serde_json::json!({
        "library": concat!("nearwood ", env!("CARGO_PKG_VERSION")),
        "seed": model.params.seed,
        "training": Facts {
            params: Params { n_threads: None, ..model.params.clone() },
            loss_history: model.loss_history.clone(),
        },
    })
}

/// The fields of a model are its owner's to write: what does not fit is refused before it is saved.
fn check(model: &Model, interactions: Option<&Csr>) -> Result<(), TrainError> {
    model.params.check()?;
    let d = model.params.factors;
    let users = whole_rows("users", &model.user_factors, d)?;
    let shape = (users, whole_rows("items", &model.item_factors, d)?);
    if (model.n_users, model.n_items, model.factors) != (shape.0, shape.1, d) {
        return Err(shaped("the model", (model.n_users, model.n_items), shape));
    }
    match interactions.map(|m| (m.n_rows(), m.n_cols())) {
        Some(got) if got != shape => Err(shaped("the interactions", got, shape)),
        _ => Ok(()),
    }
}

fn shaped(what: &str, got: (usize, usize), expected: (usize, usize)) -> TrainError {
    TrainError::Matrix {
        what: format!("the shape of {what}"),
        got: format!("{} x {}", got.0, got.1),
        expected: format!("{} x {}, that of the factors", expected.0, expected.1),
    }
}

fn facts(file: &[u8], d: &Directory) -> Result<Facts, OpenError> {
    let expected = "JSON with the training's parameters and losses";
    let section = Kind::Metadata.name();
    let range = d
        .range(key(Kind::Metadata))
        .ok_or(OpenError::MissingSection { section, purpose: PURPOSE })?;
    let wrong = |got: String| invalid("the metadata", got, expected);
    // Copied, then checked: another process may change what is mapped.
    let copy = file[range].to_vec();
    let metadata: serde_json::Value =
        serde_json::from_slice(&copy).map_err(|e| wrong(e.to_string()))?;
    let training = metadata.get("training").cloned().unwrap_or_default();
    let mut facts: Facts = serde_json::from_value(training).map_err(|e| wrong(e.to_string()))?;
    // How many threads a reader starts is not for the file to say.
    facts.params.n_threads = None;
    facts.params.check().map_err(|e| wrong(e.to_string()))?;
    match facts.params.factors == d.header.dim as usize {
        true => Ok(facts),
        false => Err(wrong(format!("{} factors", facts.params.factors))),
    }
}

fn read_factors(
    file: &[u8],
    d: &Directory,
    (single, half): (Kind, Kind),
    rows: usize,
    factors: usize,
) -> Result<Vec<f32>, OpenError> {
    let values = rows.saturating_mul(factors);
    match d.range(key(half)) {
        Some(_) => {
            let range = d.sized(key(half), values, PURPOSE)?;
            Ok(view::<f16>(file, range).iter().map(|v| v.to_f32()).collect())
        }
        None => Ok(memory::copied(view::<f32>(file, d.sized(key(single), values, PURPOSE)?))),
    }
}

fn interactions(
    file: &[u8],
    d: &Directory,
    users: usize,
    items: usize,
) -> Result<Option<Csr>, OpenError> {
    let Some(range) = d.range(key(Kind::SeenItems)) else { return Ok(None) };
    let indices = memory::copied(view::<u32>(file, range));
    let weights = d.sized(key(Kind::SeenWeights), indices.len(), PURPOSE)?;
    let offsets = d.sized(key(Kind::SeenOffsets), users.saturating_add(1), PURPOSE)?;
    let (offsets, weights) =
        (memory::copied(view::<u64>(file, offsets)), memory::copied(view(file, weights)));
    let wrong = |e: TrainError| invalid("the interactions", e.to_string(), "a sound matrix");
    Csr::from_parts(items, offsets, indices, weights).map(Some).map_err(wrong)
}

/// A section's values; the directory has checked that they are whole and aligned.
fn view<T: Pod>(file: &[u8], range: Range<usize>) -> &[T] {
    bytemuck::cast_slice(&file[range])
}

fn invalid(what: &str, got: String, expected: &str) -> OpenError {
    OpenError::Invalid { what: what.into(), got, expected: expected.into() }
}
