//! `nearwood train`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::als::{Model, Params, Trainer};
use crate::io::parse_time;
use crate::recommend::{FitOptions, Weighting};
use crate::{Interactions, Recommender};

use super::columns::ColumnArgs;
use super::failure::Failure;
use super::options::{ParamArgs, labels_of, positive};
use super::output::Report;
use super::progress::Progress;

/// Train on who had what, and write one file that recommends
///
/// The input is delimited text with a header (or none, with columns given by number), lines `user
/// item item ...`, or Parquet; each may be gzipped, and - is standard input.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The interactions; - is standard input
    input: PathBuf,
    #[command(flatten)]
    columns: ColumnArgs,
    /// How weights become confidence: log1p, raw, bm25, normalized or normalized:BETA
    #[arg(long, default_value_t)]
    weighting: Weighting,
    /// The column of times, by name or by number from 0: whole numbers, or dates
    #[arg(long, value_name = "COLUMN", requires = "half_life")]
    time: Option<String>,
    /// Halve a weight for every so much time that it is older than the latest, or than --now,
    /// before the weighting: 90d, 12h, 30m, 45s, or a number in the unit of the times
    #[arg(long, value_name = "TIME", requires = "time", value_parser = half_life)]
    half_life: Option<f64>,
    /// What ages are counted from: a time or a date
    #[arg(long, value_name = "TIME", requires = "half_life", value_parser = parse_time)]
    now: Option<i64>,
    /// A file of (item id, name) lines, so that people can ask by name
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
    #[command(flatten)]
    params: ParamArgs,
    /// Threads; all cores unless given
    #[arg(long, value_name = "N", value_parser = positive)]
    threads: Option<usize>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Print what was done as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let params = args.params.params(args.threads);
    // A wrong parameter should not wait for a long file to be read.
    params.check()?;
    let data = read(args)?;
    let labels = args.names.as_ref().map(|file| labels_of(&data.items, file)).transpose()?;
    let (model, training) = train(&data, args.weighting, params.clone())?;
    let options = FitOptions { params, weighting: args.weighting, labels };
    let (recommender, building) = assemble(&model, &data, &options)?;
    recommender.save(&args.output)?;
    let mut report = Report::default();
    report.count("users", data.matrix.n_rows());
    report.count("items", data.matrix.n_cols());
    report.count("interactions", data.matrix.nnz());
    report.time("training_seconds", training);
    report.add("loss", last_loss(&model), format!("{:.1}", last_loss(&model)));
    report.time("building_seconds", building);
    report.file(&args.output, recommender.as_bytes().len() as u64);
    report.print(&args.output, args.json, out)
}

fn read(args: &Args) -> Result<Interactions, Failure> {
    match (&args.time, args.half_life) {
        (Some(time), Some(half_life)) => {
            let data = args.columns.read_with(&args.input, Some(time))?;
            Ok(data.decayed(half_life, args.now)?)
        }
        _ => args.columns.read(&args.input),
    }
}

/// `90d` and the like in seconds; a bare number as it is.
fn half_life(text: &str) -> Result<f64, String> {
    let units = [("w", 604_800.0), ("d", 86_400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
    let unit = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
    let (number, unit) = unit.unwrap_or((text, 1.0));
    let value = number.parse().ok().map(|n: f64| n * unit).filter(|n| *n > 0.0 && n.is_finite());
    value.ok_or_else(|| "expected a time above 0 such as 90d, 12h or 3600".to_string())
}

/// Trains under a bar that shows the loss.
pub(super) fn train(
    data: &Interactions,
    weighting: Weighting,
    params: Params,
) -> Result<(Model, Duration), Failure> {
    let weighted = data.clone().weighted(weighting)?;
    let progress = Progress::bar("training", params.iterations);
    let start = Instant::now();
    let trainer = Trainer::new(params).progress(|epoch| {
        progress.set(epoch.number);
        progress.message(format!("loss {:.1}", epoch.loss));
        ControlFlow::Continue(())
    });
    let in_words = |error| data.in_words(error, weighting);
    let model = trainer.fit(&weighted.matrix).map_err(in_words)?;
    Ok((model, start.elapsed()))
}

/// Builds the forests and composes the file.
pub(super) fn assemble(
    model: &Model,
    data: &Interactions,
    options: &FitOptions,
) -> Result<(Recommender, Duration), Failure> {
    let progress = Progress::bar("building", 100);
    let start = Instant::now();
    let report = |done, _| {
        progress.set(done);
        true
    };
    let recommender = Recommender::from_model_with(model, data, options, &report)?;
    Ok((recommender, start.elapsed()))
}

/// The objective's value after the last epoch.
pub(super) fn last_loss(model: &Model) -> f64 {
    model.loss_history.last().copied().unwrap_or(f64::NAN)
}
