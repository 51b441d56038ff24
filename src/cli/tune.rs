//! `nearwood tune`.

use std::io::Write;
use std::path::PathBuf;

use crate::als::{Confidence, Params, Solver};
use crate::eval::Target;
use crate::io::Journal;
use crate::recommend::{FitOptions, Weighting};
use crate::tune::{Event, Options, Outcome, Space, Span, Trial, tune};

use super::columns::{ColumnArgs, NamesArgs};
use super::failure::Failure;
use super::options::labels_of;
use super::output::{Align, Table, duration, thousands};
use super::progress::{Progress, note};
use super::train;

/// Search parameters for training, on a part of the training that is held out
///
/// Give no test: what is chosen by a test says nothing of new data any more. A range is written
/// 0.1..10, a fixed value as one number. With --journal a search that was ended goes on where it
/// was, and gives what it would have given. docs/evaluating.md says how to choose.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The interactions to train on: files, folders or patterns, read as one; - is standard input
    #[arg(required = true)]
    input: Vec<PathBuf>,
    #[command(flatten)]
    columns: ColumnArgs,
    #[command(flatten)]
    space: SpaceArgs,
    #[command(flatten)]
    search: SearchArgs,
    /// A file that keeps every trial as a line of JSON, and from which the search goes on
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Train on everything with the best parameters, and write the recommender here
    #[arg(short, long = "out", value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    names: NamesArgs,
    /// Threads; all cores unless given
    #[arg(long, value_name = "N", value_parser = super::options::threads, allow_negative_numbers = true)]
    threads: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Where is searched.
#[derive(clap::Args)]
struct SpaceArgs {
    /// The length of a vector [default: 64]
    #[arg(long, value_name = "RANGE")]
    factors: Option<Span>,
    /// The weight of every pair, seen or not [default: 0.01..1; 1, which implicit and spark fix]
    #[arg(long, value_name = "RANGE")]
    unobserved_weight: Option<Span>,
    /// How strongly a vector of middle size is kept short [default: 0.1..100]
    #[arg(long, value_name = "RANGE")]
    regularization: Option<Span>,
    /// How far regularization grows with the interactions of a user or item [default: 0..1]
    #[arg(long, value_name = "RANGE")]
    regularization_scaling: Option<Span>,
    /// The weight of one unit of an interaction [default: 1; 1..50 with implicit and spark]
    #[arg(long, value_name = "RANGE")]
    alpha: Option<Span>,
    /// How weights become confidence, several with commas [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    weighting: Vec<Weighting>,
    /// What a weight means: ials, implicit or spark
    #[arg(long, default_value_t)]
    confidence: Confidence,
}

impl SpaceArgs {
    fn space(&self) -> Space {
        let usual = Space::of(self.confidence);
        Space {
            factors: self.factors.unwrap_or(usual.factors),
            unobserved_weight: self.unobserved_weight.unwrap_or(usual.unobserved_weight),
            regularization: self.regularization.unwrap_or(usual.regularization),
            regularization_scaling: self
                .regularization_scaling
                .unwrap_or(usual.regularization_scaling),
            alpha: self.alpha.unwrap_or(usual.alpha),
            weightings: match self.weighting.is_empty() {
                true => usual.weightings,
                false => self.weighting.clone(),
            },
        }
    }
}

/// How it is searched.
#[derive(clap::Args)]
struct SearchArgs {
    /// What is to be high: recall, capped_recall, precision, ndcg, map, mrr, hit_rate or coverage
    #[arg(long, value_name = "MEASURE@K", default_value_t = Options::default().target)]
    metric: Target,
    /// Trials anywhere in the ranges
    #[arg(long, value_name = "N", default_value_t = Options::default().trials)]
    trials: usize,
    /// Trials near the best one after them
    #[arg(long, value_name = "N", default_value_t = Options::default().refine)]
    refine: usize,
    /// The most epochs of a trial
    #[arg(long, value_name = "N", default_value_t = Options::default().base.iterations)]
    iterations: usize,
    /// Epochs without a better figure after which a trial ends
    #[arg(long, value_name = "N", default_value_t = Options::default().patience)]
    patience: usize,
    /// The share of the interactions that is held out to measure on
    #[arg(long, value_name = "SHARE", default_value_t = Options::default().validation)]
    validation: f64,
    /// The most users who are measured
    #[arg(long, value_name = "N", default_value_t = Options::default().users)]
    users: usize,
    /// How a user or item is solved: auto, cholesky, cg or block
    #[arg(long, default_value_t = Solver::Auto)]
    solver: Solver,
    /// The same seed gives the same trials and the same file, at any number of threads
    #[arg(long, default_value_t)]
    seed: u64,
}

