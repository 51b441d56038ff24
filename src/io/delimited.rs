//! Records of a delimited text file.

use std::path::PathBuf;

use crate::error::ReadError;

use super::delimiter::{Delimiter, trim_blanks};
use super::lines::{Line, Lines};
use super::quoting::{Fields, Quote, Quoting, Scan};
use super::source::{Text, line_error};

/// How many of the first lines tell the delimiter and the quoting.
const LOOK: usize = 200;
/// The most bytes of one record over several lines.
const LONGEST: usize = 1 << 24;

/// How the lines of a file are made fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub delimiter: Delimiter,
    pub quoting: Quoting,
    /// Whether the first line names the delimiter, as Excel's `sep=;` does, and is no record.
    names_delimiter: bool,
}

impl Dialect {
    /// Takes what is asked for and, for the rest, what the first lines of a file show.
    pub(super) fn guess(
        head: &[u8],
        delimiter: Option<Delimiter>,
        quote: Option<Quote>,
    ) -> Dialect {
        let named = first_lines(head).next().and_then(named_delimiter);
        let lines = || first_lines(head).skip(usize::from(named.is_some())).take(LOOK);
        let delimiter = delimiter.or(named).unwrap_or_else(|| Delimiter::guess(lines()));
        let quoting = Quoting::guess(quote, delimiter, lines());
        Dialect { delimiter, quoting, names_delimiter: named.is_some() }
    }

    /// The first records of a file, a line each, for a look at them.
    #[cfg(feature = "tables")]
    pub(super) fn sample(&self, head: &[u8], n: usize) -> Vec<Vec<String>> {
        let lines = first_lines(head).skip(usize::from(self.names_delimiter)).take(n);
        let mut fields = Fields::default();
        let mut split = |line: &[u8]| {
            fields.clear();
            match self.quoting {
                Quoting::Full { quote, .. } => {
                    fields.scan(line, self.delimiter, quote, false);
                }
                Quoting::Sparse => fields.split_sparse(line, self.delimiter),
                Quoting::Off => fields.split(line, self.delimiter),
            }
            (0..fields.len()).map(|at| text_of(fields.get(at).unwrap_or_default())).collect()
        };
        lines.map(&mut split).collect()
    }
}

fn text_of(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim().to_string()
}

/// The delimiter that a line such as `sep=;` names.
fn named_delimiter(line: &[u8]) -> Option<Delimiter> {
    let line = line.strip_prefix(b"\"").and_then(|l| l.strip_suffix(b"\"")).unwrap_or(line);
    match line {
        [s, e, p, b'=', delimiter] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => {
            Some(Delimiter::Byte(*delimiter))
        }
        _ => None,
    }
}

/// The whole lines of a file's first bytes that are not empty.
pub(super) fn first_lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_end = |b: &u8| matches!(b, b'\n' | b'\r');
    // The last line may be cut anywhere, unless it is the only one.
    let whole = head.iter().rposition(is_end).map_or(head, |at| &head[..at]);
    whole.split(is_end).filter(|line| !trim_blanks(line).is_empty())
}

/// The records of a file, one at a time. Empty lines are skipped. Holds one record.
pub(super) struct Records {
    path: PathBuf,
    lines: Lines,
    dialect: Dialect,
    fields: Fields,
    /// The line on which the record begins.
    line: u64,
    /// How many fields the first record has; 0 before it.
    width: usize,
    fault: Option<String>,
}

impl Records {
    pub(super) fn open(text: Text, dialect: Dialect) -> Result<Records, ReadError> {
        let path = text.path().to_path_buf();
        let mut lines = text.into_lines();
        if dialect.names_delimiter {
            while lines.advance()? && trim_blanks(&lines.line().text).is_empty() {}
        }
        let fields = Fields::default();
        Ok(Records { path, lines, dialect, fields, line: 0, width: 0, fault: None })
    }

    /// Reads the next record; whether there was one.
    pub(super) fn advance(&mut self) -> Result<bool, ReadError> {
        loop {
            if !self.lines.advance()? {
                return Ok(false);
            }
            (self.line, self.fault) = (self.lines.number(), None);
            self.fields.clear();
            if trim_blanks(&self.lines.line().text).is_empty() {
                continue;
            }
            self.split()?;
            if self.width == 0 {
                self.width = self.fields.len();
            }
            return Ok(true);
        }
    }

