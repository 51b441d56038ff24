//! Interactions as an Arrow stream, made batch by batch as it is read.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use nearwood::{Ids, Interactions};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::ffi::{ArrayIterator, to_stream_pycapsule};

/// Rows of a batch: enough that a batch costs little, few enough that its strings do too.
const ROWS: usize = 1 << 16;

/// A capsule of rows (user, item, weight) and, where there are times, time.
pub fn stream<'py>(
    py: Python<'py>,
    data: Arc<Interactions>,
    requested_schema: Option<Bound<'py, PyCapsule>>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = Arc::new(schema(&data));
    let field = Field::new_struct("", schema.fields().clone(), false);
    let n = data.matrix.nnz();
    let batches =
        (0..n).step_by(ROWS).map(move |start| batch(&data, &schema, start..n.min(start + ROWS)));
    let batches = ArrayIterator::new(batches, Arc::new(field));
    Ok(to_stream_pycapsule(py, Box::new(batches), requested_schema)?)
}

fn schema(data: &Interactions) -> Schema {
    let field = |(name, kind)| Field::new(name, kind, false);
    let columns =
        [("user", kind(&data.users)), ("item", kind(&data.items)), ("weight", DataType::Float32)];
    let time = data.times.as_ref().map(|_| ("time", DataType::Int64));
    Schema::new(columns.into_iter().chain(time).map(field).collect::<Fields>())
}

fn kind(ids: &Ids) -> DataType {
    match ids {
        Ids::Text(_) => DataType::Utf8,
        Ids::Int(_) | Ids::Sequential(_) => DataType::Int64,
    }
}

fn batch(
    data: &Interactions,
    schema: &Arc<Schema>,
    rows: Range<usize>,
) -> Result<ArrayRef, ArrowError> {
    let matrix = &data.matrix;
    let items = matrix.indices()[rows.clone()].iter().map(|&item| item as usize);
    let mut columns: Vec<ArrayRef> = vec![
        column(&data.users, users(matrix.indptr(), rows.clone())),
        column(&data.items, items),
        Arc::new(Float32Array::from_iter_values(matrix.values()[rows.clone()].iter().copied())),
    ];
    if let Some(times) = &data.times {
        columns.push(Arc::new(Int64Array::from_iter_values(times[rows].iter().copied())));
    }
    Ok(Arc::new(StructArray::from(RecordBatch::try_new(schema.clone(), columns)?)))
}

/// The rows of the matrix in which entries stand.
fn users(indptr: &[u64], entries: Range<usize>) -> impl Iterator<Item = usize> {
    let mut user = indptr.partition_point(|&end| end as usize <= entries.start).saturating_sub(1);
    entries.map(move |entry| {
        while indptr[user + 1] as usize <= entry {
            user += 1;
        }
        user
    })
}

fn column(ids: &Ids, numbers: impl Iterator<Item = usize>) -> ArrayRef {
    match ids {
        Ids::Sequential(_) => Arc::new(Int64Array::from_iter_values(numbers.map(|n| n as i64))),
        Ids::Int(ids) => Arc::new(Int64Array::from_iter_values(numbers.map(|n| ids[n]))),
        Ids::Text(ids) => Arc::new(StringArray::from_iter_values(numbers.map(|n| &ids[n]))),
    }
}
