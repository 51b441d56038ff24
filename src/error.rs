//! What can go wrong, one enum an operation: build, save, open, query, train, read.
//!
//! Every message says what was got, what was expected and what to do about it; the variants carry
//! the same facts as data. [`Error`] gathers them for callers that want one type.

mod entry;
mod file;
mod text;

use std::path::PathBuf;

pub use entry::Entry;

use thiserror::Error as ThisError;

pub(crate) use file::is_unmappable;
pub use file::{OpenError, SaveError};
use text::{at, name, problem as clean};
pub use text::{is_steering, listed, printable, quoted};

pub use crate::memory::OutOfMemory;

/// Any error of this crate.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The system refused memory.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// An index could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A file could not be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// A file could not be opened, or does not verify.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A question could not be answered.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A model could not be trained.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Input data could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why identifiers or labels were refused.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum IdsError {
    /// There are not as many ids as rows.
    #[error("got {got} ids for {expected} rows: give exactly one id for each row")]
    Count {
        /// How many ids came.
        got: usize,
        /// How many rows there are.
        expected: usize,
    },
    /// The same id stands twice.
    #[error("id {} is given twice (rows {first} and {second}): ids must be unique", name(id))]
    Duplicate {
        /// The id, as text.
        id: String,
        /// The first row that has it.
        first: usize,
        /// The second row that has it.
        second: usize,
    },
    /// An empty string marks a missing result, and no text file can tell it from a missing id.
    #[error("row {row} has an empty id: fill it in, or drop the row")]
    Empty {
        /// The row.
        row: usize,
    },
    /// -1 marks a missing result and so cannot be an id.
    #[error("row {row} has id -1, which marks a missing result: give it another id")]
    Reserved {
        /// The row.
        row: usize,
    },
}

/// Why an index could not be built.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum BuildError {
    /// The system refused memory.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// There are no vectors.
    #[error("got no vectors: an index needs at least one row")]
    Empty,
    /// The dimension is zero or above the limit.
    #[error("got dimension {got}, expected 1 to {max}")]
    Dimension {
        /// The dimension asked for.
        got: usize,
        /// The largest dimension served.
        max: usize,
    },
    /// The values do not fill whole rows.
    #[error("got {len} values, which is not a whole number of rows of {dim}")]
    Shape {
        /// How many values came.
        len: usize,
        /// The dimension of a row.
        dim: usize,
    },
    /// A NaN or an infinity, or a value too large to square in float32.
    #[error(
        "row {row}, column {column} is {value}: vectors must be finite and below 1e16 in size; drop or repair that row"
    )]
    NonFinite {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// The value found.
        value: f32,
    },
    /// Vectors so small that their distances cannot be told from 0.
    #[error(
        "the largest value of all vectors is {largest:e}: {what} vectors cannot be told apart that are all below {least:e}; multiply vectors and queries by one number, such as {:e}", scale(*largest)
    )]
    TooSmall {
        /// The largest size of a value.
        largest: f32,
        /// The least size that some value must have.
        least: f32,
        /// The distance and the number format.
        what: String,
    },
    /// A value that half precision cannot hold.
    #[error(
        "row {row}, column {column} is {value}: float16 holds up to 65504 in size; scale the vectors, or store float32 or int8"
    )]
    BeyondHalf {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// The value found.
        value: f32,
    },
    /// A packed row has a one where it has no components.
    #[error("row {row} has a bit beyond dimension {dim}: give the right dim, or pack with zeros")]
    BitBeyond {
        /// The row, from 0.
        row: usize,
        /// The dimension.
        dim: usize,
    },
    /// More rows than a 32-bit row number can name.
    #[error("got {got} rows, at most {max} fit one index: split the data over several")]
    TooManyRows {
        /// How many rows came.
        got: usize,
        /// The most that fit.
        max: usize,
    },
    /// A parameter is out of its range.
    #[error("{name} is {}, expected {expected}", clean(got))]
    Parameter {
        /// The parameter's name.
        name: &'static str,
        /// What was got.
        got: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The build needs more memory than it may have.
    #[error(
        "the build needs {} MB of memory beside its files, memory_limit is {} MB: raise the limit, use fewer threads, or build fewer trees at a time (first_tree) and merge the files", need.div_ceil(1_000_000), limit / 1_000_000
    )]
    Memory {
        /// Bytes needed at least.
        need: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// There is no room for what does not fit in memory.
    #[error(
        "could not make room for the build's codes on the disk of the file: {0}; {advice}", advice = no_room(.0)
    )]
    Room(#[source] std::io::Error),
    /// Trees that cannot be put into one file.
    #[error(
        "{} of {} is {}, expected {}: {remedy}",
        clean(what),
        clean(file),
        clean(got),
        clean(expected)
    )]
    Merge {
        /// What differs.
        what: String,
        /// Which of the files, from 1 in the order given.
        file: String,
        /// What was got.
        got: String,
        /// What was expected.
        expected: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The ids or labels were refused.
    #[error(transparent)]
    Ids(#[from] IdsError),
    /// The caller stopped the build.
    #[error("the build was stopped before it was done; nothing was written")]
    Cancelled,
}

/// What to do where a build's codes cannot be on the disk.
fn no_room(source: &std::io::Error) -> &'static str {
    match is_unmappable(source) {
        true => "its file system does not map files: build on another disk",
        false => "free some space or raise memory_limit",
    }
}