    fn split(&mut self) -> Result<(), ReadError> {
        let delimiter = self.dialect.delimiter;
        let line = &self.lines.line().text;
        match self.dialect.quoting {
            Quoting::Full { quote, certain } if memchr::memchr(quote, line).is_some() => {
                self.split_quoted(quote, certain)
            }
            Quoting::Sparse if memchr::memchr(b'"', line).is_some() => {
                self.fields.split_sparse(line, delimiter);
                let mut plain = Fields::default();
                plain.split(line, delimiter);
                if self.fields.len() != self.width && plain.len() == self.width {
                    self.fields = plain;
                }
                Ok(())
            }
            _ => {
                self.fields.split(line, delimiter);
                Ok(())
            }
        }
    }

    /// A record of a file that quotes, from the line last read on.
    fn split_quoted(&mut self, quote: u8, certain: bool) -> Result<(), ReadError> {
        let scan = self.scan_line(quote, false);
        let fits = self.width == 0 || self.fields.len() == self.width;
        if scan == Scan::Whole && fits {
            return Ok(());
        }
        let escape = [b'\\', quote];
        if self.lines.line().text.windows(2).any(|pair| pair == escape) {
            let whole = self.scan_line(quote, true) == Scan::Whole;
            if whole && (self.width == 0 || self.fields.len() == self.width) {
                return Ok(());
            }
            self.scan_line(quote, false);
        }
        match scan {
            Scan::Whole => {}
            Scan::Torn => self.fault = Some(torn(quote)),
            Scan::Open => self.split_lines(quote, certain)?,
        }
        Ok(())
    }

    fn scan_line(&mut self, quote: u8, escapes: bool) -> Scan {
        self.fields.clear();
        let line = &self.lines.line().text;
        self.fields.scan(line, self.dialect.delimiter, quote, escapes)
    }

    /// The rest of a record whose first line ends within quotes. If it is none, its first line is at
    /// fault, and the others are read again: a stray quote must not swallow what follows it.
    fn split_lines(&mut self, quote: u8, certain: bool) -> Result<(), ReadError> {
        let mut taken: Vec<Line> = Vec::new();
        let begins_with_row = self.is_row();
        let mut size = 0;
        let fault = loop {
            let end = self.lines.line().end;
            if end.is_empty() || size > LONGEST || !self.lines.advance()? {
                break Some(unclosed(quote));
            }
            self.fields.extend(end);
            let scan =
                self.fields.scan(&self.lines.line().text, self.dialect.delimiter, quote, false);
            let line = self.lines.line();
            taken.push(Line { text: line.text.clone(), end: line.end });
            size = self.fields.size();
            match scan {
                Scan::Open => {}
                Scan::Torn => break Some(torn(quote)),
                Scan::Whole if certain => break None,
                Scan::Whole if self.width > 0 && self.fields.len() != self.width => {
                    break Some(unclosed(quote));
                }
                // A stray quote and the next one each stand in a row that is whole without them.
                Scan::Whole if begins_with_row && self.is_row() => {
                    break Some(swallows(quote, taken.len()));
                }
                Scan::Whole => break None,
            }
        };
        if fault.is_some() {
            self.lines.give_back(taken);
            self.fault = fault;
        }
        Ok(())
    }

    /// Whether the line last read is a whole row if quotes mean nothing.
    fn is_row(&mut self) -> bool {
        let mut fields = Fields::default();
        fields.split(&self.lines.line().text, self.dialect.delimiter);
        fields.len() == self.width
    }

    /// Describes what is wrong with the record's quotes.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// How many fields the record has.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// How many fields the first record has.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The delimiter in use.
    pub(super) fn delimiter(&self) -> Delimiter {
        self.dialect.delimiter
    }

    /// One field of the record, without blanks at its ends; empty if there is none.
    pub(super) fn field(&self, at: usize) -> &[u8] {
        trim_blanks(self.fields.get(at).unwrap_or_default())
    }

