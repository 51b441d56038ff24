//! The header of a `.npy` file: a Python dict of element type, array order and shape.

const MAGIC: &[u8] = b"\x93NUMPY";
/// NumPy writes about a hundred bytes. The bound keeps the header within the bytes that are looked
/// at before anything else is read, and far above what any plain array needs.
const MAX_HEADER: usize = 1 << 15;

/// What sort of number an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Signed,
    Unsigned,
    Bool,
    Other,
}

/// A header that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// As the file has it: `<f4`.
    pub dtype: String,
    pub kind: Kind,
    /// Bytes an element.
    pub width: usize,
    pub big_endian: bool,
    pub fortran: bool,
    /// The product with `width` fits 63 bits.
    pub shape: Vec<usize>,
}

impl Header {
    /// One dimension is one row.
    pub(super) fn rows_and_cols(&self) -> Result<(usize, usize), String> {
        match self.shape[..] {
            [cols] => Ok((1, cols)),
            [rows, cols] => Ok((rows, cols)),
            _ => Err(format!("got shape {:?}, expected 1 or 2 dimensions: reshape it", self.shape)),
        }
    }
}

/// The header that `bytes` begin with, and where the data begin.
pub(super) fn decode(bytes: &[u8]) -> Result<(Header, usize), String> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let got = &bytes[..bytes.len().min(6)];
        return Err(format!("not a .npy file: it starts with {got:02x?}, expected {MAGIC:02x?}"));
    };
    let (len, start) = match *rest {
        [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([a, b])), 10),
        [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 12),
        [version, _, ..] if !(1..=3).contains(&version) => {
            return Err(format!("got .npy version {version}, versions 1 to 3 are read"));
        }
        _ => return Err(cut_short(bytes.len(), 12)),
    };
    if len > MAX_HEADER {
        return Err(format!("got a header of {len} bytes, at most {MAX_HEADER} are read"));
    }
    let end = start + len;
    let text = bytes.get(start..end).ok_or_else(|| cut_short(bytes.len(), end))?;
    let text = std::str::from_utf8(text).map_err(|_| "the header is not text".to_string())?;
    Ok((parse(text)?, end))
}

/// A version 1 header for a little-endian array of two dimensions in C order, padded so that the
/// data begin on a multiple of 64 bytes.
pub(super) fn encode(dtype: &str, rows: usize, cols: usize) -> Vec<u8> {
    let mut text =
        format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({rows}, {cols}), }}");
    let before = MAGIC.len() + 4;
    let len = (before + text.len() + 1).next_multiple_of(64) - before;
    text.push_str(&" ".repeat(len - 1 - text.len()));
    text.push('\n');
    let len = (text.len() as u16).to_le_bytes();
    [MAGIC, &[1, 0], &len, text.as_bytes()].concat()
}

fn cut_short(got: usize, expected: usize) -> String {
    format!("got {got} bytes, the header alone has {expected}: the file is cut short")
}

fn parse(text: &str) -> Result<Header, String> {
    let (mut dtype, mut fortran, mut shape) = (None, None, None);
    let mut rest = expect(text, "{")?;
    while !rest.starts_with('}') {
        let (key, after) = quoted(rest)?;
        let value = expect(after, ":")?;
        let after = match key {
            "descr" => take(quoted(value), &mut dtype)?,
            "fortran_order" => take(truth(value), &mut fortran)?,
            "shape" => take(tuple(value), &mut shape)?,
            _ => return Err(malformed("a key", &format!("'{key}'"))),
        };
        rest = if after.starts_with('}') { after } else { expect(after, ",")? };
    }
    if !rest[1..].trim().is_empty() {
        return Err(malformed("the end", rest));
    }
    let missing = || malformed("descr, fortran_order and shape", text);
    let dtype = dtype.ok_or_else(missing)?;
    let (kind, width, big_endian) = element(dtype)?;
    let (fortran, shape) = (fortran.ok_or_else(missing)?, shape.ok_or_else(missing)?);
    check_size(&shape, width)?;
    Ok(Header { dtype: dtype.to_string(), kind, width, big_endian, fortran, shape })
}

fn take<'a, T>(
    parsed: Result<(T, &'a str), String>,
    into: &mut Option<T>,
) -> Result<&'a str, String> {
    let (value, rest) = parsed?;
    *into = Some(value);
    Ok(rest)
}

fn element(dtype: &str) -> Result<(Kind, usize, bool), String> {
    let unknown = || format!("got dtype {dtype:?}, which is no array of numbers");
    let (order, rest) = dtype.split_at_checked(1).ok_or_else(unknown)?;
    let (kind, width) = rest.split_at_checked(1).ok_or_else(unknown)?;
    if !["<", ">", "|", "="].contains(&order) {
        return Err(unknown());
    }
    let kind = match kind {
        "f" => Kind::Float,
        "i" => Kind::Signed,
        "u" => Kind::Unsigned,
        "b" => Kind::Bool,
        _ => Kind::Other,
    };
    let width = width.parse().ok().filter(|w| (1..=1 << 20).contains(w)).ok_or_else(unknown)?;
    Ok((kind, width, order == ">"))
}

