//! Names for people (`id, name` files) and lists of ids.

use std::path::Path;

use crate::error::ReadError;
use crate::index::Ids;
use crate::index::canonical_int;

use super::BadRows;
use super::delimited::{Dialect, Records};
use super::delimiter::Delimiter;
#[cfg(feature = "tables")]
use super::encoding::Encoding;
use super::matrix::Matrix;
use super::npy;
use super::quoting::Quote;
use super::source::{Source, extension, format_error, shown, utf8};

/// How to read a file of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamesOptions {
    /// The column of ids, by name or by number from 0. None: the first.
    pub id: Option<String>,
    /// The column of names, by name or by number from 0. None: the second.
    pub name: Option<String>,
    /// Delimiter. None: taken from the first lines.
    pub delimiter: Option<Delimiter>,
    /// Quotes around fields. None: taken from the first lines.
    pub quote: Option<Quote>,
    /// The encoding. None: UTF-8, or UTF-16 if its mark says so.
    #[cfg(feature = "tables")]
    pub encoding: Option<Encoding>,
    /// Whether rows that cannot be read are counted and passed over.
    pub skip_bad_rows: bool,
}

/// Reads the first two fields of every line as an id and its name, in the order of the file:
/// [`read_with`] the default options.
///
/// # Errors
/// As [`read_with`].
pub fn read(path: impl AsRef<Path>) -> Result<Vec<(String, String)>, ReadError> {
    read_with(path, &NamesOptions::default()).map(|read| read.0)
}

/// Reads two columns of a delimited file as ids and names, in the order of the file, and which rows
/// were passed over.
///
/// Delimiter and quoting are told from the first lines, as for tables of interactions: a tab, `::`
/// (MovieLens's `id::title::genres`), a comma, a semicolon or a pipe. If columns are given by
/// number, a first line that is a header (its id is no integer, the next one's is; or its fields are
/// called `id` and `name`, `title` or `label`) is skipped. Empty lines are skipped. `-` is standard
/// input.
///
/// # Errors
/// If the file cannot be read or there is no such column; or, unless rows may be skipped, if a line
/// has too few fields, too many of them for a name that holds no delimiter, a quote that does not
/// close, or bytes that are not UTF-8 (the line is named).
pub fn read_with(
    path: impl AsRef<Path>,
    options: &NamesOptions,
) -> Result<(Vec<(String, String)>, BadRows), ReadError> {
    let path = path.as_ref();
    let source = Source::open(path)?;
    #[cfg(feature = "tables")]
    let text = source.into_text(options.encoding)?;
    #[cfg(not(feature = "tables"))]
    let text = source.text()?;
    let mut head = text.head().to_vec();
    if text.is_all_head() {
        head.push(b'\n');
    }
    let mut records = Records::open(text, Dialect::guess(&head, options.delimiter, options.quote))?;
    let mut bad = BadRows::new(options.skip_bad_rows);
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut columns = None;
    while records.advance()? {
        let first = columns.is_none();
        let (id, name, header) = match columns {
            Some(found) => found,
            None => *columns.insert(find(&records, options, path)?),
        };
        if first && header {
            continue;
        }
        match pair(&records, id, name) {
            Ok(pair) => pairs.push(pair),
            Err(problem) => bad.note(|| records.error(problem))?,
        }
    }
    if columns.is_some_and(|(.., header)| !header) && is_header(&pairs) {
        pairs.remove(0);
    }
    Ok((pairs, bad.finish()?))
}

/// Where ids and names are, and whether the first line names the columns.
fn find(
    records: &Records,
    options: &NamesOptions,
    path: &Path,
) -> Result<(usize, usize, bool), ReadError> {
    let first = records.texts();
    let (id, name) = (options.id.as_deref(), options.name.as_deref());
    let by_number = |column: Option<&str>, otherwise: usize| {
        column.map_or(Some(otherwise), |column| column.parse().ok())
    };
    let header = by_number(id, 0).is_none() || by_number(name, 1).is_none();
    let locate = |column: Option<&str>, otherwise: usize| {
        let Some(column) = column else { return Ok(otherwise) };
        let named = || first.iter().position(|text| text == column).filter(|_| header);
        let numbered = || column.parse().ok().filter(|&at: &usize| at < first.len());
        named().or_else(numbered).ok_or_else(|| ReadError::Column {
            path: path.to_path_buf(),
            column: column.to_string(),
            available: if header {
                first.clone()
            } else {
                (0..first.len()).map(|at| at.to_string()).collect()
            },
        })
    };
    Ok((locate(id, 0)?, locate(name, 1)?, header))
}