    /// Every field of the record as text, for people.
    pub(super) fn texts(&self) -> Vec<String> {
        (0..self.len()).map(|at| text_of(self.field(at))).collect()
    }

    /// That something is wrong with the record.
    pub(super) fn error(&self, problem: impl Into<String>) -> ReadError {
        line_error(&self.path, self.line, problem)
    }

    /// Describes a record with too few or too many fields.
    pub(super) fn width_problem(&self) -> String {
        let (got, expected) = (self.len(), self.width);
        let delimiter = self.dialect.delimiter;
        format!(
            "got {got} fields, the first line has {expected}: quote fields that hold the delimiter \
             {delimiter}, or name another delimiter (--delimiter) or quoting (--quote)"
        )
    }
}

fn torn(quote: u8) -> String {
    let quote = char::from(quote);
    format!(
        "text follows the closing {quote} of a quoted field: write {quote} within quotes twice, or \
         read the file without quoting (--quote none, quote=\"none\")"
    )
}

fn unclosed(quote: u8) -> String {
    let quote = char::from(quote);
    format!(
        "a field begins with {quote} and its quote is not closed: close it, or read the file without \
         quoting (--quote none, quote=\"none\")"
    )
}

fn swallows(quote: u8, lines: usize) -> String {
    let quote = char::from(quote);
    format!(
        "the {quote} that opens here closes {lines} lines later, and both lines are rows by \
         themselves: read the file without quoting (--quote none, quote=\"none\"), or with --quote \
         double if it is one field"
    )
}

#[cfg(test)]
#[cfg(feature = "tables")]
mod tests {
    use super::super::source::Source;
    use super::*;
    use std::path::Path;

    type Row = (u64, Vec<String>, bool);

