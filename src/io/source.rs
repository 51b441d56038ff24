//! Where bytes come from: a file, a compressed file, standard input; as bytes or as text.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::error::ReadError;

#[cfg(feature = "tables")]
use super::encoding::Encoding;
use super::lines::Lines;
use super::magic;

/// How many of the first bytes are looked at to tell formats and delimiters apart.
const HEAD: u64 = 1 << 16;
const BUFFER: usize = 1 << 18;
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
    /// Opens a file, or standard input for `-`; gzip, zstd and bzip2 are recognised by their first
    /// bytes.
    pub(super) fn open(path: &Path) -> Result<Source, ReadError> {
        if path == Path::new("-") {
            return Source::begin(path, Box::new(io::stdin()), None)?.plain();
        }
        let file = File::open(path).map_err(|e| io_error(path, e))?;
        let meta = file.metadata().map_err(|e| io_error(path, e))?;
        Source::begin(path, Box::new(file), meta.is_file().then_some(meta.len()))?.plain()
    }

    /// The content, without what compressed it.
    fn plain(self) -> Result<Source, ReadError> {
        match Compression::of(&self.head) {
            Some(compression) => self.unpacked(compression),
            None => Ok(self),
        }
    }

    fn begin(path: &Path, mut rest: Box<dyn Read>, len: Option<u64>) -> Result<Source, ReadError> {
        let mut head = Vec::new();
        rest.by_ref().take(HEAD).read_to_end(&mut head).map_err(|e| io_error(path, e))?;
        Ok(Source { path: path.to_path_buf(), head, rest, len })
    }

    #[cfg(feature = "tables")]
    fn unpacked(self, compression: Compression) -> Result<Source, ReadError> {
        let path = self.path.clone();
        let packed = self.into_buffered();
        // Files of all three kinds may hold several members one after the other.
        let unpacked: Box<dyn Read> = match compression {
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed);
                Box::new(decoder.map_err(|e| io_error(&path, e))?)
            }
        };
        Source::begin(&path, unpacked, None)
    }

    #[cfg(not(feature = "tables"))]
    fn unpacked(self, _: Compression) -> Result<Source, ReadError> {
        let problem = "got a compressed file, which needs the feature `tables`: unpack it first";
        Err(format_error(&self.path, problem))
    }

    /// What was opened.
    #[cfg(feature = "tables")]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes there are in all, where that is known beforehand.
    pub(super) fn len(&self) -> Option<u64> {
        self.len
    }

    /// The first bytes.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Everything from the first byte on.
    pub(super) fn into_buffered(self) -> impl BufRead {
        BufReader::with_capacity(BUFFER, Cursor::new(self.head).chain(self.rest))
    }

    /// The input as UTF-8 text without a byte order mark. A mark of UTF-16 is believed.
    ///
    /// # Errors
    /// If the first bytes say that it is no text.
    #[cfg(feature = "tables")]
    pub(super) fn into_text(self, encoding: Option<Encoding>) -> Result<Text, ReadError> {
        if self.head.starts_with(b"\xff\xfe\0\0") || self.head.starts_with(b"\0\0\xfe\xff") {
            return Err(format_error(&self.path, "got UTF-32 text: save it as UTF-8"));
        }
        let encoding = encoding.filter(|encoding| *encoding != Encoding::UTF_8);
        let marked = match self.head.get(..2) {
            Some(b"\xff\xfe") => Some(Encoding::UTF_16LE),
            Some(b"\xfe\xff") => Some(Encoding::UTF_16BE),
            _ => None,
        };
        // A file of an encoding such as latin-1 may begin with any two bytes.
        let Some(encoding) = marked.filter(|_| encoding.is_none()).or(encoding) else {
            return self.into_utf8();
        };
        let path = self.path.clone();
        let bytes: Box<dyn Read> = Box::new(self.into_buffered());
        Source::begin(&path, encoding.decode(bytes), None)?.into_utf8()
    }

    #[cfg(feature = "tables")]
    fn into_utf8(self) -> Result<Text, ReadError> {
        if let Some(encoding) = magic::utf16_without_mark(&self.head) {
            let problem = format!(
                "got what looks like UTF-16 text: pass --encoding {encoding} \
                 (encoding=\"{encoding}\"), or save it as UTF-8"
            );
            return Err(format_error(&self.path, problem));
        }
        self.checked()
    }

    /// The input as UTF-8 text without a byte order mark.
    ///
    /// # Errors
    /// If the first bytes say that it is no text, or is UTF-16.
    #[cfg(not(feature = "tables"))]
    pub(super) fn into_text(self) -> Result<Text, ReadError> {
        if self.head.starts_with(b"\xff\xfe") || self.head.starts_with(b"\xfe\xff") {
            return Err(format_error(&self.path, "got UTF-16 text: save it as UTF-8"));
        }
        self.checked()
    }

    fn checked(mut self) -> Result<Text, ReadError> {
        if self.head.starts_with(UTF8_MARK) {
            self.head.drain(..UTF8_MARK.len());
        }
        match magic::not_text(&self.head) {
            Some(problem) => Err(format_error(&self.path, problem)),
            None => Ok(Text(self)),
        }
    }

    /// UTF-8 text.
    pub(super) fn text(self) -> Result<Text, ReadError> {
        #[cfg(feature = "tables")]
        return self.into_text(None);
        #[cfg(not(feature = "tables"))]
        self.into_text()
    }
}

