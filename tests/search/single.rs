//! What a search returns: held against brute force written out here, on generated data.

use std::collections::HashSet;

use crate::common::{Numbers, clustered};
use nearwood::error::{BuildError, IdsError, QueryError};
use nearwood::exact::Rows;
use nearwood::forest::{
    CodedRows, Request, Scratch, Tree, TreeData, TreeParams, Workspace, build_tree, search,
};
use nearwood::kernel::code::{CodeRows, TILE};
use nearwood::progress::Work;
use nearwood::{BatchOptions, Effort, Filter, Hit, Id, Ids, Index, Metric, Vectors};

const DIM: usize = 24;

/// A base and queries that are not in it.
fn data(n: usize, n_queries: usize) -> (Vec<f32>, Vec<f32>) {
    let mut values = clustered(n + n_queries, DIM, 60, &mut Numbers::new(7));
    let queries = values.split_off(n * DIM);
    (values, queries)
}

fn build(metric: Metric, values: &[f32], dim: usize) -> Index {
    Index::builder(metric).build(Vectors::new(values, dim).unwrap()).unwrap()
}

/// The distance that a user should see, in float64.
fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.iter().zip(b).map(|(&x, &y)| f(f64::from(x), f64::from(y))).sum()
    };
    let dot = sum(&|x, y| x * y);
    match metric {
        Metric::Euclidean => sum(&|x, y| (x - y) * (x - y)).sqrt(),
        Metric::Dot => dot,
        Metric::Manhattan => sum(&|x, y| (x - y).abs()),
        Metric::Hamming => sum(&|x, y| f64::from(u8::from((x > 0.5) != (y > 0.5)))),
        _ => {
            let norms = sum(&|x, _| x * x).sqrt() * sum(&|_, y| y * y).sqrt();
            if norms == 0.0 { 1.0 } else { 1.0 - dot / norms }
        }
    }
}

/// What an index keeps of a vector.
fn stored(metric: Metric, row: &[f32]) -> Vec<f32> {
    match metric {
        Metric::Hamming => row.iter().map(|&x| f32::from(u8::from(x > 0.5))).collect(),
        _ => row.to_vec(),
    }
}

/// The k nearest distances, nearest first.
fn truth(metric: Metric, values: &[f32], query: &[f32], k: usize) -> Vec<f64> {
    let rows = values.chunks_exact(query.len());
    let mut all: Vec<f64> = rows.map(|row| distance(metric, query, row)).collect();
    all.sort_by(f64::total_cmp);
    if metric.larger_is_nearer() {
        all.reverse();
    }
    all.truncate(k);
    all
}

/// The share of `truth` that `hits` found; ties with the last count.
fn recall(metric: Metric, hits: &[Hit], truth: &[f64]) -> f64 {
    let last = *truth.last().unwrap();
    let slack = 1e-4 * last.abs().max(1.0);
    let is_near = |hit: &&Hit| match metric.larger_is_nearer() {
        true => f64::from(hit.distance) >= last - slack,
        false => f64::from(hit.distance) <= last + slack,
    };
    hits.iter().filter(is_near).count() as f64 / truth.len() as f64
}

fn mean_recall(index: &Index, values: &[f32], queries: &[f32], k: usize, effort: Effort) -> f64 {
    let (metric, mut sum) = (index.metric(), 0.0);
    let mut searcher = index.searcher();
    searcher.k(k).effort(effort);
    for query in queries.chunks_exact(index.dim()) {
        sum += recall(metric, searcher.search(query).unwrap(), &truth(metric, values, query, k));
    }
    sum / (queries.len() / index.dim()) as f64
}