impl Args {
    fn options(&self) -> Options {
        let search = &self.search;
        Options {
            space: self.space.space(),
            trials: search.trials,
            refine: search.refine,
            target: search.metric,
            validation: search.validation,
            users: search.users,
            patience: search.patience,
            seed: search.seed,
            base: Params {
                iterations: search.iterations,
                confidence: self.space.confidence,
                solver: search.solver,
                seed: search.seed,
                n_threads: self.threads,
                ..Params::default()
            },
        }
    }
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    if args.names.names.is_some() && args.output.is_none() {
        return Err(Failure::new("--names needs --out: names go into the recommender"));
    }
    let options = args.options();
    // A wrong range should not wait for a long file to be read.
    options.check()?;
    let data = args.columns.read(&args.input)?;
    let labels = labels_of(&data.items, &args.names, &args.columns)?;
    let mut journal = match &args.journal {
        Some(path) => Journal::open(path)?,
        None => Journal::in_memory(),
    };
    let outcome = {
        let progress = Progress::bar("tuning", options.trials + options.refine);
        tune(&data, &options, &mut journal, &|| false, &mut |event| tell(&progress, event))?
    };
    for left_out in &outcome.left_out {
        note(&format!("the weighting {} is left out: {}", left_out.weighting, left_out.error));
    }
    if outcome.resumed > 0 {
        note(&format!("{} trials were in the journal already", outcome.resumed));
    }
    let best = outcome.best()?;
    if let Some(output) = &args.output {
        let params = best.params(&options.base);
        let weighting = best.candidate.weighting;
        let (model, _) = train::train(&data, weighting, params.clone())?;
        let (recommender, _) =
            train::assemble(&model, &data, &FitOptions { params, weighting, labels })?;
        recommender.save(output)?;
    }
    match args.json {
        true => Ok(writeln!(out, "{}", outcome.report(&options)?)?),
        false => print(args, &outcome, &options, best, out),
    }
}

fn tell(progress: &Progress, event: &Event<'_>) -> bool {
    match event {
        Event::Epoch { trial, epoch, score, .. } => {
            progress.message(format!("trial {trial}, epoch {epoch}: {score:.4}"));
        }
        Event::Trial { trial, .. } => progress.set(trial.trial + 1),
    }
    true
}

fn print(
    args: &Args,
    outcome: &Outcome,
    options: &Options,
    best: &Trial,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let right = |name| (name, Align::Right);
    let target = options.target.to_string();
    let mut table = Table::new([
        right(target.as_str()),
        right("trial"),
        right("epochs"),
        right("factors"),
        ("weighting", Align::Left),
        right("alpha"),
        right("unobserved"),
        right("regularization"),
        right("scaling"),
        right("time"),
    ]);
    for trial in outcome.ranked() {
        let c = &trial.candidate;
        table.row(vec![
            trial.score.map_or("none".to_string(), |score| format!("{score:.4}")),
            trial.trial.to_string(),
            trial.epochs.to_string(),
            c.factors.to_string(),
            c.weighting.to_string(),
            c.alpha.to_string(),
            c.unobserved_weight.to_string(),
            c.regularization.to_string(),
            c.regularization_scaling.to_string(),
            duration(std::time::Duration::from_secs_f64(trial.seconds.max(0.0))),
        ]);
    }
    table.write(out)?;
    let users = thousands(outcome.n_users as u64);
    writeln!(out, "measured on {users} users of the validation part")?;
    match &args.output {
        Some(path) => writeln!(out, "trained on everything: {}", path.display())?,
        None => writeln!(out, "to train on everything: nearwood train {}", words(best, options))?,
    }
    Ok(())
}

/// The options of `train` that say what a trial was.
fn words(trial: &Trial, options: &Options) -> String {
    let p = trial.params(&options.base);
    format!(
        "--weighting {} --factors {} --alpha {} --unobserved-weight {} --regularization {} \
         --regularization-scaling {} --iterations {} --confidence {} --solver {} --seed {}",
        trial.candidate.weighting,
        p.factors,
        p.alpha,
        p.unobserved_weight,
        p.regularization,
        p.regularization_scaling,
        p.iterations,
        p.confidence,
        p.solver,
        p.seed
    )
}
