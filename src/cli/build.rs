//! `nearwood build`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use crate::index::Builder;
use crate::io::{map_vectors, read_ids, read_labels};
use crate::{Index, Metric, Vectors};

use super::failure::Failure;
use super::options::{positive, size};
use super::output::Report;
use super::progress::Progress;

/// Build an index over vectors
#[derive(clap::Args)]
pub(super) struct Args {
    /// The vectors: .npy, .fvecs, .bvecs, .csv, .tsv or .txt, also gzipped; - is .npy on standard
    /// input
    vectors: PathBuf,
    /// How near two vectors are: euclidean, angular or dot
    #[arg(long)]
    metric: Metric,
    /// An id a line, or an integer .npy array; rows are numbered from 0 unless given
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// A name for people a line, in the order of the vectors
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// How many trees
    #[arg(long, value_name = "N", value_parser = positive, default_value_t = 1)]
    trees: usize,
    /// The number of the first tree: build 0 and 1 here, 2 and 3 elsewhere, then merge the files
    #[arg(long, value_name = "N", default_value_t = 0)]
    first_tree: usize,
    /// The most vectors in a leaf; chosen by the library unless given
    #[arg(long, value_name = "N", value_parser = positive)]
    leaf_size: Option<usize>,
    /// The same seed gives the same file, at any number of threads
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; all cores unless given
    #[arg(long, value_name = "N", value_parser = positive)]
    threads: Option<usize>,
    /// The most memory to allocate, such as 500MB or 2GB: a file larger than that is built from a
    /// float32 .npy on the disk
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory_limit: Option<usize>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Print what was done as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let builder = builder(args)?;
    let progress = Progress::spinner("reading");
    let file = map_vectors(&args.vectors)?;
    drop(progress);
    if args.memory_limit.is_some() && !file.is_mapped() {
        return Err(Failure::new(format!(
            "--memory-limit reads vectors from the disk, which takes a plain .npy of float32 in C \
             order; {} is not: save it as one first (numpy.save)",
            args.vectors.display()
        )));
    }
    let vectors = Vectors::new(file.values(), file.cols())?;
    let progress = Progress::bar("building", 100);
    let start = Instant::now();
    let index = builder.build_to_with(&args.output, vectors, &|done, of| {
        progress.set(done * 100 / of.max(1));
        true
    })?;
    drop(progress);
    let building = start.elapsed();
    let mut report = Report::default();
    report.count("vectors", index.len());
    report.count("dim", index.dim());
    report.add("metric", index.metric().name(), index.metric().name());
    report.count("trees", index.n_trees());
    report.time("building_seconds", building);
    report.file(&args.output, index.as_bytes().len() as u64);
    report.print(&args.output, args.json, out)
}

fn builder(args: &Args) -> Result<Builder, Failure> {
    let mut builder =
        Index::builder(args.metric).trees(args.trees).seed(args.seed).threads(args.threads);
    builder = builder.first_tree(args.first_tree).memory_limit(args.memory_limit);
    if let Some(rows) = args.leaf_size {
        builder = builder.leaf_size(rows);
    }
    if let Some(file) = &args.ids {
        builder = builder.ids(read_ids(file)?);
    }
    if let Some(file) = &args.labels {
        builder = builder.labels(read_labels(file)?);
    }
    Ok(builder)
}
