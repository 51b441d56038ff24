//! Records of a delimited text file: comma, tab, any other character, or `::`.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;

use csv::ByteRecord;

use crate::error::ReadError;

use super::source::{Lines, Source, io_error, line_error};

/// What stands between the fields of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// One ASCII character. Fields may stand in double quotes.
    Byte(u8),
    /// Two colons, as in MovieLens's `.dat` files. Quotes mean nothing.
    DoubleColon,
}

impl Delimiter {
    /// That of a file's first line: a tab if it has one, then `::`, then whichever of comma,
    /// semicolon and pipe it has most of. Double-quoted text does not count.
    pub(super) fn guess(line: &[u8]) -> Delimiter {
        let mut quoted = false;
        let outside = |b: &&u8| {
            quoted ^= **b == b'"';
            !quoted
        };
        let bare: Vec<u8> = line.iter().filter(outside).copied().collect();
        let count = |byte: u8| bare.iter().filter(|&&b| b == byte).count();
        if bare.contains(&b'\t') {
            return Delimiter::Byte(b'\t');
        }
        if bare.windows(2).any(|pair| pair == b"::") {
            return Delimiter::DoubleColon;
        }
        // The last of equals wins, hence the comma comes last.
        Delimiter::Byte([b'|', b';', b','].into_iter().max_by_key(|&b| count(b)).unwrap_or(b','))
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Delimiter::Byte(b'\t') => f.write_str("tab"),
            Delimiter::Byte(byte) => write!(f, "{}", char::from(*byte)),
            Delimiter::DoubleColon => f.write_str("::"),
        }
    }
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Delimiter, String> {
        match text.as_bytes() {
            b"tab" | b"\\t" => Ok(Delimiter::Byte(b'\t')),
            b"comma" => Ok(Delimiter::Byte(b',')),
            b"semicolon" => Ok(Delimiter::Byte(b';')),
            b"pipe" => Ok(Delimiter::Byte(b'|')),
            b"space" => Ok(Delimiter::Byte(b' ')),
            b"::" => Ok(Delimiter::DoubleColon),
            [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(Delimiter::Byte(*byte)),
            _ => Err(format!(
                "delimiter is {text:?}, expected one ASCII character, \"tab\" or \"::\""
            )),
        }
    }
}

/// The records of a file, one at a time. Empty lines are skipped. Holds one record.
pub(super) struct Records {
    path: PathBuf,
    inner: Inner,
    record: ByteRecord,
}

enum Inner {
    Csv(Box<csv::Reader<Box<dyn Read>>>),
    DoubleColon(Lines),
}

impl Records {
    pub(super) fn open(source: Source, delimiter: Delimiter) -> Result<Records, ReadError> {
        let path = source.path().to_path_buf();
        let inner = match delimiter {
            Delimiter::DoubleColon => Inner::DoubleColon(source.into_lines()?),
            Delimiter::Byte(byte) => {
                Inner::Csv(Box::new(csv_reader(Box::new(source.into_text()?), byte)))
            }
        };
        Ok(Records { path, inner, record: ByteRecord::new() })
    }

    /// Reads the next record; whether there was one.
    pub(super) fn advance(&mut self) -> Result<bool, ReadError> {
        loop {
            let more = match &mut self.inner {
                Inner::Csv(reader) => reader
                    .read_byte_record(&mut self.record)
                    .map_err(|e| io_error(&self.path, e.into()))?,
                Inner::DoubleColon(lines) => split_double_colon(lines, &mut self.record)?,
            };
            // A lone field without content is an empty line, or its carriage return.
            if !more || self.len() > 1 || !self.field(0).is_empty() {
                self.check_quotes()?;
                return Ok(more);
            }
        }
    }

    /// How many fields the record has.
    pub(super) fn len(&self) -> usize {
        self.record.len()
    }

    /// One field of the record; empty if there is none.
    pub(super) fn field(&self, at: usize) -> &[u8] {
        let field = self.record.get(at).unwrap_or_default();
        if at + 1 == self.record.len() { field.strip_suffix(b"\r").unwrap_or(field) } else { field }
    }

    /// Every field of the record as text, for people.
    pub(super) fn texts(&self) -> Vec<String> {
        (0..self.len())
            .map(|at| String::from_utf8_lossy(self.field(at)).trim().to_string())
            .collect()
    }

    /// That something is wrong with the record.
    pub(super) fn error(&self, problem: impl Into<String>) -> ReadError {
        line_error(&self.path, self.line(), problem)
    }

