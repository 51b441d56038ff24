//! The front door for interactions.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::error::ReadError;
use crate::recommend::{Interactions, InteractionsBuilder, TimeUnit};

use super::arrow::ArrowRows;
use super::delimited::first_lines;
use super::delimiter::Delimiter;
use super::encoding::Encoding;
use super::inputs::{self, Input};
use super::quoting::Quote;
use super::source::{Source, Text, extension, format_error, shown};
use super::table::check_null;
use super::times::Time;
use super::{BadRows, ipc, lists, magic, parquet, table};

/// How many of the first lines decide whether a file holds lists.
const LOOK: usize = 100;
/// How many columns an error names.
const NAMED: usize = 30;

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
    /// Arrow IPC, a file (Feather) or a stream.
    Arrow,
}

impl Format {
    const ALL: [(Format, &str); 4] = [
        (Format::Table, "table"),
        (Format::Lists, "lists"),
        (Format::Parquet, "parquet"),
        (Format::Arrow, "arrow"),
    ];
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
        let found = found.or_else(|| ["feather", "ipc"].contains(&name).then_some(Format::Arrow));
        found.ok_or_else(|| {
            format!(
                "format is {name:?}, expected \"table\", \"lists\" or \"parquet\", or \"arrow\" for \
                 Feather"
            )
        })
    }
}

/// How to read files of interactions.
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
    /// Delimiter of a table. None: taken from the first lines.
    pub delimiter: Option<Delimiter>,
    /// Quotes around fields of a table. None: double quotes, unless the first lines show that the file
    /// quotes nothing.
    pub quote: Option<Quote>,
    /// Whether a table's first line names its columns. None: unless every column is given by
    /// number; a first line that looks like a header is then an error.
    pub header: Option<bool>,
    /// The encoding of a text. None: UTF-8, or UTF-16 if its mark says so.
    pub encoding: Option<Encoding>,
    /// Whether rows that cannot be read are counted and passed over.
    pub skip_bad_rows: bool,
    /// Whether `NULL`, `NaN`, `NA`, `None` and `\N` in a text are ids like others, rather than rows
    /// that cannot be read.
    pub keep_null_ids: bool,
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
            _ => {
                let available: Vec<String> =
                    available.iter().take(NAMED).map(|name| shown(name)).collect();
                let there = available.join(", ");
                let problem = "say which columns hold the user and the item, by name or by number \
                               from 0; it has";
                Err(format_error(path, format!("{problem} {there}")))
            }
        }
    }

    fn names_columns(&self) -> bool {
        [&self.user, &self.item, &self.weight, &self.time].iter().any(|name| name.is_some())
    }
}

/// Reads who had what, and how often.
///
/// `path` is a file, a folder (its files and those of folders in it, in the order of their names,
/// without those that begin with `.` or `_`), or a pattern with `*`, `?` or `[]` if there is no such
/// file. A folder named `day=2024-01-31` is a column `day`.
///
/// A **table** is text with a header, or without one if columns are given by number. The delimiter
/// and whether fields are quoted are told from the first lines. A pair that stands twice is summed
/// and keeps its latest time; dates are ISO 8601, in UTC unless they say otherwise. **Lists** are
/// lines `user item item ...` ([`lists`]). **Parquet** columns are integers or strings, weights any
/// numbers, times integers, timestamps, dates or such text; **Arrow** IPC (Feather) likewise.
/// Without `options.format`, Parquet and Arrow are known by their first bytes; lists are taken for
/// granted only if no column is named and the first lines are integers with single spaces between
/// them, and do not look like rows; anything else is a table. Each may be compressed with gzip, zstd
/// or bzip2, and `-` is standard input.
///
/// Ids of text files are without blanks at their ends, and integers only if every one of their side
/// is a canonical int64 other than -1; Parquet's keep their type. Users and items are numbered in
/// order of first appearance. Holds 12 to 24 bytes a row and each distinct id once, and 8 bytes a row
/// more at the end.
///
/// # Errors
/// If a file cannot be read or is of another kind, a column is missing, the first line may be a
/// header or not, or rows cannot be read and are not to be skipped: a line has an empty id or one
/// that stands for a missing value, a weight that is no finite number, a time that is none, bytes
/// that are not UTF-8, a quote that does not close, or another number of fields than the first. The
/// first five are named, and all counted up to a thousand.
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
    crate::memory::attempt(|| read_all_interactions(&[path], options))
}