#[test]
fn the_forest_finds_what_brute_force_finds() {
    let (values, queries) = data(20_000, 60);
    for metric in Metric::ALL {
        let builder = Index::builder(metric).graph(Some(false));
        let index = builder.build(Vectors::new(&values, DIM).unwrap()).unwrap();
        index.verify().unwrap();
        let at = |effort| mean_recall(&index, &values, &queries, 10, effort);
        for (budget, least) in [(1000, 0.75), (4000, 0.93), (20_000, 0.99)] {
            let recall = at(Effort::Budget(budget));
            assert!(recall >= least, "{metric}, budget {budget}: {recall}");
        }
        for effort in [Effort::Exact, Effort::Recall(1.0)] {
            assert!(at(effort) == 1.0, "{metric}, {effort:?}");
        }
        let refused = index.searcher().recall(1.01).search(&queries[..DIM]).unwrap_err();
        assert_eq!(refused.to_string(), "recall is 1.01, expected above 0, at most 1");
    }
}

#[test]
fn the_calibrated_recall_is_kept() {
    let (values, mut calibrate_with) = data(20_000, 550);
    let queries = calibrate_with.split_off(400 * DIM);
    for metric in Metric::ALL {
        let builder = Index::builder(metric).calibration_queries(calibrate_with.clone());
        let index = builder.build(Vectors::new(&values, DIM).unwrap()).unwrap();
        for (k, promise) in [(10, 0.8), (10, 0.95), (30, 0.9), (100, 0.9)] {
            let recall = mean_recall(&index, &values, &queries, k, Effort::Recall(promise));
            assert!(recall >= promise - 0.03, "{metric}, k {k}, {promise} promised: {recall}");
        }
        let curve = index.calibration().curve();
        assert!(curve.len() > 1 && curve.windows(2).all(|w| w[0].0 < w[1].0), "{curve:?}");
    }
}

#[test]
fn a_recall_of_one_is_the_exact_search_to_the_bit() {
    let (values, queries) = data(3000, 20);
    for metric in Metric::ALL {
        let index = build(metric, &values, DIM);
        let ask = |effort| {
            index.search_batch(&queries, BatchOptions { effort, ..BatchOptions::default() })
        };
        assert_eq!(ask(Effort::Recall(1.0)), ask(Effort::Exact), "{metric}");
    }
}

#[test]
fn a_batch_answers_as_single_searches_do() {
    let (values, queries) = data(3000, 70);
    for metric in Metric::ALL {
        let index = build(metric, &values, DIM);
        let third = Filter::from_positions(&index, (0..3000).step_by(3));
        for filter in [None, Some(&third)] {
            for effort in [Effort::Exact, Effort::Recall(0.9), Effort::Budget(300)] {
                let mut searcher = index.searcher();
                searcher.k(6).effort(effort).filter(filter);
                let alone: Vec<Hit> = queries
                    .chunks_exact(DIM)
                    .flat_map(|query| searcher.search(query).unwrap().to_vec())
                    .collect();
                for n_threads in [Some(1), Some(3), None] {
                    let options = BatchOptions { k: 6, effort, filter, n_threads };
                    let batch = index.search_batch(&queries, options).unwrap();
                    let hits = batch.positions.iter().zip(&batch.distances);
                    let same = hits.map(|(&position, &distance)| Hit { position, distance });
                    assert!(same.eq(alone.iter().copied()), "{metric} {effort:?} {n_threads:?}");
                }
            }
        }
    }
}

#[test]
fn hits_come_in_order_with_their_true_distances_and_no_row_twice() {
    let (values, queries) = data(5000, 10);
    for metric in Metric::ALL {
        for trees in [1, 3] {
            let builder = Index::builder(metric).trees(trees).leaf_size(50);
            let index = builder.build(Vectors::new(&values, DIM).unwrap()).unwrap();
            index.verify().unwrap();
            let mut searcher = index.searcher();
            for query in queries.chunks_exact(DIM) {
                let hits = searcher.k(40).budget(900).search(query).unwrap();
                let positions: HashSet<u32> = hits.iter().map(|hit| hit.position).collect();
                assert_eq!((positions.len(), hits.len()), (40, 40), "{metric}, {trees} trees");
                let key = |hit: &Hit| match metric.larger_is_nearer() {
                    true => -hit.distance,
                    false => hit.distance,
                };
                assert!(hits.windows(2).all(|w| key(&w[0]) <= key(&w[1])));
                for hit in hits {
                    let row = &values[hit.position as usize * DIM..][..DIM];
                    let expected = distance(metric, query, row);
                    let error = (f64::from(hit.distance) - expected).abs();
                    assert!(error < 1e-4 * expected.abs().max(1.0), "{metric}: {hit:?} {expected}");
                    assert_eq!(index.vector(hit.position).unwrap()[..], stored(metric, row));
                }
            }
        }
    }
}