/// An input that is UTF-8 text, without a byte order mark.
pub(super) struct Text(Source);

impl Text {
    /// What was opened.
    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    /// The first bytes.
    pub(super) fn head(&self) -> &[u8] {
        &self.0.head
    }

    /// Whether the head is all there is.
    pub(super) fn is_all_head(&self) -> bool {
        (self.0.head.len() as u64) < HEAD - UTF8_MARK.len() as u64
    }

    /// The text line by line.
    pub(super) fn into_lines(self) -> Lines {
        let path = self.0.path.clone();
        Lines::new(&path, Box::new(self.0.into_buffered()))
    }
}

#[derive(Clone, Copy)]
enum Compression {
    Gzip,
    Bzip2,
    Zstd,
}

impl Compression {
    fn of(head: &[u8]) -> Option<Compression> {
        match head {
            [0x1f, 0x8b, ..] => Some(Compression::Gzip),
            // The level, then the first block's mark: pi.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, ..] => Some(Compression::Bzip2),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Compression::Zstd),
            _ => None,
        }
    }
}

/// `bytes` as UTF-8, or what to say about them.
pub(super) fn utf8<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, String> {
    std::str::from_utf8(bytes).map_err(|e| {
        let byte = bytes[e.valid_up_to()];
        format!(
            "the {what} {} is not UTF-8 (byte {byte:#04x}): save the file as UTF-8, or name its \
             encoding, such as --encoding latin-1 (encoding=\"latin-1\")",
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

/// The file name's extension in lower case, without that of a compression: `npy` for `Q.NPY.gz`.
pub(super) fn extension(path: &Path) -> String {
    let lower = |p: &Path| p.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    match lower(path) {
        Some(packed) if ["gz", "zst", "bz2"].contains(&packed.as_str()) => {
            lower(&path.with_extension("")).unwrap_or_default()
        }
        other => other.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "tables")]
    #[test]
    fn utf16_is_read_by_its_mark_and_named_without_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        let text = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let mut lines = Source::open(&path).unwrap().into_text(None)?.into_lines();
            lines.advance()?;
            Ok::<_, ReadError>(lines.line().text.clone())
        };
        assert_eq!(text(b"\xff\xfeu\0,\0\xe9\0").unwrap(), "u,é".as_bytes());
        assert_eq!(text(b"\xfe\xff\0u\0,\0\xe9").unwrap(), "u,é".as_bytes());
        assert_eq!(text(b"\xef\xbb\xbfu,i\n").unwrap(), b"u,i");
        let told = text(b"u\0,\0i\0\n\0").unwrap_err().to_string();
        assert!(told.contains("pass --encoding utf-16le (encoding=\"utf-16le\")"), "{told}");
        let told = text(b"\xff\xfe\0\0u\0\0\0").unwrap_err().to_string();
        assert!(told.contains("UTF-32"), "{told}");
    }

    #[cfg(feature = "tables")]
    #[test]
    fn bzip2_and_zstd_are_unpacked_member_by_member() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plain.txt");
        let bz = |part: &str| {
            let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            bz.write_all(part.as_bytes()).unwrap();
            bz.finish().unwrap()
        };
        let zst = |part: &str| zstd::encode_all(part.as_bytes(), 1).unwrap();
        for bytes in [[bz("a\nb"), bz("c\n")].concat(), [zst("a\nb"), zst("c\n")].concat()] {
            std::fs::write(&path, &bytes).unwrap();
            let mut text = String::new();
            Source::open(&path).unwrap().into_buffered().read_to_string(&mut text).unwrap();
            assert_eq!(text, "a\nbc\n");
            std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
            assert!(matches!(Source::open(&path).err(), Some(ReadError::Io { .. })));
        }
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
        for (name, expected) in [
            ("a.NPY", "npy"),
            ("a.b.csv.gz", "csv"),
            ("x.gz", ""),
            ("a.csv.zst", "csv"),
            ("a.tsv.BZ2", "tsv"),
            ("x", ""),
            ("d.e/x", ""),
        ] {
            assert_eq!(extension(Path::new(name)), expected, "{name}");
        }
    }
}
