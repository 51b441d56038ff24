//! `nearwood evaluate`.

use std::io::Write;
use std::path::PathBuf;

use crate::als::Csr;
use crate::error::QueryError;
use crate::eval::{
    Aligned, Evaluation, ItemKnn, KnnOptions, Measure, Options, Popularity, Task, align, seen_by,
};
use crate::{Effort, Recommender};

use super::columns::{ColumnArgs, list_of};
use super::failure::Failure;
use super::options::{EffortArgs, open_recommender, positive};
use super::output::{Align, Table, thousands};
use super::progress::{Progress, note};

/// Measure a recommender's lists on interactions that it was not trained on
///
/// Every item that the user does not have already is ranked. Figures are means over the users for
/// whom the test has something to find; docs/evaluating.md has the definitions. Lists are those
/// that `recommend` gives, or with --exact the best by the factors. Ids that the recommender does
/// not know are counted and left out. A recommender that was trained on the test is refused, and so
/// is a test that leaves nothing to find.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The recommender
    file: PathBuf,
    /// The interactions that were held out: a file, a folder or a pattern, may be given several times;
    /// - is standard input
    #[arg(long, value_name = "FILE", required = true)]
    test: Vec<PathBuf>,
    #[command(flatten)]
    columns: ColumnArgs,
    /// Where lists are cut; several with commas
    #[arg(short, value_delimiter = ',', default_value = "20", value_parser = positive)]
    k: Vec<usize>,
    /// Measure popularity and the neighbours of what users have, too
    #[arg(long)]
    baselines: bool,
    /// Rank the items that users have already, too, and want them if the test has them: for data in
    /// which people come back to what they have
    #[arg(long)]
    include_seen: bool,
    #[command(flatten)]
    effort: EffortArgs,
    /// Of the order of items with equal scores
    #[arg(long, default_value_t)]
    seed: u64,
    /// Threads; -1: all cores, which is the default
    #[arg(long, value_name = "N", value_parser = super::options::threads, allow_negative_numbers = true)]
    threads: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let recommender = open_recommender(&args.file)?;
    let test = args.columns.read(&args.test)?;
    let shape = (recommender.n_users(), recommender.items().len());
    let user = |id: &crate::Id| recommender.user(id);
    let test = align(&test, shape, user, |id| recommender.items().position(id))?;
    let train = seen_by(&recommender)?;
    let options = Options {
        ks: args.k.clone(),
        seed: args.seed,
        n_threads: args.threads,
        include_seen: args.include_seen,
    };
    let task = Task::new(&train, &test.matrix, &options)?;
    let mut rows = vec![("model", model(&task, &recommender, args.effort.effort())?)];
    if let Some(cause) = rows[0].1.why_empty(&test) {
        return Err(Failure::new(format!("{}: {cause}", list_of(&args.test))));
    }
    if args.baselines {
        rows.extend(baselines(&task, &train, args.threads)?);
    }
    remarks(&rows[0].1, &test).iter().for_each(|remark| note(remark));
    match args.json {
        true => Ok(writeln!(out, "{}", rows[0].1.report(&test, &rows[1..]))?),
        false => print(&rows, out),
    }
}

fn model(
    task: &Task<'_>,
    recommender: &Recommender,
    effort: Effort,
) -> Result<Evaluation, QueryError> {
    let progress = Progress::spinner("measuring");
    progress.message(format!("{} users", thousands(task.users().len() as u64)));
    task.served(recommender, effort)
}

fn baselines(
    task: &Task<'_>,
    train: &Csr,
    n_threads: Option<usize>,
) -> Result<[(&'static str, Evaluation); 2], QueryError> {
    let progress = Progress::bar("baselines", 100);
    let report = |done, of| progress.percent(done, of);
    let options = KnnOptions { n_threads, ..KnnOptions::default() };
    let knn = ItemKnn::fit_with(train, &options, &report)?;
    let popularity = task.popularity(&Popularity::fit(train));
    Ok([("popularity", popularity), ("item_knn", task.item_knn(&knn))])
}

/// What was left out, in words; nothing where nothing was.
fn remarks(evaluation: &Evaluation, test: &Aligned) -> Vec<String> {
    let count = |n: usize| thousands(n as u64);
    let mut remarks = Vec::new();
    let mut say = |n: usize, text: String| {
        if n > 0 {
            remarks.push(text);
        }
    };
    say(
        test.entries_dropped,
        format!(
            "{} interactions of the test are left out: {} of its users and {} of its items are \
             unknown to the recommender",
            count(test.entries_dropped),
            count(test.unknown_users),
            count(test.unknown_items)
        ),
    );
    let seen = evaluation.entries_seen;
    let seen_or_found = count(seen + evaluation.test_entries);
    say(
        seen,
        format!(
            "{} of {seen_or_found} interactions of the test are in the recommender's own history: \
             left out. If it was trained on the test, train it on the training part alone; if \
             people come back to what they have, give --include-seen",
            count(seen)
        ),
    );
    let low = evaluation.entries_not_positive;
    say(low, format!("{} interactions of the test have no weight above 0: left out", count(low)));
    let cold = evaluation.users_without_history;
    say(cold, format!("{} of the users measured have no history", count(cold)));
    remarks
}

fn print(rows: &[(&str, Evaluation)], out: &mut dyn Write) -> Result<(), Failure> {
    let evaluation = &rows[0].1;
    writeln!(
        out,
        "{} users of {} have something to find, {} items in all",
        thousands(evaluation.n_users as u64),
        thousands((evaluation.n_users + evaluation.users_without_test) as u64),
        thousands(evaluation.test_entries as u64)
    )?;
    let mut columns = vec![("measure", Align::Left)];
    columns.extend(rows.iter().map(|(name, _)| (*name, Align::Right)));
    let mut table = Table::new(columns);
    for (at, figures) in evaluation.at.iter().enumerate() {
        for measure in Measure::ALL {
            let mut cells = vec![format!("{measure}@{}", figures.k)];
            cells.extend(rows.iter().map(|(_, e)| format!("{:.4}", e.at[at].get(measure))));
            table.row(cells);
        }
    }
    Ok(table.write(out)?)
}
