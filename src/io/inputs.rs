//! The files that are read: one, several, those of a folder, those that match a pattern.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::ReadError;

use super::source::{format_error, io_error, shown};

/// How deep folders may lie in folders.
const DEPTH: usize = 32;
/// Folders whose files are not rows until a log of theirs has been read.
const LOGS: [(&str, &str); 3] = [
    ("_delta_log", "a Delta table: read it with the package deltalake"),
    (".hoodie", "a Hudi table: read it with a library for Hudi"),
    ("metadata/version-hint.text", "an Iceberg table: read it with the package pyiceberg"),
];
/// Hive's word for no value.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A file to read, and the columns that the names of its folders give: `day=2024-01-31`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Input {
    pub path: PathBuf,
    pub partitions: Vec<(String, String)>,
}

/// The files that paths stand for, in the order of the paths and of the files' names.
pub(super) fn expand<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<Input>, ReadError> {
    let mut inputs = Vec::new();
    for path in paths {
        let path = path.as_ref();
        for found in matching(path)? {
            let before = inputs.len();
            push(&found, &mut inputs)?;
            if inputs.len() == before {
                let problem = "the folder holds no files to read (names that begin with . or _ are \
                               skipped)";
                return Err(format_error(&found, problem));
            }
        }
    }
    Ok(inputs)
}

/// The path itself, or the paths that match it if there is no such file and it has `*`, `?` or `[`.
fn matching(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let pattern = path.to_str().filter(|text| text.contains(['*', '?', '[']));
    let Some(pattern) = pattern.filter(|_| !path.exists()) else {
        return Ok(vec![path.to_path_buf()]);
    };
    let wrong = |e: glob::PatternError| format_error(path, format!("not a pattern of paths: {e}"));
    let paths = glob::glob(pattern).map_err(wrong)?;
    let found: Result<Vec<PathBuf>, _> = paths.collect();
    let found = found.map_err(|e| {
        let path = e.path().to_path_buf();
        io_error(&path, e.into())
    })?;
    // A pattern that names the hidden asks for them.
    let asked = path.file_name().is_some_and(|name| is_hidden(&name.to_string_lossy()));
    let named = |path: &PathBuf| {
        asked || !path.file_name().is_some_and(|name| is_hidden(&name.to_string_lossy()))
    };
    let found: Vec<PathBuf> = found.into_iter().filter(named).collect();
    match found.is_empty() {
        true => Err(io_error(path, io::Error::new(io::ErrorKind::NotFound, "no file matches"))),
        false => Ok(found),
    }
}

fn push(path: &Path, inputs: &mut Vec<Input>) -> Result<(), ReadError> {
    if path != Path::new("-") && path.is_dir() {
        return push_folder(path, &[], DEPTH, inputs);
    }
    inputs.push(Input { path: path.to_path_buf(), partitions: Vec::new() });
    Ok(())
}

fn push_folder(
    folder: &Path,
    partitions: &[(String, String)],
    depth: usize,
    inputs: &mut Vec<Input>,
) -> Result<(), ReadError> {
    if let Some((_, what)) = LOGS.iter().find(|(log, _)| folder.join(log).exists()) {
        return Err(format_error(folder, format!("got {what}")));
    }
    if depth == 0 {
        return Err(format_error(folder, "got folders that lie in each other without end"));
    }
    let entries = fs::read_dir(folder).map_err(|e| io_error(folder, e))?;
    let names: Result<Vec<_>, io::Error> = entries.map(|entry| Ok(entry?.file_name())).collect();
    let mut names = names.map_err(|e| io_error(folder, e))?;
    names.sort();
    for name in names {
        let (path, name) = (folder.join(&name), name.to_string_lossy());
        if is_hidden(&name) || name.ends_with(".crc") {
            continue;
        }
        if path.is_dir() {
            let mut inner = partitions.to_vec();
            inner.extend(partition(&path, &name)?);
            push_folder(&path, &inner, depth - 1, inputs)?;
        } else {
            inputs.push(Input { path, partitions: partitions.to_vec() });
        }
    }
    Ok(())
}

/// `_SUCCESS`, `.part-0.crc` and the like, which are about other files.
fn is_hidden(name: &str) -> bool {
    name.starts_with(['_', '.']) && !name.contains('=')
}

/// The column and the value that a folder's name gives.
fn partition(path: &Path, name: &str) -> Result<Option<(String, String)>, ReadError> {
    let Some((column, value)) = name.split_once('=') else { return Ok(None) };
    if value == HIVE_NULL {
        let problem =
            format!("the column {} has no value here: leave this folder out", shown(column));
        return Err(format_error(path, problem));
    }
    Ok(Some((unescaped(column), unescaped(value))))
}

/// `%3A` and the like as what they stand for.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match code.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => (bytes.push(byte), rest = &after[2..]).0,
            None => (bytes.push(*first), rest = after).0,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    fn names(dir: &tempfile::TempDir, path: &str) -> Vec<String> {
        let inputs = expand(&[dir.path().join(path)]).unwrap();
        let name =
            |input: &Input| input.path.strip_prefix(dir.path()).unwrap().display().to_string();
        inputs.iter().map(name).collect()
    }

    #[test]
    fn folders_are_read_in_the_order_of_their_names() {
        let dir =
            tree(&["d/part-1.csv", "d/part-0.csv", "d/_SUCCESS", "d/.part-0.csv.crc", "d/x.crc"]);
        assert_eq!(names(&dir, "d"), ["d/part-0.csv", "d/part-1.csv"]);
        assert_eq!(names(&dir, "d/part-1.csv"), ["d/part-1.csv"]);
        assert_eq!(names(&dir, "d/part-*.csv"), ["d/part-0.csv", "d/part-1.csv"]);
        assert_eq!(names(&dir, "d/*"), ["d/part-0.csv", "d/part-1.csv", "d/x.crc"]);
        let missing = expand(&[dir.path().join("d/*.parquet")]).unwrap_err().to_string();
        assert!(missing.contains("no file matches"), "{missing}");
    }

    #[test]
    fn partitions_are_columns() {
        let dir = tree(&["t/day=2024-01-01/at=12%3A30/a", "t/day=2024-01-02/at=x%zz/b"]);
        let inputs = expand(&[dir.path().join("t")]).unwrap();
        let columns: Vec<_> = inputs.iter().map(|input| input.partitions.clone()).collect();
        let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
        assert_eq!(columns[0], [pair("day", "2024-01-01"), pair("at", "12:30")]);
        assert_eq!(columns[1][1], pair("at", "x%zz"));
        let dir = tree(&["t/day=__HIVE_DEFAULT_PARTITION__/a"]);
        let error = expand(&[dir.path().join("t")]).unwrap_err().to_string();
        assert!(error.contains("\"day\" has no value here"), "{error}");
    }

    #[test]
    fn what_is_more_than_its_files_is_named() {
        for (file, what) in [("t/_delta_log/0.json", "Delta"), ("t/.hoodie/x", "Hudi")] {
            let error = expand(&[tree(&[file, "t/a.parquet"]).path().join("t")]).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
        let error = expand(&[tree(&["t/_SUCCESS"]).path().join("t")]).unwrap_err().to_string();
        assert!(error.contains("holds no files to read"), "{error}");
    }
}