#[test]
fn more_neighbours_than_rows_are_all_rows() {
    let (values, _) = data(300, 1);
    for metric in Metric::ALL {
        let index = build(metric, &values, DIM);
        for effort in [Effort::Budget(1), Effort::Recall(0.5), Effort::Exact] {
            for k in [300, 301, 100_000, usize::MAX] {
                let mut searcher = index.searcher();
                let hits = searcher.k(k).effort(effort).search(&values[..DIM]).unwrap();
                assert_eq!(hits.len(), 300, "{metric} {effort:?} {k}");
            }
        }
        let options = BatchOptions { k: 305, ..BatchOptions::default() };
        let answers = index.search_batch(&values[..2 * DIM], options).unwrap();
        for at in [0, 1] {
            let (positions, rest) = answers.positions[at * 305..][..305].split_at(300);
            assert!(positions.iter().all(|&p| p < 300) && rest == [u32::MAX; 5]);
            assert_eq!(answers.distances[at * 305 + 300..][..5], [metric.missing(); 5]);
        }
        let wild = BatchOptions { k: usize::MAX, ..BatchOptions::default() };
        for queries in [&values[..DIM], &values[..4 * DIM]] {
            let error = index.search_batch(queries, wild).unwrap_err();
            assert!(matches!(error, QueryError::Parameter { name: "k", .. }), "{error}");
        }
    }
}