/// [`read_interactions_counted`] of several paths, as if their rows were in one file. Each file has
/// its own header, delimiter and quoting; all are of one kind: text with columns, lists, or columnar
/// (Parquet and Arrow).
///
/// # Errors
/// As [`read_interactions`], or if there is no path, or the files differ in kind.
pub fn read_all_interactions<P: AsRef<Path>>(
    paths: &[P],
    options: &ReadOptions,
) -> Result<(Interactions, BadRows), ReadError> {
    let inputs = inputs::expand(paths)?;
    let Some(first) = inputs.first() else {
        return Err(format_error(Path::new("the paths"), "got none, expected at least one file"));
    };
    let mut all = Collected::None;
    let mut kind = None;
    for input in &inputs {
        let source = Source::open(&input.path)?;
        let (found, content) = Content::of(source, options)?;
        if *kind.get_or_insert(found) != found {
            let kind = kind.unwrap_or(found);
            let problem = format!(
                "got a file of the format {found} after one of {kind} ({}): read files of one kind at \
                 a time",
                first.path.display()
            );
            return Err(format_error(&input.path, problem));
        }
        all.add(content, input, options, inputs.len() == 1)?;
    }
    all.finish()
}

/// Rows collected from some files.
enum Collected {
    None,
    Text(Box<Rows>),
    Columns(Box<ArrowRows>),
}

impl Collected {
    fn add(
        &mut self,
        content: Content,
        input: &Input,
        options: &ReadOptions,
        is_only: bool,
    ) -> Result<(), ReadError> {
        match content {
            Content::Text(format, text) => {
                let rows = self.rows(options, is_only);
                match format {
                    Format::Lists => {
                        let check =
                            |id: &str, what: &str| check_null(id, what, options.keep_null_ids);
                        lists::read_into(text, &check, &mut rows.builder, &mut rows.bad)
                    }
                    _ => table::read_into(text, options, &input.partitions, rows),
                }
            }
            Content::Columns(format, source) => {
                let rows = self.columns(&input.path, options);
                match format {
                    Format::Arrow => ipc::read_into(source, options, &input.partitions, rows),
                    _ => parquet::read_into(source, options, &input.partitions, rows),
                }
            }
        }
    }

    fn rows(&mut self, options: &ReadOptions, is_only: bool) -> &mut Rows {
        if !matches!(self, Collected::Text(_)) {
            *self = Collected::Text(Box::new(Rows::new(options.skip_bad_rows, is_only)));
        }
        match self {
            Collected::Text(rows) => rows,
            _ => unreachable!("made above"),
        }
    }

    fn columns(&mut self, path: &Path, options: &ReadOptions) -> &mut ArrowRows {
        if !matches!(self, Collected::Columns(_)) {
            let rows = ArrowRows::new(path).skip_bad_rows(options.skip_bad_rows);
            *self = Collected::Columns(Box::new(rows));
        }
        match self {
            Collected::Columns(rows) => {
                rows.begin(path);
                rows
            }
            _ => unreachable!("made above"),
        }
    }

    fn finish(self) -> Result<(Interactions, BadRows), ReadError> {
        match self {
            Collected::None => Ok((InteractionsBuilder::new().finish()?, BadRows::default())),
            Collected::Text(rows) => rows.finish(),
            Collected::Columns(rows) => rows.finish_counted(),
        }
    }
}

/// The rows of text files.
pub(super) struct Rows {
    pub builder: InteractionsBuilder,
    pub bad: BadRows,
    is_only_file: bool,
    /// Whether there was a time, and whether all were dates.
    times: (bool, bool),
}

