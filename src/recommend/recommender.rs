//! The artefact: factors, index, names and who has seen what, in one file.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::artefact::{self, BY_COSINE, Facts, USERS};
use super::weighting::{WeightModel, Weighting};
use crate::als::{FoldIn, Params};
use crate::error::{Entry, Error, OpenError, QueryError, SaveError, TrainError, quoted};
use crate::format::{Content, Directory, Key, Kind};
use crate::index::{
    BatchOptions, Effort, Filter, Hit, Id, Ids, Index, SpanGuard, StoredIds, main_metric, usable,
    view,
};
use crate::metric::Metric;
use crate::store::{self, Bytes};

/// What a question to a recommender asks for.
#[derive(Clone, Copy)]
pub struct RecommendOptions<'a> {
    /// Items a user.
    pub k: usize,
    /// Whether items that the user has already may come up.
    pub include_seen: bool,
    /// How hard to try.
    pub effort: Effort,
    /// Which items may come up.
    pub filter: Option<&'a Filter>,
    /// Threads of a batch; `None`: all cores.
    pub n_threads: Option<usize>,
}

impl Default for RecommendOptions<'_> {
    fn default() -> Self {
        RecommendOptions {
            k: 10,
            include_seen: false,
            effort: Effort::default(),
            filter: None,
            n_threads: None,
        }
    }
}

/// Answers "what would this user play next?" and "what is near this?" from one file.
///
/// Scores are inner products of factors, searched in the forest over the items; similar items are
/// those at the smallest angle, searched in a second forest over the same vectors.
pub struct Recommender {
    bytes: Bytes,
    /// By inner product.
    items: Index,
    /// By cosine.
    similar: Index,
    users: StoredIds,
    n_users: usize,
    user_factors: Range<usize>,
    seen_offsets: Range<usize>,
    seen_items: Range<usize>,
    seen_guard: SpanGuard,
    facts: Facts,
    weights: WeightModel,
    fold_in: OnceLock<FoldIn<MappedFactors>>,
    /// Positions of the items without a vector, once they were needed.
    pub(super) vectorless: OnceLock<Vec<u32>>,
}

/// The items' factors as they lie in the file.
#[derive(Clone)]
struct MappedFactors {
    bytes: Bytes,
    range: Range<usize>,
}

impl AsRef<[f32]> for MappedFactors {
    fn as_ref(&self) -> &[f32] {
        view(&self.bytes, &self.range)
    }
}

impl Recommender {
    /// Opens a file by mapping it: checks header, table and the lengths of all sections, and reads
    /// nothing else.
    ///
    /// # Errors
    /// If the file cannot be mapped, or is not a whole recommender of a version that is known.
    pub fn open(path: impl AsRef<Path>) -> Result<Recommender, OpenError> {
        Recommender::from_shared(Bytes::map(path.as_ref(), false)?)
    }

