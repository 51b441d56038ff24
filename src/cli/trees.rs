//! `nearwood trees` and `nearwood merge`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ArgGroup;

use crate::io::read_vectors;
use crate::{Error, Index, TreeOptions};

use super::failure::Failure;
use super::options::{open_index, positive};
use super::output::Report;
use super::progress::Progress;

/// Append trees to an index, or drop some, into a new file
///
/// Trees have numbers, which `nearwood inspect` lists: a tree depends on the vectors, the seed and
/// its number alone. Appended are the numbers after the last; the file is the one that a single
/// build of all its trees writes.
#[derive(clap::Args)]
#[command(group(ArgGroup::new("what").required(true).args(["append", "drop"])))]
pub(super) struct Args {
    /// An index
    file: PathBuf,
    /// How many trees to append
    #[arg(long, value_name = "N", value_parser = positive)]
    append: Option<usize>,
    /// The numbers of the trees to drop, with commas between
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    drop: Vec<usize>,
    #[command(flatten)]
    pub(super) into: IntoArgs,
}

/// Merge indexes over the same vectors into one with the trees of all
///
/// Each was built over the same vectors, ids and labels, with the same metric, seed and leaf size,
/// from another --first-tree, for instance on another machine. The file is the one that a single
/// build of all trees writes.
#[derive(clap::Args)]
pub(super) struct MergeArgs {
    /// Indexes, in any order
    #[arg(required = true, num_args = 2..)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) into: IntoArgs,
}

#[derive(clap::Args)]
pub(super) struct IntoArgs {
    /// Vectors that look like the queries to come, to measure the recall with; stored vectors are
    /// drawn unless given
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// Threads; -1: all cores, which is the default
    #[arg(long, value_name = "N", value_parser = super::options::threads, allow_negative_numbers = true)]
    threads: Option<usize>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Print what was done as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let index = open_index(&args.file)?;
    args.into.write(out, |options| match args.append {
        Some(n) => index.append_trees(n, options),
        None => index.drop_trees(&args.drop, options),
    })
}

pub(super) fn run_merge(args: &MergeArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let open = |file: &PathBuf| open_index(file);
    let indexes = args.files.iter().map(open).collect::<Result<Vec<Index>, Failure>>()?;
    let indexes: Vec<&Index> = indexes.iter().collect();
    args.into.write(out, |options| Index::merge(&indexes, options))
}

impl IntoArgs {
    fn write(
        &self,
        out: &mut dyn Write,
        make: impl FnOnce(TreeOptions<'_>) -> Result<Index, Error>,
    ) -> Result<(), Failure> {
        let queries = self.queries.as_deref().map(queries).transpose()?;
        let progress = Progress::bar("building", 100);
        let start = Instant::now();
        let index = make(TreeOptions {
            queries: queries.as_deref(),
            n_threads: self.threads,
            path: Some(&self.output),
            progress: &|done, of| progress.percent(done, of),
        })?;
        drop(progress);
        let mut report = Report::default();
        report.count("vectors", index.len());
        report.count("trees", index.n_trees());
        let numbers: Vec<String> = index.tree_numbers().iter().map(usize::to_string).collect();
        report.add("tree_numbers", index.tree_numbers(), numbers.join(", "));
        report.time("building_seconds", start.elapsed());
        report.file(&self.output, index.as_bytes().len() as u64);
        report.print(&self.output, self.json, out)
    }
}

fn queries(file: &Path) -> Result<Vec<f32>, Failure> {
    Ok(read_vectors(file)?.data)
}
