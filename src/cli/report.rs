//! `nearwood report`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::builder::RangedU64ValueParser;

use crate::eval::Options;
use crate::index::{CurveOptions, RecallCurve};
use crate::report::{MAX_ITEMS, Metrics, PageOptions, Subject, page};
use crate::store::write_atomic;
use crate::{Index, Recommender};

use super::columns::{ColumnArgs, list_of};
use super::failure::Failure;
use super::options::{
    EffortArgs, is_recommender, open_index, open_model, open_recommender, positive,
};
use super::output::Report;
use super::progress::Progress;
use super::queries::QueryArgs;
use super::recall::measure;

/// Draw an index or a recommender as one HTML page that needs nothing else
///
/// The recall, the work and the speed of searches (measured as `recall` does, with --queries or
/// without), leaf sizes, norms, a map of the items with their names, and a search for what is near
/// them; of a recommender the losses of its training. --test adds ranking metrics as `evaluate` gives
/// them. The same file and options give the same page, but for measured speed. An item takes at most
/// 4.6 kB of it.
#[derive(clap::Args)]
pub(super) struct Args {
    /// An index or a recommender
    file: PathBuf,
    #[command(flatten)]
    queries: QueryArgs,
    /// Leave the speed out: nothing is measured, and the page is the same each time
    #[arg(long, conflicts_with = "queries")]
    no_speed: bool,
    /// Of a recommender: interactions that were held out, to measure its lists on; may be given several
    /// times
    #[arg(long, value_name = "FILE")]
    test: Vec<PathBuf>,
    #[command(flatten)]
    columns: ColumnArgs,
    /// Where the lists of --test are cut; several with commas
    #[arg(short, value_delimiter = ',', default_value = "20", value_parser = positive)]
    k: Vec<usize>,
    #[command(flatten)]
    effort: EffortArgs,
    /// Items on the map: a recommender's most popular, an index's drawn at random
    #[arg(long, value_name = "N", default_value_t = 2000,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=MAX_ITEMS as u64))]
    items: usize,
    /// The heading; the file's name unless given
    #[arg(long)]
    title: Option<String>,
    /// Of what is drawn at random, and of equal scores
    #[arg(long, default_value_t)]
    seed: u64,
    /// Threads; -1: all cores, which is the default
    #[arg(long, value_name = "N", value_parser = super::options::threads, allow_negative_numbers = true)]
    threads: Option<usize>,
    /// The page to write; - is standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    if open_model(&args.file)?.is_some() {
        return Err(Failure::new(format!(
            "{}: got a model, expected an index or a recommender: a model has no index to draw; \
             `nearwood inspect` shows its training",
            args.file.display()
        )));
    }
    let index = open_index(&args.file)?;
    let recommender = match is_recommender(&index) {
        true => Some(open_recommender(&args.file)?),
        false => None,
    };
    let metrics = metrics(args, recommender.as_ref())?;
    let curve = curve(args, &index)?;
    let name = args.file.file_name().unwrap_or(args.file.as_os_str()).to_string_lossy();
    let subject = recommender.as_ref().map_or(Subject::Index(&index), Subject::Recommender);
    let html = {
        let _progress = Progress::spinner("drawing");
        page(
            subject,
            &PageOptions {
                title: args.title.as_deref().unwrap_or(&name),
                items: args.items,
                seed: args.seed,
                n_threads: args.threads,
                curve: curve.as_ref(),
                metrics: metrics.as_ref(),
            },
        )?
    };
    write_atomic(&args.output, html.as_bytes())?;
    let mut report = Report::default();
    report.file(&args.output, html.len() as u64);
    report.count("items", args.items.min(index.len()));
    report.print(&args.output, args.json, out)
}

fn curve(args: &Args, index: &Index) -> Result<Option<RecallCurve>, Failure> {
    if args.no_speed {
        return Ok(None);
    }
    let options = CurveOptions { n_threads: args.threads, ..CurveOptions::default() };
    measure(&args.file, index, &args.queries, options).map(Some)
}

fn metrics(args: &Args, recommender: Option<&Recommender>) -> Result<Option<Metrics>, Failure> {
    if args.test.is_empty() {
        return Ok(None);
    }
    let recommender = recommender.ok_or_else(|| needs_recommender(&args.file))?;
    let test = args.columns.read(&args.test)?;
    let options = Options {
        ks: args.k.clone(),
        seed: args.seed,
        n_threads: args.threads,
        ..Options::default()
    };
    let _progress = Progress::spinner("measuring");
    let effort = args.effort.effort();
    let metrics = Metrics::measure(recommender, &test, &options, effort, &|| false)?;
    match metrics.why_empty() {
        Some(cause) => Err(Failure::new(format!("{}: {cause}", list_of(&args.test)))),
        None => Ok(Some(metrics)),
    }
}

fn needs_recommender(file: &Path) -> Failure {
    Failure::new(format!(
        "{}: got an index, expected a recommender: --test measures its lists for users",
        file.display()
    ))
}