impl Rows {
    fn new(skip_bad: bool, is_only_file: bool) -> Rows {
        let (builder, bad) = (InteractionsBuilder::new(), BadRows::new(skip_bad));
        Rows { builder, bad, is_only_file, times: (false, true) }
    }

    /// Whether there are no other files: among several, some may be empty.
    pub(super) fn is_only_file(&self) -> bool {
        self.is_only_file
    }

    pub(super) fn push(
        &mut self,
        user: &str,
        item: &str,
        weight: f32,
        time: Option<Time>,
    ) -> Result<(), String> {
        let pushed = match time {
            Some(time) => {
                self.times = (true, self.times.1 && time.is_date);
                self.builder.push_text_at(user, item, weight, time.value)
            }
            None => self.builder.push_text(user, item, weight),
        };
        pushed.map_err(|e| e.to_string())
    }

    fn finish(mut self) -> Result<(Interactions, BadRows), ReadError> {
        if self.times == (true, true) {
            self.builder.set_time_unit(TimeUnit::Seconds);
        }
        let bad = self.bad.finish()?;
        Ok((self.builder.finish()?, bad))
    }
}

/// An open file and its format.
enum Content {
    Text(Format, Text),
    Columns(Format, Source),
}

/// Files that can be read as one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Table,
    Lists,
    Columns,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Table => "table",
            Kind::Lists => "lists",
            Kind::Columns => "Parquet or Arrow",
        })
    }
}

impl Content {
    fn of(source: Source, options: &ReadOptions) -> Result<(Kind, Content), ReadError> {
        if let Some(format) = options.format.or_else(|| columnar(&source))
            && matches!(format, Format::Parquet | Format::Arrow)
        {
            return Ok((Kind::Columns, Content::Columns(format, source)));
        }
        let text = source.into_text(options.encoding)?;
        let format = match options.format {
            Some(format) => format,
            None if options.names_columns() || options.delimiter.is_some() => Format::Table,
            None => guess(&text)?,
        };
        let kind = if format == Format::Lists { Kind::Lists } else { Kind::Table };
        Ok((kind, Content::Text(format, text)))
    }
}

/// The format of a file that is no text.
fn columnar(source: &Source) -> Option<Format> {
    let named = |extensions: &[&str]| extensions.contains(&extension(source.path()).as_str());
    if source.head().starts_with(parquet::MAGIC) {
        Some(Format::Parquet)
    } else if ipc::is_arrow(source.head()) {
        Some(Format::Arrow)
    } else {
        // What has the name of one and is another thing is named by its own first bytes.
        let is_text = magic::not_text(source.head()).is_none();
        (named(&["parquet", "pq"]) && is_text).then_some(Format::Parquet)
    }
}

/// Lists or a table.
///
/// # Errors
/// If the lines look like lists and like rows.
fn guess(text: &Text) -> Result<Format, ReadError> {
    let mut head = text.head().to_vec();
    if text.is_all_head() {
        head.push(b'\n');
    }
    if !looks_like_lists(&head) {
        return Ok(Format::Table);
    }
    match looks_like_rows(&head) {
        Some(why) => Err(format_error(
            text.path(),
            format!(
                "got lines of integers with spaces between them, which may be rows or lists: {why}; \
                 name the columns if they are rows `user item weight` (--user 0 --item 1 --weight 2), \
                 or the format if they are lists `user item item ...` (--format lists, \
                 format=\"lists\")"
            ),
        )),
        None => Ok(Format::Lists),
    }
}

/// Whether a file's first bytes are lists of integers: digits with single spaces between them, on
/// every one of the first lines that are not empty.
fn looks_like_lists(head: &[u8]) -> bool {
    let mut lines = first_lines(head).take(LOOK).peekable();
    lines.peek().is_some() && lines.all(integers)
}

fn integers(line: &[u8]) -> bool {
    let mut words = line.split(|&b| b == b' ');
    let is_integer = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    words.all(is_integer)
}

