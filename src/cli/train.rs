//! `nearwood train`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::als::{Model, Params, Trainer};
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
    /// How weights become confidence: log1p, raw or bm25
    #[arg(long, default_value_t)]
    weighting: Weighting,
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
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let params = args.params.params(args.threads);
    // A wrong parameter should not wait for a long file to be read.
    params.check()?;
    let data = args.columns.read(&args.input)?;
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
    let model = trainer.fit(&weighted.matrix)?;
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