    fn line(&self) -> u64 {
        match &self.inner {
            // The position is after the record's last line; quoted fields may have lines too.
            Inner::Csv(reader) => {
                let inside = self.record.as_slice().iter().filter(|&&b| b == b'\n').count() as u64;
                reader.position().line().saturating_sub(1 + inside).max(1)
            }
            Inner::DoubleColon(lines) => lines.number(),
        }
    }

    /// The line end that [`csv_reader`] adds belongs to no record, unless a quote is still open.
    fn check_quotes(&self) -> Result<(), ReadError> {
        if !self.record.as_slice().ends_with(b"\n") {
            return Ok(());
        }
        let line = self.record.position().map_or(1, csv::Position::line);
        let problem = "a double quote is opened in this record and not closed before the end of \
                       the file: close it, or write it as two";
        Err(line_error(&self.path, line, problem))
    }
}

/// Lines end at a line feed alone, so that they are counted rightly with CRLF too; and the text
/// ends with one, so that the last record does not differ from the others.
fn csv_reader(text: Box<dyn Read>, delimiter: u8) -> csv::Reader<Box<dyn Read>> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .terminator(csv::Terminator::Any(b'\n'))
        .buffer_capacity(1 << 16)
        .from_reader(Box::new(text.chain(&b"\n"[..])))
}

fn split_double_colon(lines: &mut Lines, record: &mut ByteRecord) -> Result<bool, ReadError> {
    record.clear();
    let Some(mut line) = lines.next()? else { return Ok(false) };
    while let Some(at) = line.windows(2).position(|pair| pair == b"::") {
        record.push_field(&line[..at]);
        line = &line[at + 2..];
    }
    record.push_field(line);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn records(bytes: &[u8], delimiter: Delimiter) -> Result<Vec<(u64, Vec<String>)>, ReadError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, bytes).unwrap();
        let mut records = Records::open(Source::open(Path::new(&path))?, delimiter)?;
        let mut all = Vec::new();
        while records.advance()? {
            all.push((records.line(), records.texts()));
        }
        Ok(all)
    }

    fn owned(rows: &[(u64, &[&str])]) -> Vec<(u64, Vec<String>)> {
        rows.iter().map(|(n, r)| (*n, r.iter().map(|s| s.to_string()).collect())).collect()
    }

    #[test]
    fn delimiters_are_guessed_and_named() {
        for (line, expected) in [
            ("a\tb,c,d", "tab"),
            ("1::2, 3::4|5|6|7", "::"),
            ("a,b", ","),
            ("a;b;c,d", ";"),
            ("a|b|c", "|"),
            ("\"a;b;c;d\",e", ","),
            ("abc", ","),
        ] {
            let got = Delimiter::guess(line.as_bytes());
            assert_eq!(got.to_string(), expected, "{line}");
            assert_eq!(expected.parse(), Ok(got));
        }
        assert_eq!("\\t".parse(), Ok(Delimiter::Byte(b'\t')));
        for wrong in ["", "ab", "é", "\"", "\n"] {
            assert!(wrong.parse::<Delimiter>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn records_know_their_lines_whatever_ends_them() {
        let want =
            owned(&[(1, &["a", "b"]), (3, &["c", "d\ne"]), (5, &["", ""]), (7, &["f", "g"])]);
        let text = "a,b\n\nc,\"d\ne\"\n,\n\nf,g";
        let comma = Delimiter::Byte(b',');
        assert_eq!(records(text.as_bytes(), comma).unwrap(), want);
        assert_eq!(records(format!("{text}\n").as_bytes(), comma).unwrap(), want);
        let crlf = text.replace('\n', "\r\n").replace("d\r\ne", "d\ne");
        assert_eq!(records(crlf.as_bytes(), comma).unwrap(), want);
        let marked = [b"\xef\xbb\xbf", crlf.as_bytes()].concat();
        assert_eq!(records(&marked, comma).unwrap(), want);
    }

    #[test]
    fn double_colons_split_and_quotes_there_mean_nothing() {
        let got = records(b"1::\"a:b::\r\n\n2\n", Delimiter::DoubleColon).unwrap();
        assert_eq!(got, owned(&[(1, &["1", "\"a:b", ""]), (3, &["2"])]));
    }

    #[test]
    fn an_open_quote_is_an_error_that_names_its_record() {
        let comma = Delimiter::Byte(b',');
        for text in ["a,b\nc,\"d\ne,f\n", "a,b\nc,\"d\ne,f"] {
            let error = records(text.as_bytes(), comma).unwrap_err().to_string();
            assert!(error.contains("line 2: a double quote is opened"), "{error}");
        }
        assert_eq!(records(b"a\"b,\"c\"\"d\"", comma).unwrap(), owned(&[(1, &["a\"b", "c\"d"])]));
    }
}
