//! Ids from Arrow arrays, in every type that libraries export them as.
//!
//! | Arrow | id |
//! |---|---|
//! | integers of any width | the integer; beyond int64 a fault of its row |
//! | decimals | the integer; with a fraction or beyond int64 a fault of its row |
//! | Utf8, LargeUtf8, Utf8View | the string |
//! | Binary, LargeBinary, BinaryView, FixedSizeBinary | the string whose UTF-8 it is, else a fault of its row |
//! | FixedSizeBinary(16) | the canonical text of the UUID |
//! | Dictionary | its values |

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type};
use arrow_array::{Array, ArrayRef, LargeStringArray, StringArray, StringViewArray};
use arrow_schema::DataType;

use super::arrow::{Faults, integers, note_nulls, wrong_type};
use super::source::format_error;
use crate::error::ReadError;
use crate::index::IdRef;
use crate::recommend::IdColumn;

/// The type that `Decimal256Type` holds, whose own name is another crate's.
type Wide = <Decimal256Type as arrow_array::ArrowPrimitiveType>::Native;

/// The ids of one column, chunk after chunk; `what` is what errors call it.
///
/// # Errors
/// If a chunk has another type than ids have, or a row is null or cannot be an id; the first such
/// row is named.
pub fn arrow_ids(chunks: &[ArrayRef], what: &str) -> Result<IdColumn, ReadError> {
    let what = Path::new(what);
    let (mut ints, mut texts, mut seen) = (Vec::new(), Vec::new(), 0);
    for chunk in chunks {
        let mut faults = Faults::default();
        let ids = IdArray::new(chunk.as_ref(), "id", &mut faults);
        let ids = ids.map_err(|problem| format_error(what, problem))?;
        for row in 0..chunk.len() {
            if let Some(problem) = faults.of(row) {
                return Err(format_error(what, format!("row {}: {problem}", seen + row)));
            }
            match ids.get(row) {
                IdRef::Int(id) => ints.push(id),
                IdRef::Text(id) => texts.push(id.to_string()),
            }
        }
        seen += chunk.len();
    }
    match (ints.is_empty(), texts.is_empty()) {
        (_, true) => Ok(IdColumn::Int(ints)),
        (true, false) => Ok(IdColumn::Text(texts)),
        (false, false) => Err(format_error(what, "holds both integers and strings")),
    }
}

/// A column of strings of any make.
#[derive(Clone, Copy)]
pub(super) enum Texts<'a> {
    Utf8(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    /// `None` for a column that holds no strings.
    pub(super) fn new(array: &'a dyn Array) -> Option<Texts<'a>> {
        match array.data_type() {
            DataType::Utf8 => Some(Texts::Utf8(array.as_string())),
            DataType::LargeUtf8 => Some(Texts::Large(array.as_string())),
            DataType::Utf8View => Some(Texts::View(array.as_string_view())),
            _ => None,
        }
    }

    pub(super) fn len(self) -> usize {
        match self {
            Texts::Utf8(texts) => texts.len(),
            Texts::Large(texts) => texts.len(),
            Texts::View(texts) => texts.len(),
        }
    }

    pub(super) fn is_null(self, row: usize) -> bool {
        match self {
            Texts::Utf8(texts) => texts.is_null(row),
            Texts::Large(texts) => texts.is_null(row),
            Texts::View(texts) => texts.is_null(row),
        }
    }

    /// The text of a row; where it is null, any.
    pub(super) fn get(self, row: usize) -> &'a str {
        match self {
            Texts::Utf8(texts) => texts.value(row),
            Texts::Large(texts) => texts.value(row),
            Texts::View(texts) => texts.value(row),
        }
    }
}

