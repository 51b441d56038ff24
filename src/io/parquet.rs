//! Interactions from Apache Parquet, a batch of rows at a time.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type;

use crate::error::ReadError;

use super::ReadOptions;
use super::arrow::ArrowRows;
use super::source::{Source, format_error, io_error};
use super::wanted::Wanted;

/// What a Parquet file begins with.
pub(super) const MAGIC: &[u8] = b"PAR1";
/// Rows decoded at a time.
const BATCH: usize = 1 << 16;

/// Adds the rows of a file; `partitions` are columns with one value for all of them.
pub(super) fn read_into(
    source: Source,
    options: &ReadOptions,
    partitions: &[(String, String)],
    rows: &mut ArrowRows,
) -> Result<(), ReadError> {
    let path = source.path().to_path_buf();
    let file = seekable(source)?;
    let metadata = metadata(&file, &path)?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let wanted = Wanted::find(builder.schema(), options, partitions, &path)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.roots());
    let builder = builder.with_projection(mask).with_batch_size(BATCH);
    let mut reader = guarded(&path, || builder.build())?;
    while let Some(batch) = guarded(&path, || reader.next().transpose())? {
        wanted.push(&batch, rows)?;
    }
    Ok(())
}

/// The file's metadata, for a schema of Parquet's own types.
///
/// The Arrow schema that some writers embed only adds variants of these, but for durations, which
/// are integers in Parquet and no numbers to learn from. Times of the old type INT96 are read as
/// microseconds: as nanoseconds, the decoder's choice, dates before 1678 and after 2261 wrap round.
fn metadata(file: &File, path: &Path) -> Result<ArrowReaderMetadata, ReadError> {
    let options = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let plain = guarded(path, || ArrowReaderMetadata::load(file, options()))?;
    let descriptor = plain.parquet_schema();
    let is_int96 = |root: usize| {
        let leaves = 0..descriptor.num_columns();
        let mut leaves = leaves.filter(|&leaf| descriptor.get_column_root_idx(leaf) == root);
        leaves.any(|leaf| descriptor.column(leaf).physical_type() == Type::INT96)
    };
    // A damaged one says nothing: the decoder may panic at it.
    let embedded = guarded(path, || {
        ArrowReaderMetadata::try_new(plain.metadata().clone(), ArrowReaderOptions::new())
    });
    let duration = |name: &str| {
        let field = embedded.as_ref().ok()?.schema().field_with_name(name).ok()?;
        Some(field.data_type().clone()).filter(|kind| matches!(kind, DataType::Duration(_)))
    };
    let mut changed = false;
    let mut field = |(root, field): (usize, &Arc<Field>)| {
        let kind = match field.data_type() {
            DataType::Timestamp(TimeUnit::Nanosecond, zone) if is_int96(root) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            DataType::Int64 => match duration(field.name()) {
                Some(kind) => kind,
                None => return field.clone(),
            },
            _ => return field.clone(),
        };
        changed = true;
        Arc::new(field.as_ref().clone().with_data_type(kind))
    };
    let fields: Vec<Arc<Field>> =
        plain.schema().fields().iter().enumerate().map(&mut field).collect();
    if !changed {
        return Ok(plain);
    }
    let schema = Arc::new(Schema::new(fields));
    let options = options().with_schema(schema);
    guarded(path, || ArrowReaderMetadata::try_new(plain.metadata().clone(), options))
}

/// Files that are read from their end: what cannot be sought goes through an unnamed file.
pub(super) fn seekable(source: Source) -> Result<File, ReadError> {
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
pub(super) fn guarded<T, E: fmt::Display>(
    path: &Path,
    step: impl FnOnce() -> Result<T, E>,
) -> Result<T, ReadError> {
    match panic::catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => {
            let problem = e.to_string();
            let hint = hint(&problem);
            let problem: String = problem.chars().take(LONGEST).collect();
            Err(format_error(path, format!("could not be decoded: {problem}; {hint}")))
        }
        Err(_) => Err(format_error(path, format!("the data are damaged: {DAMAGED}"))),
    }
}

/// The most characters of a decoder's message that are passed on.
const LONGEST: usize = 300;
const DAMAGED: &str = "copy the file again, or write it again";

