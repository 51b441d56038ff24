//! `nearwood import-annoy`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use crate::annoy::{BuildOptions, Forest};
use crate::io::annoy::{AnnoyFile, AnnoyLayout, AnnoyMetric};

use super::failure::Failure;
use super::options::positive;
use super::output::Report;
use super::progress::Progress;

/// Build an index from the vectors in a file that Annoy wrote
///
/// Ids are Annoy's item numbers; numbers that were never given out stay out. The file names neither
/// metric nor dimension, but its nodes are checked and tell most mistakes.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The file that AnnoyIndex saved
    file: PathBuf,
    /// The length of a vector, f in AnnoyIndex(f, metric)
    #[arg(long, value_name = "F", value_parser = positive)]
    dim: usize,
    /// angular, euclidean, manhattan, hamming or dot
    #[arg(long)]
    metric: AnnoyMetric,
    /// How the file is laid out, where several ways fit: dot-1.17 (up to 1.17.3), dot-main,
    /// hamming-1.16 (up to 1.16.3) or hamming-1.17; angular, euclidean and manhattan know only one
    #[arg(long)]
    layout: Option<AnnoyLayout>,
    /// The same seed gives the same file, at any number of threads
    #[arg(long, default_value_t = 0)]
    seed: u64,
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
    let progress = Progress::spinner("reading");
    let file = AnnoyFile::open(&args.file, args.metric, args.dim, args.layout)?;
    drop(progress);
    let progress = Progress::bar("building", 100);
    let start = Instant::now();
    let options = BuildOptions { n_trees: None, n_threads: args.threads, seed: args.seed };
    let forest = Forest::of_file(&file, options, &|done, of| progress.percent(done, of))?;
    drop(progress);
    let building = start.elapsed();
    forest.save(&args.output)?;
    let mut report = Report::default();
    report.count("vectors", file.len());
    report.count("holes", file.n_items() - file.len());
    report.count("dim", file.dim());
    report.add("metric", file.metric().name(), file.metric().name());
    report.add("layout", file.layout().name(), file.layout().name());
    report.count("trees_in_the_file", file.n_trees());
    report.time("building_seconds", building);
    report.file(&args.output, forest.index().as_bytes().len() as u64);
    report.print(&args.output, args.json, out)
}