#[test]
fn a_filter_lets_through_what_it_says_and_nothing_else() {
    let (values, queries) = data(6000, 12);
    let n = 6000u32;
    for metric in Metric::ALL {
        for trees in [1, 2] {
            let builder = Index::builder(metric).trees(trees).leaf_size(60);
            let index = builder.build(Vectors::new(&values, DIM).unwrap()).unwrap();
            for step in [1, 2, 100, 5999, 6001] {
                let passing: Vec<u32> =
                    (0..n).filter(|p| step <= n && (p + 1) % step == 0).collect();
                let filter = Filter::from_positions(&index, passing.iter().copied());
                let mask: Vec<bool> = (0..n).map(|p| passing.contains(&p)).collect();
                assert_eq!(Filter::from_mask(&index, &mask).len(), passing.len());
                assert_eq!((filter.len(), filter.is_empty()), (passing.len(), passing.is_empty()));
                for effort in [Effort::Recall(0.9), Effort::Budget(100), Effort::Exact] {
                    let mut searcher = index.searcher();
                    searcher.k(20).effort(effort).filter(Some(&filter));
                    for query in queries.chunks_exact(DIM) {
                        let hits = searcher.search(query).unwrap();
                        assert!(hits.iter().all(|hit| mask[hit.position as usize]), "{metric}");
                        let expected = passing.len().min(20);
                        assert_eq!(hits.len(), expected, "{metric}, 1 of {step}, {effort:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_filtered_search_keeps_its_recall() {
    let (values, queries) = data(20_000, 40);
    for metric in Metric::ALL {
        let index = build(metric, &values, DIM);
        for step in [2, 10, 100] {
            let passing = (0..20_000u32).filter(|p| p % step == 0);
            let filter = Filter::from_positions(&index, passing);
            let rows = values.chunks_exact(DIM).step_by(step as usize);
            let kept: Vec<f32> = rows.flatten().copied().collect();
            let mut searcher = index.searcher();
            searcher.k(10).recall(0.9).filter(Some(&filter));
            let recalls = queries.chunks_exact(DIM).map(|query| {
                let hits = searcher.search(query).unwrap();
                recall(metric, hits, &truth(metric, &kept, query, 10))
            });
            let mean = recalls.sum::<f64>() / 40.0;
            assert!(mean >= 0.87, "{metric}, 1 of {step}: {mean}");
        }
    }
}

#[test]
fn excluded_rows_never_appear_and_others_take_their_place() {
    let (values, queries) = data(4000, 10);
    for metric in Metric::ALL {
        for trees in [1, 3] {
            let builder = Index::builder(metric).trees(trees).leaf_size(60);
            let index = builder.build(Vectors::new(&values, DIM).unwrap()).unwrap();
            for effort in [Effort::Budget(4000), Effort::Recall(0.9), Effort::Exact] {
                let mut searcher = index.searcher();
                searcher.k(15).effort(effort);
                for query in queries.chunks_exact(DIM) {
                    let hits = searcher.exclude(&[]).search(query).unwrap();
                    let near: Vec<u32> = hits.iter().map(|hit| hit.position).collect();
                    let again = searcher.exclude(&near).exclude(&near[..5]);
                    let again: Vec<u32> =
                        again.search(query).unwrap().iter().map(|hit| hit.position).collect();
                    assert_eq!(again.len(), 15);
                    assert!(near[..5].iter().all(|p| !again.contains(p)), "{metric} {effort:?}");
                    if effort == Effort::Exact {
                        assert_eq!(again[..10], near[5..], "{metric}");
                    }
                }
                let everything: Vec<u32> = (0..4000).chain([9_999_999, u32::MAX]).collect();
                let none = searcher.exclude(&everything).search(&queries[..DIM]).unwrap();
                assert!(none.is_empty(), "{metric} {effort:?} {none:?}");
            }
        }
    }
}

#[test]
fn neighbours_of_stored_rows_leave_the_row_itself_out() {
    let (values, _) = data(2000, 1);
    for metric in [Metric::Euclidean, Metric::Angular] {
        let index = build(metric, &values, DIM);
        let positions = [0, 7, 1999];
        let ask = |include_self, n_threads| {
            let effort = Effort::Budget(2000);
            let options = BatchOptions { k: 5, effort, filter: None, n_threads };
            index.search_positions(&positions, options, include_self).unwrap()
        };
        for (at, position) in positions.iter().enumerate() {
            assert_eq!(ask(true, Some(1)).positions[5 * at], *position, "{metric}");
            assert!(!ask(false, Some(1)).positions[5 * at..][..5].contains(position), "{metric}");
        }
        assert_eq!(ask(false, Some(1)), ask(false, Some(3)));
        assert!(index.search_positions(&[2000], BatchOptions::default(), false).is_err());
    }
}

/// Every search of a degenerate index: `n` rows, all found by every effort.
fn check_all_found(index: &Index, query: &[f32], what: &str) {
    index.verify().unwrap();
    let n = index.len();
    for effort in [Effort::Recall(0.5), Effort::Budget(1), Effort::Budget(n), Effort::Exact] {
        for k in [1, 3, n] {
            let mut searcher = index.searcher();
            let hits = searcher.k(k).effort(effort).search(query).unwrap();
            let distinct: HashSet<u32> = hits.iter().map(|hit| hit.position).collect();
            assert_eq!((hits.len(), distinct.len()), (k.min(n), k.min(n)), "{what} {effort:?} {k}");
            assert!(hits.iter().all(|hit| hit.distance.is_finite()), "{what} {hits:?}");
        }
    }
}

#[test]
fn degenerate_vectors_are_searched_like_any_others() {
    for metric in Metric::ALL {
        for dim in [1, 3, 64] {
            let query = vec![0.5f32; dim];
            for n in [1, 2, 15, 16, 17, 3000] {
                let what = format!("{metric}, {n} x {dim}");
                let equal = build(metric, &vec![1.5f32; n * dim], dim);
                check_all_found(&equal, &query, &format!("{what} equal"));
                let zero = build(metric, &vec![0.0f32; n * dim], dim);
                check_all_found(&zero, &query, &format!("{what} zero"));
                check_all_found(&zero, &vec![0.0; dim], &format!("{what} zero, zero query"));
                // The smallest that are taken: all values below would be lost by some metrics.
                let least = match metric {
                    Metric::Euclidean | Metric::Dot => 1e-18,
                    _ => 1e-30f32,
                };
                let tiny = build(metric, &vec![least; n * dim], dim);
                check_all_found(&tiny, &vec![least; dim], &format!("{what} tiny"));
                let signs: Vec<f32> =
                    (0..n * dim).map(|i| if i / dim % 2 == 0 { 1e15 } else { -1e15 }).collect();
                check_all_found(&build(metric, &signs, dim), &query, &format!("{what} large"));
            }
        }
    }
}

#[test]
fn the_largest_values_in_the_largest_dimension_are_not_infinitely_far() {
    // Values of 9e17 were once taken: at 1024 of them a search found nothing.
    let dim = 65_536;
    let large = 1e16f32.next_down();
    let values: Vec<f32> =
        (0..20 * dim).map(|i| if i % 7 < i / dim % 7 { large } else { -large }).collect();
    let query: Vec<f32> = values[..dim].iter().map(|x| -x).collect();
    for metric in Metric::ALL {
        let index = build(metric, &values, dim);
        check_all_found(&index, &query, metric.name());
    }
}

#[test]
fn duplicates_by_the_thousand_do_not_hide_others() {
    let mut values = clustered(1000, DIM, 20, &mut Numbers::new(9));
    let duplicate = values[..DIM].to_vec();
    (0..5000).for_each(|_| values.extend_from_slice(&duplicate));
    for metric in Metric::ALL {
        let index = build(metric, &values, DIM);
        index.verify().unwrap();
        for query in values[..10 * DIM].chunks_exact(DIM) {
            let mut searcher = index.searcher();
            let hits = searcher.k(10).budget(3000).search(query).unwrap();
            let recall = recall(metric, hits, &truth(metric, &values, query, 10));
            assert!(recall >= 0.9, "{metric}: {recall}");
        }
    }
}

/// Tiles, bias and scale of a tree's members.
type Packed = (Vec<u8>, Vec<f32>, Vec<f32>);

fn pack(rows: Rows<'_>, coded: &CodedRows, tree: &TreeData) -> Packed {
    let n = tree.members.len();
    let (mut tiles, mut bias, mut scale) = (vec![0u8; n * DIM], vec![0f32; n], vec![0f32; n]);
    coded.pack(rows, &tree.members, &mut tiles, &mut bias, &mut scale);
    (tiles, bias, scale)
}

fn view<'a>(tree: &'a TreeData, (tiles, bias, scale): &'a Packed) -> Tree<'a> {
    let of = |(tiles, bias, scale)| CodeRows { tiles, bias, scale };
    Tree {
        group_offsets: &tree.group_offsets,
        groups: of(tree.group_codes()),
        leaf_offsets: &tree.leaf_offsets,
        leaves: of(tree.leaf_codes()),
        members: &tree.members,
        codes: CodeRows { tiles, bias, scale },
        width: DIM,
        member_width: DIM,
        product: None,
    }
}

#[test]
fn a_budget_counts_distinct_rows_over_all_trees() {
    let (values, queries) = data(4000, 5);
    let rows =
        Rows { metric: Metric::Euclidean, dim: DIM, values: values[..].into(), inverse_norms: &[] };
    let coded = CodedRows::new(rows, &Workspace::default()).unwrap();
    let params = TreeParams { leaf_size: 60, ..TreeParams::for_metric(Metric::Euclidean) };
    let trees: Vec<_> =
        (0..3).map(|seed| build_tree(rows, &coded, seed, params, &Work::unwatched())).collect();
    let packed: Vec<_> = trees.iter().map(|tree| pack(rows, &coded, tree)).collect();
    let views: Vec<Tree<'_>> = trees.iter().zip(&packed).map(|(t, p)| view(t, p)).collect();
    let longest = views.iter().flat_map(|t| t.leaf_offsets.windows(2)).map(|w| w[1] - w[0]).max();
    let longest = longest.unwrap() as usize;
    assert!(longest.is_multiple_of(TILE));
    let mut scratch = Scratch::default();
    for query in queries.chunks_exact(DIM) {
        for budget in [1, 500, 2000, 4000] {
            scratch.begin();
            let request = Request {
                query,
                metric: Metric::Euclidean,
                mean: &coded.mean,
                code_scale: coded.scale,
                budget,
                at_least: 1,
                keep: 4000,
                within: f32::INFINITY,
                allowed: None,
                n_rows: 4000,
            };
            let found = search(&views, request, &mut scratch);
            let rows: HashSet<u32> = scratch.candidates().iter().map(|c| c.1).collect();
            assert_eq!(scratch.candidates().len(), rows.len(), "a row twice");
            assert_eq!(found.evaluated, rows.len(), "all that were evaluated were kept");
            assert!((budget..=budget + longest).contains(&found.evaluated), "{found:?}");
            assert_eq!(found.all, found.evaluated == 4000);
        }
    }
}

#[test]
fn names_find_their_rows() {
    let n = 2000usize;
    let (values, _) = data(n, 1);
    let build = |ids: Ids, labels: Option<Vec<String>>| {
        let builder = Index::builder(Metric::Dot).ids(ids);
        let builder = if let Some(labels) = labels { builder.labels(labels) } else { builder };
        builder.build(Vectors::new(&values, DIM).unwrap()).unwrap()
    };
    let ints: Vec<i64> = (0..n as i64).map(|i| (i - 3) * 1_000_003 + 7).collect();
    let index = build(Ids::Int(ints.clone()), None);
    index.verify().unwrap();
    for (position, &id) in ints.iter().enumerate() {
        assert_eq!(index.position(&Id::Int(id)), Some(position as u32));
        assert_eq!(index.find(&id.to_string()), Ok(position as u32));
        assert_eq!(index.id(position as u32), Id::Int(id));
    }
    assert_eq!((index.position(&Id::Int(5)), index.position(&Id::from("7"))), (None, None));
    assert_eq!(index.ids(), Ids::Int(ints));
    let texts: Vec<String> = (0..n).map(|i| format!("é-{i}")).collect();
    // Half of the rows share one label, some have the empty one, one has another row's id.
    let label = |i: usize| match i {
        4 => "é-9".to_string(),
        _ if i.is_multiple_of(2) => "same".to_string(),
        _ if i < 20 => String::new(),
        _ => format!("label {i}"),
    };
    let index = build(Ids::Text(texts.clone()), Some((0..n).map(label).collect()));
    index.verify().unwrap();
    for (position, id) in texts.iter().enumerate() {
        assert_eq!(index.find(id), Ok(position as u32));
        assert_eq!(index.label(position as u32), Some(label(position)));
    }
    assert_eq!(index.find("label 1999"), Ok(1999));
    match index.find("same").unwrap_err() {
        QueryError::AmbiguousLabel { label, ids } => {
            assert_eq!((&label[..], ids.len(), &ids[..2]), ("same", 999, &texts_at(&[0, 2])[..]));
        }
        other => panic!("{other}"),
    }
    let unknown = index.find("nobody").unwrap_err();
    assert!(matches!(unknown, QueryError::UnknownId { .. }), "{unknown}");
    assert_eq!((index.id(n as u32), index.label(0)), (Id::from(""), Some("same".into())));
}

fn texts_at(rows: &[usize]) -> Vec<String> {
    rows.iter().map(|i| format!("é-{i}")).collect()
}

#[test]
fn one_label_for_very_many_rows_is_no_burden() {
    // Placed one after the other, half a million equal names took 10^11 steps.
    let n = 500_000;
    let values: Vec<f32> = (0..n).map(|i| (i % 1000) as f32).collect();
    let labels = (0..n).map(|i| if i == 5 { "one".into() } else { "all the others".into() });
    let builder = Index::builder(Metric::Euclidean).labels(labels.collect()).graph(Some(false));
    let index = builder.build(Vectors::new(&values, 1).unwrap()).unwrap();
    index.verify().unwrap();
    assert_eq!(index.find("one"), Ok(5));
    assert!(matches!(index.find("all the others"), Err(QueryError::AmbiguousLabel { .. })));
}

#[test]
fn what_cannot_be_searched_for_is_refused() {
    let (values, _) = data(200, 1);
    let index = build(Metric::Euclidean, &values, DIM);
    let mut searcher = index.searcher();
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e16, -1e16] {
        let mut query = values[..DIM].to_vec();
        query[3] = wrong;
        let error = searcher.search(&query).unwrap_err();
        assert!(matches!(error, QueryError::NonFinite { query: 0, column: 3, .. }), "{error}");
        let two = [&values[..DIM], &query].concat();
        let error = index.search_batch(&two, BatchOptions::default()).unwrap_err();
        assert!(matches!(error, QueryError::NonFinite { query: 1, column: 3, .. }), "{error}");
    }
    for len in [0, DIM - 1, DIM + 1] {
        let error = searcher.search(&values[..len]).unwrap_err();
        assert_eq!(error, QueryError::Dimension { got: len, expected: DIM });
    }
    assert!(index.search_batch(&values[..DIM + 1], BatchOptions::default()).is_err());
    assert!(index.search_batch(&[], BatchOptions::default()).unwrap().positions.is_empty());
    let refused = |k: usize, effort| {
        let error = index.searcher().k(k).effort(effort).search(&values[..DIM]).unwrap_err();
        let options = BatchOptions { k, effort, ..BatchOptions::default() };
        let batch = index.search_batch(&values[..DIM], options).unwrap_err();
        match (error, batch) {
            (QueryError::Parameter { name, .. }, QueryError::Parameter { name: same, .. }) => {
                assert_eq!(name, same);
                name
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(0, Effort::Exact), "k");
    assert_eq!(refused(1, Effort::Budget(0)), "budget");
    for recall in [0.0, -0.5, f64::NAN, f64::NEG_INFINITY] {
        assert_eq!(refused(1, Effort::Recall(recall)), "recall");
    }
}

#[test]
fn what_cannot_be_built_is_refused() {
    let values = vec![1.0f32; 40];
    let build = |b: nearwood::index::Builder| b.build(Vectors::new(&values, 4).unwrap()).err();
    let builder = || Index::builder(Metric::Dot);
    let parameter = |b| match build(b) {
        Some(BuildError::Parameter { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(parameter(builder().trees(0)), "n_trees");
    assert_eq!(parameter(builder().trees(1001)), "n_trees");
    assert_eq!(parameter(builder().leaf_size(7)), "leaf_size");
    let count = BuildError::Ids(IdsError::Count { got: 9, expected: 10 });
    for b in [builder().ids(Ids::Int((0..9).collect())), builder().labels(vec!["".into(); 9])] {
        assert_eq!(build(b).unwrap().to_string(), count.to_string());
    }
    assert!(build(builder().ids(Ids::Int(vec![-1; 10]))).is_some());
    assert!(build(builder().ids(Ids::Text(vec!["x".into(); 10]))).is_some());
    assert!(build(builder().calibration_queries(vec![1.0; 5])).is_some());
    assert!(build(builder().calibration_queries(vec![f32::NAN; 4])).is_some());
    for wrong in [f32::NAN, f32::INFINITY, 1e16, -1e16] {
        let mut values = values.clone();
        values[9] = wrong;
        let error = Vectors::new(&values, 4).unwrap_err();
        assert!(matches!(error, BuildError::NonFinite { row: 2, column: 1, .. }), "{error}");
    }
    assert!(matches!(Vectors::new(&[], 4), Err(BuildError::Empty)));
    assert!(matches!(Vectors::new(&values, 7), Err(BuildError::Shape { len: 40, dim: 7 })));
    for dim in [0, 65_537] {
        assert!(matches!(Vectors::new(&values, dim), Err(BuildError::Dimension { .. })));
    }
    let stop = builder().trees(3).build_with(Vectors::new(&values, 4).unwrap(), &|done, all| {
        assert_eq!(all, 100);
        done < 2
    });
    assert!(matches!(stop, Err(BuildError::Cancelled)));
}