fn pair(records: &Records, id: usize, name: usize) -> Result<(String, String), String> {
    if let Some(problem) = records.fault() {
        return Err(problem.to_string());
    }
    if records.len() <= id.max(name) {
        let got = records.texts().iter().map(|text| shown(text)).collect::<Vec<_>>().join(", ");
        return Err(format!(
            "got {got}, expected an id and a name with the delimiter {} between them: name another \
             (--names-delimiter)",
            records.delimiter()
        ));
    }
    // A name may hold these, and would be cut there; tabs and double colons it does not hold.
    let is_cut = matches!(records.delimiter(), Delimiter::Byte(b',' | b';' | b'|'));
    if is_cut && records.len() > records.width() {
        return Err(records.width_problem());
    }
    let field = |at: usize, what: &str| utf8(records.field(at), what).map(str::to_string);
    Ok((field(id, "id")?, field(name, "name")?))
}

/// Reads ids: a text file with one id a line, or an integer `.npy` array.
///
/// Text gives integers only if every line is a canonical int64 other than -1, otherwise strings.
///
/// # Errors
/// If the file cannot be read, a line is empty or not UTF-8, or an id stands twice or is -1.
pub fn read_ids(path: impl AsRef<Path>) -> Result<Ids, ReadError> {
    let path = path.as_ref();
    let ids = match extension(path).as_str() {
        "npy" => Ids::Int(read_column(path)?),
        _ => Ids::from_text(read_lines(path)?),
    };
    ids.check(ids.len())?;
    Ok(ids)
}

fn read_column(path: &Path) -> Result<Vec<i64>, ReadError> {
    let Matrix { data, rows, cols } = npy::read_i64(path)?;
    if rows > 1 && cols > 1 {
        let problem = format!("got {rows} rows of {cols} ids, expected one id a row");
        return Err(format_error(path, problem));
    }
    Ok(data)
}

/// Reads labels: a text file with one name a line; lines may be empty and names may repeat. `-` is
/// standard input.
///
/// # Errors
/// If the file cannot be read or a line is not UTF-8.
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<String>, ReadError> {
    let mut lines = Source::open(path.as_ref())?.text()?.into_lines();
    let mut labels = Vec::new();
    while lines.advance()? {
        let label = utf8(&lines.line().text, "label").map(str::to_string);
        labels.push(label.map_err(|problem| lines.error(problem))?);
    }
    Ok(labels)
}

fn read_lines(path: &Path) -> Result<Vec<String>, ReadError> {
    let mut lines = Source::open(path)?.text()?.into_lines();
    let mut texts = Vec::new();
    while lines.advance()? {
        let text = match &lines.line().text[..] {
            // An id too few would shift all those below it.
            b"" => Err("the line is empty: give one id a line".to_string()),
            line => utf8(line, "id").map(str::to_string),
        };
        texts.push(text.map_err(|problem| lines.error(problem))?);
    }
    Ok(texts)
}

