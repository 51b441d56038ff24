//! What a file that `verify` calls whole must answer: held against distances written out here.
#![allow(clippy::unwrap_used)]

use nearwood::{BatchOptions, Effort, Hit, Index, Metric, RadiusOptions};

const K: usize = 4;
/// Queries made of rows: their neighbours are the rows themselves, so none of them may be missed for long.
const QUERIES: usize = 5;

/// A distance and the size that its rounding goes by.
fn distance(metric: Metric, a: &[f32], b: &[f32]) -> (f64, f64) {
    let pairs = || a.iter().zip(b).map(|(&x, &y)| (f64::from(x), f64::from(y)));
    let norm = |v: &[f32]| v.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let dot: f64 = pairs().map(|(x, y)| x * y).sum();
    let norms = norm(a) * norm(b);
    match metric {
        Metric::Euclidean => {
            (pairs().map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt(), norm(a) + norm(b))
        }
        Metric::Manhattan => {
            let sum = pairs().map(|(x, y)| (x - y).abs()).sum();
            (sum, pairs().map(|(x, y)| x.abs() + y.abs()).sum())
        }
        Metric::Dot => (dot, norms),
        Metric::Angular => (if norms == 0.0 { 1.0 } else { 1.0 - dot / norms }, 1.0),
        Metric::Hamming => (pairs().filter(|(x, y)| (*x > 0.5) != (*y > 0.5)).count() as f64, 0.0),
        _ => panic!("the oracle does not know {metric}"),
    }
}

struct Truth {
    metric: Metric,
    /// By position.
    all: Vec<(f64, f64)>,
    /// Keys, the nearest first: products with the sign turned.
    sorted: Vec<f64>,
}

impl Truth {
    fn of(index: &Index, query: &[f32]) -> Truth {
        let metric = index.metric();
        let positions = 0..index.len() as u32;
        let all: Vec<(f64, f64)> =
            positions.map(|p| distance(metric, query, &index.vector(p).unwrap())).collect();
        let mut sorted: Vec<f64> = all.iter().map(|d| sign(metric) * d.0).collect();
        sorted.sort_by(f64::total_cmp);
        Truth { metric, all, sorted }
    }

    /// That hits are rows at the distances that they say, each once, the nearest first. Returns how many
    /// are among the nearest.
    fn sound(&self, hits: &[Hit], what: &str) -> usize {
        let k = K.min(self.all.len());
        assert_eq!(hits.len(), k, "{what}: {hits:?}");
        let key = |hit: &Hit| sign(self.metric) * f64::from(hit.distance);
        let kth = self.sorted[k - 1];
        let mut near = 0;
        for (at, hit) in hits.iter().enumerate() {
            let (own, size) = self.all[hit.position as usize];
            let room = 1e-3 * own.abs() + 1e-5 * size + 1e-6;
            assert!((f64::from(hit.distance) - own).abs() <= room, "{what}: {hit:?}, it is {own}");
            assert!(hits[..at].iter().all(|other| other.position != hit.position), "{what}: twice");
            assert!(at == 0 || key(&hits[at - 1]) <= key(hit), "{what}: {hits:?}");
            near += usize::from(key(hit) <= kth + room);
        }
        near
    }
}

fn sign(metric: Metric) -> f64 {
    if metric.larger_is_nearer() { -1.0 } else { 1.0 }
}

/// Searches an index that [`Index::verify`] calls whole.
pub fn check(index: &Index) {
    let n = index.len();
    let rows = (0..QUERIES).map(|at| (at * 7919 % n) as u32);
    let queries: Vec<Vec<f32>> = rows.map(|p| index.vector(p).unwrap().into_owned()).collect();
    let flat: Vec<f32> = queries.concat();
    for effort in [Effort::Exact, Effort::Budget(n), Effort::Recall(0.9)] {
        let options = BatchOptions { k: K, effort, filter: None, n_threads: Some(1) };
        let batch = index.search_batch(&flat, options).unwrap();
        let mut near = [0, 0];
        for (at, query) in queries.iter().enumerate() {
            let truth = Truth::of(index, query);
            let what = format!("{} rows by {}, {effort:?}", n, index.metric());
            let single = index.searcher().k(K).effort(effort).search(query).unwrap().to_vec();
            let found = [&single, &batch.hits(at)].map(|hits| truth.sound(hits, &what));
            (near[0], near[1]) = (near[0] + found[0], near[1] + found[1]);
        }
        let wanted = K.min(n) * QUERIES;
        // Every row is compared by its code, or a recall is promised: half is far below either.
        let least = if effort == Effort::Exact { wanted } else { wanted / 2 };
        assert!(near.iter().all(|&near| near >= least), "{effort:?}: {near:?} of {wanted}");
    }
    within(index, &queries[0]);
}

/// A radius finds what lies within, by brute force all of it.
fn within(index: &Index, query: &[f32]) {
    let truth = Truth::of(index, query);
    let radius = sign(index.metric()) * truth.sorted[K.min(index.len()) - 1];
    let (radius, effort) =
        (radius + sign(index.metric()) * (1e-3 * radius.abs() + 1e-5), Effort::Exact);
    let options = RadiusOptions { effort, filter: None, n_threads: Some(1) };
    let found = index.radius(query, radius, options).unwrap();
    assert!(found[0].hits.len() >= K.min(index.len()), "{} within {radius}", found[0].hits.len());
}
