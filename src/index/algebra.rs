//! Trees as things to add and take away: append, drop, merge.
//!
//! A tree is the set of its sections. They are copied as they are, but for the members' rows: rows
//! lie in the order of a file's first tree, so each is renumbered by way of its position. Everything
//! else of a file is either the same in every file over the same vectors, or made anew.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::Index;
use super::builder::{self, MAX_TREE_NUMBER, Vectors, calibrated_with};
use super::calibration;
use super::compose::{calibrate, calibrate_walks};
use super::far;
use super::names::view;
use super::reach;
use super::sample::{Sample, Source};
use super::space::{MAX_TREES, Space};
use crate::error::{BuildError, Error, OpenError};
use crate::forest::Workspace;
use crate::format::{Content, Entry, Image, Key, Kind, Layout};
use crate::progress::{Report, Work};
use crate::store::{Buffer, Bytes, Draft, Room};
use crate::threads;

/// What belongs to putting trees together.
#[derive(Clone, Copy)]
pub struct TreeOptions<'a> {
    /// Row-major vectors that look like the queries to come, for the calibration, which is measured
    /// again: those of the build are not kept. Without them rows are drawn, as in a build.
    pub queries: Option<&'a [f32]>,
    /// Threads; `None`: all cores. The bytes do not depend on it.
    pub n_threads: Option<usize>,
    /// Where to compose the file, as [`Builder::build_to`](super::Builder::build_to) does; `None`:
    /// in memory.
    pub path: Option<&'a Path>,
    /// Hears each percent that is done, and may stop it.
    pub progress: Report<'a>,
}

impl Default for TreeOptions<'_> {
    fn default() -> Self {
        TreeOptions { queries: None, n_threads: None, path: None, progress: &|_, _| true }
    }
}

/// How a section of a file follows from the trees that it has.
#[derive(PartialEq)]
enum Scope {
    /// The same in every file over the same vectors.
    Whole,
    /// A value or more for each row, in their order.
    Rows,
    /// A tree's own.
    Tree,
    /// Rows that name rows, from the file that the first tree comes from: it was grown from that.
    Graph,
    /// Made for each file.
    Made,
}

/// Without a catch-all, so that whoever adds a kind decides here.
fn scope(kind: Kind) -> Scope {
    use Kind::*;
    match kind {
        Metadata | Positions | Rows | Calibration | Distances | GraphReach | GraphSlack => {
            Scope::Made
        }
        Vectors | InverseNorms | BitVectors | HalfVectors | ByteVectors | ByteScales
        | GraphCodes | GraphHalves => Scope::Rows,
        GraphLists | GraphLinks => Scope::Graph,
        GroupOffsets | GroupTiles | GroupBias | GroupScale | LeafOffsets | LeafTiles | LeafBias
        | LeafScale | Members | MemberTiles | MemberBias | MemberScale | ProductBooks
        | ProductTiles => Scope::Tree,
        Mean | GraphScale | GraphSteps | CodeScale | ByteOffset | IntIds | TextIdOffsets
        | TextIdBytes | IdTable | LabelOffsets | LabelBytes | LabelTable | UserFactors
        | SeenOffsets | SeenItems | ItemWeights | HalfUserFactors | SeenWeights => Scope::Whole,
    }
}

/// How many times over a section has something of each row.
fn runs(kind: Kind) -> usize {
    // The high halves, then the low ones.
    if kind == Kind::GraphHalves { 2 } else { 1 }
}

/// Parameters that files of one forest may differ in.
const OWN: [&str; 4] = ["library", "n_trees", "trees", "calibrated_with"];

/// A tree of an index: its place there, by its number.
type Trees<'a> = BTreeMap<usize, (&'a Index, u16)>;

impl Index {
    /// The numbers of the trees, ascending. A tree depends on the seed, its number and the vectors
    /// alone.
    #[must_use]
    pub fn tree_numbers(&self) -> Vec<usize> {
        let listed = self.metadata().get("trees").cloned();
        let numbers: Option<Vec<usize>> = listed.and_then(|v| serde_json::from_value(v).ok());
        let fits = |numbers: &Vec<usize>| {
            numbers.len() == self.n_trees()
                && numbers.is_sorted_by(|a, b| a < b)
                && numbers.last().is_some_and(|&last| last < 2 * MAX_TREE_NUMBER)
        };
        // Where a damaged file lists something else, any distinct numbers do.
        numbers.filter(fits).unwrap_or_else(|| (0..self.n_trees()).collect())
    }

