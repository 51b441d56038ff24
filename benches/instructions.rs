//! Fixed jobs, each small, on one thread and from one seed, whose instructions benches/instructions.py
//! counts under callgrind and compares with a table.
//!
//! `prepare FOLDER` writes what the jobs read, so that building it is not counted with them;
//! `list` names them; `JOB FOLDER` does one. Without a job all are done once, uncounted.

use std::ops::ControlFlow;
use std::path::Path;

use nearwood::als::{Csr, FoldIn, Params, Solver, Trainer};
use nearwood::recommend::{FitOptions, RecommendOptions, Weighting};
use nearwood::{BatchOptions, Effort, Filter, Index, Interactions, Metric, Recommender, Vectors};

mod data;

const DIM: usize = 64;
const ROWS: usize = 10_000;
const QUERIES: usize = 400;
const ONE_THREAD: Option<usize> = Some(1);

/// A name, which is a key of benches/instructions.json, and what is done in the folder of `prepare`.
type Job = (&'static str, fn(&Path));

const JOBS: [Job; 18] = [
    ("start", |_| ()),
    ("open", open),
    ("verify", verify),
    ("build", |folder| build(folder, 4_000, false)),
    ("build a graph", |folder| build(folder, 1_000, true)),
    ("search, graph", |folder| search(folder, "graph.nw", Effort::Recall(0.95), None)),
    ("search, leaves", |folder| search(folder, "euclidean.nw", Effort::Recall(0.95), None)),
    ("search, angular", |folder| search(folder, "angular.nw", Effort::Recall(0.95), None)),
    ("search, dot", |folder| search(folder, "dot.nw", Effort::Recall(0.95), None)),
    ("search, hamming", |folder| search(folder, "hamming.nw", Effort::Recall(0.95), None)),
    ("search, filtered", |folder| search(folder, "graph.nw", Effort::Recall(0.95), Some(7))),
    ("search, exact", |folder| search(folder, "euclidean.nw", Effort::Exact, None)),
    ("batch", batch),
    ("epoch, cholesky", |_| epoch(64, Solver::Cholesky)),
    ("epoch, cg", |_| epoch(64, Solver::Cg)),
    ("epoch, block", |_| epoch(128, Solver::Block)),
    ("fold in", |_| fold_in()),
    ("recommend", recommend),
];

fn main() {
    // `cargo bench` says --bench.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => JOBS.iter().for_each(|(name, _)| println!("{name}")),
        ["prepare", folder] => prepare(Path::new(folder)),
        [job, folder] => match JOBS.iter().find(|(name, _)| *name == job) {
            Some((_, work)) => work(Path::new(folder)),
            None => panic!("no job {job:?}; `list` names them"),
        },
        _ => everything(),
    }
}

fn everything() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    prepare(folder.path());
    JOBS.iter().for_each(|(_, work)| work(folder.path()));
    println!("{} jobs done; benches/instructions.py counts them", JOBS.len());
}

fn prepare(folder: &Path) {
    let all = data::clustered(ROWS + QUERIES, DIM, 500, 1);
    std::fs::write(folder.join("vectors"), bytemuck::cast_slice(&all)).expect("writes");
    let base = Vectors::new(&all[..ROWS * DIM], DIM).expect("generated vectors are finite");
    for metric in [Metric::Euclidean, Metric::Angular, Metric::Dot, Metric::Hamming] {
        let index = Index::builder(metric).graph(Some(false)).build(base).expect("builds");
        index.save(folder.join(format!("{metric}.nw"))).expect("saves");
    }
    let index = Index::builder(Metric::Euclidean).graph(Some(true)).build(base).expect("builds");
    index.save(folder.join("graph.nw")).expect("saves");
    let options =
        FitOptions { params: params(64, Solver::Auto), weighting: Weighting::Log1p, labels: None };
    let recommender = Recommender::fit(&Interactions::from_matrix(plays()), &options);
    recommender.expect("trains").save(folder.join("music.nw")).expect("saves");
}