/// A column of ids; what stands in a row at fault means nothing.
pub(super) enum IdArray<'a> {
    Int(Vec<i64>),
    /// Read where they lie: a batch may hold more text than 32-bit offsets reach.
    Text(Texts<'a>),
    Bytes(Vec<&'a str>),
    Uuid(Vec<String>),
    /// The number of each row's value. No values: every row is null.
    Dictionary(Vec<usize>, Box<IdArray<'a>>),
}

impl<'a> IdArray<'a> {
    pub(super) fn new(
        array: &'a dyn Array,
        what: &str,
        faults: &mut Faults,
    ) -> Result<IdArray<'a>, String> {
        note_nulls(array, what, faults);
        if let Some(integers) =
            integers(array, what, faults).or_else(|| decimals(array, what, faults))
        {
            return Ok(IdArray::Int(integers));
        }
        if let Some(texts) = Texts::new(array) {
            return Ok(IdArray::Text(texts));
        }
        Ok(match array.data_type() {
            DataType::FixedSizeBinary(16) => {
                let values = array.as_fixed_size_binary();
                IdArray::Uuid((0..array.len()).map(|row| uuid(values.value(row))).collect())
            }
            DataType::FixedSizeBinary(_) => {
                let values = array.as_fixed_size_binary();
                IdArray::Bytes(utf8(array, |row| values.value(row), what, faults))
            }
            DataType::Binary => {
                let values = array.as_binary::<i32>();
                IdArray::Bytes(utf8(array, |row| values.value(row), what, faults))
            }
            DataType::LargeBinary => {
                let values = array.as_binary::<i64>();
                IdArray::Bytes(utf8(array, |row| values.value(row), what, faults))
            }
            DataType::BinaryView => {
                let values = array.as_binary_view();
                IdArray::Bytes(utf8(array, |row| values.value(row), what, faults))
            }
            DataType::Dictionary(..) => dictionary(array, what, faults)?,
            // Of no rows, or each is null and noted as that.
            DataType::Null => IdArray::Int(vec![0; array.len()]),
            other => return Err(wrong_type(what, other, "integers or strings")),
        })
    }

    pub(super) fn get(&self, row: usize) -> IdRef<'_> {
        match self {
            IdArray::Int(values) => IdRef::Int(values[row]),
            IdArray::Text(texts) => IdRef::Text(texts.get(row)),
            IdArray::Bytes(texts) => IdRef::Text(texts[row]),
            IdArray::Uuid(texts) => IdRef::Text(&texts[row]),
            IdArray::Dictionary(numbers, values) => match numbers.get(row) {
                Some(&number) => values.get(number),
                None => IdRef::Int(0),
            },
        }
    }
}

/// The faults of values become those of the rows that name them.
fn dictionary<'a>(
    array: &'a dyn Array,
    what: &str,
    faults: &mut Faults,
) -> Result<IdArray<'a>, String> {
    let array = array.as_any_dictionary();
    let mut of_values = Faults::default();
    let values = IdArray::new(array.values().as_ref(), what, &mut of_values)?;
    if array.values().is_empty() {
        return Ok(IdArray::Dictionary(Vec::new(), Box::new(values)));
    }
    let numbers = array.normalized_keys();
    let nulls = array.logical_nulls();
    let is_null = |row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    faults.note(numbers.len(), |row| {
        let problem = if is_null(row) { None } else { of_values.of(numbers[row]) };
        problem.map(|problem| || problem.to_string())
    });
    Ok(IdArray::Dictionary(numbers, Box::new(values)))
}

/// The canonical text of a UUID's sixteen bytes: 8-4-4-4-12 hexadecimal digits.
fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('?'));
        }
    }
    text
}

fn utf8<'a>(
    array: &dyn Array,
    value: impl Fn(usize) -> &'a [u8],
    what: &str,
    faults: &mut Faults,
) -> Vec<&'a str> {
    let parse = |row: usize| std::str::from_utf8(value(row));
    faults.note(array.len(), |row| {
        let problem = move || {
            format!(
                "the {what} is bytes that are no UTF-8 text: decode them, or write them as text (hex)"
            )
        };
        (!array.is_null(row) && parse(row).is_err()).then_some(problem)
    });
    (0..array.len()).map(|row| parse(row).unwrap_or("")).collect()
}

