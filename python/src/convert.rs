//! Python's values as the crate's, and answers as arrays.

use nearwood::error::OutOfMemory;
use nearwood::{Answers, BatchOptions, Effort, Filter, Hit, Id, Index};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyDict, PyMemoryView, PyString, PyTuple};

use crate::arrow::Column;
use crate::errors::{OrRaise, unknown_id, value_error};
use crate::ids;
pub use crate::scalar::id_of;
use crate::watch::out_of_memory;

/// Ids and distances, or scores: two arrays of one shape.
pub type Pair<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

/// `numpy.asarray(object)`, or what an Arrow column holds; aligned, and nothing masked.
///
/// Errors: `ValueError` if something is masked.
pub fn as_array<'py>(
    object: &Bound<'py, PyAny>,
    what: &str,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    if let Ok(array) = object.cast_exact::<PyUntypedArray>() {
        return aligned(array);
    }
    if let Some(column) = Column::exported(object)? {
        return column.to_numpy(object.py());
    }
    let py = object.py();
    if object.is_instance_of::<PyUntypedArray>() {
        let plain = ids::inputs(py)?.call_method1(intern!(py, "unmasked"), (object, what))?;
        return aligned(plain.cast::<PyUntypedArray>()?);
    }
    let numpy = py.import(intern!(py, "numpy"))?;
    let array = numpy.call_method1(intern!(py, "asarray"), (object,))?;
    Ok(array.cast_into::<PyUntypedArray>()?)
}

/// The array itself, or a copy if its values lie at odd addresses, as a record's do.
fn aligned<'py>(array: &Bound<'py, PyUntypedArray>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = array.py();
    let flags = array.getattr(intern!(py, "flags"))?;
    match flags.getattr(intern!(py, "aligned"))?.is_truthy()? {
        true => Ok(array.clone()),
        false => Ok(array.call_method0(intern!(py, "copy"))?.cast_into()?),
    }
}

/// Whether float32 values lie where the processor wants them.
pub fn is_aligned<D>(array: &Bound<'_, numpy::PyArray<f32, D>>) -> bool
where
    D: numpy::ndarray::Dimension,
{
    (array.data() as usize).is_multiple_of(align_of::<f32>())
}

/// Numbers of any make, in any number of dimensions.
fn numbers<'py>(object: &Bound<'py, PyAny>, what: &str) -> PyResult<Bound<'py, PyUntypedArray>> {
    if let Ok(array) = object.cast_exact::<PyUntypedArray>()
        && is_numeric(array)
    {
        return Ok(array.clone());
    }
    if let Some(column) = Column::exported(object)? {
        let array = column.to_numpy(object.py())?;
        return match is_numeric(&array) {
            true => Ok(array),
            false => Err(no_numbers(what, &array)),
        };
    }
    let py = object.py();
    let array = ids::inputs(py)?.call_method1(intern!(py, "numbers"), (object, what))?;
    Ok(array.cast_into::<PyUntypedArray>()?)
}

fn is_numeric(array: &Bound<'_, PyUntypedArray>) -> bool {
    matches!(kind(array), b'i' | b'u' | b'f' | b'b')
}

fn no_numbers(what: &str, array: &Bound<'_, PyUntypedArray>) -> PyErr {
    PyTypeError::new_err(format!("{what} has dtype {}, expected numbers", array.dtype()))
}

/// The kind of an array's values, numpy's letter: i, u, f, b, O, U, ...
pub fn kind(array: &Bound<'_, PyUntypedArray>) -> u8 {
    use numpy::PyArrayDescrMethods;
    array.dtype().kind()
}

/// The same values as float32 in C order and aligned: the array itself if it is that already.
pub fn as_f32<'py>(object: &Bound<'py, PyAny>, what: &str) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = object.py();
    let array = numbers(object, what)?;
    let numpy = py.import(intern!(py, "numpy"))?;
    // Values too large for float32 become infinities, which the crate then names.
    let calm = [("over", "ignore"), ("invalid", "ignore")].into_pyobject(py)?;
    let options = PyDict::from_sequence(&calm)?;
    let state = numpy.call_method("errstate", (), Some(&options))?;
    state.call_method0("__enter__")?;
    let wanted = (array, numpy::dtype::<f32>(py), ["C", "A"]);
    let converted = numpy.call_method1(intern!(py, "require"), wanted);
    state.call_method1("__exit__", (py.None(), py.None(), py.None()))?;
    Ok(converted?.cast_into::<PyUntypedArray>()?)
}