    fn read(bytes: &[u8], delimiter: Option<&str>, quote: Option<Quote>) -> Vec<Row> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, bytes).unwrap();
        let text = Source::open(Path::new(&path)).unwrap().text().unwrap();
        let delimiter = delimiter.map(|name| name.parse().unwrap());
        let dialect = Dialect::guess(text.head(), delimiter, quote);
        let mut records = Records::open(text, dialect).unwrap();
        let mut all = Vec::new();
        while records.advance().unwrap() {
            all.push((records.line, records.texts(), records.fault().is_some()));
        }
        all
    }

    fn rows(text: &str, delimiter: Option<&str>) -> Vec<Row> {
        read(text.as_bytes(), delimiter, None)
    }

    fn good(rows: &[(u64, &[&str])]) -> Vec<Row> {
        rows.iter().map(|(n, r)| (*n, r.iter().map(|s| s.to_string()).collect(), false)).collect()
    }

    #[test]
    fn records_know_their_lines_whatever_ends_them() {
        let want = good(&[(1, &["a", "b"]), (3, &["c", "d\ne"]), (5, &["", ""]), (7, &["f", "g"])]);
        let text = "a,b\n\nc,\"d\ne\"\n,\n\nf,g";
        assert_eq!(rows(text, None), want);
        assert_eq!(rows(&format!("{text}\n"), None), want);
        let other = |end: &str| {
            let rows = rows(&text.replace('\n', end), None);
            let plain =
                |row: Row| (row.0, row.1.iter().map(|f| f.replace(end, "\n")).collect(), row.2);
            rows.into_iter().map(plain).collect::<Vec<_>>()
        };
        assert_eq!(other("\r\n"), want);
        assert_eq!(other("\r"), want);
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        assert_eq!(read(&marked, None, None), want);
    }

    #[test]
    fn double_colons_split_and_quotes_there_mean_nothing() {
        let got = rows("1::\"a:b::\r\n\n2\n", Some("::"));
        assert_eq!(got, good(&[(1, &["1", "\"a:b", ""]), (3, &["2"])]));
    }

    #[test]
    fn blanks_delimit_in_runs_and_fields_are_trimmed() {
        let got = rows(" 1 100  3 \n 2\t101 1\n", Some("space"));
        assert_eq!(got, good(&[(1, &["1", "100", "3"]), (2, &["2", "101", "1"])]));
        let got = rows("user, item\n1, \"10\" \n2 ,  11\n", None);
        assert_eq!(got, good(&[(1, &["user", "item"]), (2, &["1", "10"]), (3, &["2", "11"])]));
    }

    #[test]
    fn a_tabbed_file_without_quoting_keeps_its_quotes() {
        let text = "u1\t\"weird al\" y\t5\nu2\t\"ghost town\t4\nu3\tair\t7\nu4\t7\" heroes\t9\n\
                    u5\t\"Heroes\"\t1\nu6\tHeroes\t2\n";
        let names: Vec<String> = rows(text, None).into_iter().map(|row| row.1[1].clone()).collect();
        let want = ["\"weird al\" y", "\"ghost town", "air", "7\" heroes", "\"Heroes\"", "Heroes"];
        assert_eq!(names, want);
        assert_eq!(rows(text, None), read(text.as_bytes(), None, Some(Quote::None)));
    }

    #[test]
    fn a_tabbed_file_that_quotes_is_unquoted() {
        for text in [
            "\"u\"\t\"i\"\n\"a b\"\t1\n\"c\"\t2\n",
            "\"a b\"\t1\n\"c\"\t2\n",
            "u\ti\n\"a\tb\"\t1\n\"c\"\t2\n",
        ] {
            let rows = rows(text, None);
            assert_eq!(rows.last().unwrap().1, ["c", "2"], "{text}");
        }
        // Only what must be quoted is, in a file of which little is.
        let late = format!("{}z\t\"a \"\"b\"\"\"\n", "u\ti\n".repeat(20_000));
        assert_eq!(rows(&late, None).last().unwrap().1, ["z", "a \"b\""]);
    }

    #[test]
    fn a_stray_quote_is_at_fault_and_swallows_nothing() {
        // Fields of the right number, which a reader that trusts quotes takes for one record.
        let text = "u,i,n\n1,\"ghost,5\n2,x,3\n3,12\",4\n4,y,6\n";
        let faults: Vec<u64> = rows(text, None).iter().filter(|r| r.2).map(|r| r.0).collect();
        assert_eq!(faults, [2]);
        assert_eq!(rows(text, None).len(), 5);
        let off = read(text.as_bytes(), None, Some(Quote::None));
        assert_eq!(off[3].1, ["3", "12\"", "4"]);
        let on = read(text.as_bytes(), None, Some(Quote::Byte(b'"')));
        assert_eq!((on.len(), on[1].1[1].lines().count()), (3, 3), "it is one field if asked so");
        for open in ["a,b\nc,\"d\ne,f\n", "a,b\nc,\"d\ne,f"] {
            let rows = rows(open, None);
            assert_eq!(
                rows.iter().map(|r| r.2).collect::<Vec<_>>(),
                [false, true, false],
                "{open}"
            );
        }
    }

    #[test]
    fn escaped_quotes_are_quotes() {
        let text = "\"id\";\"title\";\"y\"\n\"1\";\"The \\\"C\\\"; Level 4\";\"2\"\n\"2\";\"x\\\"\";\"3\"\n";
        let rows = rows(text, None);
        assert_eq!(rows[1].1, ["1", "The \"C\"; Level 4", "2"]);
        assert_eq!(rows[2].1, ["2", "x\"", "3"]);
        assert!(rows.iter().all(|row| !row.2));
        let torn = self::rows("u,i\n1,\"a\" b\n2,c\n", Some(","));
        assert_eq!(torn.iter().filter(|row| row.2).count(), 0, "it seems to quote nothing");
        let torn = format!("u,i\n{}1,\"a\" b\n", "1,c\n".repeat(30_000));
        assert!(self::rows(&torn, None).last().unwrap().2);
    }

    #[test]
    fn a_first_line_may_name_the_delimiter() {
        let want = good(&[(2, &["u", "i,j"]), (3, &["1", "2,5"])]);
        for first in ["sep=;", "SEP=;", "\"sep=;\""] {
            assert_eq!(rows(&format!("{first}\r\nu;i,j\r\n1;2,5\r\n"), None), want);
        }
    }
}
