//! Data frames through the Arrow C stream: no Python object is made a row.

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader};
use arrow_cast::cast;
use arrow_schema::{DataType, Schema};
use nearwood::Interactions;
use nearwood::error::{listed, quoted};
use nearwood::io::{ArrowRows, BadRows};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;
use pyo3_arrow::PyRecordBatchReader;

use crate::errors::{OrRaise, unknown_id, value_error};
use crate::ids;
use crate::watch;

/// Rows that are read at a time: polars and pandas export a frame as one batch, however long.
const ROWS: usize = 1 << 20;

/// The names of the columns to read.
pub struct Names {
    /// Of users.
    pub user: String,
    /// Of items.
    pub item: String,
    /// Of weights.
    pub weight: Option<String>,
    /// Of times.
    pub time: Option<String>,
}

/// What is read as a table of some columns: lazy frames, datasets, Delta tables and lists of dicts are
/// made tables of these; what is one already comes back as it is.
pub fn table<'py>(
    given: &Bound<'py, PyAny>,
    columns: [Option<&Bound<'py, PyAny>>; 4],
) -> PyResult<Bound<'py, PyAny>> {
    let columns = PyList::new(given.py(), columns.into_iter().flatten())?;
    ids::inputs(given.py())?.call_method1("table", (given, columns))
}

/// The interactions of a table that exports itself; None if it does not, or cannot.
pub fn interactions(
    table: &Bound<'_, PyAny>,
    names: &Names,
    skip_bad: bool,
) -> PyResult<Option<(Interactions, BadRows)>> {
    let py = table.py();
    let narrow = selected(table, names);
    if !narrow.hasattr(intern!(py, "__arrow_c_stream__"))? {
        return Ok(None);
    }
    // pandas needs pyarrow for it, and cannot export columns of mixed objects.
    let stream = narrow.extract::<PyRecordBatchReader>().and_then(PyRecordBatchReader::into_reader);
    let Ok(stream) = stream else { return Ok(None) };
    let columns = Columns::find(&stream.schema(), names)?;
    watch::detach(py, || read(stream, &columns, skip_bad))?.map(Some)
}

/// The table with no more columns than are needed, where it can do that.
fn selected<'py>(table: &Bound<'py, PyAny>, names: &Names) -> Bound<'py, PyAny> {
    let mut wanted = vec![&names.user, &names.item];
    wanted.extend(&names.weight);
    wanted.extend(&names.time);
    wanted.sort();
    wanted.dedup();
    match table.is_instance_of::<pyo3::types::PyDict>() {
        true => table.clone(),
        false => table.get_item(wanted).unwrap_or_else(|_| table.clone()),
    }
}

struct Columns {
    user: usize,
    item: usize,
    weight: Option<usize>,
    time: Option<usize>,
}

impl Columns {
    fn find(schema: &Schema, names: &Names) -> PyResult<Columns> {
        let find = |name: &String| {
            schema.index_of(name).map_err(|_| {
                let there: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
                let (name, there) = (quoted(name), listed(&there));
                unknown_id(format!("the table has no column {name}; it has {there}"))
            })
        };
        let weight = names.weight.as_ref().map(find).transpose()?;
        let time = names.time.as_ref().map(find).transpose()?;
        Ok(Columns { user: find(&names.user)?, item: find(&names.item)?, weight, time })
    }
}

fn read(
    stream: Box<dyn RecordBatchReader + Send>,
    columns: &Columns,
    skip_bad: bool,
) -> PyResult<(Interactions, BadRows)> {
    let mut rows = ArrowRows::new("the table").skip_bad_rows(skip_bad);
    for batch in stream {
        let batch = batch.map_err(broken)?;
        for first in (0..batch.num_rows()).step_by(ROWS) {
            let part = batch.slice(first, ROWS.min(batch.num_rows() - first));
            let (users, items) = (plain(&part, columns.user)?, plain(&part, columns.item)?);
            let weights = columns.weight.map(|at| plain(&part, at)).transpose()?;
            let times = columns.time.map(|at| decoded(&part, at)).transpose()?;
            let [weights, times] = [&weights, &times].map(|c| c.as_ref().map(|c| c as &dyn Array));
            rows.push(&users, &items, weights, times).or_raise()?;
        }
    }
    rows.finish_counted().or_raise()
}

/// A column without codes for its values, which weights and times have none of; ids are read in any
/// form, so that their text is never copied into 32-bit offsets, which a batch may exceed.
fn plain(batch: &RecordBatch, at: usize) -> PyResult<ArrayRef> {
    let column = batch.column(at);
    let to = match column.data_type() {
        DataType::Dictionary(_, values) if !is_text(values) => &**values,
        DataType::RunEndEncoded(_, values) => values.data_type(),
        _ => return Ok(column.clone()),
    };
    cast(column, to).map_err(|e| value_error(e.to_string()))
}

/// The same without codes for text, either.
fn decoded(batch: &RecordBatch, at: usize) -> PyResult<ArrayRef> {
    match batch.column(at).data_type() {
        DataType::Dictionary(_, values) => {
            cast(batch.column(at), values).map_err(|e| value_error(e.to_string()))
        }
        _ => plain(batch, at),
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// What a stream failed with. A stream made in Python runs Python code, where Ctrl-C is raised as
/// anywhere; Arrow's interface has room for its text alone.
fn broken(error: arrow_schema::ArrowError) -> PyErr {
    let text = error.to_string();
    match text.contains("Python exception") && text.contains("KeyboardInterrupt") {
        true => PyKeyboardInterrupt::new_err(()),
        false => value_error(text),
    }
}
