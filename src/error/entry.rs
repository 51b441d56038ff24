//! The entry of a matrix that an error is about.

use std::fmt;

/// Where a weight stands: by place in a matrix, or by ids where these are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Row and column, from 0.
    Place {
        /// The row.
        row: usize,
        /// The column.
        column: usize,
    },
    /// The ids of a user and an item, strings in quotes.
    Pair {
        /// The user.
        user: String,
        /// The item.
        item: String,
    },
    /// The id of an item in a history.
    Item(String),
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Place { row, column } => write!(f, "row {row}, column {column}"),
            Entry::Pair { user, item } => write!(f, "user {user}, item {item}"),
            Entry::Item(item) => write!(f, "item {item}"),
        }
    }
}

/// ", which log1p makes -0.69" where a weighting changed the weight that was given.
pub(super) fn weighted_as(weighted: Option<&(String, f32)>) -> String {
    weighted.map_or_else(String::new, |(by, value)| format!(", which {by} makes {value}"))
}
