//! Vectors from a Parquet file: a column of lists of numbers, a vector a row.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::error::ReadError;

use super::matrix::Matrix;
use super::parquet::{guarded, seekable};
use super::source::{Source, format_error, shown};

/// Rows decoded at a time.
const BATCH: usize = 1 << 12;

/// Reads the one column of a file that holds lists of floats, as float32.
///
/// # Errors
/// If the file cannot be read, it has no such column or several, a row or a value is null, or rows
/// differ in length.
pub(super) fn read(source: Source) -> Result<Matrix, ReadError> {
    let path = source.path().to_path_buf();
    let file = seekable(source)?;
    let skip = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder =
        guarded(&path, || ParquetRecordBatchReaderBuilder::try_new_with_options(file, skip))?;
    let root = list_column(builder.schema()).map_err(|problem| format_error(&path, problem))?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), [root]);
    let builder = builder.with_projection(mask).with_batch_size(BATCH);
    let mut reader = guarded(&path, || builder.build())?;
    let mut matrix = Matrix::default();
    while let Some(batch) = guarded(&path, || reader.next().transpose())? {
        push(batch.column(0), &mut matrix).map_err(|problem| format_error(&path, problem))?;
    }
    Ok(matrix)
}

fn list_column(schema: &Schema) -> Result<usize, String> {
    let is_list = |kind: &DataType| {
        let inner = match kind {
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::FixedSizeList(field, _) => field,
            _ => return false,
        };
        matches!(inner.data_type(), DataType::Float16 | DataType::Float32 | DataType::Float64)
    };
    let fields = schema.fields().iter().enumerate();
    let lists: Vec<_> = fields.filter(|(_, field)| is_list(field.data_type())).collect();
    match &lists[..] {
        [(root, _)] => Ok(*root),
        lists => {
            let all = schema.fields().iter().map(|field| shown(field.name())).take(30);
            let several = lists.iter().map(|(_, field)| shown(field.name())).take(30);
            let names = if lists.is_empty() { all.collect() } else { several.collect::<Vec<_>>() };
            Err(format!(
                "got {} columns of lists of floats ({}), expected one: select it, or save the vectors \
                 as .npy",
                lists.len(),
                names.join(", ")
            ))
        }
    }
}

fn push(column: &ArrayRef, matrix: &mut Matrix) -> Result<(), String> {
    for row in 0..column.len() {
        let at = matrix.rows;
        if column.is_null(row) {
            return Err(format!("row {at}: the vector is null: drop the row"));
        }
        let values = match column.data_type() {
            DataType::List(_) => column.as_list::<i32>().value(row),
            DataType::LargeList(_) => column.as_list::<i64>().value(row),
            _ => column.as_fixed_size_list().value(row),
        };
        if values.null_count() > 0 {
            return Err(format!("row {at}: a number of the vector is null: drop the row"));
        }
        if at > 0 && values.len() != matrix.cols {
            let (got, expected) = (values.len(), matrix.cols);
            return Err(format!("row {at}: got {got} numbers, the rows before have {expected}"));
        }
        match values.data_type() {
            DataType::Float16 => {
                let values = values.as_primitive::<Float16Type>().values();
                matrix.data.extend(values.iter().map(|v| v.to_f32()));
            }
            DataType::Float64 => {
                let values = values.as_primitive::<Float64Type>().values();
                matrix.data.extend(values.iter().map(|&v| v as f32));
            }
            _ => matrix.data.extend_from_slice(values.as_primitive::<Float32Type>().values()),
        }
        (matrix.rows, matrix.cols) = (at + 1, values.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use arrow_array::{FixedSizeListArray, Int64Array, ListArray, RecordBatch};
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn read_back(columns: Vec<(&str, ArrayRef)>) -> Result<Matrix, ReadError> {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v.parquet");
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        super::super::read_vectors(Path::new(&path))
    }

    fn lists(rows: [Option<Vec<Option<f64>>>; 2]) -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows))
    }

    #[test]
    fn lists_of_floats_are_vectors() {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
        let rows = [Some(vec![Some(1.0), Some(2.5)]), Some(vec![Some(3.0), Some(-4.0)])];
        let want = Matrix { data: vec![1.0, 2.5, 3.0, -4.0], rows: 2, cols: 2 };
        assert_eq!(read_back(vec![("id", ids.clone()), ("v", lists(rows))]).unwrap(), want);
        let fixed = [Some([1.0, 2.5].map(Some)), Some([3.0, -4.0].map(Some))];
        let fixed = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(fixed, 2);
        assert_eq!(read_back(vec![("v", Arc::new(fixed)), ("id", ids)]).unwrap(), want);
    }

    #[test]
    fn what_is_no_vector_is_named() {
        let good = || [Some(vec![Some(1.0)]), Some(vec![Some(2.0)])];
        let fault = |columns| read_back(columns).unwrap_err().to_string();
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
        let none = fault(vec![("id", ids)]);
        assert!(none.contains("got 0 columns of lists of floats (\"id\"), expected one"), "{none}");
        let two = fault(vec![("a", lists(good())), ("b", lists(good()))]);
        assert!(two.contains("got 2 columns"), "{two}");
        let ragged = lists([Some(vec![Some(1.0)]), Some(vec![Some(2.0), Some(3.0)])]);
        assert!(
            fault(vec![("v", ragged)]).contains("row 1: got 2 numbers, the rows before have 1")
        );
        let null = lists([Some(vec![Some(1.0)]), None]);
        assert!(fault(vec![("v", null)]).contains("row 1: the vector is null"));
        let inner = lists([Some(vec![None]), Some(vec![Some(1.0)])]);
        assert!(fault(vec![("v", inner)]).contains("row 0: a number of the vector is null"));
    }
}