fn is_header(pairs: &[(String, String)]) -> bool {
    let Some((id, name)) = pairs.first() else { return false };
    let called = |text: &str, names: &[&str]| names.iter().any(|n| text.eq_ignore_ascii_case(n));
    let below = pairs.get(1).is_some_and(|(id, _)| canonical_int(id).is_some());
    (canonical_int(id).is_none() && below)
        || (called(id, &["id"]) && called(name, &["name", "title", "label"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(name: &str, bytes: &[u8], read: impl Fn(&Path) -> T) -> T {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    fn pairs(text: &str) -> Vec<(String, String)> {
        with("n", text.as_bytes(), |p| read(p)).unwrap()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
    }

    #[test]
    fn names_are_read_with_any_separator() {
        let tab =
            pairs("id\tname\n1\tA, b\r\n\n2\t\"Weird Al\" Yankovic\n3\t\"x \"\"y\"\"\"\turl\n");
        assert_eq!(tab, owned(&[("1", "A, b"), ("2", "\"Weird Al\" Yankovic"), ("3", "x \"y\"")]));
        let movies = pairs("1::Toy Story (1995)::Animation|Comedy\n2::\"q\"::x\n");
        assert_eq!(movies, owned(&[("1", "Toy Story (1995)"), ("2", "\"q\"")]));
        assert_eq!(pairs("a,\"Smith, J\"\nb,c"), owned(&[("a", "Smith, J"), ("b", "c")]));
        let spans = pairs("1;\"Les\r\nautres\"\r\n2;Heat\r\n");
        assert_eq!(spans, owned(&[("1", "Les\r\nautres"), ("2", "Heat")]));
    }

    #[test]
    fn names_files_are_tables() {
        let movies = pairs("1|Toy Story (1995)|01-Jan-1995||0|1\n2|Four, Rooms|x||0|0\n");
        assert_eq!(movies, owned(&[("1", "Toy Story (1995)"), ("2", "Four, Rooms")]));
        let films = pairs("11;Seven, or Se7en (1995)\n12;Heat (1995)\n");
        assert_eq!(films, owned(&[("11", "Seven, or Se7en (1995)"), ("12", "Heat (1995)")]));
        let cr = pairs("id,title\r1,Heat\r2,Air\r");
        assert_eq!(cr, owned(&[("1", "Heat"), ("2", "Air")]));
        let cut = with("n", b"2,Heat\n1,Smith, John\n3,Air\n", |p| read(p)).unwrap_err();
        assert!(cut.to_string().contains("line 2: got 3 fields, the first line has 2"), "{cut}");
        assert_eq!(pairs("1|Heat|x|y\n2|Air\n").len(), 2, "the id and the name are there");
    }

    #[cfg(feature = "tables")]
    #[test]
    fn columns_encodings_and_bad_rows_are_chosen() {
        let text = b"isbn;author;title\n1;x;Les \xe9t\xe9s\n2;y\n3;z;Air\n";
        let options = NamesOptions {
            id: Some("isbn".into()),
            name: Some("title".into()),
            encoding: Some("latin-1".parse().unwrap()),
            skip_bad_rows: true,
            ..NamesOptions::default()
        };
        let (pairs, bad) = with("n", text, |p| read_with(p, &options)).unwrap();
        assert_eq!(pairs, owned(&[("1", "Les étés"), ("3", "Air")]));
        assert_eq!(bad.count(), 1);
        let missing = NamesOptions { name: Some("name".into()), ..options.clone() };
        let error = with("n", text, |p| read_with(p, &missing)).unwrap_err().to_string();
        assert!(error.ends_with("no column \"name\"; it has isbn, author, title"), "{error}");
        let numbered = NamesOptions { id: Some("0".into()), name: Some("2".into()), ..options };
        assert_eq!(with("n", text, |p| read_with(p, &numbered)).unwrap().0[0].1, "Les étés");
    }

    #[test]
    fn a_header_is_known_by_what_follows_it() {
        assert_eq!(pairs("song,artist\n1,a\n"), owned(&[("1", "a")]));
        assert_eq!(pairs("ID,Title\nx,a\n"), owned(&[("x", "a")]));
        assert_eq!(pairs("x,a\ny,b\n").len(), 2);
        assert_eq!(pairs("1,a\n2,b\n").len(), 2);
    }

    #[test]
    fn labels_may_be_empty_and_repeat() {
        let labels = |bytes: &[u8]| with("l", bytes, |p| read_labels(p));
        assert_eq!(labels(b"a, b\r\n\na, b").unwrap(), ["a, b", "", "a, b"]);
        let fault = labels(b"a\n\xff\n").unwrap_err().to_string();
        assert!(fault.contains("line 2") && fault.contains("UTF-8"), "{fault}");
    }

    #[test]
    fn faults_name_the_line() {
        let fault = |bytes: &[u8]| with("n", bytes, |p| read(p)).unwrap_err().to_string();
        assert!(fault(b"1,a\n\n2\n").contains("line 3: got \"2\", expected an id and a name"));
        assert!(fault(b"1,a\n2,\xe9\n").contains("line 2") && fault(b"1,\xe9").contains("0xe9"));
    }

    #[test]
    fn ids_are_read_from_text_and_arrays() {
        let ids = |name: &str, bytes: &[u8]| with(name, bytes, |p| read_ids(p));
        assert_eq!(ids("i.txt", b"3\r\n-5\r\n").unwrap(), Ids::Int(vec![3, -5]));
        assert_eq!(ids("i.txt", b"03\nb").unwrap(), Ids::Text(vec!["03".into(), "b".into()]));
        assert!(ids("i.txt", b"1\n\n2\n").unwrap_err().to_string().contains("line 2"));
        assert!(matches!(ids("i.txt", b"1\n1\n").unwrap_err(), ReadError::Ids(_)));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("i.npy");
        npy::write_i64(&path, &[4, 5], 1).unwrap();
        assert_eq!(read_ids(&path).unwrap(), Ids::Int(vec![4, 5]));
        npy::write_i64(&path, &[4, 5, 6, 7], 2).unwrap();
        assert!(read_ids(&path).unwrap_err().to_string().contains("got 2 rows of 2 ids"));
        npy::write_i64(&path, &[4, -1], 1).unwrap();
        assert!(matches!(read_ids(&path).unwrap_err(), ReadError::Ids(_)));
    }
}