    /// This index with `n` more trees, numbered from the last one's on: what one build of all of
    /// them gives, to the byte. This one stays as it is.
    ///
    /// Takes the time that building the new trees takes, and memory for the vectors and codes once
    /// more (with a path, room on its disk).
    ///
    /// # Errors
    /// If `n` is 0 or there would be more than 1000 trees, the file is a recommender's or damaged,
    /// the file at the path cannot be written, or the progress stops it.
    pub fn append_trees(&self, n: usize, options: TreeOptions<'_>) -> Result<Index, Error> {
        crate::memory::attempt(|| {
            let mut trees = own_trees(self)?;
            if n == 0 || trees.len() + n > MAX_TREES {
                return Err(parameter(
                    "n_trees to append",
                    n,
                    "at least 1, and at most 1000 in all",
                ));
            }
            check_queries(self, options)?;
            let first = trees.keys().last().map_or(0, |last| last + 1);
            let room = options.path.map_or(Room::Memory, Room::beside);
            let mut values =
                room.buffer_or_in_memory(4 * self.len() * self.dim()).map_err(BuildError::Room)?;
            given_order(self, bytemuck::cast_slice_mut(values.as_mut()));
            let vectors = Vectors::new(bytemuck::cast_slice(values.as_ref()), self.dim())?;
            let builder = Index::builder(self.metric()).trees(n).first_tree(first);
            let builder = builder.seed(number(self, "seed")?).threads(options.n_threads);
            let builder = builder.leaf_size(number(self, "leaf_size")? as usize);
            let builder = builder.beside_graph(self.has_graph());
            let report = |done: usize, of: usize| (options.progress)(done * 4 / 5, of);
            let workspace = Workspace { room: room.clone(), ..Workspace::default() };
            let file = builder.compose_bare(vectors, &workspace, &report, |length| {
                room.buffer_or_in_memory(length).map_err(BuildError::Room)
            })?;
            drop(values);
            let new = Index::from_shared(Bytes::from(file))?;
            trees.extend((0..n).map(|place| (first + place, (&new, place as u16))));
            let report = |done: usize, of: usize| (options.progress)(80 + done / 5, of);
            weave(self, &trees, TreeOptions { progress: &report, ..options })
        })
    }

    /// This index without the trees of these numbers. At least one must stay; what appending
    /// added, dropping takes away again to the byte. A graph stays, grown from the tree that was the
    /// first, even if that is dropped. This one stays as it is.
    ///
    /// # Errors
    /// If a number is no tree's or none would stay, the file is a recommender's or damaged, the
    /// file at the path cannot be written, or the progress stops it.
    pub fn drop_trees(&self, numbers: &[usize], options: TreeOptions<'_>) -> Result<Index, Error> {
        crate::memory::attempt(|| {
            let mut trees = own_trees(self)?;
            let present: Vec<String> = trees.keys().map(usize::to_string).collect();
            for &dropped in numbers {
                if !present.contains(&dropped.to_string()) {
                    let got = format!("{dropped}, the index has {}", present.join(", "));
                    return Err(parameter("the tree to drop", got, "the number of a tree it has"));
                }
                trees.remove(&dropped);
            }
            if trees.is_empty() {
                let expected = "fewer than all: an index needs at least one tree";
                return Err(parameter("the number of trees to drop", present.len(), expected));
            }
            check_queries(self, options)?;
            weave(self, &trees, options)
        })
    }

