//! Delimiters: the mark between the fields of a line, and how it is guessed.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::quoting::without_quoted;

/// How many lines are compared to find the delimiter.
const LOOK: usize = 50;

/// Delimiter between the fields of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// One ASCII character. A space stands for any run of spaces and tabs, and those at either end
    /// of a line mean nothing.
    Byte(u8),
    /// Two colons, as in MovieLens's `.dat` files.
    DoubleColon,
}

impl Delimiter {
    const TAB: Delimiter = Delimiter::Byte(b'\t');
    /// The comma comes last: the last of equals is taken.
    const MARKS: [Delimiter; 3] =
        [Delimiter::Byte(b'|'), Delimiter::Byte(b';'), Delimiter::Byte(b',')];
    const SPACE: Delimiter = Delimiter::Byte(b' ');

    /// The delimiter of a file by its first lines: a tab, then `::`, then whichever of comma,
    /// semicolon and pipe there is most of, preferring one that every line has equally often; then
    /// blanks. Quoted text does not count.
    pub(super) fn guess<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Delimiter {
        let lines: Vec<Vec<u8>> = lines.take(LOOK).map(without_quoted).collect();
        let Some(first) = lines.first() else { return Delimiter::Byte(b',') };
        let regular = |d: &Delimiter| {
            let count = d.count(first);
            count > 0 && lines.iter().all(|line| d.count(line) == count)
        };
        let everywhere = |d: &Delimiter| lines.iter().all(|line| d.count(line) > 0);
        let at_first = |d: &Delimiter| d.count(first) > 0;
        let most = |fits: &dyn Fn(&Delimiter) -> bool| {
            let fitting = Delimiter::MARKS.into_iter().filter(|d| fits(d));
            let ahead = [Delimiter::TAB, Delimiter::DoubleColon].into_iter().find(|d| fits(d));
            ahead.or_else(|| fitting.max_by_key(|d| d.count(first)))
        };
        let blanks = || everywhere(&Delimiter::SPACE).then_some(Delimiter::SPACE);
        most(&regular)
            .or_else(|| most(&everywhere))
            .or_else(|| most(&at_first))
            .or_else(blanks)
            .unwrap_or(Delimiter::Byte(b','))
    }

    /// How often it stands in a line.
    fn count(self, line: &[u8]) -> usize {
        let line = self.trimmed(line);
        let (mut at, mut count) = (0, 0);
        while let Some(found) = self.find(line, at) {
            (at, count) = (found.end, count + 1);
        }
        count
    }

    /// Whether it is a run of blanks.
    pub(super) fn is_blank(self) -> bool {
        self == Delimiter::SPACE
    }

    /// Whether fields delimited by it are as a rule quoted where they hold it.
    pub(super) fn is_quoted_by_habit(self) -> bool {
        matches!(self, Delimiter::Byte(b',' | b';'))
    }

    /// Where it stands first from `from` on.
    pub(super) fn find(self, line: &[u8], from: usize) -> Option<Range<usize>> {
        let rest = &line[from..];
        let found = match self {
            Delimiter::DoubleColon => {
                rest.windows(2).position(|pair| pair == b"::").map(|at| at..at + 2)
            }
            Delimiter::Byte(b' ') => rest.iter().position(is_blank).map(|at| {
                let run = rest[at..].iter().take_while(|b| is_blank(b)).count();
                at..at + run
            }),
            Delimiter::Byte(byte) => memchr::memchr(byte, rest).map(|at| at..at + 1),
        };
        found.map(|found| from + found.start..from + found.end)
    }

    /// The line without blanks at its ends, if blanks delimit.
    pub(super) fn trimmed(self, line: &[u8]) -> &[u8] {
        if self.is_blank() { trim_blanks(line) } else { line }
    }
}

/// A space or a tab.
pub(super) fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Without the spaces and tabs at either end.
pub(super) fn trim_blanks(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Delimiter::Byte(b'\t') => f.write_str("tab"),
            Delimiter::Byte(b' ') => f.write_str("space"),
            Delimiter::Byte(byte) => write!(f, "{}", char::from(*byte)),
            Delimiter::DoubleColon => f.write_str("::"),
        }
    }
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Delimiter, String> {
        match text.as_bytes() {
            b"tab" | b"\\t" => Ok(Delimiter::TAB),
            b"comma" => Ok(Delimiter::Byte(b',')),
            b"semicolon" => Ok(Delimiter::Byte(b';')),
            b"pipe" => Ok(Delimiter::Byte(b'|')),
            b"space" => Ok(Delimiter::SPACE),
            b"::" => Ok(Delimiter::DoubleColon),
            [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(Delimiter::Byte(*byte)),
            _ => Err(format!(
                "delimiter is {text:?}, expected one ASCII character, \"tab\", \"space\" or \"::\""
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(text: &str) -> String {
        Delimiter::guess(text.lines().map(str::as_bytes)).to_string()
    }

    #[test]
    fn delimiters_are_guessed_and_named() {
        for (line, expected) in [
            ("a\tb,c,d", "tab"),
            ("1::2, 3::4|5|6|7", "::"),
            ("a,b", ","),
            ("a;b;c,d", ";"),
            ("a|b|c", "|"),
            ("\"a;b;c;d\",e", ","),
            ("abc", ","),
            ("1 2 3.5", "space"),
            ("", ","),
        ] {
            let got = guess(line);
            assert_eq!(got, expected, "{line}");
            assert_eq!(expected.parse::<Delimiter>().unwrap().to_string(), got);
        }
        assert_eq!("\\t".parse(), Ok(Delimiter::TAB));
        for wrong in ["", "ab", "é", "\"", "\n"] {
            assert!(wrong.parse::<Delimiter>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn lines_that_agree_decide() {
        assert_eq!(guess("11;Seven, or Se7en (1995)\n12;Heat (1995)"), ";");
        assert_eq!(guess("1|Toy, Story|x|y\n2|a,b,c,d,e|x|y"), "|");
        assert_eq!(guess("u,i\n1;2,5\n3;4,7"), ",");
        assert_eq!(guess(" 1 100 3 \n 2  102 1 "), "space");
        assert_eq!(guess("u1\tmb3\t\"ghost, town\t40\nu3\tmb4\tair\t7"), "tab");
        assert_eq!(guess("1,Smith, John\n2,Heat"), ",");
    }

    #[test]
    fn a_space_is_a_run_of_blanks() {
        let line = b"a \t b";
        assert_eq!(Delimiter::SPACE.find(line, 0), Some(1..4));
        assert_eq!(Delimiter::SPACE.trimmed(b" \ta b\t "), b"a b");
        assert_eq!(Delimiter::DoubleColon.find(b"a::b", 1), Some(1..3));
        assert_eq!(Delimiter::TAB.find(line, 3), None);
    }
}
