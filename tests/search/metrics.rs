//! Manhattan and hamming distance where they differ from the others: what they return, sizes that
//! fill no byte and no group, and clipped codes; and zero vectors under the angle.

use crate::common::{Numbers, clustered};
use nearwood::{BatchOptions, Effort, Filter, Hit, Index, Metric, Vectors};

const ANGULAR_DIM: usize = 24;
const DIMS: [usize; 9] = [1, 3, 7, 8, 9, 31, 64, 65, 130];

fn build(metric: Metric, values: &[f32], dim: usize) -> Index {
    let builder = Index::builder(metric).leaf_size(40);
    let index = builder.build(Vectors::new(values, dim).unwrap()).unwrap();
    index.verify().unwrap();
    index
}

fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = a.iter().zip(b).map(|(&x, &y)| (f64::from(x), f64::from(y)));
    match metric {
        Metric::Hamming => pairs.filter(|(x, y)| (*x > 0.5) != (*y > 0.5)).count() as f64,
        _ => pairs.map(|(x, y)| (x - y).abs()).sum(),
    }
}

/// The distances of the k nearest, written out here.
fn truth(metric: Metric, values: &[f32], query: &[f32], k: usize) -> Vec<f64> {
    let rows = values.chunks_exact(query.len());
    let mut all: Vec<f64> = rows.map(|row| distance(metric, query, row)).collect();
    all.sort_by(f64::total_cmp);
    all.truncate(k);
    all
}

fn same(hits: &[Hit], truth: &[f64]) -> bool {
    let near = |(hit, d): (&Hit, &f64)| (f64::from(hit.distance) - d).abs() <= 1e-5 * d.max(1.0);
    hits.len() == truth.len() && hits.iter().zip(truth).all(near)
}

#[test]
fn exact_searches_and_whole_scans_agree_with_the_definition() {
    for metric in [Metric::Manhattan, Metric::Hamming] {
        for dim in DIMS {
            for n in [1, 15, 17, 500] {
                let values = clustered(n, dim, 5, &mut Numbers::new(dim as u64));
                let queries = clustered(6, dim, 5, &mut Numbers::new(77));
                let index = build(metric, &values, dim);
                let ask = |effort| {
                    let options = BatchOptions { k: n, effort, ..BatchOptions::default() };
                    index.search_batch(&queries, options).unwrap()
                };
                let (exact, all) = (ask(Effort::Exact), ask(Effort::Budget(n)));
                for (at, query) in queries.chunks_exact(dim).enumerate() {
                    let expected = truth(metric, &values, query, n);
                    for (what, found) in [("exact", &exact), ("scanned", &all)] {
                        let range = at * n..(at + 1) * n;
                        let hits =
                            found.positions[range.clone()].iter().zip(&found.distances[range]);
                        let hits: Vec<Hit> =
                            hits.map(|(&position, &distance)| Hit { position, distance }).collect();
                        assert!(same(&hits, &expected), "{metric}, {n} x {dim}, {what}");
                    }
                }
            }
        }
    }
}

#[test]
fn bits_are_scanned_without_loss() {
    // The scores of members are the distances: the k nearest of a whole scan are the true ones.
    let dim = 70;
    let mut numbers = Numbers::new(4);
    let values: Vec<f32> = (0..5000 * dim).map(|_| numbers.below(2) as f32).collect();
    let index = build(Metric::Hamming, &values, dim);
    for query in values[..20 * dim].chunks_exact(dim) {
        let mut searcher = index.searcher();
        let hits = searcher.k(10).budget(5000).search(query).unwrap();
        assert!(same(hits, &truth(Metric::Hamming, &values, query, 10)));
    }
    let bits: usize = index
        .directory()
        .sections()
        .iter()
        .filter(|s| s.key.kind.code() == 70)
        .map(|s| s.range.len())
        .sum();
    assert_eq!(bits, 5000 * 9, "a bit a component");
}

#[test]
fn half_is_a_zero_and_anything_above_a_one() {
    let values = [0.5, 0.51, -7.0, 1e9, 0.0, 1.0];
    let index = build(Metric::Hamming, &values, 2);
    assert_eq!(index.vector(0).unwrap()[..], [0.0, 1.0]);
    assert_eq!(index.vector(1).unwrap()[..], [0.0, 1.0]);
    for effort in [Effort::Exact, Effort::Budget(3)] {
        let hits = index.searcher().effort(effort).search(&[0.7, 0.2]).unwrap().to_vec();
        assert!(hits.iter().all(|hit| hit.distance == 2.0), "{hits:?}");
    }
}

#[test]
fn a_zero_vector_is_at_angular_distance_one_from_everything() {
    let mut values = clustered(500, ANGULAR_DIM, 5, &mut Numbers::new(10));
    values[..ANGULAR_DIM].fill(0.0);
    let index = build(Metric::Angular, &values, ANGULAR_DIM);
    let filter = Filter::from_positions(&index, [0]);
    for effort in [Effort::Budget(500), Effort::Exact] {
        let mut searcher = index.searcher();
        let hits = searcher
            .filter(Some(&filter))
            .effort(effort)
            .search(&values[ANGULAR_DIM..2 * ANGULAR_DIM]);
        assert_eq!(hits.unwrap(), [Hit { position: 0, distance: 1.0 }]);
        let hits = searcher.filter(None).k(500).search(&[0.0; ANGULAR_DIM]).unwrap();
        assert!(hits.len() == 500 && hits.iter().all(|hit| hit.distance == 1.0));
    }
}

#[test]
fn wild_values_do_not_spoil_the_ranking_of_the_others() {
    // One scale serves all rows, so a few huge values must be cut off, and found nevertheless.
    let dim = 16;
    let mut values = clustered(4000, dim, 20, &mut Numbers::new(5));
    let queries = clustered(40, dim, 20, &mut Numbers::new(5));
    for row in (0..4000).step_by(400) {
        values[row * dim + row % dim] = if row % 800 == 0 { 1e3 } else { -1e3 };
    }
    let index = build(Metric::Manhattan, &values, dim);
    let options = BatchOptions { k: 10, effort: Effort::Budget(4000), ..BatchOptions::default() };
    let recall = index.recall(&queries, options).unwrap();
    assert!(recall > 0.97, "{recall}");
    for row in (0..4000).step_by(400) {
        let query = &values[row * dim..][..dim];
        let hits = index.searcher().k(1).budget(4000).search(query).unwrap().to_vec();
        assert_eq!(hits, [Hit { position: row as u32, distance: 0.0 }]);
    }
}
