//! Interactions from Arrow arrays: what Parquet and data frames are made of.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType};
use arrow_schema::{DataType, TimeUnit as ArrowUnit};

use crate::error::{IdsError, ReadError};
use crate::recommend::{Interactions, InteractionsBuilder, TimeUnit};

use super::BadRows;
use super::arrow_ids::{IdArray, Texts};
use super::source::format_error;
use super::times;

/// Collects the columns of Arrow batches, a batch at a time.
///
/// Ids are integers of any width, decimals without a fraction, strings, bytes that are UTF-8, or
/// UUIDs, which become their canonical text; integers stay integers. Weights are any numbers or
/// booleans; times are integers, kept as they are, or timestamps, dates and ISO 8601 text, which
/// become seconds since 1970. A row with a null, an id that is -1 or beyond int64, a weight that is
/// not finite or a time that is none cannot be read. Memory is that of [`InteractionsBuilder`].
pub struct ArrowRows {
    path: PathBuf,
    builder: InteractionsBuilder,
    /// Rows pushed, bad ones too.
    seen: usize,
    bad: BadRows,
    /// Whether every time so far was a date or a timestamp; none before the first.
    dates: Option<bool>,
}

impl ArrowRows {
    /// No rows yet; `path` is what errors call the table.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> ArrowRows {
        let (path, builder) = (path.as_ref().to_path_buf(), InteractionsBuilder::new());
        ArrowRows { path, builder, seen: 0, bad: BadRows::new(false), dates: None }
    }

    /// Goes on with another table, which errors call `path`; its rows are counted from 0.
    pub fn begin(&mut self, path: impl AsRef<Path>) {
        (self.path, self.seen) = (path.as_ref().to_path_buf(), 0);
    }

    /// Whether rows that cannot be read are counted and passed over, rather than an error at the
    /// end.
    #[must_use]
    pub fn skip_bad_rows(self, skip: bool) -> ArrowRows {
        ArrowRows { bad: BadRows::new(skip), ..self }
    }

    /// The rows of one batch; without `weights` each weighs 1.
    ///
    /// # Errors
    /// If the columns differ in length or are of another type, or a thousand rows could not be read
    /// and are not to be skipped.
    pub fn push(
        &mut self,
        users: &dyn Array,
        items: &dyn Array,
        weights: Option<&dyn Array>,
        times: Option<&dyn Array>,
    ) -> Result<(), ReadError> {
        let lengths = [Some(items), weights, times].map(|column| column.map(|c| c.len()));
        if let Some(other) = lengths.into_iter().flatten().find(|&len| len != users.len()) {
            let problem = format!("got columns of {} and {other} rows", users.len());
            return Err(format_error(&self.path, problem));
        }
        let n = users.len();
        let mut faults = Faults::default();
        let batch = Batch::new(users, items, weights, times, &mut faults);
        let batch = batch.map_err(|problem| format_error(&self.path, problem))?;
        if let Some((_, are_dates)) = &batch.times {
            self.dates = Some(self.dates.unwrap_or(true) && *are_dates);
        }
        for row in 0..n {
            match faults.of(row) {
                None => self.push_row(&batch, row)?,
                Some(problem) => {
                    let (path, row) = (&self.path, self.seen + row);
                    self.bad.note(|| format_error(path, format!("row {row}: {problem}")))?;
                }
            }
        }
        self.seen += n;
        Ok(())
    }

    fn push_row(&mut self, batch: &Batch<'_>, row: usize) -> Result<(), ReadError> {
        let weight = batch.weights.as_ref().map_or(1.0, |w| w[row]);
        let (user, item) = (batch.users.get(row), batch.items.get(row));
        let pushed = match &batch.times {
            Some((times, _)) => self.builder.push_at(user, item, weight, times[row]),
            None => self.builder.push(user, item, weight),
        };
        let row = self.seen + row;
        match pushed {
            Ok(()) => Ok(()),
            // The builder counts the rows that it took.
            Err(ReadError::Weight { user, item, value, .. }) => {
                self.bad.note(|| ReadError::Weight { row, user, item, value })
            }
            Err(ReadError::Ids(IdsError::Reserved { .. })) => {
                self.bad.note(|| IdsError::Reserved { row }.into())
            }
            Err(ReadError::Ids(IdsError::Empty { .. })) => {
                self.bad.note(|| IdsError::Empty { row }.into())
            }
            Err(other) => Err(other),
        }
    }

    /// The interactions.
    ///
    /// # Errors
    /// If rows could not be read and are not to be skipped, the sum of a pair's weights leaves
    /// float32, or some batches had times and others none.
    pub fn finish(self) -> Result<Interactions, ReadError> {
        self.finish_counted().map(|read| read.0)
    }

    /// [`finish`](Self::finish), and which rows were passed over.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_counted(mut self) -> Result<(Interactions, BadRows), ReadError> {
        if self.dates == Some(true) {
            self.builder.set_time_unit(TimeUnit::Seconds);
        }
        let bad = self.bad.finish()?;
        Ok((self.builder.finish()?, bad))
    }
}

