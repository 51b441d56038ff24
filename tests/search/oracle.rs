//! Any index, any question: held against an oracle that sorts every row by a distance written out
//! here. Values are small integers, so that ties are many and every sum is exact.

use std::collections::HashSet;

use crate::common::Numbers;
use nearwood::{BatchOptions, Effort, Filter, Hit, Id, Ids, Index, Metric, RadiusOptions, Vectors};
use proptest::prelude::*;

/// Makes copies, near copies, empty rows and small values of some of the vectors, in every way for a share
/// of all cases. Sums stay exact: what is added and multiplied are powers of two.
fn make_unlike(values: &mut [f32], dim: usize, numbers: &mut Numbers) {
    let first = values[..dim].to_vec();
    let (kind, share) = (numbers.below(5), numbers.uniform());
    for row in values.chunks_exact_mut(dim) {
        if numbers.uniform() < share {
            match kind {
                0 => row.copy_from_slice(&first),
                1 => {
                    row.copy_from_slice(&first);
                    row[numbers.below(dim)] += 1.0 / 64.0;
                }
                2 => row.fill(0.0),
                3 => row.iter_mut().for_each(|x| *x /= 1024.0),
                _ => {}
            }
        }
    }
}

/// An index and what was put into it.
struct Case {
    index: Index,
    metric: Metric,
    dim: usize,
    values: Vec<f32>,
    numbers: Numbers,
}

impl Case {
    fn new(metric: Metric, n: usize, dim: usize, seed: u64, trees: usize) -> Case {
        let mut numbers = Numbers::new(seed);
        let mut values: Vec<f32> = (0..n * dim).map(|_| numbers.below(7) as f32 - 3.0).collect();
        make_unlike(&mut values, dim, &mut numbers);
        let ids = (0..n as i64).map(|i| 6 - 3 * i).collect();
        let builder = Index::builder(metric).leaf_size(8 + n / 7).trees(trees).seed(seed);
        let builder = builder.ids(Ids::Int(ids));
        let index = builder.build(Vectors::new(&values, dim).unwrap()).unwrap();
        Case { index, metric, dim, values, numbers }
    }

    fn query(&mut self) -> Vec<f32> {
        (0..self.dim).map(|_| self.numbers.below(9) as f32 - 4.0).collect()
    }

    /// Positions drawn with a probability.
    fn some(&mut self, share: f64) -> Vec<u32> {
        let n = self.index.len() as u32;
        (0..n).filter(|_| self.numbers.uniform() < share).collect()
    }

    /// Every position that passes, the nearest first, equal ones by position.
    fn truth(&self, query: &[f32], passes: impl Fn(u32) -> bool) -> Vec<(f64, u32)> {
        let rows = self.values.chunks_exact(self.dim).zip(0..);
        let passing = rows.filter(|&(_, position)| passes(position));
        let key = |row: &[f32]| {
            let d = distance(self.metric, query, row);
            if self.metric.larger_is_nearer() { -d } else { d }
        };
        let mut all: Vec<(f64, u32)> = passing.map(|(row, p)| (key(row), p)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all
    }

    fn key(&self, hit: &Hit) -> f64 {
        f64::from(if self.metric.larger_is_nearer() { -hit.distance } else { hit.distance })
    }

    /// That hits are true, in order, among what passes, and no row twice.
    fn check_sound(&self, hits: &[Hit], truth: &[(f64, u32)]) {
        let known: std::collections::HashMap<u32, f64> = truth.iter().map(|t| (t.1, t.0)).collect();
        let distinct: HashSet<u32> = hits.iter().map(|hit| hit.position).collect();
        assert_eq!(distinct.len(), hits.len(), "a row twice: {hits:?}");
        for hit in hits {
            let key = known.get(&hit.position).expect("a row that may not be found");
            assert!((self.key(hit) - key).abs() < 1e-4, "{hit:?}, its key is {key}");
        }
        assert!(hits.windows(2).all(|w| self.key(&w[0]) <= self.key(&w[1])), "{hits:?}");
    }

    /// That hits are the first of the truth; near ties may stand in for each other.
    fn check_exact(&self, hits: &[Hit], truth: &[(f64, u32)], k: usize) {
        assert_eq!(hits.len(), k.min(truth.len()));
        for (hit, (key, _)) in hits.iter().zip(truth) {
            assert!((self.key(hit) - key).abs() < 1e-4, "{hit:?}, expected key {key}");
        }
    }
}

/// A metric that this file does not know yet fails here.
fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(&x, &y)| (f64::from(x), f64::from(y)));
    let dot: f64 = pairs().map(|(x, y)| x * y).sum();
    match metric.name() {
        "euclidean" => pairs().map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt(),
        "manhattan" => pairs().map(|(x, y)| (x - y).abs()).sum(),
        "dot" => dot,
        "angular" => {
            let norm = |v: &[f32]| v.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            let norms = norm(a) * norm(b);
            if norms == 0.0 { 1.0 } else { 1.0 - dot / norms }
        }
        other => panic!("the oracle does not know {other}"),
    }
}

