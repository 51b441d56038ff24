//! Every operation on a file that may be damaged. Answers and errors are all right; a panic is not, nor
//! is memory out of proportion to the file, nor a wrong answer from a file that `verify` calls whole.

use nearwood::als::ModelFile;
use nearwood::format::Content;
use nearwood::index::Searcher;
use nearwood::recommend::RecommendOptions;
use nearwood::{BatchOptions, Effort, Filter, Id, Index, RadiusOptions, Recommender};

use super::allocator::asked;
use super::sane;

const EFFORTS: [Effort; 3] = [Effort::Recall(0.7), Effort::Budget(9), Effort::Exact];

/// What is asked of an index at once may take, in bytes of the file, and beside it: the answers to all
/// questions together, some hundred of them, each of which copies what the file holds once at most.
const TIMES: usize = 200;
const BESIDE: usize = 16 << 20;

/// Runs `ask`, which may not ask for more memory than a file of this length accounts for.
fn bounded<T>(len: usize, ask: impl FnOnce() -> T) -> T {
    let before = asked();
    let answer = ask();
    let taken = asked() - before;
    assert!(taken <= TIMES * len + BESIDE, "{taken} bytes asked for, by a file of {len}");
    answer
}

/// Opens bytes as an index and asks everything; whether they opened.
pub fn as_index(bytes: &[u8]) -> bool {
    let Ok(index) = Index::from_bytes(bytes) else { return false };
    bounded(bytes.len(), || ask_index(&index));
    // Of a recommender its verification holds more.
    if index.content() == Content::Index && index.verify().is_ok() {
        sane::check(&index);
    }
    true
}

/// Opens bytes as a recommender and asks everything; whether they opened.
pub fn as_recommender(bytes: &[u8]) -> bool {
    let Ok(recommender) = Recommender::from_bytes(bytes) else { return false };
    bounded(bytes.len(), || ask_recommender(&recommender));
    if recommender.verify().is_ok() {
        sane::check(recommender.items());
        sane::check(recommender.similarity());
    }
    true
}

/// Opens bytes as a model and asks everything; whether they opened.
pub fn as_model(bytes: &[u8]) -> bool {
    ModelFile::from_bytes(bytes).map(|file| ask_model(&file)).is_ok()
}

pub fn ask_model(file: &ModelFile) {
    let model = &file.model;
    for (users, n) in [(vec![0, u32::MAX], 3), (vec![0], 0), (vec![0], 2)] {
        let _ = model.users(&users).map(|vectors| model.best_items(&vectors, n, &|_, _| true));
        let _ = model.similar_users(&users, n);
        let _ = model.similar_items(&users, n);
    }
    if let Some(rows) = &file.interactions {
        let _ = model.fold_in(rows);
        let _ = model.fold_in_items(&rows.transpose());
        for item in [0, u32::MAX] {
            let _ = rows.without_rows(&[]).and_then(|row| model.explain(&row, item));
        }
    }
}

pub fn ask_index(index: &Index) {
    let (n, far) = (index.len() as u32, u32::MAX);
    let half = Filter::from_positions(index, (0..n).step_by(2));
    let few = Filter::from_positions(index, [1, 2, far]);
    let query: Vec<f32> = (0..index.dim()).map(|i| 1.0 - 0.3 * i as f32).collect();
    let mut searcher = index.searcher();
    for effort in EFFORTS {
        for filter in [None, Some(&half), Some(&few)] {
            searcher.k(4).effort(effort).filter(filter).exclude(&[]);
            ask(&mut searcher, &query);
            ask(searcher.exclude(&[0, 3, far]), &query);
            for radius in [f64::INFINITY, 1.5] {
                let found = searcher.radius(&query, radius).map_or(0, <[_]>::len);
                assert!(found <= index.len());
            }
        }
        let options = BatchOptions { k: 3, effort, filter: None, n_threads: Some(1) };
        for positions in [&[0, n - 1][..], &[far]] {
            let _ = index.search_positions(positions, options, positions[0] == 0);
        }
        let _ = index.search_batch(&query, options);
        let options = RadiusOptions { effort, filter: Some(&half), n_threads: Some(1) };
        let _ = index.radius(&[&query[..], &query].concat(), 1.0, options);
    }
    ask_names(index);
    let _ = (index.metadata(), index.calibration().curve().len(), index.n_trees());
}

fn ask(searcher: &mut Searcher<'_>, query: &[f32]) {
    if let Ok(hits) = searcher.search(query) {
        assert!(hits.len() <= 4 && hits.iter().all(|hit| !hit.distance.is_nan()));
    }
}

fn ask_names(index: &Index) {
    for position in [0, 1, index.len() as u32 - 1, u32::MAX] {
        let id = index.id(position);
        let _ = (index.int_id(position), index.position(&id), index.label(position));
        let _ = index.vector(position).map(|vector| vector.len());
    }
    for name in ["0", "-3", "row-3", "label 1", "", "no such name"] {
        let _ = index.find(name).map_err(|e| e.to_string());
    }
    let _ = (index.position(&Id::Int(i64::MAX)), index.ids().len());
    let positions = 0..index.len() as u32;
    let texts = positions.filter_map(|p| index.label(p)).map(|label| label.len()).sum::<usize>();
    assert!(texts <= 3 * index.as_bytes().len(), "{texts} bytes of labels");
    let _ = index.tree_shapes();
}

pub fn ask_recommender(r: &Recommender) {
    ask_index(r.items());
    ask_index(r.similarity());
    let n_users = r.n_users() as u32;
    let few = Filter::from_positions(r.items(), [0, 2, 4]);
    for effort in EFFORTS {
        for (filter, include_seen) in [(None, false), (Some(&few), true)] {
            let o = RecommendOptions { k: 3, include_seen, effort, filter, n_threads: Some(1) };
            let _ = r.recommend_batch(&[0, 1, n_users.saturating_sub(1)], o);
            let _ = r.recommend(u32::MAX, o);
            let _ = r.recommend_for(&[(0, 1.0), (3, 2.0), (0, 1.0)], o);
            let _ = r.recommend_all::<nearwood::error::QueryError>(o, |_, _| Ok(true));
        }
        let options = BatchOptions { k: 3, effort, filter: None, n_threads: Some(1) };
        let _ = (r.similar(1, options), r.similar(u32::MAX, options));
    }
    let _ = r.fold_in(&[(u32::MAX, 1.0)]);
    for user in [0, n_users.wrapping_sub(1), u32::MAX] {
        let id = r.user_id(user);
        let _ = (r.user(&id), r.seen(user).len(), r.find_user(&id.to_string()));
    }
    let _ = (r.user_ids().len(), r.user_factors().len(), r.params(), r.loss_history().len());
}
