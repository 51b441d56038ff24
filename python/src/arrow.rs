//! Columns of other libraries' tables, which export themselves through the Arrow C data interface,
//! as numpy arrays: lists of one length as (n, d), which numpy itself makes an array of objects.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type, UInt8Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, LargeListArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;
use nearwood::io::arrow_ids;
use nearwood::recommend::IdColumn;
use numpy::{PyArray1, PyUntypedArray};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3_arrow::input::AnyArray;

use crate::errors::value_error;
use crate::ids::{self, Given};
use crate::watch;

/// Whether an object exports itself. pandas does so by way of pyarrow, with a copy: numpy reads it
/// as well without.
pub fn is_exported(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    Ok((object.hasattr(intern!(py, "__arrow_c_array__"))?
        || object.hasattr(intern!(py, "__arrow_c_stream__"))?)
        && !object.hasattr(intern!(py, "iloc"))?
        && !holds_objects(object)?)
}

/// Whether polars exports Python objects, as the bytes of their addresses.
fn holds_objects(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    for name in [intern!(py, "dtype"), intern!(py, "dtypes")] {
        // pyo3 asks for an attribute without an error where there is none.
        if let Some(kinds) = object.getattr_opt(name)? {
            return Ok(kinds.str()?.to_string_lossy().contains("Object"));
        }
    }
    Ok(false)
}

/// A column: chunks of one type.
pub struct Column {
    chunks: Vec<ArrayRef>,
    kind: DataType,
}

impl Column {
    /// The column that an object exports, a table's if it has but one. `None` for what exports none
    /// and for what numpy reads as it is.
    pub fn exported(object: &Bound<'_, PyAny>) -> PyResult<Option<Column>> {
        if !is_exported(object)? {
            return Ok(None);
        }
        let numpy_can = object.hasattr(intern!(object.py(), "__array__"))?;
        let column = Column::read(object)?.only_child(numpy_can)?;
        Ok(column.filter(|column| column.holds_lists() || !numpy_can))
    }

    fn read(object: &Bound<'_, PyAny>) -> PyResult<Column> {
        let (chunks, field) = object.extract::<AnyArray>()?.into_chunked_array()?.into_inner();
        Ok(Column { chunks, kind: field.data_type().clone() })
    }

    /// Chunks of runs as chunks of their values.
    fn plain(self) -> PyResult<Column> {
        let DataType::RunEndEncoded(_, values) = &self.kind else { return Ok(self) };
        let kind = values.data_type().clone();
        let chunks = self.chunks.iter().map(|chunk| cast(chunk, &kind));
        Ok(Column { chunks: chunks.collect::<PyResult<_>>()?, kind })
    }

    /// Ids, or a mask.
    fn given(self, py: Python<'_>, what: &str) -> PyResult<Given> {
        let column = self.plain()?;
        if column.kind == DataType::Boolean {
            return truths(&column.chunks, what).map(Given::Mask);
        }
        if column.chunks.iter().all(|chunk| chunk.is_empty()) {
            return Ok(Given::Ids(IdColumn::Int(Vec::new())));
        }
        let ids = watch::detach(py, || arrow_ids(&column.chunks, what))?;
        ids.map(Given::Ids).map_err(|e| value_error(e.to_string()))
    }

    /// The column of a table of one; `None` if a table of several is numpy's.
    fn only_child(self, numpy_can: bool) -> PyResult<Option<Column>> {
        let DataType::Struct(fields) = &self.kind else { return Ok(Some(self)) };
        let [field] = &fields[..] else {
            let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
            let text = format!("the table has the columns {}, expected one", names.join(", "));
            return if numpy_can { Ok(None) } else { Err(value_error(text)) };
        };
        let kind = field.data_type().clone();
        let chunks = self.chunks.iter().map(|chunk| chunk.as_struct().column(0).clone());
        Ok(Some(Column { chunks: chunks.collect(), kind }))
    }

    fn holds_lists(&self) -> bool {
        matches!(
            self.kind,
            DataType::FixedSizeList(..)
                | DataType::List(_)
                | DataType::LargeList(_)
                | DataType::ListView(_)
                | DataType::LargeListView(_)
        )
    }

    /// Lists of numbers as a matrix, uint8 or else float32; other columns in one dimension.
    pub fn to_numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyUntypedArray>> {
        if !self.holds_lists() {
            return Ok(flat(py, &self.chunks, &self.kind)?.cast_into()?);
        }
        let lists = watch::detach(py, || Lists::read(&self.chunks))??;
        let rows: usize = self.chunks.iter().map(|chunk| chunk.len()).sum();
        let kind = lists.values.first().map_or(DataType::Float32, |v| v.data_type().clone());
        let values = flat(py, &lists.values, &kind)?;
        let dim = match self.kind {
            DataType::FixedSizeList(_, size) => size as usize,
            _ => lists.dim,
        };
        Ok(values.call_method1(intern!(py, "reshape"), (rows, dim))?.cast_into()?)
    }
}