fn metrics() -> impl Strategy<Value = Metric> {
    // Bits are no small integers: they have their own tests.
    let known = Metric::ALL.into_iter().filter(|m| m.name() != "hamming").collect::<Vec<_>>();
    prop::sample::select(known)
}

fn efforts() -> impl Strategy<Value = Effort> {
    prop_oneof![
        Just(Effort::Exact),
        // A quarter asks for everything.
        (0.05..1.3f64).prop_map(|recall| Effort::Recall(recall.min(1.0))),
        (1..600usize).prop_map(Effort::Budget),
    ]
}

prop_compose! {
    fn cases()(
        metric in metrics(), n in 1..400usize, dim in 1..9usize, seed in any::<u64>(),
        trees in 1..3usize,
    ) -> Case {
        Case::new(metric, n, dim, seed, trees)
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {}, {}", self.index.len(), self.dim, self.metric)
    }
}

/// All, or a share drawn at random.
fn filters() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![Just(None), Just(Some(0.0)), (0.0..1.0f64).prop_map(Some)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn searches(
        mut case in cases(), k in 1..50usize, effort in efforts(), share in filters(),
        excluded in 0.0..0.5f64,
    ) {
        let passing = share.map(|share| case.some(share));
        let filter = passing.as_ref().map(|p| Filter::from_positions(&case.index, p.iter().copied()));
        let excluded = case.some(excluded);
        let query = case.query();
        let passes = |p: u32| {
            passing.as_ref().is_none_or(|all| all.contains(&p)) && !excluded.contains(&p)
        };
        let truth = case.truth(&query, passes);
        let mut searcher = case.index.searcher();
        searcher.k(k).effort(effort).filter(filter.as_ref()).exclude(&excluded);
        let hits = searcher.search(&query).unwrap().to_vec();
        case.check_sound(&hits, &truth);
        prop_assert_eq!(hits.len(), k.min(truth.len()), "k when k pass");
        let asked = matches!(effort, Effort::Exact) || matches!(effort, Effort::Recall(r) if r >= 1.0);
        prop_assert!(searcher.was_exact() || !asked);
        if searcher.was_exact() {
            case.check_exact(&hits, &truth, k);
        }
    }

    #[test]
    fn radii(
        mut case in cases(), effort in efforts(), share in filters(), at in 0.0..1.2f64,
        excluded in 0.0..0.3f64,
    ) {
        let passing = share.map(|share| case.some(share));
        let filter = passing.as_ref().map(|p| Filter::from_positions(&case.index, p.iter().copied()));
        let excluded = case.some(excluded);
        let query = case.query();
        let passes = |p: u32| {
            passing.as_ref().is_none_or(|all| all.contains(&p)) && !excluded.contains(&p)
        };
        let truth = case.truth(&query, passes);
        // Between two distances, so that rounding decides nothing.
        let rank = (at * truth.len() as f64) as usize;
        let bound = match (truth.get(rank.wrapping_sub(1)), truth.get(rank)) {
            (Some(a), Some(b)) if b.0 - a.0 < 1e-3 => f64::INFINITY,
            (Some(a), Some(b)) => (a.0 + b.0) / 2.0,
            (None, Some(b)) => b.0 - 0.5,
            _ => f64::INFINITY,
        };
        let radius = if case.metric.larger_is_nearer() { -bound } else { bound };
        let within: Vec<(f64, u32)> = truth.iter().copied().filter(|t| t.0 <= bound).collect();
        let mut searcher = case.index.searcher();
        searcher.k(3).effort(effort).filter(filter.as_ref()).exclude(&excluded);
        let hits = searcher.radius(&query, radius).unwrap().to_vec();
        case.check_sound(&hits, &within);
        if searcher.was_exact() {
            prop_assert_eq!(hits.len(), within.len());
        }
        prop_assert_eq!(searcher.search(&query).unwrap().len(), 3.min(truth.len()), "k is kept");
    }

    #[test]
    fn batches_and_batches_of_radii(
        mut case in cases(), n_queries in 0..40usize, k in 1..20usize, effort in efforts(),
        share in filters(), radius in -3.0..12.0f64,
    ) {
        let passing = share.map(|share| case.some(share));
        let filter = passing.as_ref().map(|p| Filter::from_positions(&case.index, p.iter().copied()));
        let queries: Vec<Vec<f32>> = (0..n_queries).map(|_| case.query()).collect();
        let options = BatchOptions { k, effort, filter: filter.as_ref(), n_threads: Some(2) };
        let batch = case.index.search_batch(&queries.concat(), options).unwrap();
        let options = RadiusOptions { effort, filter: filter.as_ref(), n_threads: Some(2) };
        let within = case.index.radius(&queries.concat(), radius, options).unwrap();
        prop_assert_eq!((batch.exact.len(), within.len()), (n_queries, n_queries));
        let is_within = |key: f64, slack: f64| match case.metric.larger_is_nearer() {
            true => -key >= radius - slack,
            false => key <= radius + slack,
        };
        for (at, query) in queries.iter().enumerate() {
            let truth = case.truth(query, |p| passing.as_ref().is_none_or(|all| all.contains(&p)));
            let answer = at * k..(at + 1) * k;
            let pairs = batch.positions[answer.clone()].iter().zip(&batch.distances[answer]);
            let hits = pairs.map(|(&position, &distance)| Hit { position, distance });
            let hits: Vec<Hit> = hits.filter(|hit| hit.position != u32::MAX).collect();
            case.check_sound(&hits, &truth);
            prop_assert_eq!(hits.len(), k.min(truth.len()), "k when k pass");
            if batch.exact[at] {
                case.check_exact(&hits, &truth, k);
            }
            let hits = &within[at].hits;
            case.check_sound(hits, &truth);
            prop_assert!(hits.iter().all(|hit| is_within(case.key(hit), 1e-4)));
            let least = truth.iter().filter(|t| is_within(t.0, -1e-4)).count();
            prop_assert!(!within[at].exact || hits.len() >= least, "{} of {least}", hits.len());
        }
    }

    #[test]
    fn ids_name_what_was_given(case in cases()) {
        let n = case.index.len();
        for (position, row) in case.values.chunks_exact(case.dim).enumerate() {
            let id = Id::Int(6 - 3 * position as i64);
            prop_assert_eq!(case.index.position(&id), Some(position as u32));
            prop_assert_eq!(case.index.id(position as u32), id);
            let vector = case.index.vector(position as u32);
            prop_assert_eq!(vector.as_deref(), Some(row));
        }
        prop_assert_eq!(case.index.position(&Id::Int(6 - 3 * n as i64)), None);
        let all: Vec<u32> = (0..n as u32).collect();
        let options = BatchOptions { k: 1, effort: Effort::Exact, ..BatchOptions::default() };
        let own = case.index.search_positions(&all, options, true).unwrap();
        for (at, &distance) in own.distances.iter().enumerate() {
            let row = &case.values[at * case.dim..][..case.dim];
            let best = case.truth(row, |_| true)[0].0;
            let key = if case.metric.larger_is_nearer() { -distance } else { distance };
            prop_assert!((f64::from(key) - best).abs() < 1e-4);
        }
    }
}
