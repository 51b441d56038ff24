//! Fields in quotes: which files have them, and how a line with quotes is split.
//!
//! The csv crate takes what follows a closing quote for a part of the field, so that the names
//! `"weird al" yankovic` and `"the \\"best\\" one"` are read wrongly without an error. Here such a
//! field is an error in a file that quotes, and text in one that does not.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::delimiter::{Delimiter, is_blank};

/// Whether fields may stand in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// Never: a quote is a character like any other.
    None,
    /// In this ASCII character, which is written twice inside.
    Byte(u8),
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quote::None => f.write_str("none"),
            Quote::Byte(byte) => write!(f, "{}", char::from(*byte)),
        }
    }
}

impl FromStr for Quote {
    type Err = String;

    fn from_str(text: &str) -> Result<Quote, String> {
        match text.as_bytes() {
            b"none" | b"" => Ok(Quote::None),
            b"double" => Ok(Quote::Byte(b'"')),
            b"single" => Ok(Quote::Byte(b'\'')),
            [byte] if byte.is_ascii_punctuation() => Ok(Quote::Byte(*byte)),
            _ => Err(format!(
                "quote is {text:?}, expected \"double\", \"single\", \"none\" or one character"
            )),
        }
    }
}

/// How the quotes of a file are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// They mean nothing.
    Off,
    /// The file seems to quote nothing: a field counts as quoted only if its quotes close at its
    /// end, on the same line, and it holds what must be quoted.
    Sparse,
    /// Fields that begin with this character are quoted.
    Full {
        quote: u8,
        /// Whether that is known, from an option or from the file, rather than supposed.
        certain: bool,
    },
}

impl Quoting {
    /// The quoting of a file by its first lines, or what was asked for.
    pub(super) fn guess<'a>(
        asked: Option<Quote>,
        delimiter: Delimiter,
        lines: impl Iterator<Item = &'a [u8]>,
    ) -> Quoting {
        match asked {
            Some(Quote::None) => return Quoting::Off,
            Some(Quote::Byte(quote)) => return Quoting::Full { quote, certain: true },
            None if delimiter == Delimiter::DoubleColon => return Quoting::Off,
            None => {}
        }
        let mut seen = Evidence::default();
        lines.for_each(|line| seen.add(line, delimiter));
        let certain = seen.quotes_columns() || (seen.needed > 0 && seen.against == 0);
        match certain || (delimiter.is_quoted_by_habit() && seen.against == 0) {
            true => Quoting::Full { quote: b'"', certain },
            false => Quoting::Sparse,
        }
    }
}

/// Evidence of quoting in the first lines of a file.
#[derive(Default)]
struct Evidence {
    lines: usize,
    /// For each column, in how many lines its field is quoted, and in how many it is empty.
    quoted: Vec<(usize, usize)>,
    /// Whether every field of the first line is quoted, or a number.
    header: bool,
    /// Quoted fields that hold what must be quoted.
    needed: usize,
    /// Fields with a quote that no file with quoting has.
    against: usize,
    /// Whether a quoted field may go on in the next line.
    open: bool,
}

impl Evidence {
    fn add(&mut self, line: &[u8], delimiter: Delimiter) {
        let line = delimiter.trimmed(line);
        let (mut at, mut column) = (0, 0);
        let (mut quoted, mut words, mut open) = (0, 0, false);
        let against = self.against;
        while let Some(field) = next_field(line, at, delimiter) {
            let text = &line[field.range.clone()];
            match field.shape {
                Shape::Quoted { .. } => quoted += 1,
                Shape::Open => open = true,
                _ => words += usize::from(!is_number(text)),
            }
            self.add_field(column, text, &field.shape);
            (at, column) = (field.next, column + 1);
        }
        self.header |= self.lines == 0 && quoted > 0 && words == 0;
        if self.open {
            // The first quote after one that is open may close it.
            self.against = against;
        }
        self.open = open || (self.open && !line.contains(&b'"'));
        self.lines += 1;
    }

    fn add_field(&mut self, column: usize, text: &[u8], shape: &Shape) {
        if self.quoted.len() <= column {
            self.quoted.resize(column + 1, (0, 0));
        }
        match shape {
            Shape::Quoted { needed } => {
                self.quoted[column].0 += 1;
                self.needed += usize::from(*needed);
            }
            Shape::Bare if text.is_empty() => self.quoted[column].1 += 1,
            Shape::Bare => self.against += usize::from(text.contains(&b'"')),
            // An open field may go on in the next line.
            Shape::Open | Shape::Escaped => {}
            Shape::Torn => self.against += 1,
        }
    }

    /// Whether a column is quoted throughout, but for empty fields and perhaps the header.
    fn quotes_columns(&self) -> bool {
        let throughout = |(quoted, empty): &(usize, usize)| {
            let all = self.lines > 1 && quoted + empty == self.lines;
            *quoted > 0 && (all || (self.header && quoted * 2 > self.lines))
        };
        self.quoted.iter().any(throughout) || (self.header && self.against == 0)
    }
}