impl BuildError {
    /// What was just composed does not open: a defect of this crate, said as such.
    pub(crate) fn composed(defect: &OpenError) -> BuildError {
        BuildError::Parameter {
            name: "the file composed",
            got: defect.to_string(),
            expected: "a file that opens: please report this",
        }
    }
}

/// Why a question could not be answered.
#[derive(Debug, Clone, PartialEq, ThisError)]
#[non_exhaustive]
pub enum QueryError {
    /// The system refused memory.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// The query has another dimension than the index.
    #[error("the query has {got} values, the index holds vectors of {expected}")]
    Dimension {
        /// Values got.
        got: usize,
        /// The index's dimension.
        expected: usize,
    },
    /// A NaN or an infinity in the query.
    #[error("query {query} has {value} in column {column}: queries must be finite")]
    NonFinite {
        /// The query's number in its batch.
        query: usize,
        /// The column.
        column: usize,
        /// The value.
        value: f32,
    },
    /// A parameter is out of its range.
    #[error("{name} is {}, expected {expected}", clean(got))]
    Parameter {
        /// The parameter's name.
        name: &'static str,
        /// What was got.
        got: String,
        /// What was expected.
        expected: String,
    },
    /// No such id.
    #[error("there is no {what} {}: {}", name(id), clean(hint))]
    UnknownId {
        /// "item", "user", "id" or "label".
        what: &'static str,
        /// The id, as text.
        id: String,
        /// What to do.
        hint: String,
    },
    /// A model is measured by what it was trained on.
    #[error(
        "the {what} has {entries} of {of} test entries in its own history: it was trained on the test; train it on the training part alone, or pass include_seen (--include-seen) if people come back to what they have and the test is later than the training"
    )]
    TrainedOnTest {
        /// "recommender" or "model".
        what: &'static str,
        /// Entries of the test that it was trained on.
        entries: usize,
        /// Entries of the test for users and items that it knows.
        of: usize,
    },
    /// A label that several ids bear.
    #[error("the label {} belongs to {} ids: {}; ask by id", quoted(label), ids.len(), listed(ids))]
    AmbiguousLabel {
        /// The label.
        label: String,
        /// The ids that bear it.
        ids: Vec<String>,
    },
}