fn shape_of(array: &Bound<'_, PyUntypedArray>) -> String {
    let sizes: Vec<String> = array.shape().iter().map(usize::to_string).collect();
    format!("({}{})", sizes.join(", "), if sizes.len() == 1 { "," } else { "" })
}

/// A matrix of float32 in C order, borrowed from numpy where it is one already.
pub fn matrix<'py>(object: &Bound<'py, PyAny>, what: &str) -> PyResult<PyReadonlyArray2<'py, f32>> {
    if let Ok(array) = object.cast_exact::<PyArray2<f32>>()
        && array.is_c_contiguous()
        && is_aligned(array)
    {
        return Ok(array.try_readonly()?);
    }
    let array = as_f32(object, what)?;
    let ndim = array.ndim();
    let matrix = array.as_any().cast::<PyArray2<f32>>().map_err(|_| {
        value_error(format!(
            "{what} has {ndim} dimensions, shape {}: expected 2, (n, d)",
            shape_of(&array)
        ))
    })?;
    Ok(matrix.try_readonly()?)
}

/// That an array is read where it lies, so that a build within a limit of memory need not copy it.
pub fn used_as_it_lies(object: &Bound<'_, PyAny>) -> PyResult<()> {
    if Column::exported(object)?.is_some() {
        return Err(value_error(
            "vectors are an Arrow column: with memory_limit they are read where they lie, as a \
             (n, d) numpy array of float32 in C order; write such a file once, in parts \
             (numpy.lib.format.open_memmap), and give numpy.load(file, mmap_mode=\"r\")",
        ));
    }
    let numpy = object.py().import(intern!(object.py(), "numpy"))?;
    let array = numpy.call_method1(intern!(object.py(), "asarray"), (object,))?;
    let array = array.cast_into::<PyUntypedArray>()?;
    let matrix = array.as_any().cast::<PyArray2<f32>>();
    let in_place = matrix.as_ref().is_ok_and(|matrix| is_aligned(matrix));
    if in_place && array.is_c_contiguous() {
        // A masked array is read where it lies, too: that nothing is masked is all to be checked.
        return as_array(object, "vectors").map(drop);
    }
    let order = match array.is_c_contiguous() {
        false => ", not in C order",
        true if matrix.is_ok() => ", not aligned",
        true => "",
    };
    Err(value_error(format!(
        "vectors are {} of shape {}{order}: with memory_limit they are read where they lie, as \
         (n, d) float32 in C order; write such a file once, in parts \
         (numpy.lib.format.open_memmap), and give numpy.load(file, mmap_mode=\"r\")",
        array.dtype(),
        shape_of(&array)
    )))
}

/// The numbers of an array of any shape, in C order.
pub fn floats(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<f32>> {
    let array = as_f32(object, what)?;
    let array = array.as_any().cast::<numpy::PyArrayDyn<f32>>()?.try_readonly()?;
    Ok(values(&array)?.to_vec())
}

/// One query or many.
pub enum Queries<'py> {
    /// Shape (d,).
    One(PyReadonlyArray1<'py, f32>),
    /// Shape (m, d).
    Many(PyReadonlyArray2<'py, f32>),
}

/// Queries of dimension `dim`, borrowed from numpy where they are float32 in C order already.
pub fn float_queries<'py>(object: &Bound<'py, PyAny>, dim: usize) -> PyResult<Queries<'py>> {
    if let Ok(array) = object.cast_exact::<PyArray1<f32>>()
        && array.is_c_contiguous()
        && is_aligned(array)
    {
        return Ok(Queries::One(array.try_readonly()?));
    }
    let array = as_f32(object, "queries")?;
    if let Ok(one) = array.as_any().cast::<PyArray1<f32>>() {
        return Ok(Queries::One(one.try_readonly()?));
    }
    let many = array.as_any().cast::<PyArray2<f32>>().ok();
    match many.filter(|many| many.shape()[1] == dim) {
        Some(many) => Ok(Queries::Many(many.try_readonly()?)),
        None => Err(value_error(format!(
            "queries have shape {}, expected ({dim},) or (m, {dim})",
            shape_of(&array)
        ))),
    }
}

