//! How a file of interactions is read, for every command that takes one.

use std::io::Write;
use std::path::Path;

use crate::Interactions;
use crate::error::printable;
use crate::io::{Delimiter, Format, ReadOptions, read_interactions_counted};

use super::failure::Failure;
use super::output::thousands;
use super::progress::Progress;
use super::terminal::notes;

/// The columns and the format of a file of interactions.
#[derive(clap::Args)]
pub(super) struct ColumnArgs {
    /// The column of users, by name or by number from 0
    #[arg(long, value_name = "COLUMN")]
    user: Option<String>,
    /// The column of items, by name or by number from 0
    #[arg(long, value_name = "COLUMN")]
    item: Option<String>,
    /// The column of weights (play counts, for instance); without it each row weighs 1
    #[arg(long, value_name = "COLUMN")]
    weight: Option<String>,
    /// table, lists or parquet; told from the file unless given
    #[arg(long)]
    format: Option<Format>,
    /// What stands between the fields of a table, such as , or tab or ::; told from the file
    /// unless given
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<Delimiter>,
    /// Pass over rows that cannot be read, and say how many there were
    #[arg(long)]
    skip_bad_rows: bool,
}

impl ColumnArgs {
    /// Reads a file, without times.
    pub fn read(&self, path: &Path) -> Result<Interactions, Failure> {
        self.read_with(path, None)
    }

    /// Reads a file; `time` is the column of times.
    pub fn read_with(&self, path: &Path, time: Option<&str>) -> Result<Interactions, Failure> {
        let progress = Progress::spinner("reading");
        progress.message(path.display().to_string());
        let options = ReadOptions {
            user: self.user.clone(),
            item: self.item.clone(),
            weight: self.weight.clone(),
            time: time.map(String::from),
            format: self.format,
            delimiter: self.delimiter,
            skip_bad_rows: self.skip_bad_rows,
            ..ReadOptions::default()
        };
        let (data, bad) = read_interactions_counted(path, &options)?;
        drop(progress);
        if bad.count() > 0 {
            let first: Vec<String> = bad.first().iter().map(|row| printable(row)).collect();
            let (count, first) = (thousands(bad.count()), first.join("\n  "));
            let _ = writeln!(notes(), "skipped {count} bad rows:\n  {first}");
        }
        Ok(data)
    }
}
