//! `nearwood train`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::als::{Model, Params, Trainer};
use crate::io::parse_time;
use crate::recommend::{FitOptions, HalfLife, Weighting};
use crate::{Interactions, Recommender};

use super::columns::{ColumnArgs, NamesArgs};
use super::failure::Failure;
use super::options::{ParamArgs, labels_of};
use super::output::{Report, thousands};
use super::progress::{Progress, note};

/// Train on who had what, and write one file that recommends
///
/// The input is delimited text with a header (or none, with columns given by number), lines `user
/// item item ...`, Parquet or Feather; each may be compressed with gzip, zstd or bzip2, and - is
/// standard input. A folder stands for the files in it.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The interactions: files, folders or patterns, read as one; - is standard input
    #[arg(required = true)]
    input: Vec<PathBuf>,
    #[command(flatten)]
    columns: ColumnArgs,
    /// How weights become confidence: log1p, raw, bm25, normalized or normalized:BETA
    #[arg(long, default_value_t)]
    weighting: Weighting,
    /// The column of times, by name or by number from 0: whole numbers, or dates
    #[arg(long, value_name = "COLUMN", requires = "half_life")]
    time: Option<String>,
    /// Halve a weight for every half-life that it is older than the latest, or than --now, before the
    /// weighting: 2w, 90d, 12h, 30min or 45s for times in seconds, or a number in their unit
    #[arg(long, value_name = "TIME", requires = "time")]
    half_life: Option<HalfLife>,
    /// What ages are counted from: a time or a date
    #[arg(long, value_name = "TIME", requires = "half_life", value_parser = parse_time)]
    now: Option<i64>,
    #[command(flatten)]
    names: NamesArgs,
    #[command(flatten)]
    params: ParamArgs,
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
    let params = args.params.params(args.threads);
    // A wrong parameter should not wait for a long file to be read.
    params.check()?;
    let data = read(args)?;
    let labels = labels_of(&data.items, &args.names, &args.columns)?;
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
            let (data, left) = data.decayed_counted(half_life, args.now)?;
            if left.faded > 0 {
                let [faded, users] = [left.faded, left.users].map(|n| thousands(n as u64));
                note(&format!(
                    "{faded} of {users} users keep less than a millionth of their weight: nothing is \
                     learnt of them"
                ));
            }
            Ok(data)
        }
        _ => args.columns.read(&args.input),
    }
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