/// Why lists may be rows.
fn looks_like_rows(head: &[u8]) -> Option<&'static str> {
    let lines: Vec<Vec<&[u8]>> =
        first_lines(head).take(LOOK).map(|line| line.split(|&b| b == b' ').collect()).collect();
    let first = lines.first()?.len();
    if lines.len() > 1 && [3, 4].contains(&first) && lines.iter().all(|line| line.len() == first) {
        return Some(if first == 3 { "every line has 3 words" } else { "every line has 4 words" });
    }
    let counts = |line: &Vec<&[u8]>| line[0] == (line.len() - 1).to_string().as_bytes();
    let counted = lines.len() > 2 && lines.iter().all(counts);
    counted.then_some("each first word counts the others")
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
        for other in [&b"u i\n0 1\n"[..], b"1,2\n", b"0  1\n", b"", b"1 2.5\n"] {
            assert!(!looks_like_lists(other), "{other:?}");
        }
    }

    #[test]
    fn rows_of_integers_are_not_taken_for_lists() {
        let fault =
            |text: &[u8]| read("t.txt", text, &ReadOptions::default()).unwrap_err().to_string();
        for (text, why) in [
            (&b"1 1 3\n1 2 4\n2 1 5\n"[..], "every line has 3 words"),
            (b"1 1 3 7\r\n1 2 4 8\r\n", "every line has 4 words"),
            (b"2 7 8\n1 9\n3 1 2 3\n", "each first word counts the others"),
        ] {
            let told = fault(text);
            assert!(told.contains(why) && told.contains("--format lists"), "{told}");
        }
        let lists = ReadOptions { format: Some(Format::Lists), ..ReadOptions::default() };
        assert_eq!(read("t.txt", b"1 1 3\n1 2 4\n", &lists).unwrap().matrix.nnz(), 4);
        assert_eq!(
            read("t.txt", b"1 2\r3 4 5\r", &ReadOptions::default()).unwrap().matrix.nnz(),
            3
        );
    }

    #[test]
    fn what_is_another_thing_is_named_by_its_first_bytes() {
        for (name, bytes, what) in [
            ("t.csv", &b"PK\x03\x04\0\0xl/workbook.xml"[..], "an Excel workbook"),
            ("t.csv", b"\xfd7zXZ\0\0\x04", "an xz archive"),
            ("t.parquet", b"ORC\x03\0", "an ORC file"),
            ("t.csv", &[27, 1, 2, 3, 0, 5, 6, 7, 8, 4, 3, 2, 1, 9, 0, 0, 3], "binary data"),
        ] {
            let error = read(name, bytes, &named()).unwrap_err().to_string();
            assert!(error.contains(what) && !error.contains('\x1b'), "{error}");
        }
    }

    #[test]
    fn several_files_are_one_table() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let one = write("t/day=2024-01-01/part-0.csv", "u,i\na,x\n");
        let two = write("t/day=2024-01-02/part-0.csv", "i;u\nx;a\ny;b\n");
        write("t/day=2024-01-02/part-1.csv", "");
        write("t/_SUCCESS", "");
        let named = |time: Option<&str>| ReadOptions {
            user: Some("u".into()),
            item: Some("i".into()),
            time: time.map(String::from),
            ..ReadOptions::default()
        };
        let (data, _) = read_all_interactions(&[&one, &two], &named(None)).unwrap();
        assert_eq!(data.matrix.values(), [2.0, 1.0]);
        let folder = read_interactions(dir.path().join("t"), &named(Some("day"))).unwrap();
        assert_eq!((&folder.matrix, &folder.users), (&data.matrix, &data.users));
        assert_eq!(folder.times, Some(vec![1_704_153_600, 1_704_153_600]));
        assert_eq!(folder.first_times, Some(vec![1_704_067_200, 1_704_153_600]));
        assert_eq!(folder.time_unit, TimeUnit::Seconds);
        let lists = write("lists.txt", "1 2 3\n4 5\n");
        let mixed = read_all_interactions(&[&one, &lists], &ReadOptions::default()).unwrap_err();
        assert!(mixed.to_string().contains("say which columns"), "{mixed}");
        let none = read_all_interactions::<&str>(&[], &named(None)).unwrap_err().to_string();
        assert!(none.contains("at least one file"), "{none}");
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