    /// One index with the trees of all, which were built over the same vectors with the same seed,
    /// metric, ids and labels, each from another [`first_tree`](super::Builder::first_tree): what
    /// one build of all of them gives, to the byte, in whatever order they come.
    ///
    /// # Errors
    /// Says what differs, and where; and as [`drop_trees`](Self::drop_trees).
    pub fn merge(indexes: &[&Index], options: TreeOptions<'_>) -> Result<Index, Error> {
        crate::memory::attempt(|| {
            let Some((base, others)) = indexes.split_first() else {
                return Err(parameter("the number of indexes to merge", 0, "at least one"));
            };
            let mut trees = own_trees(base)?;
            check_queries(base, options)?;
            for (at, other) in others.iter().enumerate() {
                let file = format!("file {}", at + 2);
                threads::run(options.n_threads, || same_forest(base, other, &file))?;
                for (number, tree) in own_trees(other)? {
                    if trees.insert(number, tree).is_some() {
                        return Err(Error::Build(BuildError::Merge {
                            what: "the number of a tree".into(),
                            file,
                            got: format!("{number}, as in a file before it"),
                            expected: "numbers of its own".into(),
                            remedy: "build each file with another first_tree",
                        }));
                    }
                }
            }
            weave(base, &trees, options)
        })
    }
}

fn parameter(name: &'static str, got: impl ToString, expected: &'static str) -> Error {
    BuildError::Parameter { name, got: got.to_string(), expected }.into()
}

fn damaged(what: &str, got: impl Into<String>, expected: &str) -> OpenError {
    OpenError::Invalid { what: what.into(), got: got.into(), expected: expected.into() }
}

fn own_trees(index: &Index) -> Result<Trees<'_>, Error> {
    if index.content() != Content::Index {
        let (got, expected) = (index.content().name(), Content::Index.name());
        return Err(OpenError::Content { got, expected }.into());
    }
    Ok(index.tree_numbers().into_iter().zip((0..).map(|place| (index, place))).collect())
}

fn check_queries(index: &Index, options: TreeOptions<'_>) -> Result<(), BuildError> {
    options.queries.map_or(Ok(()), |queries| builder::check_queries(queries, index.dim()))
}

/// A whole number of the metadata.
fn number(index: &Index, name: &str) -> Result<u64, OpenError> {
    let metadata = index.metadata();
    let value = metadata.get(name).and_then(Value::as_u64);
    value.ok_or_else(|| damaged(&format!("the metadata's {name}"), "no number", "a whole number"))
}

/// Copies the vectors in the order that they were given in.
fn given_order(index: &Index, out: &mut [f32]) {
    let empty = vec![0f32; index.dim()];
    for (position, out) in out.chunks_exact_mut(index.dim()).enumerate() {
        let vector = index.vector(position as u32);
        out.copy_from_slice(vector.as_deref().unwrap_or(&empty));
    }
}

/// That two files are of one forest: everything is the same but the trees, the order of the rows
/// that follows from them, and the calibration.
fn same_forest(base: &Index, other: &Index, file: &str) -> Result<(), Error> {
    let differs = |what: &str, got: String, expected: String| {
        let (what, file) = (what.to_string(), file.to_string());
        let remedy = "build all over the same vectors, with the same ids and parameters";
        Err(Error::Build(BuildError::Merge { what, file, got, expected, remedy }))
    };
    let shape = |index: &Index| {
        let sizes = format!("{} x {}", index.len(), index.dim());
        [("the metric", index.metric().name().to_string()), ("the shape", sizes)]
    };
    for ((what, expected), (_, got)) in shape(base).into_iter().zip(shape(other)) {
        if got != expected {
            return differs(what, got, expected);
        }
    }
    let parameters = |index: &Index| {
        let metadata = index.metadata().as_object().cloned().unwrap_or_default();
        metadata.into_iter().filter(|(key, _)| !OWN.contains(&&key[..])).collect::<BTreeMap<_, _>>()
    };
    let (expected, got) = (parameters(base), parameters(other));
    for key in expected.keys().chain(got.keys()) {
        let shown =
            |of: &BTreeMap<String, Value>| of.get(key).map_or("none".into(), Value::to_string);
        if expected.get(key) != got.get(key) {
            return differs(&format!("the parameter {key}"), shown(&got), shown(&expected));
        }
    }
    for key in shared_keys(base).into_iter().chain(shared_keys(other)) {
        let sections = [base, other].map(|i| i.directory().range(key).map(|range| (i, range)));
        let name = format!("section {}", key.kind.name());
        let [Some((_, a)), Some((_, b))] = &sections else {
            let there = |is: bool| if is { "there" } else { "missing" }.to_string();
            return differs(&name, there(sections[1].is_some()), there(sections[0].is_some()));
        };
        let (a, b) = (&base.file()[a.clone()], &other.file()[b.clone()]);
        let first = match scope(key.kind) {
            _ if a.len() != b.len() => Some(0),
            Scope::Rows => {
                let runs = runs(key.kind);
                let run = (a.len() / runs).max(1);
                let pairs = a.chunks(run).zip(b.chunks(run));
                pairs.filter_map(|(a, b)| first_unlike(base, other, a, b)).min()
            }
            _ => a.iter().zip(b).position(|(a, b)| a != b),
        };
        if let Some(at) = first {
            let unit = if scope(key.kind) == Scope::Rows { "position" } else { "byte" };
            return differs(&name, format!("other from {unit} {at} on"), "the same".into());
        }
    }
    Ok(())
}

