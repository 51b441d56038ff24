//! Filters that have nothing to do with the vectors, and filters that have: exactly k where k pass,
//! the recall that was asked for, and an answer known to be exact where it is.

use crate::common::{Numbers, clustered};
use nearwood::{BatchOptions, Effort, Filter, Index, Metric, Vectors};

const DIM: usize = 16;
const N: usize = 20_000;
const QUERIES: usize = 100;

struct Data {
    index: Index,
    values: Vec<f32>,
    queries: Vec<f32>,
}

fn data(metric: Metric) -> Data {
    let mut values = clustered(N + 4 * QUERIES, DIM, 200, &mut Numbers::new(77));
    let mut calibration_queries = values.split_off(N * DIM);
    let queries = calibration_queries.split_off(3 * QUERIES * DIM);
    let builder = Index::builder(metric).leaf_size(150).calibration_queries(calibration_queries);
    let index = builder.build(Vectors::new(&values, DIM).unwrap()).unwrap();
    Data { index, values, queries }
}

impl Data {
    /// Positions by their distance from one of the vectors.
    fn about(&self, centre: usize) -> Vec<u32> {
        let centre = &self.values[centre * DIM..][..DIM];
        let distance = |p: &u32| -> f32 {
            let row = &self.values[*p as usize * DIM..][..DIM];
            row.iter().zip(centre).map(|(a, b)| (a - b) * (a - b)).sum()
        };
        let mut all: Vec<u32> = (0..N as u32).collect();
        all.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
        all
    }

    /// A share of all positions: drawn at random, those about a vector, and those far from one.
    fn filters(&self, share: f64) -> [(&'static str, Filter); 3] {
        let m = (share * N as f64).round() as usize;
        let mut numbers = Numbers::new(5);
        let mut keyed: Vec<(u64, u32)> = (0..N as u32).map(|p| (numbers.word(), p)).collect();
        keyed.sort_unstable();
        let about = self.about(17);
        let filter =
            |positions: &[u32]| Filter::from_positions(&self.index, positions.iter().copied());
        let random: Vec<u32> = keyed[..m].iter().map(|k| k.1).collect();
        [
            ("random", filter(&random)),
            ("about", filter(&about[..m])),
            ("far", filter(&about[N - m..])),
        ]
    }
}

#[test]
fn a_filtered_search_keeps_its_recall_whatever_passes() {
    for metric in [Metric::Euclidean, Metric::Angular, Metric::Dot] {
        let data = data(metric);
        let options = BatchOptions { n_threads: Some(2), ..BatchOptions::default() };
        let plain = data.index.recall(&data.queries, options).unwrap();
        for share in [0.9, 0.5, 0.2, 0.1, 0.05, 0.01, 0.001] {
            for (name, filter) in data.filters(share) {
                let options = BatchOptions { filter: Some(&filter), ..options };
                let recall = data.index.recall(&data.queries, options).unwrap();
                assert!(recall >= plain.min(0.95) - 0.03, "{metric}, {share} {name}: {recall}");
            }
        }
    }
}

#[test]
fn k_are_found_where_k_pass_and_few_are_compared_exactly() {
    for metric in Metric::ALL {
        let data = data(metric);
        for passing in [1, 2, 9, 10, 11, 200] {
            for (name, filter) in data.filters(passing as f64 / N as f64) {
                let options = BatchOptions { filter: Some(&filter), ..BatchOptions::default() };
                let found = data.index.search_batch(&data.queries, options).unwrap();
                for (query, exact) in found.exact.iter().enumerate() {
                    let positions = &found.positions[10 * query..][..10];
                    let n = positions.iter().filter(|&&p| p != u32::MAX).count();
                    assert_eq!(n, passing.min(10), "{metric}, {passing} {name}");
                    assert!(exact, "{metric}, {passing} {name}");
                }
                let options = BatchOptions { effort: Effort::Exact, ..options };
                let truth = data.index.search_batch(&data.queries, options).unwrap();
                assert_eq!(found.positions, truth.positions, "{metric}, {passing} {name}");
            }
        }
    }
}

#[test]
fn what_is_said_of_exactness() {
    let data = data(Metric::Euclidean);
    let half = Filter::from_positions(&data.index, (0..N as u32).step_by(2));
    let few = Filter::from_positions(&data.index, [3, 5]);
    let mut searcher = data.index.searcher();
    let query = &data.queries[..DIM];
    for (effort, filter, exact) in [
        (Effort::Exact, None, true),
        (Effort::Exact, Some(&half), true),
        (Effort::Recall(1.0), None, true),
        (Effort::Recall(0.9), None, false),
        (Effort::Recall(0.9), Some(&half), false),
        (Effort::Recall(0.9), Some(&few), true),
        (Effort::Budget(100), None, false),
        (Effort::Budget(100), Some(&few), true),
        (Effort::Budget(N - 1), None, false),
        (Effort::Budget(N), None, true),
    ] {
        searcher.effort(effort).filter(filter).search(query).unwrap();
        assert_eq!(searcher.was_exact(), exact, "{effort:?}, {filter:?}");
    }
}

#[test]
fn a_filter_of_another_index_does_no_harm() {
    let data = data(Metric::Euclidean);
    let small = Index::builder(Metric::Euclidean);
    let small = small.build(Vectors::new(&data.values[..100 * DIM], DIM).unwrap()).unwrap();
    for positions in [vec![3, 19_999], (0..N as u32).collect()] {
        let filter = Filter::from_positions(&data.index, positions);
        for effort in [Effort::Exact, Effort::Recall(0.9), Effort::Budget(50)] {
            let mut searcher = small.searcher();
            searcher.effort(effort).filter(Some(&filter));
            assert!(searcher.search(&data.queries[..DIM]).unwrap().len() <= 10);
            assert!(searcher.radius(&data.queries[..DIM], f64::INFINITY).unwrap().len() <= 100);
            let options = BatchOptions { effort, filter: Some(&filter), ..BatchOptions::default() };
            assert!(small.search_batch(&data.queries, options).is_ok());
        }
    }
}

#[test]
fn masks_and_positions_make_the_same_filter() {
    let data = data(Metric::Euclidean);
    let mut numbers = Numbers::new(8);
    for share in [0.0, 0.003, 0.5, 1.0] {
        let mask: Vec<bool> = (0..N).map(|_| numbers.uniform() < share).collect();
        let positions = (0..N as u32).filter(|&p| mask[p as usize]);
        let filters =
            [Filter::from_mask(&data.index, &mask), Filter::from_positions(&data.index, positions)];
        let [a, b] = filters.map(|filter| {
            let options = BatchOptions { filter: Some(&filter), ..BatchOptions::default() };
            (filter.len(), data.index.search_batch(&data.queries, options).unwrap())
        });
        assert!(a == b, "{share}");
    }
    let short = Filter::from_mask(&data.index, &[true; 3]);
    assert_eq!((short.len(), short.is_empty()), (3, false));
}