/// Whether a field is empty or a number.
fn is_number(text: &[u8]) -> bool {
    let text = std::str::from_utf8(text.trim_ascii()).unwrap_or("?");
    text.is_empty() || text.parse::<f64>().is_ok()
}

/// A field of a line, taken by itself.
struct Field {
    /// Where it lies, quotes included.
    range: Range<usize>,
    /// Where the next field begins; beyond the line after the last.
    next: usize,
    shape: Shape,
}

#[derive(PartialEq, Eq)]
enum Shape {
    Bare,
    /// In quotes that close at its end; whether it had to be quoted.
    Quoted {
        needed: bool,
    },
    /// The quote closes only if `\"` is a quote within the field.
    Escaped,
    /// The quote does not close in this line.
    Open,
    /// Something follows the closing quote.
    Torn,
}

/// The field that begins at `at`; none beyond the line's end.
fn next_field(line: &[u8], at: usize, delimiter: Delimiter) -> Option<Field> {
    if at > line.len() {
        return None;
    }
    let bare = |shape| {
        let end = delimiter.find(line, at);
        let next = end.as_ref().map_or(line.len() + 1, |found| found.end);
        Field { range: at..end.map_or(line.len(), |found| found.start), next, shape }
    };
    let open = at + lead(&line[at..], delimiter);
    if line.get(open) != Some(&b'"') {
        return Some(bare(Shape::Bare));
    }
    let shape = match closed(line, open, delimiter, false) {
        Ok((end, next, doubled)) => {
            let needed = doubled || delimiter.find(&line[..end], open + 1).is_some();
            return Some(Field { range: open..end, next, shape: Shape::Quoted { needed } });
        }
        Err(shape) => shape,
    };
    match closed(line, open, delimiter, true) {
        Ok((end, next, _)) if line[open..end].windows(2).any(|pair| pair == b"\\\"") => {
            Some(Field { range: open..end, next, shape: Shape::Escaped })
        }
        _ => Some(bare(shape)),
    }
}

/// Where the quoted field that begins at `open` ends, where the next begins, and whether there are
/// doubled quotes in it.
fn closed(
    line: &[u8],
    open: usize,
    delimiter: Delimiter,
    escapes: bool,
) -> Result<(usize, usize, bool), Shape> {
    let (mut at, mut doubled) = (open + 1, false);
    loop {
        match (line.get(at), line.get(at + 1)) {
            (None, _) => return Err(Shape::Open),
            (Some(b'\\'), Some(_)) if escapes => at += 2,
            (Some(b'"'), Some(b'"')) => (at, doubled) = (at + 2, true),
            (Some(b'"'), _) => break,
            _ => at += 1,
        }
    }
    let end = at + 1;
    match after(line, end, delimiter) {
        Some(next) => Ok((end, next, doubled)),
        None => Err(Shape::Torn),
    }
}

/// Where the next field begins after a closing quote; beyond the line if it was the last; none if
/// something else follows the quote.
fn after(line: &[u8], end: usize, delimiter: Delimiter) -> Option<usize> {
    let next = match delimiter.is_blank() {
        true => end,
        false => end + lead(&line[end..], delimiter),
    };
    if next == line.len() {
        return Some(line.len() + 1);
    }
    delimiter.find(line, next).filter(|found| found.start == next).map(|found| found.end)
}

/// How many blanks stand before a field.
fn lead(rest: &[u8], delimiter: Delimiter) -> usize {
    match delimiter {
        Delimiter::Byte(b' ' | b'\t') => rest.iter().take_while(|b| **b == b' ').count(),
        _ => rest.iter().take_while(|b| is_blank(b)).count(),
    }
}

/// The line without what stands in quotes that close before a mark that may delimit.
pub(super) fn without_quoted(line: &[u8]) -> Vec<u8> {
    let is_mark = |b: &u8| b",;|\t:".contains(b);
    let ends_well = |end: usize| {
        let rest = &line[end..];
        let blanks = rest.iter().take_while(|b| **b == b' ').count();
        rest.get(blanks).is_none_or(is_mark)
    };
    let mut bare: Vec<u8> = Vec::with_capacity(line.len());
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        let begins = byte == b'"' && trim_end(&bare).last().is_none_or(is_mark);
        match begins.then(|| closing(line, at + 1)).flatten().filter(|&end| ends_well(end)) {
            Some(end) => at = end,
            None => (bare.push(byte), at += 1).1,
        }
    }
    bare
}

fn trim_end(text: &[u8]) -> &[u8] {
    let blanks = text.iter().rev().take_while(|b| **b == b' ').count();
    &text[..text.len() - blanks]
}

