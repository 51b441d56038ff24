//! Interactions as lists: a line `user item item ...`, as LightGCN's data sets are published.

use std::path::Path;

use crate::error::ReadError;
use crate::recommend::{Interactions, InteractionsBuilder};

use super::BadRows;
use super::source::{Source, Text, utf8};

/// Reads `user item item ...` lines, separated by spaces or tabs, each item weighing 1.
///
/// Ids are any words; they are integers only if every one of their side is a canonical int64 other
/// than -1. A user without items is kept. A user on several lines has all their items, and an item
/// that stands twice weighs 2. Empty lines are skipped. `-` is standard input.
///
/// # Errors
/// If the file cannot be read or a word is not UTF-8 (the line is named).
pub fn read(path: impl AsRef<Path>) -> Result<Interactions, ReadError> {
    let (mut builder, mut bad) = (InteractionsBuilder::new(), BadRows::new(false));
    let text = Source::open(path.as_ref())?.text()?;
    read_into(text, &|_, _| Ok(()), &mut builder, &mut bad)?;
    bad.finish()?;
    Ok(builder.finish()?)
}

/// Adds the lines of a text; `check` says what is wrong with an id, and is told what it is of.
pub(super) fn read_into(
    text: Text,
    check: &dyn Fn(&str, &str) -> Result<(), String>,
    builder: &mut InteractionsBuilder,
    bad: &mut BadRows,
) -> Result<(), ReadError> {
    let mut lines = text.into_lines();
    while lines.advance()? {
        let line = &lines.line().text;
        if let Err(problem) = push_words(line, check, builder) {
            bad.note(|| lines.error(problem))?;
        }
    }
    Ok(())
}

fn push_words(
    line: &[u8],
    check: &dyn Fn(&str, &str) -> Result<(), String>,
    builder: &mut InteractionsBuilder,
) -> Result<(), String> {
    let words = utf8(line, "line")?;
    let mut words = words.split_ascii_whitespace();
    let Some(user) = words.next() else { return Ok(()) };
    check(user, "user id")?;
    words.clone().try_for_each(|item| check(item, "item id"))?;
    builder.add_user_text(user).map_err(|e| e.to_string())?;
    words.try_for_each(|item| builder.push_text(user, item, 1.0)).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Ids;

    fn read_bytes(bytes: &[u8]) -> Result<Interactions, ReadError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.txt");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    #[test]
    fn lists_are_read_and_users_without_items_kept() {
        let data = read_bytes(b"5 10 30\r\n6\n\n7 30  30\t20 \n5 40").unwrap();
        assert_eq!(data.users, Ids::Int(vec![5, 6, 7]));
        assert_eq!(data.items, Ids::Int(vec![10, 30, 20, 40]));
        assert_eq!(data.matrix.row(0), (&[0u32, 1, 3][..], &[1.0f32, 1.0, 1.0][..]));
        assert_eq!(data.matrix.row(1).0.len(), 0);
        assert_eq!(data.matrix.row(2), (&[1u32, 2][..], &[2.0f32, 1.0][..]));
    }

    #[test]
    fn words_may_be_ids_and_must_be_text() {
        let data = read_bytes("zoë -1 x\n".as_bytes()).unwrap();
        assert_eq!(data.users, Ids::Text(vec!["zoë".into()]));
        assert_eq!(data.items, Ids::Text(vec!["-1".into(), "x".into()]));
        let error = read_bytes(b"a b\nc \xff\n").unwrap_err();
        assert!(matches!(error, ReadError::Line { line: 2, .. }), "{error}");
    }
}