fn shared_keys(index: &Index) -> Vec<Key> {
    let keys = index.directory().sections().iter().map(|entry| entry.key);
    let is_shared = |key: &Key| matches!(scope(key.kind), Scope::Whole | Scope::Rows);
    keys.filter(|key| key.space == 0 && is_shared(key)).collect()
}

/// The first position whose rows differ.
fn first_unlike(base: &Index, other: &Index, a: &[u8], b: &[u8]) -> Option<usize> {
    let stride = a.len() / base.len();
    let row = |index: &Index, position: usize| index.row_of()[position] as usize;
    let span = |row: usize| row * stride..(row + 1) * stride;
    let is_unlike = threads::map((0..base.len()).into_par_iter(), |position| {
        a.get(span(row(base, position))) != b.get(span(row(other, position)))
    });
    is_unlike.position_first(|unlike| unlike)
}

/// A file of `base` with these trees.
fn weave(base: &Index, trees: &Trees<'_>, options: TreeOptions<'_>) -> Result<Index, Error> {
    let work = Work::new(calibration::work(base.len()), options.progress);
    let cancelled = || match work.is_stopped() {
        true => Err(Error::Build(BuildError::Cancelled)),
        false => Ok(()),
    };
    let path = options.path.filter(|path| Draft::is_possible(path));
    let index = match path {
        Some(path) => {
            let room = |length| Ok(Draft::create_or_in_memory(path, length)?);
            let draft =
                threads::run(options.n_threads, || compose(base, trees, options, &work, room))?;
            cancelled()?;
            draft.commit()?;
            Index::of_written(path)?
        }
        None => {
            let room = |length| Ok(Buffer::in_memory(length));
            let file =
                threads::run(options.n_threads, || compose(base, trees, options, &work, room))?;
            cancelled()?;
            let index = Index::from_shared(file.into())?;
            options.path.map_or(Ok(()), |path| index.save(path))?;
            index
        }
    };
    work.finish();
    Ok(index)
}

fn compose<S: AsMut<[u8]>>(
    base: &Index,
    trees: &Trees<'_>,
    options: TreeOptions<'_>,
    work: &Work<'_>,
    room: impl FnOnce(usize) -> Result<S, Error>,
) -> Result<S, Error> {
    let order = order(trees)?;
    let row_of = inverse(&order)?;
    let metadata = metadata(base, trees, options);
    let layout = plan(base, trees, metadata.len());
    let mut file = room(layout.size())?;
    let mut image = layout.image(file.as_mut());
    image.fill(Key::new(Kind::Metadata, 0), metadata.as_bytes());
    image.fill(Key::new(Kind::Positions, 0), &order);
    image.fill(Key::new(Kind::Rows, 0), &row_of);
    for key in shared_keys(base) {
        copy_shared(base, &mut image, key, &order);
    }
    for (place, (number, &(index, at))) in trees.iter().enumerate() {
        copy_tree(&mut image, index, at, place as u16, &row_of)
            .ok_or_else(|| damaged(&format!("tree {number}"), "a row that is not there", "rows"))?;
    }
    copy_graph(base, trees, &mut image, &order, &row_of)?;
    let source = options.queries.map_or(Source::Rows, Source::Vectors);
    let header = base.directory().header;
    let seed = number(base, "seed")?;
    let space = Space::open(&image.directory(header), 0, base.metric())?;
    let sample = Sample::draw(&space, image.bytes(), source, &row_of, seed);
    let truth = calibrate(&mut image, &space, 0, &sample, None, work);
    if space.has_graph() {
        calibrate_walks(&mut image, &space, 0, &sample, &truth, work);
    }
    if !work.is_stopped() {
        image.finish(&header);
    }
    Ok(file)
}