/// The contiguous values of an array; its maker saw to that.
pub fn values<'a, D: numpy::ndarray::Dimension>(
    array: &'a numpy::PyReadonlyArray<'_, f32, D>,
) -> PyResult<&'a [f32]> {
    array.as_slice().map_err(|e| value_error(e.to_string()))
}

/// How hard to search; `recall` unless told.
pub fn effort(recall: Option<f64>, budget: Option<usize>, exact: bool) -> PyResult<Effort> {
    match (recall, budget, exact) {
        (None, None, true) => Ok(Effort::Exact),
        (None, None, false) => Ok(Effort::default()),
        (Some(recall), None, false) => Ok(Effort::Recall(recall)),
        (None, Some(budget), false) => Ok(Effort::Budget(budget)),
        _ => Err(value_error("give at most one of recall, budget and exact")),
    }
}

/// What is asked of a batch.
pub fn batch(
    k: usize,
    effort: Effort,
    filter: Option<&Filter>,
    n_threads: Option<usize>,
) -> BatchOptions<'_> {
    BatchOptions { k, effort, filter, n_threads }
}

/// What the caller holds of a file: `bytes`, or anything with a buffer.
pub fn bytes_of<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    let view = PyMemoryView::from(object)?;
    Ok(view.call_method0(intern!(object.py(), "tobytes"))?.cast_into::<PyBytes>()?)
}

/// An id for Python: int or str.
pub fn id_object<'py>(py: Python<'py>, id: &Id) -> PyResult<Bound<'py, PyAny>> {
    Ok(match id {
        Id::Int(id) => id.into_pyobject(py)?.into_any(),
        Id::Text(id) => id.into_pyobject(py)?.into_any(),
    })
}

/// Collects `n` lists of `k` values; a `MemoryError` where there is no room for them.
pub fn collect<T>(n: usize, k: usize, each: impl Fn(usize) -> T) -> PyResult<Vec<T>> {
    let mut values = Vec::new();
    let len = n.checked_mul(k).filter(|&len| values.try_reserve_exact(len).is_ok());
    let Some(len) = len else {
        let bytes = n.saturating_mul(k).saturating_mul(size_of::<T>());
        return Err(out_of_memory(&OutOfMemory { bytes }));
    };
    values.extend((0..len).map(each));
    Ok(values)
}

/// An array of numbers. A short one is copied, which is quicker than keeping a vector alive.
pub fn array<T: numpy::Element>(py: Python<'_>, values: Vec<T>) -> Bound<'_, PyAny> {
    match values.len() <= 256 {
        true => PyArray1::from_slice(py, &values).into_any(),
        false => PyArray1::from_vec(py, values).into_any(),
    }
}

/// The ids of `len` positions: int64, or an object array of str; what is missing is -1 or None.
pub fn ids_of<'py>(
    py: Python<'py>,
    index: &Index,
    len: usize,
    position: impl Fn(usize) -> u32,
) -> PyResult<Bound<'py, PyAny>> {
    if !index.has_text_ids() {
        let id = |at| index.int_id(position(at)).unwrap_or(-1);
        return Ok(array(py, collect(1, len, id)?));
    }
    let name = |at| match position(at) {
        position if (position as usize) < index.len() => match index.id(position) {
            Id::Text(id) => PyString::new(py, &id).into_any().unbind(),
            Id::Int(_) => py.None(),
        },
        _ => py.None(),
    };
    Ok(PyArray1::from_vec(py, collect(1, len, name)?).into_any())
}

/// (m, k) arrays of an answer, or (k,) if `flat`.
pub fn answers<'py>(
    py: Python<'py>,
    index: &Index,
    answers: Answers,
    flat: bool,
) -> PyResult<Pair<'py>> {
    let Answers { k, positions, distances, .. } = answers;
    let ids = ids_of(py, index, positions.len(), |at| positions[at])?;
    let distances = array(py, distances);
    if flat { Ok((ids, distances)) } else { fold(ids, distances, k) }
}