    /// [`open`](Self::open), with the whole file read into memory at once.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_prefault(path: impl AsRef<Path>) -> Result<Recommender, OpenError> {
        Recommender::from_shared(Bytes::map(path.as_ref(), true)?)
    }

    /// [`open`](Self::open), with the whole file copied into memory rather than mapped: for file
    /// systems that do not map files ([`OpenError::is_unmappable`]). Each process has its own copy.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in_memory(path: impl AsRef<Path>) -> Result<Recommender, OpenError> {
        Recommender::from_shared(Bytes::read(path.as_ref())?)
    }

    /// Opens the bytes of a file; they are copied.
    ///
    /// # Errors
    /// If they are not a whole recommender of a version that is known.
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Result<Recommender, OpenError> {
        Recommender::from_shared(Bytes::copy(bytes.as_ref()))
    }

    /// Opens bytes that are mapped or in memory already.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_shared(bytes: Bytes) -> Result<Recommender, OpenError> {
        let d = Arc::new(Directory::parse(&bytes)?);
        if d.header.content != Content::Recommender {
            let (got, expected) = (d.header.content.name(), Content::Recommender.name());
            return Err(OpenError::Content { got, expected });
        }
        let metric = main_metric(&d)?;
        if metric != Metric::Dot {
            return Err(OpenError::Invalid {
                what: "the recommender's metric".into(),
                got: metric.to_string(),
                expected: Metric::Dot.to_string(),
            });
        }
        let items = Index::of_space(bytes.clone(), d.clone(), 0, metric)?;
        // Folding in reads the items' factors as float32.
        d.sized(Key::new(Kind::Vectors, 0), items.len() * items.dim(), "recommending")?;
        let similar = Index::of_space(bytes.clone(), d.clone(), BY_COSINE, Metric::Angular)?;
        let n_users = d.header.users as usize;
        let facts = artefact::read_facts(&items)?;
        let values = n_users.saturating_mul(items.dim());
        // Sized first: from here on the number of users is one that the file has room for.
        let user_factors = d.sized(Key::new(Kind::UserFactors, 0), values, "recommending")?;
        let seen_items =
            d.range(Key::new(Kind::SeenItems, 0)).ok_or(OpenError::MissingSection {
                section: Kind::SeenItems.name(),
                purpose: "recommending",
            })?;
        Ok(Recommender {
            users: StoredIds::open(&d, USERS, n_users)?,
            n_users,
            user_factors,
            seen_offsets: d.sized(Key::new(Kind::SeenOffsets, 0), n_users + 1, "recommending")?,
            seen_guard: SpanGuard::new(seen_items.len() / size_of::<u32>()),
            seen_items,
            weights: artefact::weight_model(&facts, &bytes, &d, items.len())?,
            facts,
            items,
            similar,
            bytes,
            fold_in: OnceLock::new(),
            vectorless: OnceLock::new(),
        })
    }

    /// Writes the file: a temporary one beside `path`, synced, then renamed over it, with the
    /// owner, group and mode of the file that it replaces. `-` is standard output.
    ///
    /// # Errors
    /// If the system refuses; what stood at `path` is then untouched, but for
    /// [`SaveError::Replaced`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        store::write_atomic(path.as_ref(), &self.bytes)
    }

    /// The bytes of the file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Recomputes every checksum and checks everything that sections name.
    ///
    /// # Errors
    /// At the first thing that is wrong.
    pub fn verify(&self) -> Result<(), OpenError> {
        self.items.verify()?;
        self.similar.verify()?;
        artefact::verify_seen(self.seen_table(), self.items.len())?;
        usable("user factors", self.user_factors())?;
        usable("item weights", &self.weights.item_factors)?;
        self.users.verify(&self.bytes, self.n_users, "the users' ids")
    }

    /// The items by inner product: ids, labels, vectors.
    #[must_use]
    pub fn items(&self) -> &Index {
        &self.items
    }

    /// The items by cosine.
    #[must_use]
    pub fn similarity(&self) -> &Index {
        &self.similar
    }

    /// The number of users.
    #[must_use]
    pub fn n_users(&self) -> usize {
        self.n_users
    }

    /// What the factors were trained with.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.facts.params
    }

    /// How weights were made ready for training.
    #[must_use]
    pub fn weighting(&self) -> Weighting {
        self.weights.weighting
    }

    /// The loss after each epoch of the training.
    #[must_use]
    pub fn loss_history(&self) -> &[f64] {
        &self.facts.loss_history
    }

    /// Whether the users' ids are strings.
    #[must_use]
    pub fn has_text_user_ids(&self) -> bool {
        self.users.is_text()
    }

    /// The number of a user, if there is such an id.
    #[must_use]
    pub fn user(&self, id: &Id) -> Option<u32> {
        self.users.position(&self.bytes, id).filter(|&u| (u as usize) < self.n_users)
    }

    /// The number of the user whose id is written `name`.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn find_user(&self, name: &str) -> Result<u32, QueryError> {
        let id = match self.users.is_text() {
            true => Some(Id::Text(name.to_string())),
            false => crate::index::canonical_int(name).map(Id::Int),
        };
        id.and_then(|id| self.user(&id)).ok_or_else(|| QueryError::UnknownId {
            what: "user",
            id: name.to_string(),
            hint: format!(
                "the model knows {} users; for a new one, recommend from a history",
                self.n_users
            ),
        })
    }

    /// The id of a user; -1 or an empty string where there is none.
    #[must_use]
    pub fn user_id(&self, user: u32) -> Id {
        self.users.get(&self.bytes, user as usize)
    }

    /// All user ids, copied out of the file.
    #[must_use]
    pub fn user_ids(&self) -> Ids {
        self.users.to_ids(&self.bytes, self.n_users)
    }

    /// The factors of all users, n_users x factors, row-major.
    #[must_use]
    pub fn user_factors(&self) -> &[f32] {
        view(&self.bytes, &self.user_factors)
    }

    /// Positions of the items that a user has; empty where there is no such user.
    #[must_use]
    pub fn seen(&self, user: u32) -> &[u32] {
        self.seen_table().row(user as usize)
    }

    /// How many items all users have together.
    pub(super) fn n_seen(&self) -> usize {
        self.seen_items.len() / size_of::<u32>()
    }

    fn seen_table(&self) -> artefact::Seen<'_> {
        artefact::Seen {
            offsets: view(&self.bytes, &self.seen_offsets),
            items: view(&self.bytes, &self.seen_items),
            guard: &self.seen_guard,
        }
    }

    /// The best items for one user, as positions with scores, best first. A user without history
    /// has no vector and gets no items; an item without one is never among them.
    ///
    /// # Errors
    /// If there is no such user or an option is out of its range.
    pub fn recommend(
        &self,
        user: u32,
        options: RecommendOptions<'_>,
    ) -> Result<Vec<Hit>, QueryError> {
        Ok(self.list(user, options)?.0)
    }

    pub(super) fn list(
        &self,
        user: u32,
        o: RecommendOptions<'_>,
    ) -> Result<(Vec<Hit>, bool), QueryError> {
        let vector = self.user_vector(user)?;
        let seen = if o.include_seen { &[][..] } else { self.seen(user) };
        self.nearest(vector, seen, o)
    }

    pub(super) fn user_vector(&self, user: u32) -> Result<&[f32], QueryError> {
        let d = self.items.dim();
        let vector =
            (user as usize).checked_mul(d).and_then(|at| self.user_factors().get(at..at + d));
        vector.ok_or_else(|| QueryError::UnknownId {
            what: "user",
            id: user.to_string(),
            hint: format!("users are numbered 0 to {}", self.n_users.saturating_sub(1)),
        })
    }

    fn nearest(
        &self,
        vector: &[f32],
        exclude: &[u32],
        o: RecommendOptions<'_>,
    ) -> Result<(Vec<Hit>, bool), QueryError> {
        let RecommendOptions { k, effort, filter, n_threads, .. } = o;
        self.search_known(
            &self.items,
            vector,
            exclude,
            BatchOptions { k, effort, filter, n_threads },
        )
    }

    /// The best items for somebody known by their history alone: positions of items with raw
    /// weights, doubles summed. Their vector is folded in as the training would have solved it.
    ///
    /// # Errors
    /// If an item does not exist, a weight is not finite, or an option is out of its range.
    pub fn recommend_for(
        &self,
        history: &[(u32, f32)],
        options: RecommendOptions<'_>,
    ) -> Result<Vec<Hit>, Error> {
        let vector = self.fold_in(history)?;
        let items: Vec<u32> = history.iter().map(|h| h.0).collect();
        let exclude = if options.include_seen { &[][..] } else { &items };
        Ok(self.nearest(&vector, exclude, options)?.0)
    }

    /// The vector of somebody known by their history alone; zeros for an empty history.
    ///
    /// # Errors
    /// If an item does not exist or a weight is not finite.
    pub fn fold_in(&self, history: &[(u32, f32)]) -> Result<Vec<f32>, Error> {
        let (positions, given) = summed(history);
        let fold_in = self.fold_in_model()?;
        let mut weights = given.clone();
        let in_words = |error| self.history_in_words(error, &positions, &given);
        self.weights.row(0, &positions, &mut weights).map_err(in_words)?;
        let mut rows: Vec<(u32, f32)> = Vec::with_capacity(positions.len());
        for (&position, &weight) in positions.iter().zip(&weights) {
            let row = self.items.row_of().get(position as usize);
            let row = row.filter(|&&row| (row as usize) < self.items.len());
            rows.push((*row.ok_or_else(|| self.no_item(position))?, weight));
        }
        rows.sort_unstable_by_key(|r| r.0);
        let (items, weights): (Vec<u32>, Vec<f32>) = rows.into_iter().unzip();
        let mut vector = vec![0f32; self.items.dim()];
        let solved = fold_in.solve(&mut fold_in.scratch(), &items, &weights, &mut vector);
        solved.map_err(|error| {
            let error = self.by_position(error);
            self.history_in_words(error, &positions, &given)
        })?;
        Ok(vector)
    }

    /// An error about a row of the file as one about a position.
    fn by_position(&self, mut error: TrainError) -> TrainError {
        if let TrainError::Weight { entry: Entry::Place { column, .. }, .. } = &mut error
            && let Some(&position) = self.items.positions().get(*column)
        {
            *column = position as usize;
        }
        error
    }

    /// An error about a weight of a history, told by the item's id and the weight given.
    fn history_in_words(&self, error: TrainError, positions: &[u32], given: &[f32]) -> TrainError {
        let TrainError::Weight { entry: Entry::Place { column, .. }, value, expected, .. } = error
        else {
            return error;
        };
        let position = column as u32;
        let given = positions.binary_search(&position).map_or(value, |at| given[at]);
        let changed = given.to_bits() != value.to_bits();
        TrainError::Weight {
            entry: Entry::Item(match self.items.id(position) {
                Id::Int(id) => id.to_string(),
                Id::Text(id) => quoted(&id),
            }),
            value: given,
            weighted: changed.then(|| (self.weighting().to_string(), value)),
            expected,
        }
    }

    fn no_item(&self, position: u32) -> QueryError {
        let hint = format!("items are numbered 0 to {}", self.items.len() - 1);
        QueryError::UnknownId { what: "item", id: position.to_string(), hint }
    }

    /// The items' Gramian is computed at the first fold-in and kept.
    fn fold_in_model(&self) -> Result<&FoldIn<MappedFactors>, TrainError> {
        if self.fold_in.get().is_none() {
            let range = self.items.directory().range(Key::new(Kind::Vectors, 0)).unwrap_or(0..0);
            let factors = MappedFactors { bytes: self.bytes.clone(), range };
            // Another thread may have been faster: either result is the same.
            let _ = self.fold_in.set(FoldIn::new(factors, &self.facts.params)?);
        }
        self.fold_in.get().ok_or(TrainError::Cancelled)
    }

    /// The items at the smallest angle to an item, itself left out; distances are 1 - cos. An item
    /// without a vector (no user has it, or its weights are all 0) has no similar items and is never
    /// one.
    ///
    /// # Errors
    /// If there is no such item or an option is out of its range.
    pub fn similar(
        &self,
        position: u32,
        options: BatchOptions<'_>,
    ) -> Result<Vec<Hit>, QueryError> {
        let vector = self.items.vector(position).ok_or_else(|| self.no_item(position))?;
        Ok(self.search_known(&self.similar, &vector, &[position], options)?.0)
    }
}

/// A history by ascending position, weights of the same item summed.
fn summed(history: &[(u32, f32)]) -> (Vec<u32>, Vec<f32>) {
    let mut sorted = history.to_vec();
    sorted.sort_by_key(|h| h.0);
    let (mut items, mut weights): (Vec<u32>, Vec<f32>) = (Vec::new(), Vec::new());
    for (item, weight) in sorted {
        match weights.last_mut().filter(|_| items.last() == Some(&item)) {
            Some(last) => *last += weight,
            None => {
                items.push(item);
                weights.push(weight);
            }
        }
    }
    (items, weights)
}
