//! Rows that cannot be read: several named at once, or counted and passed over.

use crate::error::ReadError;

/// How many are named.
const NAMED: usize = 5;
/// From so many on a file is given up: its format or its columns are told wrongly.
const GIVE_UP: u64 = 1000;

/// What was wrong with the rows of an input.
#[derive(Debug, Default)]
pub struct BadRows {
    skip: bool,
    count: u64,
    first: Vec<ReadError>,
}

impl BadRows {
    /// None so far; whether they are passed over.
    #[must_use]
    pub(super) fn new(skip: bool) -> BadRows {
        BadRows { skip, ..BadRows::default() }
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What was wrong with the first of them, at most five.
    #[must_use]
    pub fn first(&self) -> Vec<String> {
        self.first.iter().map(ToString::to_string).collect()
    }

    /// One more; an error if there were too many to go on.
    pub(super) fn note(&mut self, error: impl FnOnce() -> ReadError) -> Result<(), ReadError> {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(error());
        }
        match !self.skip && self.count >= GIVE_UP {
            true => Err(self.error()),
            false => Ok(()),
        }
    }

    /// At the end of the input: itself, or what was wrong.
    pub(super) fn finish(mut self) -> Result<BadRows, ReadError> {
        match self.skip || self.count == 0 {
            true => Ok(self),
            false => Err(self.error()),
        }
    }

    fn error(&mut self) -> ReadError {
        match (self.count, self.first.pop()) {
            (1, Some(only)) => only,
            (count, last) => {
                self.first.extend(last);
                ReadError::Rows { count, first: self.first(), gave_up: count >= GIVE_UP }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(skip: bool, n: u64) -> Result<BadRows, ReadError> {
        let mut bad = BadRows::new(skip);
        for line in 1..=n {
            bad.note(|| ReadError::Line { path: "t".into(), line, problem: "no".into() })?;
        }
        bad.finish()
    }

    #[test]
    fn one_is_named_some_are_listed_and_many_end_it() {
        assert_eq!(noted(false, 0).unwrap().count(), 0);
        assert_eq!(noted(false, 1).unwrap_err().to_string(), "t, line 1: no");
        let text = noted(false, 2).unwrap_err().to_string();
        assert!(
            text.starts_with("2 rows cannot be read: t, line 1: no; t, line 2: no; "),
            "{text}"
        );
        let text = noted(false, 7).unwrap_err().to_string();
        assert!(text.contains("t, line 5: no; and 2 more; "), "{text}");
        let text = noted(false, 5000).unwrap_err().to_string();
        assert!(text.starts_with("at least 1000 rows cannot be read: t, line 1"), "{text}");
        let bad = noted(true, 5000).unwrap();
        assert_eq!((bad.count(), bad.first().len()), (5000, 5));
    }
}