/// Two arrays as rows of `k`.
pub fn fold<'py>(
    ids: Bound<'py, PyAny>,
    distances: Bound<'py, PyAny>,
    k: usize,
) -> PyResult<Pair<'py>> {
    let rows = distances.len()?.checked_div(k).unwrap_or(0);
    let shape =
        |array: Bound<'py, PyAny>| array.call_method1(intern!(array.py(), "reshape"), (rows, k));
    Ok((shape(ids)?, shape(distances)?))
}

/// (k,) arrays of one answer, filled up to `k` with what stands for nothing.
pub fn hits<'py>(py: Python<'py>, index: &Index, hits: &[Hit], k: usize) -> PyResult<Pair<'py>> {
    nearwood::index::check_k(k, index.len()).or_raise()?;
    let missing = index.metric().missing();
    let ids = ids_of(py, index, k, |at| hits.get(at).map_or(u32::MAX, |hit| hit.position))?;
    let distances = collect(1, k, |at| hits.get(at).map_or(missing, |hit| hit.distance))?;
    Ok((ids, array(py, distances)))
}

/// A pair and whether it is exact, as Python's tuple.
pub fn triple<'py>(
    py: Python<'py>,
    (a, b): Pair<'py>,
    exact: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyTuple>> {
    (a, b, exact).into_pyobject(py)
}

/// A pair as Python's tuple.
pub fn tuple<'py>(py: Python<'py>, (a, b): Pair<'py>) -> PyResult<Bound<'py, PyTuple>> {
    (a, b).into_pyobject(py)
}

/// A (rows, cols) float32 array of its own.
pub fn owned_matrix<'py>(
    py: Python<'py>,
    values: Vec<f32>,
    cols: usize,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let rows = values.len().checked_div(cols).unwrap_or(0);
    PyArray1::from_vec(py, values).reshape([rows, cols])
}

/// JSON as Python's dicts and lists.
pub fn json<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import(intern!(py, "json"))?.call_method1(intern!(py, "loads"), (text,))
}

/// That two dimensions are one.
pub fn same_dim(what: &str, got: usize, expected: usize) -> PyResult<()> {
    match got == expected {
        true => Ok(()),
        false => Err(value_error(format!("{what} have {got} columns, expected {expected}"))),
    }
}

/// What an index is and was built with.
pub fn info<'py>(py: Python<'py>, index: &Index) -> PyResult<Bound<'py, PyDict>> {
    let info = json(py, &index.metadata().to_string())?.cast_into::<PyDict>()?;
    info.set_item("content", index.content().name())?;
    info.set_item("metric", index.metric().name())?;
    info.set_item("storage", index.storage())?;
    info.set_item("n", index.len())?;
    info.set_item("dim", index.dim())?;
    info.set_item("n_trees", index.n_trees())?;
    info.set_item("trees", index.tree_numbers())?;
    info.set_item("n_leaves", index.n_leaves())?;
    let (major, minor) = index.directory().version;
    info.set_item("format_version", format!("{major}.{minor}"))?;
    info.set_item("mapped", index.is_mapped())?;
    info.set_item("bytes", index.as_bytes().len())?;
    info.set_item("string_ids", index.has_text_ids())?;
    info.set_item("labels", index.label(0).is_some())?;
    info.set_item("calibration", index.calibration().curve())?;
    info.set_item("graph", index.has_graph())?;
    info.set_item("walk_curve", index.walk_curve())?;
    Ok(info)
}

/// What a notebook shows of an object: `nearwood._html` writes it from what Python sees, and from
/// `sizes` that Python would have to copy arrays for.
pub fn html<'py, T: pyo3::PyTypeInfo>(
    object: &Bound<'py, T>,
    sizes: &[(&str, usize)],
) -> PyResult<Bound<'py, PyAny>> {
    let pages = object.py().import(intern!(object.py(), "nearwood._html"))?;
    let sizes = sizes.into_py_dict(object.py())?;
    pages.call_method1(intern!(object.py(), "table"), (object, sizes))
}

/// That there are as many rows as were asked about.
pub fn same_rows(what: &str, got: usize, expected: usize) -> PyResult<()> {
    match got == expected {
        true => Ok(()),
        false => Err(value_error(format!("{what} has {got} rows, expected {expected}"))),
    }
}

/// The `KeyError` of a number that names nothing.
pub fn no_such(what: &str, number: i64) -> PyErr {
    unknown_id(format!("there is no {what} {number}"))
}
