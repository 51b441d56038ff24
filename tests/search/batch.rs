//! Batches: an answer depends neither on the other queries nor on the threads, and is a single
//! search's or, where leaves are shared and 8-bit codes read in place of 4-bit ones, as good.

use crate::common::file::{reseal_section, sections};
use crate::common::{Numbers, clustered};
use nearwood::{Answers, BatchOptions, Effort, Filter, Index, Metric, Vectors};

const DIM: usize = 12;

fn build(metric: Metric, values: &[f32], dim: usize, leaf_size: usize) -> Index {
    let builder = Index::builder(metric).leaf_size(leaf_size);
    builder.build(Vectors::new(values, dim).unwrap()).unwrap()
}

/// A base and queries that are not in it.
fn data(n: usize, n_queries: usize) -> (Vec<f32>, Vec<f32>) {
    let mut values = clustered(n + n_queries, DIM, 40, &mut Numbers::new(21));
    let queries = values.split_off(n * DIM);
    (values, queries)
}

/// (position, bits of the distance) of `k` a query, as batches are filled.
type Answer = Vec<(u32, u32)>;

fn alone(index: &Index, queries: &[f32], options: BatchOptions<'_>, own: &[u32]) -> Answer {
    let mut searcher = index.searcher();
    searcher.k(options.k).effort(options.effort).filter(options.filter);
    let mut answer = Vec::new();
    for (at, query) in queries.chunks_exact(index.dim()).enumerate() {
        let own = own.get(at).map_or(&[][..], std::slice::from_ref);
        let hits = searcher.exclude(own).search(query).unwrap();
        answer.extend(hits.iter().map(|hit| (hit.position, hit.distance.to_bits())));
        let missing = (u32::MAX, index.metric().missing().to_bits());
        answer.resize((at + 1) * options.k, missing);
    }
    answer
}

fn answer(found: Answers) -> Answer {
    found.positions.into_iter().zip(found.distances.iter().map(|d| d.to_bits())).collect()
}

/// Holds a batch on several numbers of threads, and turned round, against itself and against
/// single searches.
fn check(index: &Index, queries: &[f32], options: BatchOptions<'_>, what: &str) {
    let what = format!("{what}, {options:?}");
    let search = |queries: &[f32], n_threads| {
        answer(index.search_batch(queries, BatchOptions { n_threads, ..options }).unwrap())
    };
    let found = search(queries, Some(1));
    for n_threads in [Some(2), Some(3)] {
        assert!(search(queries, n_threads) == found, "{what}, {n_threads:?}");
    }
    let turned: Vec<f32> = queries.rchunks_exact(index.dim()).flatten().copied().collect();
    let back: Answer =
        search(&turned, Some(2)).rchunks_exact(options.k).flatten().copied().collect();
    assert!(back == found, "{what}, turned round");
    compare(index, &found, &alone(index, queries, options, &[]), &what);
}

/// That a batch finds as many as single searches do, and as near ones but for one in two hundred.
fn compare(index: &Index, found: &Answer, alone: &Answer, what: &str) {
    let filled = |answer: &Answer| answer.iter().map(|a| a.0 == u32::MAX).collect::<Vec<_>>();
    assert!(filled(found) == filled(alone), "{what}: another number found");
    let farther = |(a, b): (&(u32, u32), &(u32, u32))| {
        let (a, b) = (f32::from_bits(a.1), f32::from_bits(b.1));
        if index.metric().larger_is_nearer() { a < b } else { a > b }
    };
    let worse = found.iter().zip(alone).filter(|&pair| farther(pair)).count();
    assert!(worse * 200 <= found.len(), "{what}: {worse} of {} farther", found.len());
}

fn options(k: usize, effort: Effort) -> BatchOptions<'static> {
    BatchOptions { k, effort, filter: None, n_threads: None }
}

const EFFORTS: [Effort; 6] = [
    Effort::Recall(0.8),
    Effort::Recall(0.97),
    Effort::Budget(1),
    Effort::Budget(700),
    Effort::Budget(3900),
    Effort::Budget(usize::MAX),
];

#[test]
fn a_batch_is_as_good_as_single_searches() {
    let (values, queries) = data(4000, 131);
    for metric in Metric::ALL {
        for leaf_size in [20, 400, 5000] {
            let index = build(metric, &values, DIM, leaf_size);
            for effort in EFFORTS {
                check(&index, &queries, options(7, effort), &format!("{metric}, {leaf_size}"));
            }
        }
    }
}

#[test]
fn batches_of_any_size_are_answered() {
    let (values, queries) = data(3000, 2100);
    let index = build(Metric::Euclidean, &values, DIM, 60);
    for n in [0, 1, 2, 31, 32, 33, 63, 64, 65, 66, 67, 1023, 1025, 2100] {
        for effort in [Effort::Budget(400), Effort::Budget(3000)] {
            check(&index, &queries[..n * DIM], options(5, effort), &format!("{n} queries"));
        }
    }
}

#[test]
fn equal_scores_are_decided_alike() {
    // All vectors of -1, 0 and 1: their codes are exact, so whole shells about a query are equally
    // far, in leaves whose centres are not, and the last place kept falls inside a shell.
    let digit = |at: u32, place: u32| (at / 3u32.pow(place) % 3) as f32 - 1.0;
    let vector = |at: u32| (0..7).map(move |place| digit(at, place));
    let values: Vec<f32> = (0..3u32.pow(7)).flat_map(vector).collect();
    let queries: Vec<f32> = (0..3u32.pow(7)).step_by(20).flat_map(vector).collect();
    for metric in Metric::ALL {
        let index = build(metric, &values, 7, 50);
        for effort in EFFORTS {
            check(&index, &queries, options(10, effort), metric.name());
        }
    }
}