/// The vectors, then the queries.
fn vectors(folder: &Path) -> Vec<f32> {
    let bytes = std::fs::read(folder.join("vectors")).expect("`prepare` came first");
    bytemuck::pod_collect_to_vec(&bytes)
}

fn opened(folder: &Path, file: &str) -> Index {
    Index::open(folder.join(file)).expect("`prepare` came first")
}

fn open(folder: &Path) {
    let sizes = (0..500).map(|_| opened(folder, "graph.nw").len());
    assert_eq!(sizes.sum::<usize>(), 500 * ROWS);
}

fn verify(folder: &Path) {
    opened(folder, "graph.nw").verify().expect("a whole file");
}

fn build(folder: &Path, rows: usize, graph: bool) {
    let all = vectors(folder);
    let base = Vectors::new(&all[..rows * DIM], DIM).expect("generated vectors are finite");
    let builder = Index::builder(Metric::Euclidean).threads(ONE_THREAD).graph(Some(graph));
    assert_eq!(builder.build(base).expect("builds").len(), rows);
}

/// Queries one by one, among every `step`-th vector if one is given; fewer where all are compared.
fn search(folder: &Path, file: &str, effort: Effort, step: Option<usize>) {
    let index = opened(folder, file);
    let filter = step.map(|step| Filter::from_positions(&index, (0..ROWS as u32).step_by(step)));
    let mut searcher = index.searcher();
    searcher.k(10).effort(effort).filter(filter.as_ref());
    let n = if effort == Effort::Exact { QUERIES / 20 } else { QUERIES };
    let queries = &vectors(folder)[ROWS * DIM..][..n * DIM];
    let ask = |query| searcher.search(query).expect("searches").len();
    assert_eq!(queries.chunks_exact(DIM).map(ask).sum::<usize>(), 10 * n);
}

fn batch(folder: &Path) {
    let index = opened(folder, "euclidean.nw");
    let options = BatchOptions { n_threads: ONE_THREAD, ..BatchOptions::default() };
    let answers = index.search_batch(&vectors(folder)[ROWS * DIM..], options);
    assert_eq!(answers.expect("searches").hits(QUERIES - 1).len(), 10);
}

/// Plays of 600 listeners among 900 songs: of the early ones in both more than of the late.
fn plays() -> Csr {
    let (mut rows, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for user in 0..600u32 {
        for play in 0..3 + 3000 / (user + 20) {
            let song = (user * 7919 + play * 104_729) % 900;
            rows.push(user);
            columns.push(song * song / 900);
            values.push((1 + (user + play) % 9) as f32);
        }
    }
    Csr::from_triplets(600, 900, &rows, &columns, &values).expect("generated data are valid")
}

fn params(factors: usize, solver: Solver) -> Params {
    Params { factors, solver, iterations: 1, n_threads: ONE_THREAD, ..Params::default() }
}

fn epoch(factors: usize, solver: Solver) {
    let trainer = Trainer::new(params(factors, solver)).progress(|_| ControlFlow::Continue(()));
    assert_eq!(trainer.fit(&plays()).expect("trains").loss_history.len(), 1);
}

/// Every listener as if never seen, against factors made up.
fn fold_in() {
    let factors = data::clustered(900, DIM, 20, 2);
    let fold = FoldIn::new(factors, &params(DIM, Solver::Cholesky)).expect("finite factors");
    assert_eq!(fold.fold_in(&plays()).expect("solves").len(), 600 * DIM);
}

fn recommend(folder: &Path) {
    let recommender = Recommender::open(folder.join("music.nw")).expect("`prepare` came first");
    for user in 0..600 {
        let hits = recommender.recommend(user, RecommendOptions::default()).expect("searches");
        assert_eq!(hits.len(), RecommendOptions::default().k);
    }
}