/// The columns of a batch; what stands in a row at fault means nothing.
struct Batch<'a> {
    users: IdArray<'a>,
    items: IdArray<'a>,
    weights: Option<Vec<f32>>,
    /// Times, and whether all were dates or timestamps.
    times: Option<(Vec<i64>, bool)>,
}

impl<'a> Batch<'a> {
    fn new(
        users: &'a dyn Array,
        items: &'a dyn Array,
        weights: Option<&dyn Array>,
        times: Option<&dyn Array>,
        faults: &mut Faults,
    ) -> Result<Batch<'a>, String> {
        Ok(Batch {
            users: IdArray::new(users, "user id", faults)?,
            items: IdArray::new(items, "item id", faults)?,
            weights: weights.map(|array| numbers(array, faults)).transpose()?,
            times: times.map(|array| moments(array, faults)).transpose()?,
        })
    }
}

/// How many faults of a batch are put into words, for each column.
const WORDED: usize = 5;

/// The rows of a batch that are at fault, and what is wrong with the first ones.
#[derive(Default)]
pub(super) struct Faults {
    rows: Vec<bool>,
    worded: Vec<(usize, String)>,
}

impl Faults {
    /// Notes the rows of a column of `n` for which `fault` has something to say.
    pub(super) fn note<F: FnOnce() -> String>(
        &mut self,
        n: usize,
        fault: impl Fn(usize) -> Option<F>,
    ) {
        let mut worded = 0;
        for row in 0..n {
            let Some(problem) = fault(row) else { continue };
            self.rows.resize(n, false);
            self.rows[row] = true;
            if worded < WORDED {
                self.worded.push((row, problem()));
                worded += 1;
            }
        }
    }

    /// What is wrong with a row.
    pub(super) fn of(&self, row: usize) -> Option<&str> {
        let is_bad = self.rows.get(row).copied().unwrap_or(false);
        let worded = || self.worded.iter().find(|worded| worded.0 == row);
        is_bad.then(|| worded().map_or("it cannot be read", |worded| &worded.1))
    }
}

/// A column of integers; None if it holds something else.
pub(super) fn integers(array: &dyn Array, what: &str, faults: &mut Faults) -> Option<Vec<i64>> {
    Some(match array.data_type() {
        DataType::Int8 => map::<Int8Type, _>(array, i64::from),
        DataType::Int16 => map::<Int16Type, _>(array, i64::from),
        DataType::Int32 => map::<Int32Type, _>(array, i64::from),
        DataType::Int64 => map::<Int64Type, _>(array, |v| v),
        DataType::UInt8 => map::<UInt8Type, _>(array, i64::from),
        DataType::UInt16 => map::<UInt16Type, _>(array, i64::from),
        DataType::UInt32 => map::<UInt32Type, _>(array, i64::from),
        DataType::UInt64 => large(array, what, faults),
        _ => return None,
    })
}

