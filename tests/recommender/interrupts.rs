//! Interruption: every call that can take long ends at its first look, and changes nothing.

use std::fs;
use std::path::Path;

use nearwood::als::{Csr, FoldIn, ModelFile, Params, Trainer};
use nearwood::eval::{Options, Split, Task};
use nearwood::index::CurveOptions;
use nearwood::io::{EverybodyOptions, Journal, ReadOptions, read_interactions};
use nearwood::progress::{Interrupted, check, interrupted};
use nearwood::recommend::{FitOptions, RecommendOptions, Weighting};
use nearwood::report::{PageOptions, Subject, page};
use nearwood::tune::{self, tune};
use nearwood::{
    BatchOptions, Effort, Index, Interactions, Metric, RadiusOptions, Recommender, Storage,
    TreeOptions, Vectors,
};

use crate::common::{Numbers, names_in};

const DIM: usize = 8;

fn index(metric: Metric, graph: bool) -> (Index, Vec<f32>) {
    let values = Numbers::new(3).normals(600 * DIM);
    let builder = Index::builder(metric).leaf_size(30).graph(Some(graph));
    (builder.build(Vectors::new(&values, DIM).unwrap()).unwrap(), values)
}

fn plays() -> Interactions {
    let mut numbers = Numbers::new(4);
    let (n, users, items) = (900, 60, 40);
    let mut draw = |below| (0..n).map(|_| numbers.below(below) as u32).collect::<Vec<u32>>();
    let (rows, columns) = (draw(users), draw(items));
    let matrix = Csr::from_triplets(users, items, &rows, &columns, &vec![1.0; n]).unwrap();
    let times = (0..matrix.nnz() as i64).collect();
    Interactions { times: Some(times), ..Interactions::from_matrix(matrix) }
}

fn params(n_threads: usize) -> Params {
    let n_threads = Some(n_threads);
    Params { factors: 4, iterations: 2, n_threads, ..Params::default() }
}

/// That a call is interrupted, on one thread and on two.
fn ends<T>(what: &str, call: impl Fn(usize) -> T) {
    for n_threads in [1, 2] {
        let result = interrupted(|| drop(call(n_threads)));
        assert_eq!(result, Err(Interrupted), "{what} with {n_threads} threads");
    }
}

#[test]
fn searches_are_interrupted() {
    for (metric, graph) in [
        (Metric::Euclidean, false),
        (Metric::Angular, true),
        (Metric::Dot, false),
        (Metric::Hamming, false),
    ] {
        let (index, values) = index(metric, graph);
        let one = &values[..DIM];
        let efforts = [Effort::default(), Effort::Budget(100), Effort::Budget(600), Effort::Exact];
        for effort in efforts {
            let batch = |n| BatchOptions { k: 5, effort, filter: None, n_threads: Some(n) };
            ends("search_batch", |n| index.search_batch(&values, batch(n)));
            ends("a batch of one", |n| index.search_batch(one, batch(n)));
            ends("search", |_| index.searcher().effort(effort).search(one).map(<[_]>::to_vec));
            ends("search_positions", |n| index.search_positions(&[1, 2, 3], batch(n), false));
            ends("recall", |n| index.recall(&values[..50 * DIM], batch(n)));
            for radius in [0.1, 1e9] {
                let within =
                    |n| RadiusOptions { effort, n_threads: Some(n), ..RadiusOptions::default() };
                ends("radius", |n| index.radius(&values, radius, within(n)));
                ends("a radius of one", |n| index.radius(one, radius, within(n)));
            }
        }
        ends("recall_curve", |n| {
            index.recall_curve(None, CurveOptions { n_threads: Some(n), ..Default::default() })
        });
        ends("report", |n| {
            let options = PageOptions { n_threads: Some(n), ..PageOptions::default() };
            page(Subject::Index(&index), &options)
        });
        // Afterwards all is as it was.
        let found = index.search_batch(one, BatchOptions { k: 1, ..Default::default() }).unwrap();
        assert_eq!(found.hits(0).len(), 1);
    }
}

#[test]
fn builds_are_interrupted_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("i.nw");
    for metric in Metric::ALL {
        let (index, values) = index(metric, false);
        let vectors = Vectors::new(&values, DIM).unwrap();
        let builder = |n| Index::builder(metric).leaf_size(30).threads(Some(n));
        ends("build", |n| builder(n).build(vectors));
        ends("build_to", |n| builder(n).build_to(&path, vectors));
        let options = |n| TreeOptions { n_threads: Some(n), ..TreeOptions::default() };
        ends("append_trees", |n| index.append_trees(1, options(n)));
        let two = index.append_trees(1, options(1)).unwrap();
        ends("drop_trees", |n| two.drop_trees(&[0], options(n)));
        let other = builder(1).graph(Some(false)).first_tree(1).build(vectors).unwrap();
        ends("merge", |n| Index::merge(&[&index, &other], options(n)));
        let to = TreeOptions { path: Some(&path), ..options(1) };
        ends("append_trees to a file", |_| index.append_trees(1, to));
    }
    assert!(names_in(dir.path()).is_empty());
}

