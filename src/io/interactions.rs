//! The front door for interactions.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::error::ReadError;
use crate::recommend::Interactions;

use super::BadRows;
use super::delimited::Delimiter;
use super::source::{Source, extension, format_error};
use super::{lists, parquet, table};

/// How many of the first lines decide whether a file holds lists.
const LOOK: usize = 10;

/// What a file of interactions is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Delimited text, a row a line.
    Table,
    /// Lines `user item item ...`.
    Lists,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    const ALL: [(Format, &str); 3] =
        [(Format::Table, "table"), (Format::Lists, "lists"), (Format::Parquet, "parquet")];
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Format::ALL[*self as usize].1)
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Format, String> {
        let found = Format::ALL.iter().find(|(_, n)| *n == name).map(|(format, _)| *format);
        let found = found.or_else(|| ["csv", "tsv"].contains(&name).then_some(Format::Table));
        found.ok_or_else(|| {
            format!("format is {name:?}, expected \"table\", \"lists\" or \"parquet\"")
        })
    }
}

/// How to read a file of interactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The column of users, by name or by number from 0. A table and Parquet need it.
    pub user: Option<String>,
    /// The column of items, by name or by number from 0. A table and Parquet need it.
    pub item: Option<String>,
    /// The column of weights, by name or by number from 0; without it each row weighs 1.
    pub weight: Option<String>,
    /// The column of times, by name or by number from 0: whole numbers, which are kept as they are,
    /// or dates, which become seconds since 1970 in UTC.
    pub time: Option<String>,
    /// None: told from the extension and the first bytes.
    pub format: Option<Format>,
    /// What stands between the fields of a table. None: told from the first line.
    pub delimiter: Option<Delimiter>,
    /// Whether a table's first line names its columns. None: unless every column is given by
    /// number.
    pub header: Option<bool>,
    /// Whether rows that cannot be read are counted and passed over.
    pub skip_bad_rows: bool,
}

impl ReadOptions {
    /// The columns a table cannot do without.
    pub(super) fn user_and_item(
        &self,
        path: &Path,
        available: &[String],
    ) -> Result<(&str, &str), ReadError> {
        match (self.user.as_deref(), self.item.as_deref()) {
            (Some(user), Some(item)) => Ok((user, item)),
            _ => Err(format_error(
                path,
                format!(
                    "say which columns hold the user and the item, by name or by number from 0; \
                     it has {}",
                    available.join(", ")
                ),
            )),
        }
    }

    fn names_columns(&self) -> bool {
        [&self.user, &self.item, &self.weight, &self.time].iter().any(|name| name.is_some())
    }
}

/// Reads who had what, and how often.
///
/// A **table** is UTF-8 text with a header, or without one if columns are given by number; fields
/// may be quoted; a pair that stands twice is summed and keeps its latest time; dates are ISO 8601,
/// in UTC unless they say otherwise. **Lists** are lines `user item item ...` ([`lists`]).
/// **Parquet** columns are integers or strings, weights any numbers, times integers, timestamps,
/// dates or such text.
/// Without `options.format`, Parquet is known by its first bytes; lists are taken for granted only
/// if no column is named and the first lines are integers with single spaces between them;
/// anything else is a table. Each may be gzipped, and `-` is standard input.
///
/// Ids of text files are integers only if every one of their side is a canonical int64 other than
/// -1; Parquet's keep their type. Users and items are numbered in order of first appearance.
/// Holds 12 to 24 bytes a row and each distinct id once, and 8 bytes a row more at the end.
///
/// # Errors
/// If the file cannot be read, a column is missing, or rows cannot be read and are not to be
/// skipped: a line has an empty id, a weight that is no finite number, a time that is none, bytes
/// that are not UTF-8, or another number of fields than the first. The first five are named, and
/// all counted up to a thousand.
pub fn read_interactions(
    path: impl AsRef<Path>,
    options: &ReadOptions,
) -> Result<Interactions, ReadError> {
    read_interactions_counted(path, options).map(|read| read.0)
}

/// [`read_interactions`], and which rows were passed over; none unless `options.skip_bad_rows`.
///
/// # Errors
/// As [`read_interactions`].
pub fn read_interactions_counted(
    path: impl AsRef<Path>,
    options: &ReadOptions,
) -> Result<(Interactions, BadRows), ReadError> {
    let source = Source::open(path.as_ref())?;
    match options.format.unwrap_or_else(|| guess(&source, options)) {
        Format::Table => table::read_from(source, options),
        Format::Lists => lists::read_from(source, options.skip_bad_rows),
        Format::Parquet => parquet::read_from(source, options),
    }
}

fn guess(source: &Source, options: &ReadOptions) -> Format {
    if source.head().starts_with(parquet::MAGIC)
        || ["parquet", "pq"].contains(&extension(source.path()).as_str())
    {
        return Format::Parquet;
    }
    let lists =
        !options.names_columns() && options.delimiter.is_none() && looks_like_lists(source.head());
    if lists { Format::Lists } else { Format::Table }
}