/// A column of times: integers as they are, all others in seconds since 1970, rounded down; and
/// whether they were no integers.
fn moments(array: &dyn Array, faults: &mut Faults) -> Result<(Vec<i64>, bool), String> {
    note_nulls(array, "time", faults);
    if let Some(integers) = integers(array, "time", faults) {
        return Ok((integers, false));
    }
    let moments = match array.data_type() {
        DataType::Timestamp(ArrowUnit::Second, _) => map::<TimestampSecondType, _>(array, |v| v),
        DataType::Timestamp(ArrowUnit::Millisecond, _) => {
            map::<TimestampMillisecondType, _>(array, |v| v.div_euclid(1_000))
        }
        DataType::Timestamp(ArrowUnit::Microsecond, _) => {
            map::<TimestampMicrosecondType, _>(array, |v| v.div_euclid(1_000_000))
        }
        DataType::Timestamp(ArrowUnit::Nanosecond, _) => {
            map::<TimestampNanosecondType, _>(array, |v| v.div_euclid(1_000_000_000))
        }
        DataType::Date32 => map::<Date32Type, _>(array, |days| i64::from(days) * times::DAY),
        DataType::Date64 => map::<Date64Type, _>(array, |v| v.div_euclid(1_000)),
        other => match Texts::new(array) {
            Some(texts) => return Ok(written(texts, faults)),
            None => {
                return Err(wrong_type("time", other, "integers, timestamps, dates or text"));
            }
        },
    };
    Ok((moments, true))
}

fn written(texts: Texts<'_>, faults: &mut Faults) -> (Vec<i64>, bool) {
    let parse = |row| times::parse(texts.get(row).as_bytes());
    let fault = |row| (!texts.is_null(row)).then(|| parse(row).err()).flatten();
    faults.note(texts.len(), |row| fault(row).map(|problem| || problem));
    let mut are_dates = true;
    let mut value = |row| {
        let time = parse(row).ok();
        are_dates &= time.is_none_or(|time| time.is_date);
        time.map_or(0, |time| time.value)
    };
    let values = (0..texts.len()).map(&mut value).collect();
    (values, are_dates)
}

fn numbers(array: &dyn Array, faults: &mut Faults) -> Result<Vec<f32>, String> {
    note_nulls(array, "weight", faults);
    Ok(match array.data_type() {
        DataType::Boolean => {
            array.as_boolean().values().iter().map(|v| f32::from(u8::from(v))).collect()
        }
        DataType::Float16 => map::<Float16Type, _>(array, |v| v.to_f32()),
        DataType::Float32 => map::<Float32Type, _>(array, |v| v),
        DataType::Float64 => map::<Float64Type, _>(array, |v| v as f32),
        DataType::Int8 => map::<Int8Type, _>(array, f32::from),
        DataType::Int16 => map::<Int16Type, _>(array, f32::from),
        DataType::Int32 => map::<Int32Type, _>(array, |v| v as f32),
        DataType::Int64 => map::<Int64Type, _>(array, |v| v as f32),
        DataType::UInt8 => map::<UInt8Type, _>(array, f32::from),
        DataType::UInt16 => map::<UInt16Type, _>(array, f32::from),
        DataType::UInt32 => map::<UInt32Type, _>(array, |v| v as f32),
        DataType::UInt64 => map::<UInt64Type, _>(array, |v| v as f32),
        DataType::Decimal128(_, scale) => {
            let unit = 10f64.powi(-i32::from(*scale));
            map::<Decimal128Type, _>(array, |v| (v as f64 * unit) as f32)
        }
        other => return Err(wrong_type("weight", other, "numbers")),
    })
}

fn map<T: ArrowPrimitiveType, U>(array: &dyn Array, convert: impl Fn(T::Native) -> U) -> Vec<U> {
    array.as_primitive::<T>().values().iter().map(|&v| convert(v)).collect()
}

fn large(array: &dyn Array, what: &str, faults: &mut Faults) -> Vec<i64> {
    let values = array.as_primitive::<UInt64Type>().values();
    faults.note(values.len(), |row| {
        let value = values[row];
        let problem = move || {
            format!("the {what} is {value}, expected at most {}: cast the column to text", i64::MAX)
        };
        i64::try_from(value).is_err().then_some(problem)
    });
    values.iter().map(|&value| i64::try_from(value).unwrap_or(0)).collect()
}