/// Where it goes on after the quote that closes what is open at `at`.
fn closing(line: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += line.get(at..)?.iter().position(|&b| b == b'"')? + 1;
        if line.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

/// The fields of a record: places in one text.
#[derive(Default)]
pub(super) struct Fields {
    text: Vec<u8>,
    places: Vec<(usize, usize)>,
    /// Where the quoted field that is being read begins.
    start: usize,
    /// Whether a quoted field is open at the end of what was scanned.
    open: bool,
}

/// How far a scan came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// To the end of the record.
    Whole,
    /// To the end of the line, within a quoted field.
    Open,
    /// To a closing quote with something else after it.
    Torn,
}

impl Fields {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.places.clear();
        self.open = false;
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&[u8]> {
        let &(start, end) = self.places.get(at)?;
        Some(&self.text[start..end])
    }

    /// How many bytes the fields have.
    pub(super) fn size(&self) -> usize {
        self.text.len()
    }

    /// Text within an open field.
    pub(super) fn extend(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn push(&mut self, text: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        self.places.push((start, self.text.len()));
    }

    /// Splits at every delimiter.
    pub(super) fn split(&mut self, line: &[u8], delimiter: Delimiter) {
        let line = delimiter.trimmed(line);
        let base = self.text.len();
        // One copy for all fields.
        self.text.extend_from_slice(line);
        let mut at = 0;
        if let Delimiter::Byte(byte) = delimiter
            && !delimiter.is_blank()
        {
            for found in memchr::memchr_iter(byte, line) {
                self.places.push((base + at, base + found));
                at = found + 1;
            }
        } else {
            while let Some(found) = delimiter.find(line, at) {
                self.places.push((base + at, base + found.start));
                at = found.end;
            }
        }
        self.places.push((base + at, base + line.len()));
    }

    /// Splits a line of a file that seems to quote nothing.
    pub(super) fn split_sparse(&mut self, line: &[u8], delimiter: Delimiter) {
        let line = delimiter.trimmed(line);
        let mut at = 0;
        while let Some(field) = next_field(line, at, delimiter) {
            let (range, next) = match field.shape {
                Shape::Quoted { needed: true } => {
                    self.unquoted(&line[field.range.start + 1..field.range.end - 1]);
                    at = field.next;
                    continue;
                }
                Shape::Bare => (field.range, field.next),
                _ => {
                    let end = delimiter.find(line, at);
                    let next = end.as_ref().map_or(line.len() + 1, |found| found.end);
                    (at..end.map_or(line.len(), |found| found.start), next)
                }
            };
            self.push(&line[range]);
            at = next;
        }
    }

    /// A field whose doubled quotes are made single.
    fn unquoted(&mut self, mut text: &[u8]) {
        let start = self.text.len();
        while let Some(at) = text.windows(2).position(|pair| pair == b"\"\"") {
            self.text.extend_from_slice(&text[..=at]);
            text = &text[at + 2..];
        }
        self.text.extend_from_slice(text);
        self.places.push((start, self.text.len()));
    }

    /// Splits a line of a file that quotes, or goes on within a field that is open. With `escapes` a
    /// backslash in quotes takes the next character as it is.
    pub(super) fn scan(
        &mut self,
        line: &[u8],
        delimiter: Delimiter,
        quote: u8,
        escapes: bool,
    ) -> Scan {
        let line = if self.open { line } else { delimiter.trimmed(line) };
        let mut at = 0;
        loop {
            if !self.open {
                let open = at + lead(&line[at..], delimiter);
                if line.get(open) != Some(&quote) {
                    let end = delimiter.find(line, at);
                    self.push(&line[at..end.as_ref().map_or(line.len(), |found| found.start)]);
                    match end {
                        Some(found) => at = found.end,
                        None => return Scan::Whole,
                    }
                    continue;
                }
                (self.open, self.start, at) = (true, self.text.len(), open + 1);
            }
            let Some(end) = self.scan_quoted(line, at, quote, escapes) else { return Scan::Open };
            self.open = false;
            self.places.push((self.start, self.text.len()));
            match after(line, end, delimiter) {
                Some(next) if next > line.len() => return Scan::Whole,
                Some(next) => at = next,
                None => return Scan::Torn,
            }
        }
    }

    /// Takes quoted text from `at` on; where it is after the closing quote, if there is one.
    fn scan_quoted(
        &mut self,
        line: &[u8],
        mut at: usize,
        quote: u8,
        escapes: bool,
    ) -> Option<usize> {
        loop {
            let rest = &line[at..];
            let found = match escapes {
                true => memchr::memchr2(quote, b'\\', rest),
                false => memchr::memchr(quote, rest),
            };
            let Some(found) = found else {
                self.text.extend_from_slice(rest);
                return None;
            };
            self.text.extend_from_slice(&rest[..found]);
            let doubled = rest[found] != quote || rest.get(found + 1) == Some(&quote);
            match rest.get(found + 1) {
                Some(&next) if doubled => {
                    self.text.push(next);
                    at += found + 2;
                }
                None if doubled => {
                    self.text.push(rest[found]);
                    return None;
                }
                _ => return Some(at + found + 1),
            }
        }
    }
}
