//! Interactions from Arrow arrays: what Parquet and data frames are made of.

use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, StringArray};
use arrow_schema::{DataType, TimeUnit};

use crate::error::ReadError;
use crate::index::IdRef;
use crate::recommend::{Interactions, InteractionsBuilder};

use super::source::format_error;
use super::times;

/// Collects the columns of Arrow batches, a batch at a time.
///
/// Ids are integers of any width or Utf8 strings and keep their type; weights are any numbers; times
/// are integers, kept as they are, or timestamps, dates and ISO 8601 text, which become seconds
/// since 1970; nothing may be null. Memory is that of [`InteractionsBuilder`].
pub struct ArrowRows {
    path: PathBuf,
    builder: InteractionsBuilder,
}

impl ArrowRows {
    /// No rows yet; `path` is what errors call the table.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> ArrowRows {
        ArrowRows { path: path.as_ref().to_path_buf(), builder: InteractionsBuilder::new() }
    }

    /// The rows of one batch; without `weights` each weighs 1.
    ///
    /// # Errors
    /// If the columns differ in length, are of another type, or hold a null, an id that is -1 or
    /// beyond int64, a weight that is not finite, or a time that is none: the row is named.
    pub fn push(
        &mut self,
        users: &dyn Array,
        items: &dyn Array,
        weights: Option<&dyn Array>,
        times: Option<&dyn Array>,
    ) -> Result<(), ReadError> {
        let before = self.builder.len();
        let at_row = |(row, problem): Fault| match row {
            Some(row) => format_error(&self.path, format!("row {}: {problem}", before + row)),
            None => format_error(&self.path, problem),
        };
        let lengths = [Some(items), weights, times].map(|column| column.map(|c| c.len()));
        if let Some(other) = lengths.into_iter().flatten().find(|&len| len != users.len()) {
            let problem = format!("got columns of {} and {other} rows", users.len());
            return Err(format_error(&self.path, problem));
        }
        let (n, users) = (users.len(), IdArray::new(users, "user id").map_err(at_row)?);
        let items = IdArray::new(items, "item id").map_err(at_row)?;
        let weights = weights.map(numbers).transpose().map_err(at_row)?;
        let times = times.map(moments).transpose().map_err(at_row)?;
        for row in 0..n {
            let weight = weights.as_ref().map_or(1.0, |w| w[row]);
            match &times {
                Some(times) => {
                    self.builder.push_at(users.get(row), items.get(row), weight, times[row])
                }
                None => self.builder.push(users.get(row), items.get(row), weight),
            }?;
        }
        Ok(())
    }

    /// The interactions.
    ///
    /// # Errors
    /// If the sum of a pair's weights leaves float32, or some batches had times and others none.
    pub fn finish(self) -> Result<Interactions, ReadError> {
        Ok(self.builder.finish()?)
    }
}

/// The row within the batch, if one is at fault, and what is wrong.
type Fault = (Option<usize>, String);

/// A column of ids without nulls.
enum IdArray<'a> {
    Int(Vec<i64>),
    Text(&'a StringArray),
}

impl<'a> IdArray<'a> {
    fn new(array: &'a dyn Array, what: &str) -> Result<IdArray<'a>, Fault> {
        refuse_nulls(array, what)?;
        match (integers(array, what)?, array.data_type()) {
            (Some(integers), _) => Ok(IdArray::Int(integers)),
            (None, DataType::Utf8) => Ok(IdArray::Text(array.as_string())),
            (None, other) => Err((None, wrong_type(what, other, "integers or strings"))),
        }
    }

    fn get(&self, row: usize) -> IdRef<'_> {
        match self {
            IdArray::Int(values) => IdRef::Int(values[row]),
            IdArray::Text(values) => IdRef::Text(values.value(row)),
        }
    }
}

/// A column of integers; None if it holds something else.
fn integers(array: &dyn Array, what: &str) -> Result<Option<Vec<i64>>, Fault> {
    Ok(Some(match array.data_type() {
        DataType::Int8 => map::<Int8Type, _>(array, i64::from),
        DataType::Int16 => map::<Int16Type, _>(array, i64::from),
        DataType::Int32 => map::<Int32Type, _>(array, i64::from),
        DataType::Int64 => map::<Int64Type, _>(array, |v| v),
        DataType::UInt8 => map::<UInt8Type, _>(array, i64::from),
        DataType::UInt16 => map::<UInt16Type, _>(array, i64::from),
        DataType::UInt32 => map::<UInt32Type, _>(array, i64::from),
        DataType::UInt64 => large(array, what)?,
        _ => return Ok(None),
    }))
}