#[test]
fn leaves_in_groups_and_several_trees_are_searched_alike() {
    let mut values = clustered(26_100, 2, 300, &mut Numbers::new(3));
    let queries = values.split_off(26_000 * 2);
    for metric in Metric::ALL {
        let trees = |trees: usize| {
            let builder = Index::builder(metric).graph(Some(false)).trees(trees);
            builder.leaf_size(if trees == 1 { 8 } else { 400 })
        };
        let vectors = Vectors::new(&values, 2).unwrap();
        let [grouped, two] = [1, 2].map(|n| trees(n).build(vectors).unwrap());
        let groups = |index: &Index| {
            let kind = nearwood::format::Kind::GroupOffsets.code();
            sections(index.as_bytes()).iter().find(|s| s.kind == kind).unwrap().bytes.len() / 4 - 1
        };
        assert!(groups(&grouped) > 16, "the leaves were to stand in groups");
        for effort in [Effort::Recall(0.9), Effort::Budget(2000), Effort::Budget(26_000)] {
            check(&grouped, &queries, options(10, effort), &format!("{metric}, groups"));
            check(&two, &queries, options(10, effort), &format!("{metric}, two trees"));
        }
    }
}

#[test]
fn filters_hold_in_batches() {
    let (values, queries) = data(4000, 100);
    for metric in Metric::ALL {
        let index = build(metric, &values, DIM, 50);
        // The last lets through rows far from most queries: a search goes past its budget.
        let filters = [1, 3, 200].map(|step| (0..4000).step_by(step).collect::<Vec<u32>>());
        let far = values.chunks_exact(DIM).enumerate().filter(|(_, x)| x[0] > 1.0);
        let far: Vec<u32> = far.map(|(at, _)| at as u32).collect();
        for passing in filters.into_iter().chain([far]) {
            let filter = Filter::from_positions(&index, passing.iter().copied());
            for effort in EFFORTS {
                let options = BatchOptions { filter: Some(&filter), ..options(9, effort) };
                check(&index, &queries, options, &format!("{metric}, {} pass", passing.len()));
            }
        }
    }
}

#[test]
fn rows_leave_themselves_out_of_batches() {
    let (values, _) = data(4000, 1);
    let positions: Vec<u32> = (0..4000).step_by(37).collect();
    let queries: Vec<f32> =
        positions.iter().flat_map(|&p| &values[p as usize * DIM..][..DIM]).copied().collect();
    for metric in Metric::ALL {
        let index = build(metric, &values, DIM, 50);
        for effort in EFFORTS {
            for (include_self, own) in [(true, &[][..]), (false, &positions)] {
                let expected = alone(&index, &queries, options(6, effort), own);
                let options = options(6, effort);
                let found = index.search_positions(&positions, options, include_self).unwrap();
                let found = answer(found);
                let what = format!("{metric}, {effort:?}, itself too: {include_self}");
                compare(&index, &found, &expected, &what);
                for (at, own) in positions.iter().enumerate() {
                    let has = found[6 * at..6 * at + 6].iter().any(|a| a.0 == *own);
                    assert!(!has || include_self, "{what}");
                }
            }
        }
    }
}

#[test]
fn more_neighbours_than_rows_fill_the_rest() {
    let (values, queries) = data(200, 80);
    for metric in Metric::ALL {
        let index = build(metric, &values, DIM, 20);
        for k in [199, 200, 203, 1000] {
            for effort in [Effort::Budget(10), Effort::Budget(200), Effort::Recall(0.9)] {
                check(&index, &queries, options(k, effort), &format!("{metric}, k {k}"));
            }
        }
    }
}

#[test]
fn a_damaged_tree_does_no_harm_to_a_batch() {
    let groups = clustered(26_000, 2, 300, &mut Numbers::new(3));
    let (one_group, queries) = data(900, 70);
    for (values, dim, leaf_size) in [(&one_group, DIM, 20), (&groups, 2, 8)] {
        let index = build(Metric::Dot, values, dim, leaf_size);
        let bytes = index.as_bytes();
        for section in sections(bytes) {
            for word in [u32::MAX, 0, 1, 16, 48, f32::INFINITY.to_bits(), f32::MAX.to_bits()] {
                let mut damaged = bytes.to_vec();
                let payload = &mut damaged[section.bytes.clone()];
                // Every other word, so that offsets go up and down.
                payload
                    .chunks_exact_mut(4)
                    .step_by(2)
                    .for_each(|w| w.copy_from_slice(&word.to_le_bytes()));
                reseal_section(&mut damaged, &section);
                ask(&damaged, &queries[..70 * dim]);
            }
        }
    }
}

/// Any answer and any error is right, a panic is not.
fn ask(bytes: &[u8], queries: &[f32]) {
    let Ok(index) = Index::from_bytes(bytes) else { return };
    for effort in [Effort::Budget(100), Effort::Budget(usize::MAX), Effort::Recall(0.9)] {
        let options = BatchOptions { n_threads: Some(1), ..options(4, effort) };
        if let Ok(found) = index.search_batch(queries, options) {
            assert!(found.distances.iter().all(|d| !d.is_nan()), "{effort:?}");
        }
    }
}