/// A column of decimals as integers; `None` if it holds something else.
fn decimals(array: &dyn Array, what: &str, faults: &mut Faults) -> Option<Vec<i64>> {
    match array.data_type() {
        DataType::Decimal32(_, scale) => {
            let values = array.as_primitive::<Decimal32Type>();
            let integer = |row| whole(i128::from(values.value(row)), *scale);
            Some(fitting(array, integer, |row| values.value_as_string(row), what, faults))
        }
        DataType::Decimal64(_, scale) => {
            let values = array.as_primitive::<Decimal64Type>();
            let integer = |row| whole(i128::from(values.value(row)), *scale);
            Some(fitting(array, integer, |row| values.value_as_string(row), what, faults))
        }
        DataType::Decimal128(_, scale) => {
            let values = array.as_primitive::<Decimal128Type>();
            let integer = |row| whole(values.value(row), *scale);
            Some(fitting(array, integer, |row| values.value_as_string(row), what, faults))
        }
        DataType::Decimal256(_, scale) => {
            let values = array.as_primitive::<Decimal256Type>();
            let integer = |row| whole_wide(values.value(row), *scale);
            Some(fitting(array, integer, |row| values.value_as_string(row), what, faults))
        }
        _ => None,
    }
}

/// `unscaled` x 10^-scale, if that is an int64.
fn whole(unscaled: i128, scale: i8) -> Option<i64> {
    let power = 10i128.checked_pow(u32::from(scale.unsigned_abs()));
    let value = match (scale > 0, power) {
        (true, Some(power)) => (unscaled % power == 0).then_some(unscaled / power)?,
        (false, Some(power)) => unscaled.checked_mul(power)?,
        // A power beyond i128 divides, and may multiply, zero alone.
        (_, None) => (unscaled == 0).then_some(0)?,
    };
    i64::try_from(value).ok()
}

fn whole_wide(unscaled: Wide, scale: i8) -> Option<i64> {
    let Some(power) = Wide::from_i128(10).checked_pow(u32::from(scale.unsigned_abs())) else {
        return (unscaled == Wide::ZERO).then_some(0);
    };
    let value = match scale > 0 {
        true if unscaled.checked_rem(power)? == Wide::ZERO => unscaled.checked_div(power)?,
        true => return None,
        false => unscaled.checked_mul(power)?,
    };
    i64::try_from(value.to_i128()?).ok()
}