/// A column of times: integers as they are, all others in seconds since 1970, rounded down.
fn moments(array: &dyn Array) -> Result<Vec<i64>, Fault> {
    refuse_nulls(array, "time")?;
    if let Some(integers) = integers(array, "time")? {
        return Ok(integers);
    }
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => map::<TimestampSecondType, _>(array, |v| v),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            map::<TimestampMillisecondType, _>(array, |v| v.div_euclid(1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            map::<TimestampMicrosecondType, _>(array, |v| v.div_euclid(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            map::<TimestampNanosecondType, _>(array, |v| v.div_euclid(1_000_000_000))
        }
        DataType::Date32 => map::<Date32Type, _>(array, |days| i64::from(days) * times::DAY),
        DataType::Date64 => map::<Date64Type, _>(array, |v| v.div_euclid(1_000)),
        DataType::Utf8 => return written(array.as_string()),
        other => {
            return Err((None, wrong_type("time", other, "integers, timestamps, dates or text")));
        }
    })
}

fn written(texts: &StringArray) -> Result<Vec<i64>, Fault> {
    let time = |row| times::parse(texts.value(row).as_bytes()).map_err(|e| (Some(row), e));
    (0..texts.len()).map(time).collect()
}

fn numbers(array: &dyn Array) -> Result<Vec<f32>, Fault> {
    refuse_nulls(array, "weight")?;
    Ok(match array.data_type() {
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
        other => return Err((None, wrong_type("weight", other, "numbers"))),
    })
}

fn map<T: ArrowPrimitiveType, U>(array: &dyn Array, convert: impl Fn(T::Native) -> U) -> Vec<U> {
    array.as_primitive::<T>().values().iter().map(|&v| convert(v)).collect()
}

fn large(array: &dyn Array, what: &str) -> Result<Vec<i64>, Fault> {
    let values = array.as_primitive::<UInt64Type>().values();
    let fits = |(row, &value): (usize, &u64)| {
        i64::try_from(value).map_err(|_| {
            (Some(row), format!("the {what} is {value}, ids are at most {}", i64::MAX))
        })
    };
    values.iter().enumerate().map(fits).collect()
}

fn refuse_nulls(array: &dyn Array, what: &str) -> Result<(), Fault> {
    match array.nulls() {
        Some(nulls) if nulls.null_count() > 0 => {
            let row = (0..array.len()).find(|&row| nulls.is_null(row));
            Err((row, format!("the {what} is null: fill it in or drop the row")))
        }
        _ => Ok(()),
    }
}

fn wrong_type(what: &str, got: &DataType, expected: &str) -> String {
    format!("the {what} column holds {got}, expected {expected}: convert it")
}

#[cfg(test)]
mod tests {
    use arrow_array::{BooleanArray, Float64Array, Int32Array, UInt64Array};

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
    fn what_cannot_be_read_is_named() {
        let two = Int32Array::from(vec![1, 2]);
        let refused = |users: &dyn Array, items: &dyn Array, weights: Option<&dyn Array>| {
            let mut rows = ArrowRows::new("the table");
            rows.push(&two, &two, None, None).unwrap();
            rows.push(users, items, weights, None).unwrap_err().to_string()
        };
        let null = Int32Array::from(vec![Some(1), None]);
        assert!(refused(&two, &null, None).contains("the table: row 3: the item id is null"));
        assert!(refused(&two, &two, Some(&null)).contains("row 3: the weight is null"));
        let large = UInt64Array::from(vec![1, u64::MAX]);
        assert!(refused(&large, &two, None).contains("row 3: the user id is 18446744073709551615"));
        let bools = BooleanArray::from(vec![true, false]);
        assert!(refused(&bools, &two, None).contains("expected integers or strings"));
        let one = Int32Array::from(vec![1]);
        assert!(refused(&two, &one, None).contains("columns of 2 and 1 rows"));
    }
}
