//! `nearwood build`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use crate::index::Builder;
use crate::io::{Matrix, VectorFile, map_vectors, npy, read_ids, read_labels};
use crate::{Index, Metric, Storage, Vectors};

use super::failure::Failure;
use super::options::{positive, size};
use super::output::{Report, yes};
use super::progress::Progress;

/// Build an index over vectors
#[derive(clap::Args)]
pub(super) struct Args {
    /// The vectors: .npy, .fvecs, .bvecs, .csv, .tsv, .txt or .parquet (a column of lists), also
    /// compressed; - is .npy on standard input
    vectors: PathBuf,
    /// How near two vectors are: euclidean (l2), angular (cosine), dot (ip), manhattan (l1) or
    /// hamming (a component above 0.5 is a 1)
    #[arg(long)]
    metric: Metric,
    /// An id a line, or an integer .npy array; rows are numbered from 0 unless given
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// A name for people a line, in the order of the vectors
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The vectors are packed bits for hamming: a uint8 .npy array as numpy.packbits makes it
    #[arg(long)]
    packed: bool,
    /// The bits of a packed row; 8 a byte unless given
    #[arg(long, value_name = "N", value_parser = positive, requires = "packed")]
    dim: Option<usize>,
    /// What is kept of the vectors for exact distances: float32, float16 or int8
    #[arg(long, default_value_t = Storage::Float32)]
    storage: Storage,
    /// How many trees
    #[arg(long, value_name = "N", value_parser = positive, default_value_t = 1)]
    trees: usize,
    /// The number of the first tree: build 0 and 1 here, 2 and 3 elsewhere, then merge the files
    #[arg(long, value_name = "N", default_value_t = 0)]
    first_tree: usize,
    /// The most vectors in a leaf; chosen by the library unless given
    #[arg(long, value_name = "N", value_parser = positive)]
    leaf_size: Option<usize>,
    /// Grow a neighbour graph, for faster searches; unless given, from 10,000 vectors on by euclidean
    /// and angular, never with --memory-limit
    #[arg(long, conflicts_with = "no_graph")]
    graph: bool,
    /// Grow no neighbour graph: quicker to build, and slower to search
    #[arg(long)]
    no_graph: bool,
    /// The same seed gives the same file, at any number of threads
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; -1: all cores, which is the default
    #[arg(long, value_name = "N", value_parser = super::options::threads, allow_negative_numbers = true)]
    threads: Option<usize>,
    /// The most memory to allocate, such as 500MB or 2GB: a file larger than that is built from a
    /// float32 .npy on the disk, without a graph
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory_limit: Option<usize>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Print what was done as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let builder = builder(args)?;
    let progress = Progress::spinner("reading");
    let input = read_input(args)?;
    drop(progress);
    let vectors = match &input {
        Input::Values(file) => Vectors::new(file.values(), file.cols())?,
        Input::Bits(matrix) => Vectors::packed(&matrix.data, args.dim.unwrap_or(8 * matrix.cols))?,
    };
    let progress = Progress::bar("building", 100);
    let start = Instant::now();
    let index =
        builder.build_to_with(&args.output, vectors, &|done, of| progress.percent(done, of))?;
    drop(progress);
    let building = start.elapsed();
    let mut report = Report::default();
    report.count("vectors", index.len());
    report.count("dim", index.dim());
    report.add("metric", index.metric().name(), index.metric().name());
    report.add("storage", index.storage(), index.storage());
    report.count("trees", index.n_trees());
    report.add("graph", index.has_graph(), yes(index.has_graph()));
    report.time("building_seconds", building);
    report.file(&args.output, index.as_bytes().len() as u64);
    report.print(&args.output, args.json, out)
}

/// What was read.
enum Input {
    Values(VectorFile),
    Bits(Matrix<u8>),
}

fn not_mapped(args: &Args) -> Failure {
    Failure::new(format!(
        "--memory-limit reads vectors from the disk, which takes a plain .npy of float32 in C \
         order; {} is not: save it as one first (numpy.save)",
        args.vectors.display()
    ))
}

fn read_input(args: &Args) -> Result<Input, Failure> {
    if !args.packed {
        let file = map_vectors(&args.vectors)?;
        return match args.memory_limit.is_some() && !file.is_mapped() {
            true => Err(not_mapped(args)),
            false => Ok(Input::Values(file)),
        };
    }
    let bits = npy::read_bytes(&args.vectors)?;
    match args.dim.filter(|dim| dim.div_ceil(8) != bits.cols) {
        Some(dim) => Err(Failure::new(format!(
            "{}: got rows of {} bytes, expected {} for --dim {dim}",
            args.vectors.display(),
            bits.cols,
            dim.div_ceil(8)
        ))),
        None => Ok(Input::Bits(bits)),
    }
}

fn builder(args: &Args) -> Result<Builder, Failure> {
    let mut builder =
        Index::builder(args.metric).trees(args.trees).seed(args.seed).threads(args.threads);
    builder = builder.storage(args.storage);
    builder = builder.first_tree(args.first_tree).memory_limit(args.memory_limit);
    builder = builder.graph((args.graph || args.no_graph).then_some(args.graph));
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
