//! Interactions from Apache Parquet, a batch of rows at a time.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use arrow_array::{Array, RecordBatch};
use arrow_schema::Schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::error::ReadError;
use crate::recommend::Interactions;

use super::arrow::ArrowRows;
use super::source::{Source, format_error, io_error};
use super::{BadRows, ReadOptions};

/// What a Parquet file begins with.
pub(super) const MAGIC: &[u8] = b"PAR1";
/// Rows decoded at a time.
const BATCH: usize = 1 << 16;

pub(super) fn read_from(
    source: Source,
    options: &ReadOptions,
) -> Result<(Interactions, BadRows), ReadError> {
    let path = source.path().to_path_buf();
    let file = seekable(source)?;
    // Parquet's own types say all there is to know; the Arrow schema that some writers embed only
    // adds variants of them.
    let skip = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder =
        guarded(&path, || ParquetRecordBatchReaderBuilder::try_new_with_options(file, skip))?;
    let wanted = Wanted::find(builder.schema(), options, &path)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.roots());
    let builder = builder.with_projection(mask).with_batch_size(BATCH);
    let mut reader = guarded(&path, || builder.build())?;
    let mut rows = ArrowRows::new(&path).skip_bad_rows(options.skip_bad_rows);
    while let Some(batch) = guarded(&path, || reader.next().transpose())? {
        let column = |root| wanted.column(&batch, root);
        let (weights, times) = (wanted.weight.map(column), wanted.time.map(column));
        rows.push(column(wanted.user), column(wanted.item), weights, times)?;
    }
    rows.finish_counted()
}

/// Parquet is read from its end: what cannot be sought goes through an unnamed file.
fn seekable(source: Source) -> Result<File, ReadError> {
    let path = source.path().to_path_buf();
    if source.len().is_some() {
        return File::open(&path).map_err(|e| io_error(&path, e));
    }
    let spool = || {
        let mut file = tempfile::tempfile()?;
        io::copy(&mut source.into_buffered(), &mut file)?;
        file.rewind()?;
        Ok(file)
    };
    spool().map_err(|e| io_error(&path, e))
}

/// Runs one step of the decoder.
///
/// It answers some damage (a column before the file's start, a bit width of 200) by panicking,
/// deep in its decoding, where nothing can be checked beforehand; what it held is dropped.
fn guarded<T, E: fmt::Display>(
    path: &Path,
    step: impl FnOnce() -> Result<T, E>,
) -> Result<T, ReadError> {
    let damaged = "copy the file again, or write it again";
    match panic::catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(format_error(path, format!("not read as Parquet: {e}; {damaged}"))),
        Err(_) => Err(format_error(path, format!("the Parquet data are damaged: {damaged}"))),
    }
}

/// The columns asked for, by their number among the file's.
struct Wanted {
    user: usize,
    item: usize,
    weight: Option<usize>,
    time: Option<usize>,
}

impl Wanted {
    fn find(schema: &Schema, options: &ReadOptions, path: &Path) -> Result<Wanted, ReadError> {
        let names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
        let (user, item) = options.user_and_item(path, &names)?;
        let locate = |name: &str| {
            let by_name = names.iter().position(|n| n == name);
            let by_number = || name.parse().ok().filter(|&at: &usize| at < names.len());
            by_name.or_else(by_number).ok_or_else(|| ReadError::Column {
                path: path.to_path_buf(),
                column: name.to_string(),
                available: names.clone(),
            })
        };
        let weight = options.weight.as_deref().map(locate).transpose()?;
        let time = options.time.as_deref().map(locate).transpose()?;
        Ok(Wanted { user: locate(user)?, item: locate(item)?, weight, time })
    }

