//! Data frames through the Arrow C stream: no Python object is made a row.

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader};
use arrow_cast::cast;
use arrow_schema::{DataType, Schema};
use nearwood::Interactions;
use nearwood::error::{listed, quoted};
use nearwood::io::{ArrowRows, BadRows};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3_arrow::PyRecordBatchReader;

use crate::errors::{OrRaise, unknown_id, value_error};

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
    py.detach(|| read(stream, &columns, skip_bad)).map(Some)
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
        let batch = batch.map_err(|e| value_error(e.to_string()))?;
        let (users, items) = (plain(&batch, columns.user)?, plain(&batch, columns.item)?);
        let weights = columns.weight.map(|at| plain(&batch, at)).transpose()?;
        let times = columns.time.map(|at| plain(&batch, at)).transpose()?;
        let [weights, times] = [&weights, &times].map(|c| c.as_ref().map(|c| c as &dyn Array));
        rows.push(&users, &items, weights, times).or_raise()?;
    }
    rows.finish_counted().or_raise()
}

/// A column whose strings, of whatever make, are Utf8.
fn plain(batch: &RecordBatch, at: usize) -> PyResult<ArrayRef> {
    let column = batch.column(at);
    let to = match column.data_type() {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Dictionary(_, values) => match **values {
            DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
            ref other => other.clone(),
        },
        _ => return Ok(column.clone()),
    };
    cast(column, &to).map_err(|e| value_error(e.to_string()))
}
