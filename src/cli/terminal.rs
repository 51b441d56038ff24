//! The writers of all text for people: characters that would steer a terminal are shown as `?`.
//!
//! Names come from files of other people's. Every line that a command prints goes through
//! [`ForPeople`], and every note through [`notes`], so that no command can forget to look. JSON and
//! tables of data are for programs, and hold what is in the file.

use std::io::{self, Stderr, Write};

use crate::error::is_steering;

/// Passes on text, with `?` in place of each character that would steer a terminal. Ends of lines
/// and tabs stay.
pub(super) struct ForPeople<W> {
    out: W,
    /// The beginning of a character whose end is still to come.
    begun: Vec<u8>,
}

impl<W: Write> ForPeople<W> {
    pub fn new(out: W) -> ForPeople<W> {
        ForPeople { out, begun: Vec::new() }
    }
}

impl<W: Write> Write for ForPeople<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.begun);
        let mut text = String::with_capacity(all.len());
        for chunk in all.utf8_chunks() {
            text.extend(chunk.valid().chars().map(shown));
            match chunk.invalid() {
                [] => {}
                // Nothing follows it yet: what follows may complete it.
                rest if all.ends_with(rest) && is_begun(rest) => self.begun = rest.to_vec(),
                _ => text.push('?'),
            }
        }
        self.out.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn shown(c: char) -> char {
    if is_steering(c) && c != '\n' && c != '\t' { '?' } else { c }
}

/// Whether these bytes are the beginning of a character, rather than wrong.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// A name from a file on one line: what would steer the terminal is shown as `?`.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_steering(c) { '?' } else { c }).collect()
}

/// The most characters of a name in a table.
const CELL: usize = 400;

/// A name as it stands in a table: [`printable`], and cut where it is long.
pub(super) fn cell(text: &str) -> String {
    let mut cell: String = text.chars().take(CELL).collect();
    if cell.len() < text.len() {
        cell.push('…');
    }
    printable(&cell)
}

/// Standard error for notes: its reader may have gone, which is no error of the command.
pub(super) fn notes() -> Notes {
    Notes(ForPeople::new(io::stderr()))
}

pub(super) struct Notes(ForPeople<Stderr>);

impl Write for Notes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(parts: &[&[u8]]) -> String {
        let mut out = Vec::new();
        let mut people = ForPeople::new(&mut out);
        parts.iter().for_each(|part| people.write_all(part).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_for_people_steers_no_terminal() {
        assert_eq!(printed(&["Sigur Rós\t東京\n".as_bytes()]), "Sigur Rós\t東京\n");
        assert_eq!(printed(&[b"a\x1b[2J\x07b\r\x7f"]), "a?[2J?b??");
        assert_eq!(printed(&["\u{9b}31m\u{202e}x\u{2028}".as_bytes()]), "?31m?x?");
    }

    #[test]
    fn characters_in_two_pieces_are_seen_whole() {
        let text = "é\u{9b}東\u{202e}".as_bytes();
        for cut in 0..text.len() {
            assert_eq!(printed(&[&text[..cut], &text[cut..]]), "é?東?", "{cut}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(printed(&bytes), "é?東?");
        assert_eq!(printed(&[b"\xc3", b"\x1b[m", b"\xff!"]), "??[m?!");
    }

    #[test]
    fn cells_are_cut() {
        assert_eq!(cell("a\nb"), "a?b");
        assert_eq!(cell(&"é".repeat(400)), "é".repeat(400));
        assert_eq!(cell(&"é".repeat(401)), "é".repeat(400) + "…");
    }
}