fn check_size(shape: &[usize], width: usize) -> Result<(), String> {
    // Zeros are left out, so that the product of any part of the shape fits too.
    let nonzero = shape.iter().map(|&n| n.max(1));
    let bytes = nonzero.chain([width]).try_fold(1u64, |product, n| product.checked_mul(n as u64));
    match bytes {
        Some(bytes) if bytes <= i64::MAX as u64 => Ok(()),
        _ => Err(format!("got shape {shape:?}, which is more bytes than any file has")),
    }
}

fn expect<'a>(text: &'a str, mark: &str) -> Result<&'a str, String> {
    let rest = text.trim_start().strip_prefix(mark).map(str::trim_start);
    rest.ok_or_else(|| malformed(&format!("'{mark}'"), text))
}

fn quoted(text: &str) -> Result<(&str, &str), String> {
    if text.starts_with('[') {
        return Err("got a structured dtype: save one plain array of numbers".to_string());
    }
    let body = text.strip_prefix('\'').map(|t| (t, '\''));
    let body = body.or_else(|| text.strip_prefix('"').map(|t| (t, '"')));
    let split = body.and_then(|(t, quote)| t.split_once(quote));
    let (value, rest) = split.ok_or_else(|| malformed("a quoted string", text))?;
    Ok((value, rest.trim_start()))
}

fn truth(text: &str) -> Result<(bool, &str), String> {
    for (word, value) in [("True", true), ("False", false)] {
        if let Some(rest) = text.strip_prefix(word) {
            return Ok((value, rest.trim_start()));
        }
    }
    Err(malformed("True or False", text))
}

fn tuple(text: &str) -> Result<(Vec<usize>, &str), String> {
    let wrong = || malformed("a tuple of sizes", text);
    let (inside, rest) = expect(text, "(")?.split_once(')').ok_or_else(wrong)?;
    let inside = inside.trim().strip_suffix(',').unwrap_or(inside).trim();
    if inside.is_empty() {
        return Ok((Vec::new(), rest.trim_start()));
    }
    // Python 2 wrote long integers with an L behind them.
    let size = |s: &str| s.trim().trim_end_matches('L').parse().map_err(|_| wrong());
    Ok((inside.split(',').map(size).collect::<Result<_, _>>()?, rest.trim_start()))
}

fn malformed(expected: &str, at: &str) -> String {
    let at: String = at.chars().take(40).collect();
    format!("the header is malformed: expected {expected} at {at:?}; save the array again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Result<Header, String> {
        let len = (text.len() as u32).to_le_bytes();
        decode(&[MAGIC, &[2, 0], &len, text.as_bytes()].concat()).map(|(header, start)| {
            assert_eq!(start, 12 + text.len());
            header
        })
    }

    #[test]
    fn headers_are_read_in_any_spelling() {
        for text in [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }  \n",
            "{\"shape\":(3L,4L),\"descr\":\"<f4\",\"fortran_order\":False}",
            " { 'fortran_order' : False , 'shape' : ( 3 , 4 , ) , 'descr' : '<f4' } ",
        ] {
            let got = header(text).unwrap();
            assert_eq!(
                (got.kind, got.width, got.big_endian, got.fortran),
                (Kind::Float, 4, false, false)
            );
            assert_eq!(got.rows_and_cols(), Ok((3, 4)), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for (rows, cols) in [(0, 0), (3, 4), (usize::MAX >> 10, 1)] {
            let bytes = encode("<i8", rows, cols);
            let (header, start) = decode(&bytes).unwrap();
            assert_eq!((start, start % 64), (bytes.len(), 0));
            assert_eq!((header.kind, header.rows_and_cols()), (Kind::Signed, Ok((rows, cols))));
        }
    }

    #[test]
    fn each_fault_has_its_message() {
        let one = |descr: &str, order: &str, shape: &str| {
            format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}")
        };
        for (text, says) in [
            ("".to_string(), "expected '{'"),
            ("{'descr': '<f4'}".to_string(), "expected descr, fortran_order and shape"),
            (one("[('a', '<f4')]", "False", "(1,)"), "structured dtype"),
            (one("'<f4'", "Maybe", "(1,)"), "expected True or False"),
            (one("'<f4'", "False", "(1, -2)"), "expected a tuple of sizes"),
            (one("'<f4'", "False", "(9223372036854775807, 2)"), "more bytes than any file"),
            (one("'<f4'", "False", "(0, 9223372036854775807, 9)"), "more bytes than any file"),
            (one("'O'", "False", "(1,)"), "no array of numbers"),
            (one("'é4'", "False", "(1,)"), "no array of numbers"),
            (one("'<f4'", "False", "(1,)") + "x", "expected the end"),
            (one("'<f4", "False", "(1,)"), "malformed"),
        ] {
            let got = header(&text).unwrap_err();
            assert!(got.contains(says), "{text}: {got}");
        }
        assert!(header(&one("'<f4'", "False", "(1, 2, 3)")).unwrap().rows_and_cols().is_err());
        assert!(decode(b"PK\x03\x04").unwrap_err().contains("not a .npy file"));
        assert!(decode(b"\x93NUMPY\x09\0\0\0\0\0").unwrap_err().contains("version 9"));
        assert!(decode(b"\x93NUMPY\x01\0\xff").unwrap_err().contains("cut short"));
        assert!(decode(b"\x93NUMPY\x01\0\x40\0{").unwrap_err().contains("cut short"));
        assert!(decode(b"\x93NUMPY\x02\0\xff\xff\xff\xff{").unwrap_err().contains("at most"));
    }
}