/// The positions in the order of the first tree's leaves.
fn order(trees: &Trees<'_>) -> Result<Vec<u32>, OpenError> {
    let Some((number, &(index, at))) = trees.first_key_value() else { return Ok(Vec::new()) };
    let members = index.directory().range(Key { kind: Kind::Members, space: 0, tree: at });
    let members: &[u32] = members.as_ref().map_or(&[], |range| view(index.file(), range));
    let filled = members.iter().filter(|&&row| row != u32::MAX);
    let order: Option<Vec<u32>> =
        filled.map(|&row| index.positions().get(row as usize).copied()).collect();
    let whole = order.filter(|order| order.len() == index.len());
    whole.ok_or_else(|| damaged(&format!("tree {number}"), "not every row once", "a partition"))
}

fn inverse(order: &[u32]) -> Result<Vec<u32>, OpenError> {
    let mut row_of = vec![u32::MAX; order.len()];
    for (row, &position) in order.iter().enumerate() {
        match row_of.get_mut(position as usize) {
            Some(slot) if *slot == u32::MAX => *slot = row as u32,
            _ => return Err(damaged("the order of rows", "not every position once", "each once")),
        }
    }
    Ok(row_of)
}

fn metadata(base: &Index, trees: &Trees<'_>, options: TreeOptions<'_>) -> String {
    let mut metadata = base.metadata().as_object().cloned().unwrap_or_default();
    let library = concat!("nearwood ", env!("CARGO_PKG_VERSION"));
    for (key, value) in OWN.into_iter().zip([
        json!(library),
        json!(trees.len()),
        json!(trees.keys().collect::<Vec<_>>()),
        json!(calibrated_with(options.queries)),
    ]) {
        metadata.insert(key.into(), value);
    }
    Value::Object(metadata).to_string()
}

/// The sections of a file in the order of a build's: the trees stand where the base has its own.
fn plan(base: &Index, trees: &Trees<'_>, metadata: usize) -> Layout {
    let mut layout = Layout::default();
    let len = |entry: &Entry| entry.range.len() / entry.key.kind.element().size();
    let (mut planted, mut missing) = (false, made(base, metadata));
    for entry in base.directory().sections().iter().filter(|entry| entry.key.space == 0) {
        match scope(entry.key.kind) {
            Scope::Tree if planted => {}
            Scope::Tree => {
                for (place, &(index, at)) in trees.values().enumerate() {
                    for entry in tree_sections(index, at) {
                        layout.add(Key { tree: place as u16, ..entry.key }, len(entry));
                    }
                }
                planted = true;
            }
            // A file of an earlier version has another section in its place, or none.
            Scope::Made => {
                let kind = made_now(entry.key.kind);
                if let Some(at) = missing.iter().position(|made| made.0 == kind) {
                    let (kind, len) = missing.remove(at);
                    layout.add(Key::new(kind, 0), len);
                }
            }
            Scope::Whole | Scope::Rows | Scope::Graph => layout.add(entry.key, len(entry)),
        }
    }
    missing.into_iter().for_each(|(kind, len)| layout.add(Key::new(kind, 0), len));
    layout
}

/// The sections that are made for each file, with their lengths.
fn made(base: &Index, metadata: usize) -> Vec<(Kind, usize)> {
    let mut made = vec![
        (Kind::Metadata, metadata),
        (Kind::Positions, base.len()),
        (Kind::Rows, base.len()),
        (Kind::Calibration, calibration::LEN),
        (Kind::Distances, far::LEN),
    ];
    if base.has_graph() {
        made.push((Kind::GraphSlack, reach::LEN));
    }
    made
}

