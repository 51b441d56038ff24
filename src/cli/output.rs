//! Tables for people, reports for both, and how numbers are written.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

pub(super) use crate::report::{bytes, percent, thousands};

use super::failure::Failure;
use super::terminal::{cell, notes, printable};

/// Which side of its column a value stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Rows in aligned columns, two spaces between them.
pub(super) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Align)>) -> Table {
        let columns = columns.into_iter().map(|(name, align)| (name.to_string(), align)).collect();
        Table { columns, rows: Vec::new() }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|text| cell(text)).collect());
    }

    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let heads: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&heads).chain(&self.rows).collect();
        let width = |column| lines.iter().map(|line| length(line, column)).max().unwrap_or(0);
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        for line in lines {
            let mut text = String::new();
            for ((cell, &width), (_, align)) in line.iter().zip(&widths).zip(&self.columns) {
                match align {
                    Align::Left => text.push_str(&format!("{cell:<width$}  ")),
                    Align::Right => text.push_str(&format!("{cell:>width$}  ")),
                }
            }
            writeln!(out, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

fn length(line: &[String], column: usize) -> usize {
    line.get(column).map_or(0, |cell| cell.chars().count())
}

/// Facts, each with a name: lines for people, or one JSON object for programs.
#[derive(Default)]
pub(super) struct Report {
    facts: Vec<(&'static str, Value, String)>,
}

impl Report {
    /// A fact: its key in JSON, its value there, and how people read it.
    pub fn add(&mut self, key: &'static str, value: impl Into<Value>, text: impl Into<String>) {
        self.facts.push((key, value.into(), text.into()));
    }

    /// A number of things.
    pub fn count(&mut self, key: &'static str, n: usize) {
        self.add(key, n, thousands(n as u64));
    }

    /// How long something took.
    pub fn time(&mut self, key: &'static str, time: Duration) {
        self.add(key, time.as_secs_f64(), duration(time));
    }

    /// A file and its size.
    pub fn file(&mut self, path: &Path, size: u64) {
        self.add("file", path.to_string_lossy(), path.display().to_string());
        self.add("bytes", size, bytes(size));
    }

    pub fn to_json(&self) -> Value {
        let facts = self.facts.iter().map(|(key, value, _)| (key.to_string(), value.clone()));
        Value::Object(facts.collect::<Map<String, Value>>())
    }

    /// The lines for people: a key's underscores become spaces.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = self.facts.iter().map(|(key, ..)| key.len()).max().unwrap_or(0);
        for (key, _, text) in &self.facts {
            writeln!(out, "{:<width$}  {}", key.replace('_', " "), printable(text))?;
        }
        Ok(())
    }

    /// To `out` in the form asked for; to standard error if `written`, the file this is about, is
    /// standard output itself.
    pub fn print(&self, written: &Path, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
        let mut notes = notes();
        let out = if written == Path::new("-") { &mut notes } else { out };
        match json {
            true => writeln!(out, "{}", self.to_json())?,
            false => self.write(out)?,
        }
        Ok(())
    }
}

/// A fact that holds or does not.
pub(super) fn yes(it: bool) -> &'static str {
    if it { "yes" } else { "no" }
}

/// A float32 as JSON, as short as it may be written; null if it is not finite.
pub(super) fn json_number(x: f32) -> Value {
    x.to_string().parse::<f64>().ok().filter(|x| x.is_finite()).map_or(Value::Null, Value::from)
}

/// In µs, ms or s.
pub(super) fn duration(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 100.0 => format!("{s:.2} s"),
        s => format!("{s:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        let times = [0.000_012, 0.25, 3.333, 250.4].map(Duration::from_secs_f64).map(duration);
        assert_eq!(times, ["12 µs", "250 ms", "3.33 s", "250 s"]);
        assert_eq!(json_number(0.1).to_string(), "0.1");
        assert_eq!(json_number(f32::INFINITY), Value::Null);
    }

    #[test]
    fn columns_are_aligned_and_terminals_left_alone() {
        let mut table = Table::new([("id", Align::Right), ("label", Align::Left)]);
        table.row(vec!["7".into(), "Sigur Rós".into()]);
        table.row(vec!["1234".into(), "a\x1b[2Jb".into()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "  id  label\n   7  Sigur Rós\n1234  a?[2Jb\n");
    }
}