/// Why a model could not be trained.
#[derive(Debug, Clone, PartialEq, ThisError)]
#[non_exhaustive]
pub enum TrainError {
    /// The system refused memory.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// No users, no items or no interactions.
    #[error(
        "got {users} users, {items} items and {interactions} interactions: training needs at least one of each"
    )]
    Empty {
        /// Users got.
        users: usize,
        /// Items got.
        items: usize,
        /// Interactions got.
        interactions: usize,
    },
    /// The parts of a sparse matrix contradict each other.
    #[error("{} is {}, expected {}", clean(what), clean(got), clean(expected))]
    Matrix {
        /// The part.
        what: String,
        /// What was got.
        got: String,
        /// What was expected.
        expected: String,
    },
    /// A NaN or an infinity among the weights.
    #[error("the weight of row {row}, column {column} is {value}: weights must be finite")]
    NonFinite {
        /// The user.
        row: usize,
        /// The item.
        column: usize,
        /// The weight.
        value: f32,
    },
    /// A parameter is out of its range.
    #[error("{name} is {}, expected {expected}", clean(got))]
    Parameter {
        /// The parameter's name.
        name: &'static str,
        /// What was got.
        got: String,
        /// What was expected.
        expected: String,
    },
    /// A weight that the weighting or the objective cannot take.
    #[error("the weight of {entry} is {value}{}, expected {expected}", entry::weighted_as(weighted.as_ref()))]
    Weight {
        /// Whose weight it is.
        entry: Entry,
        /// The weight, as it was given.
        value: f32,
        /// The name of the weighting that changed it, and what it made of it.
        weighted: Option<(String, f32)>,
        /// What was expected, and what to do.
        expected: String,
    },
    /// A row's equations have no finite solution in float64 either.
    #[error(
        "the equations of {side} {} have no finite solution: raise regularization (now {regularization}) or shrink the weights", id.as_deref().map_or_else(|| row.to_string(), str::to_string)
    )]
    Singular {
        /// "user" or "item".
        side: &'static str,
        /// The row.
        row: usize,
        /// The id, where it is known.
        id: Option<String>,
        /// The regularization in force.
        regularization: f32,
    },
    /// The caller stopped the training.
    #[error("the training was stopped before it was done")]
    Cancelled,
}

/// Why input data could not be read.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum ReadError {
    /// The system refused memory.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// The system refused.
    #[error("could not read {}: {source}", at(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file's content is not what its format asks for.
    #[error("{}: {}", at(path), clean(problem))]
    Format {
        /// The file.
        path: PathBuf,
        /// What was got, what was expected, what to do.
        problem: String,
    },
    /// One line of a text file is wrong.
    #[error("{}, line {line}: {}", at(path), clean(problem))]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What was got, what was expected, what to do.
        problem: String,
    },
    /// Several rows of an input are wrong.
    #[error(
        "{}{count} rows cannot be read: {}; {}repair or drop them, or have them skipped (errors=\"skip\", --skip-bad-rows)", if *gave_up { "at least " } else { "" }, clean(&first.join("; ")), more(*count, first.len())
    )]
    Rows {
        /// How many.
        count: u64,
        /// What is wrong with the first ones.
        first: Vec<String>,
        /// Whether reading was given up at this number.
        gave_up: bool,
    },
    /// No such column.
    #[error("{} has no column {}; it has {}", at(path), quoted(column), listed(available))]
    Column {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: String,
        /// The columns there are.
        available: Vec<String>,
    },
    /// The weight of one row of a table is not a number to learn from.
    #[error(
        "row {row} (user {}, item {}) has weight {value}: weights must be finite; drop or repair that row",
        name(user),
        name(item)
    )]
    Weight {
        /// The row, from 0.
        row: usize,
        /// The user's id, as text.
        user: String,
        /// The item's id, as text.
        item: String,
        /// The weight.
        value: f32,
    },
    /// The ids or labels were refused.
    #[error(transparent)]
    Ids(#[from] IdsError),
    /// The interactions were refused.
    #[error(transparent)]
    Interactions(#[from] TrainError),
}

/// "and 3 more; " where not all are listed.
fn more(count: u64, listed: usize) -> String {
    match count.saturating_sub(listed as u64) {
        0 => String::new(),
        more => format!("and {more} more; "),
    }
}

/// The power of ten that brings a value to between 1 and 10.
fn scale(largest: f32) -> f64 {
    10f64.powi(-f64::from(largest).log10().floor() as i32)
}