    /// Each column once, in the file's order, which is also the batches'.
    fn roots(&self) -> Vec<usize> {
        let needed = [self.user, self.item].into_iter();
        let mut roots: Vec<usize> = needed.chain(self.weight).chain(self.time).collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    fn column<'a>(&self, batch: &'a RecordBatch, root: usize) -> &'a dyn Array {
        let at = self.roots().partition_point(|&r| r < root);
        batch.column(at).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type as Key;
    use arrow_array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
        Int32Array, Int64Array, LargeStringArray, StringArray, StringViewArray,
        TimestampMillisecondArray, UInt64Array,
    };
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::error::IdsError;
    use crate::index::Ids;

    fn file(columns: Vec<(&str, ArrayRef)>) -> tempfile::NamedTempFile {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let file = tempfile::Builder::new().suffix(".parquet").tempfile().unwrap();
        let mut writer =
            ArrowWriter::try_new(file.reopen().unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        file
    }

    fn read(
        columns: Vec<(&str, ArrayRef)>,
        weight: Option<&str>,
    ) -> Result<Interactions, ReadError> {
        let options = ReadOptions {
            user: Some("u".into()),
            item: Some("i".into()),
            weight: weight.map(String::from),
            ..Default::default()
        };
        super::super::read_interactions(file(columns).path(), &options)
    }

    fn ints(values: &[i64]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    fn texts(values: &[&str]) -> Ids {
        Ids::Text(values.iter().map(|s| s.to_string()).collect())
    }

    #[test]
    fn every_type_of_id_is_read() {
        let text = ["b", "1", "b"];
        let dictionary: DictionaryArray<Key> = text.into_iter().collect();
        let arrays: [ArrayRef; 4] = [
            Arc::new(StringArray::from(text.to_vec())),
            Arc::new(LargeStringArray::from(text.to_vec())),
            Arc::new(StringViewArray::from(text.to_vec())),
            Arc::new(dictionary),
        ];
        for array in arrays {
            let kind = array.data_type().clone();
            // The columns stand in another order than they are asked for.
            let data =
                read(vec![("i", array), ("x", ints(&[0; 3])), ("u", ints(&[5, 5, 6]))], None);
            let data = data.unwrap();
            assert_eq!(
                (data.users, data.items),
                (Ids::Int(vec![5, 6]), texts(&["b", "1"])),
                "{kind}"
            );
            assert_eq!(data.matrix.values(), [1.0, 1.0, 1.0]);
        }
        let small: ArrayRef = Arc::new(Int32Array::from(vec![-3, 4]));
        let large: ArrayRef = Arc::new(UInt64Array::from(vec![1 << 40, 2]));
        let data = read(vec![("u", small), ("i", large)], None).unwrap();
        assert_eq!((data.users, data.items), (Ids::Int(vec![-3, 4]), Ids::Int(vec![1 << 40, 2])));
    }

    #[test]
    fn weights_are_any_numbers() {
        let decimal = Decimal128Array::from(vec![150i128, -25]).with_precision_and_scale(9, 2);
        let arrays: [(ArrayRef, [f32; 2]); 3] = [
            (Arc::new(Float64Array::from(vec![0.1, 2.0])), [0.1, 2.0]),
            (ints(&[3, -4]), [3.0, -4.0]),
            (Arc::new(decimal.unwrap()), [1.5, -0.25]),
        ];
        for (array, want) in arrays {
            let data =
                read(vec![("u", ints(&[1, 2])), ("i", ints(&[1, 2])), ("w", array)], Some("w"));
            assert_eq!(data.unwrap().matrix.values(), want);
        }
    }

    #[test]
    fn times_are_integers_timestamps_or_dates() {
        let stamps = TimestampMillisecondArray::from(vec![1500, -1500]).with_timezone("UTC");
        let dates = Date32Array::from(vec![1, -1]);
        let texts = StringArray::from(vec!["1970-01-01T00:00:01", "12"]);
        let arrays: [(ArrayRef, [i64; 2]); 4] = [
            (ints(&[3, -4]), [3, -4]),
            (Arc::new(stamps), [1, -2]),
            (Arc::new(dates), [86_400, -86_400]),
            (Arc::new(texts), [1, 12]),
        ];
        let named = |name: &str| Some(name.to_string());
        let (user, item, time) = (named("u"), named("i"), named("t"));
        let options = ReadOptions { user, item, time, ..Default::default() };
        for (array, want) in arrays {
            let file = file(vec![("u", ints(&[1, 2])), ("t", array), ("i", ints(&[1, 2]))]);
            let data = super::super::read_interactions(file.path(), &options).unwrap();
            assert_eq!(data.times, Some(want.to_vec()));
        }
        let wrong: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
        let file = file(vec![("u", ints(&[1, 2])), ("i", ints(&[1, 2])), ("t", wrong)]);
        let error = super::super::read_interactions(file.path(), &options).unwrap_err();
        assert!(error.to_string().contains("time column holds Boolean, expected"), "{error}");
    }

    #[test]
    fn many_batches_are_one_matrix() {
        let n = 3 * BATCH as i64 / 2;
        let users: Vec<i64> = (0..n).map(|row| row % 1000).collect();
        let items: Vec<i64> = (0..n).collect();
        let data = read(vec![("u", ints(&users)), ("i", ints(&items))], None).unwrap();
        assert_eq!((data.matrix.n_rows(), data.matrix.nnz()), (1000, n as usize));
        assert_eq!(data.items, Ids::Int(items));
    }

    #[test]
    fn faults_are_named() {
        let fault = |u: ArrayRef, w: ArrayRef| {
            read(vec![("u", u), ("i", ints(&[1, 2])), ("w", w)], Some("w")).unwrap_err().to_string()
        };
        let good = || ints(&[1, 2]);
        let null: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        assert!(fault(null.clone(), good()).contains("row 1: the user id is null"));
        assert!(fault(good(), null).contains("row 1: the weight is null"));
        let float: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN]));
        assert!(fault(float.clone(), good()).contains("user id column holds Float64"));
        assert!(fault(good(), float).contains("row 1 (user 2, item 2) has weight NaN"));
        let words: ArrayRef = Arc::new(StringArray::from(vec!["1", "2"]));
        assert!(fault(good(), words).contains("weight column holds Utf8, expected numbers"));
        let large: ArrayRef = Arc::new(UInt64Array::from(vec![1, u64::MAX]));
        assert!(fault(large, good()).contains("row 1: the user id is 18446744073709551615"));
        let minus = read(vec![("u", ints(&[1, -1])), ("i", good())], None);
        assert!(matches!(minus, Err(ReadError::Ids(IdsError::Reserved { row: 1 }))));
        let missing = read(vec![("user", good()), ("i", good())], None).unwrap_err();
        assert!(missing.to_string().ends_with("has no column \"u\"; it has user, i"));
    }

    #[test]
    fn what_is_no_parquet_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        std::fs::write(&path, b"PAR1 and no more").unwrap();
        let options = ReadOptions::default();
        let error = super::super::read_interactions(&path, &options).unwrap_err();
        assert!(matches!(error, ReadError::Format { .. }), "{error}");
    }
}
