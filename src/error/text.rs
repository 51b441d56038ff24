//! Text from files and callers as it stands in messages: on one line, and no longer than is read.

use std::fmt::Write;
use std::path::Path;

/// The most characters of a name: an id, a label, a column.
const NAME: usize = 120;
/// The most names of a list.
const NAMES: usize = 10;
/// The most characters of what was found wrong.
const PROBLEM: usize = 2_000;
/// The most characters of a path, which systems keep below about 4,000.
const PATH: usize = 1_000;
/// The most characters of a whole message.
const MESSAGE: usize = 8_000;

/// Whether a character would steer a terminal, break the line or reverse what follows it, rather
/// than be seen.
#[must_use]
pub fn is_steering(c: char) -> bool {
    let reverses = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || reverses || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A message as it may be printed: on one line, characters that would steer a terminal written as
/// `\u{1b}`, and cut after 8,000 characters, with a count of what was left out.
#[must_use]
pub fn printable(message: &str) -> String {
    cut(message, MESSAGE)
}

/// An id, a label or another name.
pub(crate) fn name(text: &str) -> String {
    cut(text, NAME)
}

/// A name in quotes, with what would steer a terminal written out, and cut where it is long.
#[must_use]
pub fn quoted(text: &str) -> String {
    let (shown, rest) = split(text, NAME);
    format!("{shown:?}{}", left_out(rest))
}

/// What was found wrong, which may hold text of a file.
pub(crate) fn problem(text: &str) -> String {
    cut(text, PROBLEM)
}

/// A path.
pub(crate) fn at(path: &Path) -> String {
    cut(&path.to_string_lossy(), PATH)
}

/// The first ten of a list of names, each cut where it is long, and how many more there are.
#[must_use]
pub fn listed(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(NAMES).map(|text| name(text)).collect();
    let more = match names.len().saturating_sub(NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    first.join(", ") + &more
}

fn cut(text: &str, most: usize) -> String {
    let (shown, rest) = split(text, most);
    let mut out = String::with_capacity(shown.len());
    for c in shown.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            c if is_steering(c) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "{}", c.escape_unicode());
            }
            c => out.push(c),
        }
    }
    out + &left_out(rest)
}

fn split(text: &str, most: usize) -> (&str, &str) {
    // A byte count first: most texts are short.
    let end = match text.len() > most {
        true => text.char_indices().nth(most).map_or(text.len(), |(end, _)| end),
        false => text.len(),
    };
    text.split_at(end)
}

fn left_out(rest: &str) -> String {
    match rest.chars().count() {
        0 => String::new(),
        more => format!("... ({more} more characters)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        assert_eq!(name("Sigur Rós 東京"), "Sigur Rós 東京");
        assert_eq!(name("a\x1b[2J\u{9b}b\tc\u{202e}"), r"a\u{1b}[2J\u{9b}b\u{9}c\u{202e}");
        assert_eq!(name("a\nb\r"), "a b ");
        assert_eq!(quoted("a\x1b\"b"), r#""a\u{1b}\"b""#);
        assert_eq!(at(Path::new("x\x07y")), r"x\u{7}y");
    }

    #[test]
    fn what_is_long_is_cut_and_counted() {
        assert_eq!(name(&"é".repeat(120)), "é".repeat(120));
        assert_eq!(name(&"é".repeat(1_000)), "é".repeat(120) + "... (880 more characters)");
        assert_eq!(
            quoted(&"é".repeat(121)),
            format!("\"{}\"... (1 more characters)", "é".repeat(120))
        );
        let names: Vec<String> = (0..200_000).map(|n| n.to_string()).collect();
        assert_eq!(listed(&names), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 199990 more");
        assert_eq!(listed(&names[..2]), "0, 1");
        assert!(printable(&"\x1b".repeat(1 << 20)).len() < 100_000);
    }
}