fn fitting(
    array: &dyn Array,
    integer: impl Fn(usize) -> Option<i64>,
    text: impl Fn(usize) -> String,
    what: &str,
    faults: &mut Faults,
) -> Vec<i64> {
    faults.note(array.len(), |row| {
        let text = &text;
        let problem = move || {
            let text = text(row);
            format!("the {what} is {text}, expected a whole number of int64: cast it to text")
        };
        (!array.is_null(row) && integer(row).is_none()).then_some(problem)
    });
    (0..array.len()).map(|row| integer(row).unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int8Type;
    use arrow_array::{
        BinaryViewArray, Decimal32Array, Decimal64Array, Decimal128Array, Decimal256Array,
        DictionaryArray, FixedSizeBinaryArray, Int32Array, LargeBinaryArray, NullArray,
    };

    use super::*;

    fn ids(array: ArrayRef) -> IdColumn {
        arrow_ids(&[array.slice(0, 1), array.slice(1, array.len() - 1)], "ids").unwrap()
    }

    fn refused(array: ArrayRef) -> String {
        arrow_ids(&[array], "ids").unwrap_err().to_string()
    }

    fn texts(ids: &[&str]) -> IdColumn {
        IdColumn::Text(ids.iter().map(|id| id.to_string()).collect())
    }

    #[test]
    fn strings_and_bytes_of_any_make_are_text() {
        let keys = arrow_array::Int8Array::from(vec![1, 0, 1]);
        let dictionary = DictionaryArray::<Int8Type>::new(
            keys,
            Arc::new(LargeStringArray::from(vec!["b", "a"])) as ArrayRef,
        );
        let arrays: [ArrayRef; 6] = [
            Arc::new(StringArray::from(vec!["a", "b", "a"])),
            Arc::new(LargeStringArray::from(vec!["a", "b", "a"])),
            Arc::new(StringViewArray::from(vec!["a", "b", "a"])),
            Arc::new(LargeBinaryArray::from(vec![&b"a"[..], b"b", b"a"])),
            Arc::new(BinaryViewArray::from(vec![&b"a"[..], b"b", b"a"])),
            Arc::new(dictionary),
        ];
        for array in arrays {
            assert_eq!(ids(array), texts(&["a", "b", "a"]));
        }
        let uuid: Vec<u8> = (0xf0..=0xff).collect();
        let uuids = FixedSizeBinaryArray::try_from_iter([uuid.clone(), uuid].into_iter()).unwrap();
        let text = "f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff";
        assert_eq!(ids(Arc::new(uuids)), texts(&[text, text]));
        let code = FixedSizeBinaryArray::try_from_iter([b"ab", b"cd"].into_iter()).unwrap();
        assert_eq!(ids(Arc::new(code)), texts(&["ab", "cd"]));
    }

    #[test]
    fn decimals_without_a_fraction_are_integers() {
        let wide = |v: i128| Wide::from_i128(v);
        let arrays: [ArrayRef; 4] = [
            Arc::new(Decimal32Array::from(vec![700, -200]).with_precision_and_scale(9, 2).unwrap()),
            Arc::new(Decimal64Array::from(vec![7, -2]).with_precision_and_scale(18, 0).unwrap()),
            Arc::new(
                Decimal128Array::from(vec![7000, -2000]).with_precision_and_scale(38, 3).unwrap(),
            ),
            Arc::new(
                Decimal256Array::from(vec![wide(70), wide(-20)])
                    .with_precision_and_scale(76, 1)
                    .unwrap(),
            ),
        ];
        for array in arrays {
            assert_eq!(ids(array), IdColumn::Int(vec![7, -2]));
        }
        let tens = Decimal128Array::from(vec![7, 2]).with_precision_and_scale(38, -1).unwrap();
        assert_eq!(ids(Arc::new(tens)), IdColumn::Int(vec![70, 20]));
        let half = Decimal128Array::from(vec![70, 25]).with_precision_and_scale(9, 1).unwrap();
        assert!(refused(Arc::new(half)).contains("row 1: the id is 2.5, expected a whole number"));
        let large = Decimal256Array::from(vec![Wide::from_i128(i128::MAX)]);
        assert!(refused(Arc::new(large)).contains("row 0: the id is 170141183460469231731687303"));
    }

    #[test]
    fn what_is_no_id_is_named() {
        let null = Int32Array::from(vec![Some(1), None]);
        assert!(refused(Arc::new(null)).contains("ids: row 1: the id is null"));
        let bytes = LargeBinaryArray::from(vec![&b"a"[..], &[0xff]]);
        assert!(refused(Arc::new(bytes)).contains("row 1: the id is bytes that are no UTF-8"));
        assert!(refused(Arc::new(NullArray::new(2))).contains("row 0: the id is null"));
        assert_eq!(
            arrow_ids(&[Arc::new(NullArray::new(0))], "ids").unwrap(),
            IdColumn::Int(vec![])
        );
        let keys = arrow_array::Int8Array::from(vec![Some(0), None, Some(1)]);
        let values: ArrayRef = Arc::new(LargeBinaryArray::from(vec![&[0xff][..], b"b"]));
        let dictionary: ArrayRef = Arc::new(DictionaryArray::<Int8Type>::new(keys, values));
        assert!(refused(dictionary.clone()).contains("row 0: the id is bytes"));
        assert!(refused(dictionary.slice(1, 2)).contains("row 0: the id is null"));
        assert_eq!(arrow_ids(&[dictionary.slice(2, 1)], "ids").unwrap(), texts(&["b"]));
        let both: [ArrayRef; 2] =
            [Arc::new(Int32Array::from(vec![1])), Arc::new(StringArray::from(vec!["a"]))];
        let error = arrow_ids(&both, "ids").unwrap_err().to_string();
        assert!(error.contains("ids: holds both integers and strings"), "{error}");
    }
}