pub(super) fn note_nulls(array: &dyn Array, what: &str, faults: &mut Faults) {
    // Logical ones: a dictionary may hold a null among its values, and a column of nulls has no bits.
    if let Some(nulls) = array.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
        let problem = || format!("the {what} is null: fill it in or drop the row");
        faults.note(array.len(), |row| nulls.is_null(row).then_some(problem));
    }
}

pub(super) fn wrong_type(what: &str, got: &DataType, expected: &str) -> String {
    format!("the {what} column holds {got}, expected {expected}: convert it")
}

#[cfg(test)]
mod tests {
    use arrow_array::{BooleanArray, Float64Array, Int32Array, StringArray, UInt64Array};

    use super::*;
    use crate::index::Ids;

    #[test]
    fn batches_become_interactions() {
        let mut rows = ArrowRows::new("the table");
        let (users, items) = (StringArray::from(vec!["a", "b"]), Int32Array::from(vec![7, 8]));
        rows.push(&users, &items, Some(&Float64Array::from(vec![1.0, 2.0])), None).unwrap();
        rows.push(&users, &items, None, None).unwrap();
        let data = rows.finish().unwrap();
        assert_eq!(data.users, Ids::Text(vec!["a".into(), "b".into()]));
        assert_eq!((data.items, data.matrix.values()), (Ids::Int(vec![7, 8]), &[2.0, 3.0][..]));
    }

    #[test]
    fn bad_rows_are_passed_over_and_counted() {
        let mut rows = ArrowRows::new("the table").skip_bad_rows(true);
        let users = UInt64Array::from(vec![Some(1), None, Some(u64::MAX), Some(4), Some(5)]);
        let items = Int32Array::from(vec![1, 2, 3, -1, 5]);
        let times = StringArray::from(vec!["7", "8", "soon", "9", "2024-01-01"]);
        let flags = BooleanArray::from(vec![true, true, true, true, false]);
        for _ in 0..2 {
            rows.push(&users, &items, Some(&flags), Some(&times)).unwrap();
        }
        let (data, bad) = rows.finish_counted().unwrap();
        assert_eq!(data.users, Ids::Int(vec![1, 5]));
        assert_eq!((data.matrix.values(), data.times.unwrap()[0]), (&[2.0, 0.0][..], 7));
        assert_eq!(bad.count(), 6);
        let first = bad.first();
        assert!(first[0].contains("row 1: the user id is null"), "{first:?}");
        assert!(first[1].contains("row 2: the user id is 18446744073709551615"), "{first:?}");
        assert!(first[2].contains("row 3 has id -1"), "{first:?}");
        assert!(first[3].contains("row 6: the user id is null"), "{first:?}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let two = Int32Array::from(vec![1, 2]);
        let refused = |users: &dyn Array, items: &dyn Array, weights: Option<&dyn Array>| {
            let mut rows = ArrowRows::new("the table");
            rows.push(&two, &two, None, None).unwrap();
            let pushed = rows.push(users, items, weights, None);
            pushed.and_then(|()| rows.finish()).unwrap_err().to_string()
        };
        let null = Int32Array::from(vec![Some(1), None]);
        assert!(refused(&two, &null, None).contains("the table: row 3: the item id is null"));
        assert!(refused(&two, &two, Some(&null)).contains("row 3: the weight is null"));
        let large = UInt64Array::from(vec![1, u64::MAX]);
        assert!(refused(&large, &two, None).contains("row 3: the user id is 18446744073709551615"));
        let bools = BooleanArray::from(vec![true, false]);
        assert!(refused(&bools, &two, None).contains("expected integers or strings"));
        let minus = Int32Array::from(vec![3, -1]);
        let nan = Float64Array::from(vec![Some(f64::NAN), None]);
        let text = refused(&minus, &null, Some(&nan));
        assert!(text.starts_with("2 rows cannot be read: row 2 (user 3"), "{text}");
        assert!(text.contains("the table: row 3: the item id is null"), "{text}");
        let one = Int32Array::from(vec![1]);
        assert!(refused(&two, &one, None).contains("columns of 2 and 1 rows"));
    }
}