/// Whether a file's first bytes are lists of integers: digits with single spaces between them, on
/// every one of the first lines.
fn looks_like_lists(head: &[u8]) -> bool {
    let mut lines: Vec<&[u8]> = head.split(|&b| b == b'\n').take(LOOK).collect();
    // The last one may be cut anywhere.
    if lines.len() > 1 && lines.len() < LOOK {
        lines.pop();
    }
    lines.iter().all(|line| integers(line.strip_suffix(b"\r").unwrap_or(line)))
}

fn integers(line: &[u8]) -> bool {
    let mut words = line.split(|&b| b == b' ');
    let is_integer = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    words.all(is_integer)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::index::Ids;

    fn read(name: &str, bytes: &[u8], options: &ReadOptions) -> Result<Interactions, ReadError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read_interactions(&path, options)
    }

    fn named() -> ReadOptions {
        ReadOptions { user: Some("0".into()), item: Some("1".into()), ..Default::default() }
    }

    #[test]
    fn lists_are_taken_for_granted_only_without_columns() {
        let text = b"1 10 20\n2 10\n";
        let lists = read("t.txt", text, &ReadOptions::default()).unwrap();
        assert_eq!((lists.users, lists.matrix.nnz()), (Ids::Int(vec![1, 2]), 3));
        assert!(read("t.txt", text, &named()).is_err());
        let asked = ReadOptions { format: Some(Format::Lists), ..named() };
        assert_eq!(read("t.txt", b"a x\n", &asked).unwrap().matrix.nnz(), 1);
        assert!(read("t.txt", b"a x\n", &ReadOptions::default()).is_err());
        let space = ReadOptions { delimiter: Some(Delimiter::Byte(b' ')), ..named() };
        assert_eq!(read("t.txt", b"1 10\n2 20\n", &space).unwrap().items, Ids::Int(vec![10, 20]));
    }

    #[test]
    fn only_plain_integers_look_like_lists() {
        assert!(looks_like_lists(b"0 1 2 3\n1 5"));
        assert!(looks_like_lists(b"0 1 2 3\n1\n2 4\n2 a"));
        for other in [&b"u i\n0 1\n"[..], b"1,2\n", b"0 1\n\n", b"0  1\n", b"", b"1 2.5\n"] {
            assert!(!looks_like_lists(other), "{other:?}");
        }
    }

    #[test]
    fn gzipped_tables_are_read_by_content() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"1,10\n2,20\n").unwrap();
        let bytes = gz.finish().unwrap();
        let data = read("plain.csv", &bytes, &named()).unwrap();
        assert_eq!(data.items, Ids::Int(vec![10, 20]));
        let cut = read("plain.csv", &bytes[..bytes.len() - 4], &named()).unwrap_err();
        assert!(matches!(cut, ReadError::Io { .. }), "{cut}");
    }

    #[test]
    fn bad_rows_are_named_together_or_passed_over() {
        let text = "u,i,w\n1,2,3\n,2,3\n1,2\n1,2,x\n4,5,6\n";
        let columns = ["u", "i", "w"].map(|name| Some(name.to_string()));
        let [user, item, weight] = columns;
        let options = ReadOptions { user, item, weight, ..ReadOptions::default() };
        let error = read("t.csv", text.as_bytes(), &options).unwrap_err().to_string();
        assert!(error.starts_with("3 rows cannot be read: "), "{error}");
        for wrong in [
            "line 3: the user id is empty",
            "line 4: got 2 fields, the first line has 3",
            "line 5: the weight is \"x\", expected a number",
            "skipped (errors=\"skip\", --skip-bad-rows)",
        ] {
            assert!(error.contains(wrong), "{error}");
        }
        let skip = ReadOptions { skip_bad_rows: true, ..options };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let (data, bad) = read_interactions_counted(&path, &skip).unwrap();
        assert_eq!((data.users, data.matrix.values()), (Ids::Int(vec![1, 4]), &[3.0, 6.0][..]));
        assert_eq!((bad.count(), bad.first().len()), (3, 3));
        std::fs::write(&path, b"1 2\n\xff 3\n4 \xff\n5 6\n").unwrap();
        let lists = ReadOptions { format: Some(Format::Lists), ..skip };
        let (data, bad) = read_interactions_counted(&path, &lists).unwrap();
        assert_eq!((data.users, bad.count()), (Ids::Int(vec![1, 5]), 2));
    }

    #[test]
    fn formats_have_names_and_a_missing_file_is_named() {
        for (format, name) in Format::ALL {
            assert_eq!((format.to_string().as_str(), name.parse()), (name, Ok(format)));
        }
        assert_eq!("csv".parse(), Ok(Format::Table));
        assert!("xlsx".parse::<Format>().unwrap_err().contains("expected \"table\""));
        let error = read_interactions("no/such.csv", &named()).unwrap_err().to_string();
        assert!(error.starts_with("could not read no/such.csv"), "{error}");
    }
}