/// The ids or the mask that an object exports; `None` if it exports none, or none that Arrow's C
/// interface can carry (polars' columns of objects and of nulls).
pub fn given(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Option<Given>> {
    if !is_exported(object)? {
        return Ok(None);
    }
    let Ok(column) = Column::read(object) else { return Ok(None) };
    let Some(column) = column.only_child(false)? else { return Ok(None) };
    column.given(object.py(), what).map(Some)
}

/// What a single column holds that stands for a mapping.
#[derive(Clone, Copy, PartialEq)]
pub enum Alone {
    /// Ids, of a history.
    Ids,
    /// Names in the order of ids.
    Names,
}

/// The columns of a table of two, ids and `others`, as a dict of two lists; of a table of one, or a
/// column, the list of its values. `None` for what exports neither.
pub fn mapping<'py>(
    object: &Bound<'py, PyAny>,
    what: &str,
    others: &str,
    alone: Alone,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if !is_exported(object)? {
        return Ok(None);
    }
    // Read once: a stream has nothing left to read again.
    let Ok(table) = Column::read(object) else { return Ok(None) };
    let py = object.py();
    let keys = |column: Column| {
        let keys = ids::no_mask(column.given(py, what)?, what)?;
        ids::array(py, &ids::plain(keys)).call_method0("tolist")
    };
    let fields = match &table.kind {
        DataType::Struct(fields) if fields.len() > 1 => fields.clone(),
        _ => {
            let Some(column) = table.only_child(false)? else { return Ok(None) };
            return match alone {
                Alone::Ids => keys(column).map(Some),
                Alone::Names => {
                    flat(py, &column.chunks, &column.kind)?.call_method0("tolist").map(Some)
                }
            };
        }
    };
    let [first, second] = &fields[..] else {
        let n = fields.len();
        let text = format!("{what} is a table of {n} columns, expected two: ids and {others}");
        return Err(PyTypeError::new_err(text));
    };
    let column = |at: usize, kind: &DataType| {
        let chunks = table.chunks.iter().map(|chunk| chunk.as_struct().column(at).clone());
        Column { chunks: chunks.collect(), kind: kind.clone() }
    };
    let values = column(1, second.data_type()).plain()?;
    let values = flat(py, &values.chunks, &values.kind)?.call_method0("tolist")?;
    let pairs = PyDict::new(py);
    pairs.set_item("ids", keys(column(0, first.data_type()))?)?;
    pairs.set_item("values", values)?;
    Ok(Some(pairs.into_any()))
}

fn truths(chunks: &[ArrayRef], what: &str) -> PyResult<Vec<bool>> {
    let mut mask = Vec::with_capacity(chunks.iter().map(|chunk| chunk.len()).sum());
    for chunk in chunks {
        let before = mask.len();
        for (row, pass) in chunk.as_boolean().iter().enumerate() {
            mask.push(pass.ok_or_else(|| {
                let row = before + row;
                let text =
                    format!("{what}: row {row} of the mask is null: fill it in first (fill_null)");
                value_error(text)
            })?);
        }
    }
    Ok(mask)
}

/// The values of lists of one length, row after row.
struct Lists {
    values: Vec<ArrayRef>,
    dim: usize,
}

impl Lists {
    fn read(chunks: &[ArrayRef]) -> PyResult<Lists> {
        let (mut lists, mut before) = (Lists { values: Vec::new(), dim: 0 }, 0);
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            whole(chunk, before, 1)?;
            let (values, dim) = match chunk.as_fixed_size_list_opt() {
                Some(list) => (list.values().clone(), list.value_length() as usize),
                None => even(chunk, before, (before > 0).then_some(lists.dim))?,
            };
            if before > 0 && dim != lists.dim {
                return Err(uneven(before, dim, lists.dim));
            }
            let values = values.slice(0, dim * chunk.len());
            whole(&values, before * dim, dim)?;
            lists.values.push(numbers(&values)?);
            lists.dim = dim;
            before += chunk.len();
        }
        Ok(lists)
    }
}

