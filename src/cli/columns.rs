//! How files of interactions and of names are read, for every command that takes one.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::Interactions;
use crate::error::printable;
use crate::io::{
    BadRows, Delimiter, Encoding, Format, NamesOptions, Quote, ReadOptions, read_all_interactions,
    read_names_with,
};

use super::failure::Failure;
use super::output::thousands;
use super::progress::Progress;
use super::terminal::notes;

/// The columns and the format of files of interactions.
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
    /// table, lists, parquet or arrow (Feather) [default: taken from the file]
    #[arg(long)]
    format: Option<Format>,
    /// Delimiter of a table: a character, tab, space (any run of blanks) or :: [default: taken from the
    /// first lines]
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<Delimiter>,
    /// Quotes around fields of a table: double, single, none or a character [default: double, unless the
    /// first lines show that the file quotes nothing]
    #[arg(long, value_name = "QUOTE")]
    quote: Option<Quote>,
    /// The first line of a table names its columns, also if columns are given by number
    #[arg(long, conflicts_with = "no_header")]
    header: bool,
    /// The first line of a table is a row
    #[arg(long)]
    no_header: bool,
    /// The encoding of text files, --names too: utf-8, latin-1, cp1252, utf-16 and others [default:
    /// utf-8, or utf-16 if a mark at the beginning says so]
    #[arg(long, value_name = "NAME")]
    encoding: Option<Encoding>,
    /// Pass over rows that cannot be read, and print how many there were
    #[arg(long)]
    skip_bad_rows: bool,
    /// Take NULL, NaN, NA, None and \N in text files for ids like others
    #[arg(long)]
    keep_null_ids: bool,
}

impl ColumnArgs {
    /// Reads files, without times.
    pub fn read(&self, paths: &[PathBuf]) -> Result<Interactions, Failure> {
        self.read_with(paths, None)
    }

    /// Reads files; `time` is the column of times.
    pub fn read_with(
        &self,
        paths: &[PathBuf],
        time: Option<&str>,
    ) -> Result<Interactions, Failure> {
        let progress = Progress::spinner("reading");
        progress.message(printable(&list_of(paths)));
        let options = ReadOptions {
            user: self.user.clone(),
            item: self.item.clone(),
            weight: self.weight.clone(),
            time: time.map(String::from),
            format: self.format,
            delimiter: self.delimiter,
            quote: self.quote,
            header: (self.header || self.no_header).then_some(self.header),
            encoding: self.encoding,
            skip_bad_rows: self.skip_bad_rows,
            keep_null_ids: self.keep_null_ids,
        };
        let (data, bad) = read_all_interactions(paths, &options)?;
        drop(progress);
        tell_skipped(&bad);
        Ok(data)
    }
}

/// The paths, for messages.
pub(super) fn list_of(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

fn tell_skipped(bad: &BadRows) {
    if bad.count() > 0 {
        let first: Vec<String> = bad.first().iter().map(|row| printable(row)).collect();
        let (count, first) = (thousands(bad.count()), first.join("\n  "));
        let _ = writeln!(notes(), "skipped {count} bad rows:\n  {first}");
    }
}

/// A file of names.
#[derive(clap::Args)]
pub(super) struct NamesArgs {
    /// A file of (item id, name) lines, so that people can ask by name
    #[arg(long, value_name = "FILE")]
    pub names: Option<PathBuf>,
    /// The column of ids in --names, by name or by number from 0 [default: 0]
    #[arg(long, value_name = "COLUMN", requires = "names")]
    names_id: Option<String>,
    /// The column of names in --names, by name or by number from 0 [default: 1]
    #[arg(long, value_name = "COLUMN", requires = "names")]
    names_label: Option<String>,
    /// Delimiter of --names [default: taken from its first lines]
    #[arg(long, value_name = "CHARACTER", requires = "names")]
    names_delimiter: Option<Delimiter>,
    /// Quotes around fields of --names [default: taken from its first lines]
    #[arg(long, value_name = "QUOTE", requires = "names")]
    names_quote: Option<Quote>,
}

impl NamesArgs {
    /// The ids and names of `file`, in the encoding of the interactions.
    pub fn read(
        &self,
        file: &Path,
        columns: &ColumnArgs,
    ) -> Result<Vec<(String, String)>, Failure> {
        let options = NamesOptions {
            id: self.names_id.clone(),
            name: self.names_label.clone(),
            delimiter: self.names_delimiter,
            quote: self.names_quote,
            encoding: columns.encoding,
            skip_bad_rows: columns.skip_bad_rows,
        };
        let (pairs, bad) = read_names_with(file, &options)?;
        tell_skipped(&bad);
        Ok(pairs)
    }
}
