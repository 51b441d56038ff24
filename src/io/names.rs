//! Names for people (`id, name` files) and lists of ids.

use std::borrow::Cow;
use std::path::Path;

use crate::error::ReadError;
use crate::index::Ids;
use crate::index::canonical_int;

use super::matrix::Matrix;
use super::npy;
use super::source::{Source, extension, format_error, shown, utf8};

/// Reads the first two fields of every line as an id and its name, in the order of the file.
///
/// The separator is that of the first line: a tab, `::` (MovieLens's `id::title::genres`), a comma
/// or a semicolon, looked for in this order; further fields are ignored. With a tab, comma or
/// semicolon a field in double quotes is unquoted. A first line that is a header (its id is no
/// integer, the next one's is; or its fields are called `id` and `name`, `title` or `label`) is
/// skipped, and so are empty lines. `-` is standard input.
///
/// # Errors
/// If the file cannot be read, a line has no second field, or is not UTF-8 (the line is named).
pub fn read(path: impl AsRef<Path>) -> Result<Vec<(String, String)>, ReadError> {
    let mut lines = Source::open(path.as_ref())?.into_lines()?;
    let mut separator = None;
    let mut pairs: Vec<(String, String)> = Vec::new();
    while let Some(line) = lines.next()? {
        if line.is_empty() {
            continue;
        }
        let pair = utf8(line, "line").and_then(|line| {
            let separator = *separator.get_or_insert_with(|| guess(line));
            first_two(line, separator)
        });
        pairs.push(pair.map_err(|problem| lines.error(problem))?);
    }
    if is_header(&pairs) {
        pairs.remove(0);
    }
    Ok(pairs)
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
    let mut lines = Source::open(path.as_ref())?.into_lines()?;
    let mut labels = Vec::new();
    while let Some(line) = lines.next()? {
        let label = utf8(line, "label").map(str::to_string);
        labels.push(label.map_err(|problem| lines.error(problem))?);
    }
    Ok(labels)
}

fn read_lines(path: &Path) -> Result<Vec<String>, ReadError> {
    let mut lines = Source::open(path)?.into_lines()?;
    let mut texts = Vec::new();
    while let Some(line) = lines.next()? {
        let text = match line {
            // An id too few would shift all those below it.
            b"" => Err("the line is empty: give one id a line".to_string()),
            _ => utf8(line, "id").map(str::to_string),
        };
        texts.push(text.map_err(|problem| lines.error(problem))?);
    }
    Ok(texts)
}

fn guess(line: &str) -> &'static str {
    ["\t", "::", ",", ";"].into_iter().find(|s| line.contains(s)).unwrap_or("\t")
}

fn first_two(line: &str, separator: &str) -> Result<(String, String), String> {
    let missing = || {
        format!("got {}, expected an id and a name with {separator:?} between them", shown(line))
    };
    let quotes = separator != "::";
    let (id, rest) = field(line, separator, quotes);
    let (name, _) = field(rest.ok_or_else(missing)?, separator, quotes);
    Ok((id.into_owned(), name.into_owned()))
}

/// The first field of `text`, unquoted, and what follows its separator.
fn field<'a>(text: &'a str, separator: &str, quotes: bool) -> (Cow<'a, str>, Option<&'a str>) {
    if let Some((value, rest)) = quotes.then(|| quoted(text, separator)).flatten() {
        return (value, rest);
    }
    match text.split_once(separator) {
        Some((value, rest)) => (value.into(), Some(rest)),
        None => (text.into(), None),
    }
}

/// A field in double quotes. One whose closing quote does not end it is no quoted field: there are
/// names such as `"Weird Al" Yankovic` in files that quote nothing.
fn quoted<'a>(text: &'a str, separator: &str) -> Option<(Cow<'a, str>, Option<&'a str>)> {
    let body = text.strip_prefix('"')?;
    let mut end = 0;
    loop {
        end += body[end..].find('"')?;
        if !body[end + 1..].starts_with('"') {
            break;
        }
        end += 2;
    }
    let rest = &body[end + 1..];
    let value = body[..end].replace("\"\"", "\"").into();
    if rest.is_empty() {
        Some((value, None))
    } else {
        Some((value, Some(rest.strip_prefix(separator)?)))
    }
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
        assert_eq!(pairs("a;\"open\n"), owned(&[("a", "\"open")]));
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
