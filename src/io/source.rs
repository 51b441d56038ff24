//! Where bytes come from: a file, a gzipped file, standard input; and the lines in them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::error::ReadError;

/// How many of the first bytes are looked at to tell formats and delimiters apart.
const HEAD: u64 = 1 << 16;
const BUFFER: usize = 1 << 18;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// An open input: its first bytes, then the rest.
pub(super) struct Source {
    path: PathBuf,
    /// The first [`HEAD`] bytes, or all there are.
    head: Vec<u8>,
    rest: Box<dyn Read>,
    /// How many bytes there are in all, if a plain file says so.
    len: Option<u64>,
}

impl Source {
    /// Opens a file, or standard input for `-`; gzip is recognised by its first bytes.
    pub(super) fn open(path: &Path) -> Result<Source, ReadError> {
        if path == Path::new("-") {
            return Source::begin(path, Box::new(io::stdin()), None)?.plain();
        }
        let file = File::open(path).map_err(|e| io_error(path, e))?;
        let meta = file.metadata().map_err(|e| io_error(path, e))?;
        Source::begin(path, Box::new(file), meta.is_file().then_some(meta.len()))?.plain()
    }

    fn plain(self) -> Result<Source, ReadError> {
        if self.head.starts_with(&GZIP) { self.unzipped() } else { Ok(self) }
    }

    fn begin(path: &Path, mut rest: Box<dyn Read>, len: Option<u64>) -> Result<Source, ReadError> {
        let mut head = Vec::new();
        rest.by_ref().take(HEAD).read_to_end(&mut head).map_err(|e| io_error(path, e))?;
        Ok(Source { path: path.to_path_buf(), head, rest, len })
    }

    #[cfg(feature = "tables")]
    fn unzipped(self) -> Result<Source, ReadError> {
        let path = self.path.clone();
        // A .gz file may hold several members one after the other.
        let unzipped = flate2::bufread::MultiGzDecoder::new(self.into_buffered());
        Source::begin(&path, Box::new(unzipped), None)
    }

    #[cfg(not(feature = "tables"))]
    fn unzipped(self) -> Result<Source, ReadError> {
        let problem = "got a gzipped file, which needs the feature `tables`: unzip it first";
        Err(format_error(&self.path, problem))
    }

    #[cfg(feature = "tables")]
    /// What was opened.
    #[cfg(feature = "tables")]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes there are in all, where that is known beforehand.
    pub(super) fn len(&self) -> Option<u64> {
        self.len
    }

    /// The first bytes, without an UTF-8 byte order mark.
    pub(super) fn head(&self) -> &[u8] {
        self.head.strip_prefix(UTF8_MARK).unwrap_or(&self.head)
    }

    /// Everything from the first byte on.
    pub(super) fn into_buffered(self) -> impl BufRead {
        BufReader::with_capacity(BUFFER, Cursor::new(self.head).chain(self.rest))
    }

    /// The text without its byte order mark.
    ///
    /// # Errors
    /// If the mark says UTF-16.
    pub(super) fn into_text(mut self) -> Result<impl BufRead, ReadError> {
        if self.head.starts_with(b"\xff\xfe") || self.head.starts_with(b"\xfe\xff") {
            return Err(format_error(&self.path, "got UTF-16 text: save it as UTF-8"));
        }
        if self.head.starts_with(UTF8_MARK) {
            self.head.drain(..UTF8_MARK.len());
        }
        Ok(self.into_buffered())
    }

    /// The text line by line.
    pub(super) fn into_lines(self) -> Result<Lines, ReadError> {
        let path = self.path.clone();
        Ok(Lines { path, reader: Box::new(self.into_text()?), line: Vec::new(), number: 0 })
    }
}

