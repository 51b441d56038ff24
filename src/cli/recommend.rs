//! `nearwood recommend`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::ArgGroup;
use serde_json::{Value, json};

use crate::io::{EverybodyOptions, recommend_everybody};
use crate::recommend::RecommendOptions;
use crate::{Hit, Recommender};

use super::failure::Failure;
use super::history;
use super::hits::{HitTable, describe, json_hits, json_id, json_item};
use super::options::{EffortArgs, open_recommender, positive};
use super::output::{Report, json_number};
use super::progress::Progress;
use super::terminal::cell;

/// Recommend items to a user of the training, to somebody new, or to everybody
///
/// --json prints {"user" or "history", "recommendations": [{"rank", "id", "label", "score"}]}.
/// --all writes a table of user, item, rank and score. What is done is kept beside it, in the folder
/// FILE.parts, until the table is whole; --resume goes on with that.
#[derive(clap::Args)]
#[command(group(ArgGroup::new("who").required(true).args(["user", "history", "all"])))]
pub(super) struct Args {
    /// The recommender
    file: PathBuf,
    /// The id of a user of the training
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    user: Option<String>,
    /// What somebody new had: ids or labels with weights, "Radiohead:120,Björk,1412:3"; a label may
    /// stand in double quotes, '"Earth, Wind & Fire":3'; may be given several times
    #[arg(long, value_name = "ITEM[:WEIGHT],...", allow_hyphen_values = true)]
    history: Vec<String>,
    /// Leave out items of --history that the model does not know; each is named on standard error
    #[arg(long, requires = "history")]
    skip_unknown: bool,
    /// Every user of the training, into the file of -o
    #[arg(long, requires = "output")]
    all: bool,
    /// How many items a user
    #[arg(short, default_value_t = 20, value_parser = positive)]
    k: usize,
    #[command(flatten)]
    effort: EffortArgs,
    /// Items that the user has already may come up, too
    #[arg(long)]
    include_seen: bool,
    /// Threads of --all; all cores unless given
    #[arg(long, value_name = "N", value_parser = super::options::threads, allow_negative_numbers = true)]
    threads: Option<usize>,
    /// The file of --all: .parquet, .csv, .tsv or .jsonl; - is CSV on standard output
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["user", "history"])]
    output: Option<PathBuf>,
    /// Go on with an --all that was ended; ask for the same as the first time
    #[arg(long, conflicts_with_all = ["user", "history"])]
    resume: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let recommender = open_recommender(&args.file)?;
    let options = RecommendOptions {
        k: args.k.min(recommender.items().len()),
        include_seen: args.include_seen,
        effort: args.effort.effort(),
        filter: None,
        n_threads: args.threads,
    };
    match (&args.user, &args.output) {
        (Some(user), _) => for_user(&recommender, user, options, args.json, out),
        (None, Some(output)) => for_all(&recommender, options, output, args, out),
        (None, None) => for_history(&recommender, args, options, out),
    }
}

fn for_user(
    recommender: &Recommender,
    user: &str,
    options: RecommendOptions<'_>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let user = recommender.find_user(user)?;
    let hits = recommender.recommend(user, options)?;
    let id = recommender.user_id(user);
    if json {
        return print_json(recommender, json!({ "user": json_id(&id) }), &hits, out);
    }
    let seen = recommender.seen(user).len();
    writeln!(out, "for user {}, who has {seen} items", cell(&id.to_string()))?;
    print_table(recommender, &hits, out)
}

fn for_history(
    recommender: &Recommender,
    args: &Args,
    options: RecommendOptions<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut history = Vec::new();
    for text in &args.history {
        history::read(recommender, text, args.skip_unknown, &mut history)?;
    }
    let hits = recommender.recommend_for(&history, options)?;
    let items = recommender.items();
    if args.json {
        let entry = |&(position, weight): &(u32, f32)| {
            let mut item = json_item(items, position);
            item["weight"] = json_number(weight);
            item
        };
        let history: Vec<Value> = history.iter().map(entry).collect();
        return print_json(recommender, json!({ "history": history }), &hits, out);
    }
    let names: Vec<String> = history.iter().map(|&(p, _)| describe(items, p)).collect();
    writeln!(out, "for somebody who has {}", names.join(", "))?;
    print_table(recommender, &hits, out)
}

fn print_json(
    recommender: &Recommender,
    mut answer: Value,
    hits: &[Hit],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    answer["recommendations"] = json_hits(recommender.items(), hits, "score");
    Ok(writeln!(out, "{answer}")?)
}

fn print_table(
    recommender: &Recommender,
    hits: &[Hit],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut table = HitTable::new(recommender.items(), None, "score");
    table.push(None, hits);
    Ok(table.into_table().write(out)?)
}

fn for_all(
    recommender: &Recommender,
    options: RecommendOptions<'_>,
    output: &Path,
    args: &Args,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let options = EverybodyOptions { recommend: options, users: None, resume: args.resume };
    let progress = Progress::bar("recommending", recommender.n_users());
    let start = std::time::Instant::now();
    let written = recommend_everybody(recommender, output, options, |done, _| {
        progress.set(done);
        true
    })?;
    drop(progress);
    let Some(written) = written else { return Ok(()) };
    let mut report = Report::default();
    report.count("users", written.users);
    if args.resume {
        report.count("resumed", written.resumed);
    }
    report.count("rows", written.rows as usize);
    report.time("seconds", start.elapsed());
    report.add("file", output.to_string_lossy(), output.display().to_string());
    report.print(output, args.json, out)
}
