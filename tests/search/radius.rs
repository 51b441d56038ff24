//! Everything within a radius: held against brute force written out here.

use crate::common::{Numbers, clustered};
use nearwood::error::QueryError;
use nearwood::{Effort, Filter, Hit, Index, Metric, RadiusOptions, Vectors, Within};

const DIM: usize = 16;
const N: usize = 20_000;
const QUERIES: usize = 80;

fn data() -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let mut values = clustered(N + 4 * QUERIES, DIM, 40, &mut Numbers::new(9));
    let mut calibration = values.split_off(N * DIM);
    let queries = calibration.split_off(3 * QUERIES * DIM);
    (values, queries, calibration)
}

fn build(metric: Metric, values: &[f32], calibration: &[f32]) -> Index {
    let builder = Index::builder(metric).calibration_queries(calibration.to_vec());
    builder.build(Vectors::new(values, DIM).unwrap()).unwrap()
}

fn options(effort: Effort) -> RadiusOptions<'static> {
    RadiusOptions { effort, filter: None, n_threads: Some(2) }
}

fn key(metric: Metric, hit: &Hit) -> f32 {
    if metric.larger_is_nearer() { -hit.distance } else { hit.distance }
}

/// The radius about a query within which `k` rows lie, and these rows, by an exact search.
fn truth(index: &Index, query: &[f32], k: usize) -> (f64, Vec<Hit>) {
    let mut searcher = index.searcher();
    let hits = searcher.k(k).effort(Effort::Exact).search(query).unwrap().to_vec();
    (f64::from(hits[k - 1].distance), hits)
}

#[test]
fn a_radius_finds_at_least_the_share_that_was_asked_for() {
    let (values, queries, calibration) = data();
    for metric in [Metric::Euclidean, Metric::Angular, Metric::Dot] {
        let index = build(metric, &values, &calibration);
        for k in [1, 10, 63, 64, 65, 300, 1500, 6000] {
            for (recall, least) in [(0.8, 0.78), (0.95, 0.93), (1.0, 1.0)] {
                let (mut found, mut all) = (0, 0);
                for query in queries.chunks_exact(DIM).take(if k > 1000 { 10 } else { QUERIES }) {
                    let (radius, expected) = truth(&index, query, k);
                    let mut searcher = index.searcher();
                    let hits = searcher.recall(recall).radius(query, radius).unwrap();
                    let last = key(metric, &expected[k - 1]);
                    assert!(hits.iter().all(|hit| key(metric, hit) <= last), "{metric}, {k}");
                    assert!(hits.windows(2).all(|w| key(metric, &w[0]) <= key(metric, &w[1])));
                    (found, all) = (found + hits.len(), all + k);
                }
                let share = found as f64 / all as f64;
                assert!(share >= least, "{metric}, {k} within, {recall} asked for: {share}");
            }
        }
    }
}

#[test]
fn a_batch_finds_what_single_searches_find_on_any_number_of_threads() {
    let (values, queries, calibration) = data();
    for metric in Metric::ALL {
        let index = build(metric, &values, &calibration);
        let half = Filter::from_positions(&index, (0..N as u32).step_by(2));
        let (radius, _) = truth(&index, &queries[..DIM], 200);
        for effort in [Effort::Recall(0.9), Effort::Budget(1500), Effort::Exact] {
            for filter in [None, Some(&half)] {
                let mut searcher = index.searcher();
                searcher.effort(effort).filter(filter);
                let alone = |query: &[f32]| {
                    let hits = searcher.radius(query, radius).unwrap().to_vec();
                    Within { hits, exact: searcher.was_exact() }
                };
                let expected: Vec<Within> = queries.chunks_exact(DIM).map(alone).collect();
                let [one, three] = [Some(1), Some(3)].map(|n_threads| {
                    let options = RadiusOptions { effort, filter, n_threads };
                    index.radius(&queries, radius, options).unwrap()
                });
                assert!(one == three, "{metric}, {effort:?}");
                // A batch reads other codes than a single search.
                let count = |all: &[Within]| all.iter().map(|w| w.hits.len()).sum::<usize>();
                let (batch, alone) = (count(&one) as f64, count(&expected) as f64);
                assert!((batch - alone).abs() <= 0.1 * alone, "{metric}, {effort:?}");
                assert!(effort != Effort::Exact || one == expected, "{metric}");
            }
        }
    }
}

#[test]
fn the_radius_itself_lies_within() {
    let (values, queries, calibration) = data();
    for metric in [Metric::Euclidean, Metric::Angular, Metric::Dot] {
        let index = build(metric, &values, &calibration);
        let (radius, expected) = truth(&index, &queries[..DIM], 7);
        let mut searcher = index.searcher();
        searcher.effort(Effort::Exact);
        assert_eq!(searcher.radius(&queries[..DIM], radius).unwrap(), expected, "{metric}");
        let less = if metric == Metric::Dot { radius + 1e-6 } else { radius - 1e-6 };
        assert_eq!(searcher.radius(&queries[..DIM], less).unwrap(), &expected[..6], "{metric}");
    }
}

#[test]
fn every_radius_has_a_meaning_but_nan() {
    let (values, queries, calibration) = data();
    let query = &queries[..DIM];
    for metric in [Metric::Euclidean, Metric::Angular, Metric::Dot] {
        let index = build(metric, &values, &calibration);
        let everything = if metric == Metric::Dot { f64::NEG_INFINITY } else { f64::INFINITY };
        for effort in [Effort::Recall(0.5), Effort::Exact] {
            let mut searcher = index.searcher();
            searcher.effort(effort);
            assert_eq!(searcher.radius(query, everything).unwrap().len(), N, "{metric}");
            assert_eq!(searcher.radius(query, -everything).unwrap(), [], "{metric}");
            if metric != Metric::Dot {
                assert_eq!(searcher.radius(query, -0.5).unwrap(), [], "{metric}");
            }
            let nan = searcher.radius(query, f64::NAN).unwrap_err();
            assert!(matches!(nan, QueryError::Parameter { name: "radius", .. }), "{nan}");
            assert!(index.radius(query, f64::NAN, options(effort)).is_err());
            assert!(searcher.radius(&query[1..], 1.0).is_err());
            assert!(searcher.radius(&[f32::NAN; DIM], 1.0).is_err());
        }
        assert!(index.searcher().effort(Effort::Budget(0)).radius(query, 1.0).is_err());
        assert!(index.radius(query, 1.0, options(Effort::Recall(0.0))).is_err());
        assert!(index.radius(&queries[1..], 1.0, options(Effort::Exact)).is_err());
        assert!(index.radius(&[], 1.0, options(Effort::Exact)).unwrap().is_empty());
    }
}

#[test]
fn a_budget_bounds_what_is_found() {
    let (values, queries, calibration) = data();
    let index = build(Metric::Euclidean, &values, &calibration);
    for budget in [1, 64, 65, 500, 3000] {
        let options = options(Effort::Budget(budget));
        for within in index.radius(&queries, f64::INFINITY, options).unwrap() {
            assert!(within.hits.len() <= budget.max(64), "{} of {budget}", within.hits.len());
        }
    }
}