/// Lines of a text, without their ends (LF or CRLF), numbered from 1. Holds one line at a time.
pub(super) struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    /// The next line, or none at the end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, ReadError> {
        self.line.clear();
        let read = self.reader.read_until(b'\n', &mut self.line);
        if read.map_err(|e| io_error(&self.path, e))? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    #[cfg(any(test, feature = "tables"))]
    /// The number of the line last read.
    #[cfg(any(test, feature = "tables"))]
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// That something is wrong with the line last read.
    pub(super) fn error(&self, problem: impl Into<String>) -> ReadError {
        line_error(&self.path, self.number, problem)
    }
}

/// `bytes` as UTF-8, or what to say about them.
pub(super) fn utf8<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, String> {
    std::str::from_utf8(bytes).map_err(|e| {
        let byte = bytes[e.valid_up_to()];
        format!(
            "the {what} {} is not UTF-8 (byte {byte:#04x}): save the file as UTF-8",
            shown(&String::from_utf8_lossy(bytes))
        )
    })
}

/// Text in quotes for an error message, cut where a line would be too long to read.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

pub(super) fn io_error(path: &Path, source: io::Error) -> ReadError {
    ReadError::Io { path: path.to_path_buf(), source }
}

pub(super) fn format_error(path: &Path, problem: impl Into<String>) -> ReadError {
    ReadError::Format { path: path.to_path_buf(), problem: problem.into() }
}

pub(super) fn line_error(path: &Path, line: u64, problem: impl Into<String>) -> ReadError {
    ReadError::Line { path: path.to_path_buf(), line, problem: problem.into() }
}

/// The file name's extension in lower case, that of `.gz` apart: `npy` for `Q.NPY.gz`.
pub(super) fn extension(path: &Path) -> String {
    let lower = |p: &Path| p.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    match lower(path) {
        Some(gz) if gz == "gz" => lower(&path.with_extension("")).unwrap_or_default(),
        other => other.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_ends_and_marks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        std::fs::write(&path, b"\xef\xbb\xbfa\r\n\nb\rc\r\n\r\nd").unwrap();
        let source = Source::open(&path).unwrap();
        assert_eq!(source.head()[0], b'a');
        let mut lines = source.into_lines().unwrap();
        let mut got = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            got.push(String::from_utf8(line.to_vec()).unwrap());
        }
        assert_eq!(got, ["a", "", "b\rc", "", "d"]);
        assert_eq!(lines.number(), 5);
        std::fs::write(&path, b"\xff\xfea\0").unwrap();
        let error = Source::open(&path).unwrap().into_lines().err().unwrap();
        assert!(error.to_string().ends_with("got UTF-16 text: save it as UTF-8"));
    }

    #[cfg(feature = "tables")]
    #[test]
    fn gzip_is_known_by_content_and_may_have_members() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plain.txt");
        let mut bytes = Vec::new();
        for part in ["a\nb", "c\n"] {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(part.as_bytes()).unwrap();
            bytes.extend(gz.finish().unwrap());
        }
        std::fs::write(&path, &bytes).unwrap();
        let mut text = String::new();
        Source::open(&path).unwrap().into_buffered().read_to_string(&mut text).unwrap();
        assert_eq!(text, "a\nbc\n");
        std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
        let cut = Source::open(&path).err().unwrap();
        assert!(matches!(cut, ReadError::Io { .. }), "{cut}");
    }

    #[test]
    fn errors_show_no_more_than_fits_a_line() {
        assert_eq!(shown("a\tb"), "\"a\\tb\"");
        let long = shown(&"é".repeat(1000));
        assert_eq!(long.chars().count(), 60 + 5);
        let error = utf8(&[b"x".repeat(1000), vec![0xe9]].concat(), "item id").unwrap_err();
        assert!(error.len() < 200 && error.contains("byte 0xe9"), "{error}");
    }

    #[test]
    fn extensions_see_through_gz() {
        for (name, expected) in
            [("a.NPY", "npy"), ("a.b.csv.gz", "csv"), ("x.gz", ""), ("x", ""), ("d.e/x", "")]
        {
            assert_eq!(extension(Path::new(name)), expected, "{name}");
        }
    }
}