/// What this version writes in the place of a section that is made for each file.
fn made_now(kind: Kind) -> Kind {
    if kind == Kind::GraphReach { Kind::GraphSlack } else { kind }
}

fn tree_sections(index: &Index, at: u16) -> impl Iterator<Item = &Entry> {
    let is_own = move |entry: &&Entry| {
        let key = entry.key;
        key.space == 0 && key.tree == at && scope(key.kind) == Scope::Tree
    };
    index.directory().sections().iter().filter(is_own)
}

fn copy_shared(base: &Index, image: &mut Image, key: Key, order: &[u32]) {
    let Some(range) = base.directory().range(key) else { return };
    let (from, to) = (&base.file()[range], image.section_bytes(key));
    if scope(key.kind) == Scope::Whole || base.positions() == order {
        return to.copy_from_slice(from);
    }
    let run = (from.len() / runs(key.kind)).max(1);
    for (from, to) in from.chunks(run).zip(to.chunks_mut(run)) {
        copy_rows(base, from, to, order);
    }
}

/// Copies something of each row.
fn copy_rows(base: &Index, from: &[u8], to: &mut [u8], order: &[u32]) {
    let stride = from.len() / order.len();
    let rows = to.par_chunks_exact_mut(stride.max(1)).zip(order);
    threads::for_each(rows, |(to, &position): (&mut [u8], &u32)| {
        let row = base.row_of()[position as usize] as usize;
        if let Some(from) = from.get(row * stride..(row + 1) * stride) {
            to.copy_from_slice(from);
        }
    });
}

/// Copies the lists of the graph, if there is one, from the file that the first tree comes from.
fn copy_graph(
    base: &Index,
    trees: &Trees<'_>,
    image: &mut Image,
    order: &[u32],
    row_of: &[u32],
) -> Result<(), OpenError> {
    let has = |&key: &Key| base.directory().range(key).is_some();
    let lists =
        [Kind::GraphLinks, Kind::GraphLists].map(|kind| Key::new(kind, 0)).into_iter().find(has);
    let (Some(key), Some((owner, _))) = (lists, trees.values().next()) else { return Ok(()) };
    let from: &[u32] = owner.directory().range(key).map_or(&[], |range| view(owner.file(), &range));
    let to: &mut [u32] = image.section(key);
    if from.len() != to.len() {
        let (got, expected) = (from.len().to_string(), to.len().to_string());
        return Err(damaged("the graph of the first tree's file", got, &expected));
    }
    let degree = to.len() / order.len();
    let lists = to.par_chunks_exact_mut(degree).zip(order);
    threads::for_each(lists, |(to, &position): (&mut [u32], &u32)| {
        let row = owner.row_of()[position as usize] as usize;
        let list = from.get(row * degree..(row + 1) * degree).unwrap_or(&[]);
        to.fill(u32::MAX);
        for (to, &id) in to.iter_mut().zip(list) {
            let position = owner.positions().get(id as usize);
            let row = position.and_then(|&position| row_of.get(position as usize));
            *to = row.copied().unwrap_or(u32::MAX);
        }
    });
    Ok(())
}

/// Copies a tree's sections; `None` if its members name rows that are not there.
fn copy_tree(image: &mut Image, index: &Index, at: u16, place: u16, row_of: &[u32]) -> Option<()> {
    for entry in tree_sections(index, at) {
        let key = Key { tree: place, ..entry.key };
        if key.kind != Kind::Members {
            image.section_bytes(key).copy_from_slice(&index.file()[entry.range.clone()]);
            continue;
        }
        let members: &[u32] = view(index.file(), &entry.range);
        for (out, &row) in image.section::<u32>(key).iter_mut().zip(members) {
            *out = match row {
                u32::MAX => u32::MAX,
                _ => *row_of.get(*index.positions().get(row as usize)? as usize)?,
            };
        }
    }
    Some(())
}