/// The values of lists whose type leaves their lengths open, and the one length that they have.
fn even(chunk: &ArrayRef, before: usize, dim: Option<usize>) -> PyResult<(ArrayRef, usize)> {
    let lists: LargeListArray = match chunk.as_list_opt::<i64>() {
        Some(lists) => lists.clone(),
        None => as_large(chunk)?,
    };
    let dim = dim.unwrap_or_else(|| lists.value_length(0) as usize);
    let odd = (0..lists.len()).find(|&row| lists.value_length(row) as usize != dim);
    if let Some(row) = odd {
        return Err(uneven(before + row, lists.value_length(row) as usize, dim));
    }
    Ok((lists.values().slice(lists.value_offsets()[0] as usize, dim * lists.len()), dim))
}

fn as_large(chunk: &ArrayRef) -> PyResult<LargeListArray> {
    let child = match chunk.data_type() {
        DataType::List(field) | DataType::ListView(field) | DataType::LargeListView(field) => field,
        other => return Err(PyTypeError::new_err(format!("a column of {other} holds no lists"))),
    };
    let to = DataType::LargeList(child.clone());
    Ok(cast(chunk, &to)?.as_list::<i64>().clone())
}

/// That nothing is null; a row has `dim` of the values.
fn whole(values: &ArrayRef, before: usize, dim: usize) -> PyResult<()> {
    let null =
        values.logical_nulls().and_then(|nulls| (0..nulls.len()).find(|&at| nulls.is_null(at)));
    match null {
        None => Ok(()),
        Some(at) => {
            let row = (before + at) / dim.max(1);
            Err(value_error(format!("the Arrow column: row {row} is null or has a null in it")))
        }
    }
}

fn uneven(row: usize, got: usize, expected: usize) -> PyErr {
    value_error(format!(
        "the Arrow column: row {row} has {got} values, expected {expected} as in the rows before"
    ))
}

/// Bytes as they are, which may be packed bits; other numbers as float32.
fn numbers(values: &ArrayRef) -> PyResult<ArrayRef> {
    match values.data_type() {
        DataType::UInt8 => Ok(values.clone()),
        kind if kind.is_numeric() || *kind == DataType::Boolean => cast(values, &DataType::Float32),
        other => {
            let text = format!("the Arrow column holds lists of {other}, expected numbers");
            Err(PyTypeError::new_err(text))
        }
    }
}

/// Chunks as one array in one dimension.
fn flat<'py>(py: Python<'py>, chunks: &[ArrayRef], kind: &DataType) -> PyResult<Bound<'py, PyAny>> {
    Ok(match kind {
        DataType::UInt8 => PyArray1::from_vec(py, gathered::<UInt8Type>(chunks)?).into_any(),
        DataType::Boolean => {
            let truths = gathered::<UInt8Type>(chunks)?.iter().map(|&truth| truth != 0).collect();
            PyArray1::<bool>::from_vec(py, truths).into_any()
        }
        kind if kind.is_integer() => {
            PyArray1::from_vec(py, gathered::<Int64Type>(chunks)?).into_any()
        }
        kind if kind.is_numeric() => {
            PyArray1::from_vec(py, gathered::<Float32Type>(chunks)?).into_any()
        }
        _ => return texts(py, chunks, kind),
    })
}

/// The values of all chunks, none of them null.
fn gathered<T: ArrowPrimitiveType>(chunks: &[ArrayRef]) -> PyResult<Vec<T::Native>> {
    let mut values = Vec::with_capacity(chunks.iter().map(|chunk| chunk.len()).sum());
    for chunk in chunks {
        whole(chunk, values.len(), 1)?;
        values.extend_from_slice(cast(chunk, &T::DATA_TYPE)?.as_primitive::<T>().values());
    }
    Ok(values)
}

/// Strings as an array of objects; what is null is None.
fn texts<'py>(
    py: Python<'py>,
    chunks: &[ArrayRef],
    kind: &DataType,
) -> PyResult<Bound<'py, PyAny>> {
    let unknown = || PyTypeError::new_err(format!("the Arrow column holds {kind}"));
    let mut values = Vec::new();
    for chunk in chunks {
        let chunk = cast(chunk, &DataType::LargeUtf8).map_err(|_| unknown())?;
        values.extend(chunk.as_string::<i64>().iter().map(|text| match text {
            Some(text) => PyString::new(py, text).into_any().unbind(),
            None => py.None(),
        }));
    }
    Ok(PyArray1::from_vec(py, values).into_any())
}

/// A cast that refuses what does not fit, where Arrow's own would make it null.
fn cast(values: &ArrayRef, to: &DataType) -> PyResult<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(values, to, &strict)
        .map_err(|e| value_error(format!("the Arrow column cannot be read as {to}: {e}")))
}