#[test]
fn files_are_interrupted_and_stay_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let (saved, target) = (dir.path().join("saved.nw"), dir.path().join("target.nw"));
    let (index, _) = index(Metric::Euclidean, true);
    index.save(&saved).unwrap();
    fs::write(&target, "old").unwrap();
    ends("save", |_| index.save(&target));
    ends("verify", |_| Index::open(&saved).unwrap().verify());
    ends("from_bytes", |_| Index::from_bytes(index.as_bytes()));
    let recommender = Recommender::fit(&plays(), &fit(1)).unwrap();
    ends("Recommender::save", |_| recommender.save(&target));
    ends("Recommender::verify", |_| recommender.verify());
    ends("Recommender::from_bytes", |_| Recommender::from_bytes(recommender.as_bytes()));
    let model = Trainer::new(params(1)).fit(&plays().matrix).unwrap();
    let data = plays();
    ends("ModelFile::write", |_| {
        ModelFile::write(&target, &model, Some(&data.matrix), Storage::Float32)
    });
    model.save(&saved, Storage::Float32).unwrap();
    ends("ModelFile::open", |_| ModelFile::open(&saved));
    assert_eq!(fs::read(&target).unwrap(), b"old");
    assert_eq!(names_in(dir.path()), ["saved.nw", "target.nw"]);
}

fn fit(n_threads: usize) -> FitOptions {
    FitOptions { params: params(n_threads), ..FitOptions::default() }
}

#[test]
fn interactions_are_interrupted() {
    let data = plays();
    let n = 5000;
    let ids = || nearwood::recommend::IdColumn::Int((0..n).collect());
    ends("from_columns", |_| Interactions::from_columns(ids(), ids(), None, None));
    ends("from_parts", |_| {
        let matrix = &data.matrix;
        let (indices, values) = (matrix.indices().to_vec(), matrix.values().to_vec());
        Csr::from_parts(matrix.n_cols(), matrix.indptr().to_vec(), indices, values)
    });
    ends("transpose", |_| data.matrix.transpose());
    for weighting in [Weighting::Log1p, Weighting::Bm25, Weighting::Normalized { beta: 0.5 }] {
        ends("weighted", |_| data.clone().weighted(weighting));
    }
    ends("decayed", |_| data.clone().decayed(1000.0, None));
    let splits = [
        Split::Random { share: 0.2 },
        Split::LeaveKOut { k: 1 },
        Split::UserTime { k: 1 },
        Split::Time { share: 0.2 },
    ];
    for split in splits {
        ends("split", |_| data.split(split, 0));
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plays.csv");
    fs::write(&file, "user,item\n".to_string() + &"a,b\n".repeat(5000)).unwrap();
    let options = ReadOptions {
        user: Some("user".into()),
        item: Some("item".into()),
        ..ReadOptions::default()
    };
    ends("read_interactions", |_| read_interactions(&file, &options));
}

#[test]
fn trainings_and_recommendations_are_interrupted() {
    let data = plays();
    ends("fit", |n| Trainer::new(params(n)).fit(&data.matrix));
    let model = Trainer::new(params(1)).fit(&data.matrix).unwrap();
    let with = |n| {
        let mut model = model.clone();
        model.params = params(n);
        model
    };
    ends("fold_in", |n| with(n).fold_in(&data.matrix));
    ends("fold_in_items", |n| with(n).fold_in_items(&data.matrix.transpose()));
    let folds = FoldIn::new(&model.item_factors[..], &params(2)).unwrap();
    ends("FoldIn::fold_in", |_| folds.fold_in(&data.matrix));
    ends("best_items", |n| with(n).best_items(&model.user_factors, 3, &|_, _| true));
    ends("similar_items", |n| with(n).similar_items(&[1, 2], 3));
    ends("similar_users", |n| with(n).similar_users(&[1, 2], 3));
    ends("Recommender::fit", |n| Recommender::fit(&data, &fit(n)));
    ends("evaluate", |n| {
        let options = Options { n_threads: Some(n), ..Options::default() };
        let task = Task::new(&data.matrix, &data.matrix, &options).unwrap();
        task.factors(&model.user_factors, &model.item_factors, model.factors)
    });
    ends("tune", |n| {
        let options = tune::Options { base: params(n), trials: 1, refine: 0, ..Default::default() };
        tune(&data, &options, &mut Journal::in_memory(), &|| false, &mut |_| true)
    });
    let recommender = Recommender::fit(&data, &fit(1)).unwrap();
    let users: Vec<u32> = (0..recommender.n_users() as u32).collect();
    for effort in [Effort::default(), Effort::Budget(10), Effort::Exact] {
        let asked = |n| RecommendOptions { k: 3, effort, n_threads: Some(n), ..Default::default() };
        ends("recommend_batch", |n| recommender.recommend_batch(&users, asked(n)));
        ends("recommend", |n| recommender.recommend(0, asked(n)));
        ends("a few", |n| recommender.recommend_batch(&users[..3], asked(n)));
        let dir = tempfile::tempdir().unwrap();
        ends("recommend_everybody", |n| write(&recommender, dir.path(), asked(n)));
        assert!(names_in(dir.path()).iter().all(|name| name.ends_with(".parts")));
    }
}

fn write(recommender: &Recommender, folder: &Path, asked: RecommendOptions<'_>) {
    let options = EverybodyOptions { recommend: asked, users: None, resume: false };
    let table = folder.join("t.csv");
    let _ = nearwood::io::recommend_everybody(recommender, table, options, |_, _| true);
}

#[test]
fn without_an_interruption_a_look_does_nothing() {
    check();
    assert_eq!(interrupted(|| 5), Ok(5), "nothing was looked at");
}
