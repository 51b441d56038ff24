//! Text in encodings other than UTF-8, decoded as it is read.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use encoding_rs::{Decoder, DecoderResult, UTF_8};

/// How many encoded bytes are read at a time.
const INPUT: usize = 1 << 16;
/// UTF-8 may take three bytes for one of a single-byte encoding.
const OUTPUT: usize = 3 * INPUT;

/// The character encoding of a text file.
///
/// Names are those of the web and of Python: `utf-8`, `latin-1`, `cp1252`, `utf-16`, `utf-16be`,
/// `shift_jis`, `gb18030`, `koi8-r` and others. As on the web, `latin-1` means Windows-1252, which
/// has the same letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    /// UTF-8, the default.
    pub const UTF_8: Encoding = Encoding(UTF_8);
    pub(super) const UTF_16LE: Encoding = Encoding(encoding_rs::UTF_16LE);
    pub(super) const UTF_16BE: Encoding = Encoding(encoding_rs::UTF_16BE);

    /// The bytes of `reader` as UTF-8, without a byte order mark.
    pub(super) fn decode(self, reader: Box<dyn Read>) -> Box<dyn Read> {
        Box::new(Decoded {
            reader,
            decoder: self.0.new_decoder(),
            input: vec![0; INPUT],
            left: 0..0,
            before: 0,
            output: vec![0; OUTPUT],
            ready: 0..0,
            ended: false,
        })
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name().to_ascii_lowercase())
    }
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(name: &str) -> Result<Encoding, String> {
        let lower = name.trim().to_ascii_lowercase();
        // Python writes latin_1, utf_16_le and utf8; the web's labels have neither `_` nor all dashes.
        let plain: String = lower.chars().filter(|c| !"-_ ".contains(*c)).collect();
        let label = match plain.as_str() {
            "latin1" | "l1" | "8859" => "latin1",
            "utf8" | "utf8sig" | "u8" => "utf-8",
            "utf16" | "utf16le" | "u16" => "utf-16le",
            "utf16be" => "utf-16be",
            "ascii" | "usascii" => "utf-8",
            _ => lower.as_str(),
        };
        let dashed = lower.replace('_', "-");
        let known = |label: &str| encoding_rs::Encoding::for_label(label.as_bytes());
        known(label).or_else(|| known(&dashed)).or_else(|| known(&plain)).map(Encoding).ok_or_else(
            || {
                format!(
                    "encoding is {name:?}, expected a name such as utf-8, latin-1, cp1252 or utf-16"
                )
            },
        )
    }
}

/// A reader that decodes. What cannot be decoded is an error, never a replacement character.
struct Decoded {
    reader: Box<dyn Read>,
    decoder: Decoder,
    input: Vec<u8>,
    /// Read and not yet decoded, in `input`.
    left: std::ops::Range<usize>,
    /// How many encoded bytes came before `input`.
    before: u64,
    output: Vec<u8>,
    /// Decoded and not yet given out, in `output`.
    ready: std::ops::Range<usize>,
    ended: bool,
}

impl Decoded {
    /// Decodes some more; `ready` stays empty only at the end.
    fn advance(&mut self) -> io::Result<()> {
        while self.ready.is_empty() && !self.ended {
            let mut last = false;
            if self.left.is_empty() {
                self.before += self.left.end as u64;
                self.left = 0..self.reader.read(&mut self.input)?;
                last = self.left.is_empty();
            }
            let input = &self.input[self.left.clone()];
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(input, &mut self.output, last);
            self.left.start += read;
            self.ready = 0..written;
            match result {
                DecoderResult::InputEmpty => self.ended = last,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => return Err(self.malformed()),
            }
        }
        Ok(())
    }

    fn malformed(&self) -> io::Error {
        let at = self.before + self.left.start as u64;
        let name = self.decoder.encoding().name();
        let text = format!("the bytes before byte {at} are not {name}: name another encoding");
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.advance()?;
        let n = self.ready.len().min(buffer.len());
        let start = self.ready.start;
        buffer[..n].copy_from_slice(&self.output[start..start + n]);
        self.ready.start += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(name: &str, bytes: &[u8]) -> io::Result<String> {
        let encoding: Encoding = name.parse().unwrap();
        let mut text = String::new();
        let reader: Box<dyn Read> = Box::new(io::Cursor::new(bytes.to_vec()));
        encoding.decode(reader).read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn names_are_those_of_the_web_and_of_python() {
        for name in ["latin-1", "latin1", "LATIN_1", "iso-8859-1", "cp1252", "windows-1252"] {
            assert_eq!(name.parse::<Encoding>().unwrap().to_string(), "windows-1252", "{name}");
        }
        for name in ["utf-8", "utf8", "UTF_8", "utf-8-sig", "ascii"] {
            assert_eq!(name.parse::<Encoding>(), Ok(Encoding::UTF_8), "{name}");
        }
        for name in ["utf-16", "utf_16_le", "utf16"] {
            assert_eq!(name.parse::<Encoding>(), Ok(Encoding::UTF_16LE), "{name}");
        }
        assert!("klingon".parse::<Encoding>().unwrap_err().contains("such as utf-8, latin-1"));
    }

    #[test]
    fn text_of_any_length_is_decoded() {
        assert_eq!(decoded("latin-1", b"Les \xe9t\xe9s").unwrap(), "Les étés");
        let long = "zoë,日本\n".repeat(40_000);
        let utf16: Vec<u8> = long.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decoded("utf-16", &utf16).unwrap(), long);
        let marked = [&[0xfe, 0xff][..], &[0, b'a', 0, b'b']].concat();
        assert_eq!(decoded("utf-16", &marked).unwrap(), "ab", "the mark tells the order of bytes");
        assert_eq!(decoded("shift_jis", b"\x93\xfa").unwrap(), "日");
    }

    #[test]
    fn what_cannot_be_decoded_is_an_error() {
        for (name, bytes) in [("shift_jis", &b"ab\xff\xff"[..]), ("utf-16", b"a\0\0\xd8b\0")] {
            let error = decoded(name, bytes).unwrap_err().to_string();
            assert!(error.contains("name another encoding"), "{error}");
        }
        assert!(decoded("utf-16", b"a\0b").is_err(), "half a character");
    }
}
