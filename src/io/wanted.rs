//! The columns that are asked of batches of Arrow.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::Schema;

use crate::error::ReadError;
use crate::index::canonical_int;

use super::ReadOptions;
use super::arrow::ArrowRows;

/// The columns asked for.
pub(super) struct Wanted {
    user: Place,
    item: Place,
    weight: Option<Place>,
    time: Option<Place>,
}

/// Where a column is.
enum Place {
    /// Its number among the file's.
    Root(usize),
    /// In the name of a folder.
    Constant(String),
}

impl Wanted {
    pub(super) fn find(
        schema: &Schema,
        options: &ReadOptions,
        partitions: &[(String, String)],
        path: &Path,
    ) -> Result<Wanted, ReadError> {
        let mut names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
        let n = names.len();
        names.extend(partitions.iter().map(|(column, _)| column.clone()));
        let (user, item) = options.user_and_item(path, &names)?;
        let locate = |name: &str| {
            let by_name = names.iter().position(|other| other == name);
            let by_number = || name.parse().ok().filter(|&at: &usize| at < n);
            let at = by_name.or_else(by_number).ok_or_else(|| ReadError::Column {
                path: path.to_path_buf(),
                column: name.to_string(),
                available: names.clone(),
            })?;
            Ok::<Place, ReadError>(match at.checked_sub(n) {
                Some(partition) => Place::Constant(partitions[partition].1.clone()),
                None => Place::Root(at),
            })
        };
        let weight = options.weight.as_deref().map(locate).transpose()?;
        let time = options.time.as_deref().map(locate).transpose()?;
        Ok(Wanted { user: locate(user)?, item: locate(item)?, weight, time })
    }

    /// Each column of the file once, in the file's order, which is also the batches'.
    pub(super) fn roots(&self) -> Vec<usize> {
        let places = [Some(&self.user), Some(&self.item), self.weight.as_ref(), self.time.as_ref()];
        let root = |place: &Place| match place {
            Place::Root(root) => Some(*root),
            Place::Constant(_) => None,
        };
        let mut roots: Vec<usize> = places.into_iter().flatten().filter_map(root).collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    /// Adds the rows of a batch that has the columns of [`roots`](Self::roots).
    pub(super) fn push(&self, batch: &RecordBatch, rows: &mut ArrowRows) -> Result<(), ReadError> {
        let roots = self.roots();
        let column = |place: &Place| match place {
            Place::Root(root) => batch.column(roots.partition_point(|r| r < root)).clone(),
            Place::Constant(value) => constant(value, batch.num_rows()),
        };
        let weights = self.weight.as_ref().map(column);
        // A date in a folder's name is text; a number is one.
        let times = self.time.as_ref().map(column);
        let (users, items) = (column(&self.user), column(&self.item));
        let [weights, times] = [&weights, &times].map(|c| c.as_ref().map(|c| c as &dyn Array));
        rows.push(&users, &items, weights, times)
    }
}

fn constant(value: &str, n: usize) -> ArrayRef {
    match canonical_int(value) {
        Some(number) => Arc::new(Int64Array::from(vec![number; n])),
        None => Arc::new(StringArray::from(vec![value; n])),
    }
}