/// Says what to do about an error of the decoder.
fn hint(problem: &str) -> &'static str {
    let says = |words: &[&str]| {
        let lower = problem.to_ascii_lowercase();
        words.iter().any(|word| lower.contains(word))
    };
    if says(&["disabled feature", "lzo"]) {
        "write it again with another compression, such as zstd or snappy"
    } else if says(&["encrypt"]) {
        "write it again without encryption"
    } else if says(&[
        "not yet implemented",
        "nyi:",
        "not supported",
        "unsupported",
        "unimplemented",
    ]) {
        "the file has a feature that is not read: write it again with plain types and encodings"
    } else if says(&["corrupt footer", "invalid parquet file", "file size", "eof"]) {
        "it is no whole Parquet file: copy it again, or look whether its writer was closed"
    } else {
        DAMAGED
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int32Type as Key;
    use arrow_array::{
        Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
        Int32Array, Int64Array, LargeStringArray, RecordBatch, StringArray, StringViewArray,
        TimestampMillisecondArray, UInt64Array,
    };
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::error::IdsError;
    use crate::index::Ids;
    use crate::recommend::Interactions;

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
    fn every_compression_is_read() {
        use parquet::basic::{BrotliLevel, Compression, GzipLevel};
        use parquet::file::properties::WriterProperties;
        let batch = RecordBatch::try_from_iter(vec![("u", ints(&[1, 2])), ("i", ints(&[3, 4]))]);
        let batch = batch.unwrap();
        for compression in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(GzipLevel::default()),
            Compression::BROTLI(BrotliLevel::default()),
            Compression::LZ4,
            Compression::LZ4_RAW,
            Compression::ZSTD(Default::default()),
        ] {
            let file = tempfile::Builder::new().suffix(".parquet").tempfile().unwrap();
            let properties = WriterProperties::builder().set_compression(compression).build();
            let to = file.reopen().unwrap();
            let mut writer = ArrowWriter::try_new(to, batch.schema(), Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let [user, item] = ["u", "i"].map(|name| Some(name.to_string()));
            let options = ReadOptions { user, item, ..ReadOptions::default() };
            let data = super::super::read_interactions(file.path(), &options).unwrap();
            assert_eq!(data.items, Ids::Int(vec![3, 4]), "{compression:?}");
        }
    }

    #[test]
    fn int96_times_do_not_wrap() {
        use parquet::data_type::{ByteArray, ByteArrayType, Int96, Int96Type};
        use parquet::file::properties::WriterProperties;
        use parquet::file::writer::SerializedFileWriter;
        use parquet::schema::parser::parse_message_type;
        let schema =
            "message m { required binary u (UTF8); required binary i (UTF8); required int96 t; }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let file = tempfile::Builder::new().suffix(".parquet").tempfile().unwrap();
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer =
            SerializedFileWriter::new(file.reopen().unwrap(), schema, properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        for _ in 0..2 {
            let texts = ["a", "b", "c"].map(ByteArray::from);
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
            column.close().unwrap();
        }
        // Nanoseconds of the day in two words, then the Julian day: 1970-01-01 is 2440588.
        let moment = |days: i64, nanos: u64| {
            let mut value = Int96::new();
            value.set_data(nanos as u32, (nanos >> 32) as u32, (2_440_588 + days) as u32);
            value
        };
        let days = [2_932_896, -719_162, 0];
        let times = [moment(days[0], 0), moment(days[1], 0), moment(days[2], 1_500_000_000)];
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int96Type>().write_batch(&times, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        let [user, item, time] = ["u", "i", "t"].map(|name| Some(name.to_string()));
        let options = ReadOptions { user, item, time, ..ReadOptions::default() };
        let data = super::super::read_interactions(file.path(), &options).unwrap();
        assert_eq!(data.times, Some(vec![days[0] * 86_400, days[1] * 86_400, 1]));
    }

    #[test]
    fn durations_are_no_weights() {
        let seconds: ArrayRef = Arc::new(arrow_array::DurationMicrosecondArray::from(vec![6, 7]));
        let error =
            read(vec![("u", ints(&[1, 2])), ("i", ints(&[1, 2])), ("w", seconds)], Some("w"));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("the weight column holds Duration"), "{error}");
    }

    #[test]
    fn hints_fit_the_error() {
        for (problem, says) in [
            ("Disabled feature at compile time: brotli", "another compression"),
            ("NYI: not yet implemented: x", "plain types"),
            ("Parquet error: Invalid Parquet file. Corrupt footer", "no whole Parquet file"),
            ("the page header is wrong", "copy the file again"),
        ] {
            assert!(hint(problem).contains(says), "{problem}");
        }
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
