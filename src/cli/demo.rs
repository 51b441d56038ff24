//! `nearwood demo`.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::als::Params;
use crate::eval::{Listening, ListeningOptions};
use crate::recommend::{FitOptions, RecommendOptions, Weighting};
use crate::{Effort, Hit, Recommender};

use super::failure::Failure;
use super::options::{defaults, open_recommender, positive};
use super::output::{Align, Report, Table, bytes, percent, thousands};
use super::progress::Progress;
use super::train::{assemble, last_loss, train};

/// Items shown and recommended.
const K: usize = 10;
/// Listeners whose recommendations are compared with exact ones.
const SAMPLE: usize = 1000;

/// Run the whole job on generated listening data: train, save, open, recommend
///
/// Artists, genres and listeners are made up; every figure is measured in the run.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Listeners
    #[arg(long, default_value_t = ListeningOptions::default().users, value_parser = positive)]
    users: usize,
    /// Artists
    #[arg(long, default_value_t = ListeningOptions::default().items, value_parser = positive)]
    items: usize,
    /// Pairs of a listener and an artist, roughly
    #[arg(
        long,
        default_value_t = ListeningOptions::default().interactions,
        value_parser = positive
    )]
    interactions: usize,
    /// The length of each vector
    #[arg(long, default_value_t = defaults().factors)]
    factors: usize,
    /// Epochs of the training
    #[arg(long, default_value_t = defaults().iterations)]
    iterations: usize,
    /// Of the data and the training
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; -1: all cores, which is the default
    #[arg(long, value_name = "N", value_parser = super::options::threads, allow_negative_numbers = true)]
    threads: Option<usize>,
    /// Keep the recommender in this file
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

pub(super) fn run(args: &Args, itself: &[OsString], out: &mut dyn Write) -> Result<(), Failure> {
    let folder = tempfile::tempdir()
        .map_err(|e| Failure::new(format!("could not make a temporary folder: {e}")))?;
    let path = args.keep.clone().unwrap_or_else(|| folder.path().join("demo.nw"));
    let data = generate(args, out)?;
    let mut report = fit(args, &data, &path)?;
    let second = Second { itself, path: &path, data: &data };
    let started = second.show(out)?;
    let recommender = open(&path, &mut report)?;
    report.time("second_process_starts_opens_and_recommends", started);
    measure(&recommender, &data, args.threads, &mut report)?;
    writeln!(out, "\nmeasured in this run")?;
    report.write(out)?;
    if let Some(file) = &args.keep {
        writeln!(out, "\nkept in {}", file.display())?;
    }
    Ok(())
}

fn generate(args: &Args, out: &mut dyn Write) -> Result<Listening, Failure> {
    let progress = Progress::spinner("making up listeners");
    let data = Listening::generate(ListeningOptions {
        users: args.users,
        items: args.items,
        interactions: args.interactions,
        seed: args.seed,
    })?;
    drop(progress);
    let matrix = &data.interactions.matrix;
    let [users, items, n] = [matrix.n_rows(), matrix.n_cols(), matrix.nnz()];
    let [users, items, n] = [users, items, n].map(|n| thousands(n as u64));
    writeln!(out, "{users} listeners, {items} artists, {n} pairs with play counts, all made up")?;
    // What follows takes seconds: the first line should not wait for it in a buffer.
    out.flush()?;
    Ok(data)
}

fn fit(args: &Args, data: &Listening, path: &Path) -> Result<Report, Failure> {
    let params = Params {
        factors: args.factors,
        iterations: args.iterations,
        seed: args.seed,
        n_threads: args.threads,
        ..defaults()
    };
    let weighting = Weighting::default();
    let (model, training) = train(&data.interactions, weighting, params.clone())?;
    let options = FitOptions { params, weighting, labels: Some(data.names.clone()) };
    let (recommender, building) = assemble(&model, &data.interactions, &options)?;
    let start = Instant::now();
    recommender.save(path)?;
    let mut report = Report::default();
    report.time("training", training);
    report.add("loss", last_loss(&model), format!("{:.0}", last_loss(&model)));
    report.time("building_two_forests", building);
    report.time("saving", start.elapsed());
    let size = recommender.as_bytes().len() as u64;
    report.add("file_size", size, bytes(size));
    Ok(report)
}

