//! `nearwood recall`, and how the other commands measure a curve.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::index::{CurveOptions, RecallCurve};
use crate::report::curve_svg;
use crate::store::write_atomic;
use crate::{Effort, Index};

use super::failure::Failure;
use super::options::{is_recommender, open_index, open_recommender, positive};
use super::output::{Align, Table, percent, thousands};
use super::progress::Progress;
use super::queries::QueryArgs;

/// Measure the recall/speed curve against brute force, one query after another on one thread
///
/// Without --queries: stored vectors drawn at random, each left out of its own answer; by inner
/// product users made up from the vectors; of a recommender 500 of its users. Budgets are those of
/// the calibration in the file unless --budgets names others. --json prints one object: {"k",
/// "n_queries", "queries", "steps": [{"budget", "recall", "microseconds", "queries_per_second"}],
/// "asked": [{"asked", "recall", ...}], "exact": {...}}.
#[derive(clap::Args)]
pub(super) struct Args {
    /// An index, or a recommender, whose items are then searched by inner product
    file: PathBuf,
    #[command(flatten)]
    queries: QueryArgs,
    /// How many neighbours a query
    #[arg(short, default_value_t = 10, value_parser = positive)]
    k: usize,
    /// How many vectors searches may evaluate; several with commas
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = positive)]
    budgets: Option<Vec<usize>>,
    /// Threads of the brute force; all cores unless given. Searches are timed on one
    #[arg(long, value_name = "N", value_parser = super::options::threads, allow_negative_numbers = true)]
    threads: Option<usize>,
    /// A picture of the curve to write, as SVG: curve.svg; - is standard output
    #[arg(long, value_name = "FILE", value_parser = svg)]
    plot: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let options = CurveOptions {
        k: args.k,
        budgets: args.budgets.as_deref(),
        n_threads: args.threads,
        ..CurveOptions::default()
    };
    let index = open_index(&args.file)?;
    let curve = measure(&args.file, &index, &args.queries, options)?;
    if let Some(plot) = &args.plot {
        write_atomic(plot, curve_svg(&curve).as_bytes())?;
    }
    let mut notes = super::terminal::notes();
    // The picture has standard output to itself.
    let out = if args.plot.as_deref() == Some(Path::new("-")) { &mut notes } else { out };
    match args.json {
        true => Ok(writeln!(out, "{}", curve.to_json())?),
        false => print(&curve, index.has_graph(), out),
    }
}

/// The name of a picture: no other kind is drawn.
fn svg(name: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(name);
    match name == "-" || path.extension().is_some_and(|is| is.eq_ignore_ascii_case("svg")) {
        true => Ok(path),
        false => Err("expected a name that ends in .svg, the only kind that is drawn".into()),
    }
}

/// Measures with the queries given, or with what stands in for them.
pub(super) fn measure(
    file: &Path,
    index: &Index,
    queries: &QueryArgs,
    options: CurveOptions<'_>,
) -> Result<RecallCurve, Failure> {
    let queries = queries.read(index)?;
    let queries = queries.as_ref().map(|queries| queries.data.as_slice());
    let _progress = Progress::spinner("measuring recall");
    Ok(match is_recommender(index) {
        true => open_recommender(file)?.recall_curve(queries, options)?,
        false => index.recall_curve(queries, options)?,
    })
}

fn print(curve: &RecallCurve, has_graph: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let way = if has_graph { "over the graph" } else { "over the trees" };
    writeln!(
        out,
        "{} neighbours of {} {}; {way}, one thread",
        thousands(curve.k as u64),
        thousands(curve.n_queries as u64),
        curve.probe.describe()
    )?;
    let recall = format!("recall@{}", curve.k);
    let mut table = Table::new([
        ("search", Align::Left),
        (&recall, Align::Right),
        ("µs a query", Align::Right),
        ("queries/s", Align::Right),
    ]);
    for step in curve.steps.iter().chain(&curve.asked).chain([&curve.exact]) {
        table.row(vec![
            name(step.effort),
            percent(step.recall),
            format!("{:.1}", step.micros),
            thousands(step.queries_per_second().round() as u64),
        ]);
    }
    Ok(table.write(out)?)
}

fn name(effort: Effort) -> String {
    match effort {
        Effort::Budget(budget) => format!("budget={budget}"),
        Effort::Recall(recall) => format!("recall={recall}"),
        _ => "exact".into(),
    }
}