fn open(path: &Path, report: &mut Report) -> Result<Recommender, Failure> {
    let start = Instant::now();
    let recommender = open_recommender(path)?;
    report.time("opening_the_file", start.elapsed());
    Ok(recommender)
}

/// The file opened by other processes: this same command, started anew.
struct Second<'a> {
    itself: &'a [OsString],
    path: &'a Path,
    data: &'a Listening,
}

impl Second<'_> {
    /// Shows what a listener plays beside what is recommended, and what is similar to their
    /// favourite; how long the first answer took from the start of its process.
    fn show(&self, out: &mut dyn Write) -> Result<Duration, Failure> {
        let user = self.typical_listener();
        let start = Instant::now();
        let user_text = user.to_string();
        let answer = self.ask(&["recommend", "--user", &user_text, "-k", &K.to_string()])?;
        let took = start.elapsed();
        let plays = self.most_played(user);
        let favourites = &self.data.favourites[user];
        let genres: Vec<&str> = favourites.iter().map(|&g| Listening::genre_name(g)).collect();
        writeln!(out, "\nlistener {user}, who was made to like {}", genres.join(", "))?;
        self.beside(&plays, &items_of(&answer, "recommendations"), out)?;
        let Some(&(dearest, _)) = plays.first() else { return Ok(took) };
        let answer = self.ask(&["similar", &dearest.to_string(), "-k", &K.to_string()])?;
        writeln!(out, "\nsimilar to {}", self.named(dearest))?;
        let mut table = Table::new([("artist", Align::Left), ("1 - cos", Align::Right)]);
        for (item, distance) in items_of(&answer, "similar") {
            table.row(vec![self.named(item), format!("{distance:.3}")]);
        }
        table.write(out)?;
        Ok(took)
    }

    /// Runs this command in another process and reads what it prints.
    fn ask(&self, words: &[&str]) -> Result<Value, Failure> {
        let failed = |why: String| Failure::new(format!("the second process failed: {why}"));
        let (program, prefix) =
            self.itself.split_first().ok_or_else(|| failed("its name is not known".into()))?;
        let (subcommand, rest) = words.split_at(1);
        let output = Command::new(program)
            .args(prefix)
            .args(subcommand)
            .arg(self.path)
            .args(rest)
            .arg("--json")
            .stdin(Stdio::null())
            .output()
            .map_err(|e| failed(e.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_string()));
        }
        serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))
    }

    /// One with two favourite genres and enough plays for a table.
    fn typical_listener(&self) -> usize {
        let matrix = &self.data.interactions.matrix;
        let fits = |&user: &usize| {
            self.data.favourites[user].len() == 2
                && (3 * K..20 * K).contains(&matrix.row(user).0.len())
        };
        (0..matrix.n_rows()).find(fits).unwrap_or(0)
    }

    fn most_played(&self, user: usize) -> Vec<(usize, f64)> {
        let (items, plays) = self.data.interactions.matrix.row(user);
        let mut most: Vec<(usize, f64)> =
            items.iter().zip(plays).map(|(&i, &p)| (i as usize, f64::from(p))).collect();
        most.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        most.truncate(K);
        most
    }

    fn beside(
        &self,
        plays: &[(usize, f64)],
        recommended: &[(usize, f64)],
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let mut table = Table::new([
            ("plays", Align::Right),
            ("plays most", Align::Left),
            ("is recommended", Align::Left),
            ("score", Align::Right),
        ]);
        for at in 0..plays.len().max(recommended.len()) {
            let cells = |list: &[(usize, f64)], digits: usize| match list.get(at) {
                Some(&(item, x)) => (self.named(item), format!("{x:.digits$}")),
                None => (String::new(), String::new()),
            };
            let ((played, count), (next, score)) = (cells(plays, 0), cells(recommended, 3));
            table.row(vec![count, played, next, score]);
        }
        Ok(table.write(out)?)
    }

    fn named(&self, item: usize) -> String {
        let genre = self.data.genres.get(item).copied().map_or("?", Listening::genre_name);
        format!("{} ({genre})", self.data.names.get(item).map_or("?", String::as_str))
    }
}

/// The ids of an answer with their scores or distances.
fn items_of(answer: &Value, list: &str) -> Vec<(usize, f64)> {
    let item = |entry: &Value| {
        let value = entry["score"].as_f64().or_else(|| entry["distance"].as_f64());
        Some((entry["id"].as_u64()? as usize, value?))
    };
    answer[list].as_array().into_iter().flatten().filter_map(item).collect()
}

fn measure(
    recommender: &Recommender,
    data: &Listening,
    n_threads: Option<usize>,
    report: &mut Report,
) -> Result<(), Failure> {
    let options = RecommendOptions { k: K, n_threads, ..RecommendOptions::default() };
    let recall = recall(recommender, options)?;
    report.add("recall_at_10_against_exact_search", recall, percent(recall));
    let (mut own, mut all, mut chance) = (0usize, 0usize, 0.0);
    let shares = genre_shares(data);
    let start = Instant::now();
    recommender.recommend_all::<Failure>(options, |user, hits| {
        let favourites = &data.favourites[user as usize];
        let liked = |position: u32| favourites.contains(&data.genres[position as usize]);
        own += hits.iter().filter(|hit| liked(hit.position)).count();
        all += hits.len();
        chance += favourites.iter().map(|&genre| shares[genre]).sum::<f64>() * hits.len() as f64;
        Ok(true)
    })?;
    let seconds = start.elapsed();
    report.time("recommending_to_everybody", seconds);
    let rate = recommender.n_users() as f64 / seconds.as_secs_f64().max(1e-9);
    report.add("listeners_per_second", rate, thousands(rate as u64));
    let all = all.max(1) as f64;
    let share = own as f64 / all;
    report.add("recommended_from_own_genres", share, percent(share));
    report.add("own_genres_by_chance", chance / all, percent(chance / all));
    Ok(())
}

/// The share of exact search's answers that the forest finds, over a sample of the listeners.
fn recall(recommender: &Recommender, options: RecommendOptions<'_>) -> Result<f64, Failure> {
    let step = recommender.n_users().div_ceil(SAMPLE).max(1);
    let users: Vec<u32> = (0..recommender.n_users() as u32).step_by(step).collect();
    // One by one, as a service asks: together they might all be swept, which is exact.
    let found: Result<Vec<Vec<Hit>>, _> =
        users.iter().map(|&user| recommender.recommend(user, options)).collect();
    let exact = RecommendOptions { effort: Effort::Exact, ..options };
    let exact = recommender.recommend_batch(&users, exact)?;
    let (mut hits, mut of) = (0usize, 0usize);
    for (at, found) in found?.iter().enumerate() {
        let exact = exact.hits(at);
        of += exact.len();
        let is_found = |hit: &&Hit| found.iter().any(|found| found.position == hit.position);
        hits += exact.iter().filter(is_found).count();
    }
    Ok(hits as f64 / of.max(1) as f64)
}

/// The share of the catalogue that each genre has.
fn genre_shares(data: &Listening) -> Vec<f64> {
    let genres = data.genres.iter().max().map_or(0, |most| most + 1);
    let mut shares = vec![0.0; genres];
    for &genre in &data.genres {
        shares[genre] += 1.0 / data.genres.len() as f64;
    }
    shares
}
