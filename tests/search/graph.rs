//! Indexes with a neighbour graph: what they find, for every metric and on hard data; that filters,
//! exclusions and budgets hold; that trees come and go beside it; and what a damaged one costs.

use crate::common::file::{Section, entry_field, put, reseal, sections};
use crate::common::{Numbers, clustered};
use nearwood::format::Kind;
use nearwood::{
    BatchOptions, Effort, Filter, Index, Metric, RadiusOptions, Storage, TreeOptions, Vectors,
};

/// The metrics that have a graph.
fn served() -> impl Iterator<Item = Metric> {
    Metric::ALL.into_iter().filter(|&metric| metric != Metric::Dot)
}

fn build(metric: Metric, values: &[f32], dim: usize) -> Index {
    let builder = Index::builder(metric).graph(Some(true)).leaf_size(100);
    let index = builder.build(Vectors::new(values, dim).unwrap()).unwrap();
    assert!(index.has_graph());
    index.verify().unwrap();
    index
}

fn exact(index: &Index, queries: &[f32], k: usize) -> nearwood::Answers {
    let options = BatchOptions { k, effort: Effort::Exact, ..BatchOptions::default() };
    index.search_batch(queries, options).unwrap()
}

/// The share of the true neighbours that searches with a recall find; what is as near counts.
fn found(index: &Index, queries: &[f32], k: usize, effort: Effort) -> f64 {
    let truth = exact(index, queries, k);
    let answers = index.search_batch(queries, BatchOptions { k, effort, ..Default::default() });
    let answers = answers.unwrap();
    let lists = truth.distances.chunks(k).zip(answers.distances.chunks(k));
    let hits = lists.map(|(t, a)| a.iter().filter(|d| **d <= t[k - 1] * 1.00001 + 1e-9).count());
    hits.sum::<usize>() as f64 / truth.distances.len() as f64
}

#[test]
fn searches_find_what_they_promise_by_every_metric() {
    let dim = 24;
    let mut numbers = Numbers::new(51);
    let values = clustered(8300, dim, 60, &mut numbers);
    let (base, queries) = values.split_at(8000 * dim);
    for metric in served() {
        let index = build(metric, base, dim);
        for recall in [0.8, 0.95, 0.99] {
            let share = found(&index, queries, 10, Effort::Recall(recall));
            assert!(share > recall - 0.02, "{metric}: {share} of {recall}");
        }
        let curve = index.walk_curve();
        // Walks of little slack may be the same ones.
        assert!(curve.is_sorted_by(|a, b| a.0 <= b.0) && curve.len() > 3, "{curve:?}");
        // A walk that compares more finds more, and a tenth of the rows is enough for nearly all.
        let shares = [100, 300, 800].map(|b| found(&index, queries, 10, Effort::Budget(b)));
        assert!(shares.is_sorted() && shares[2] > 0.95, "{metric}: {shares:?}");
        for k in [1, 40, 100] {
            let share = found(&index, queries, k, Effort::default());
            assert!(share > 0.93, "{metric}, k = {k}: {share}");
        }
    }
}

#[test]
fn islands_and_copies_are_found() {
    let dim = 16;
    let mut numbers = Numbers::new(52);
    let near = |centre: &[f32], size: f32, numbers: &mut Numbers| -> Vec<f32> {
        centre.iter().map(|c| c + size * numbers.normal()).collect()
    };
    // Islands smaller than a list and larger ones, so far apart that no row of another is a
    // neighbour; and a half of all rows copies of forty.
    for (islands, of, size) in [(1500, 10, 0.001), (100, 120, 0.01), (40, 0, 0.3)] {
        let centres = numbers.normals(islands * dim);
        let centre = |at: usize| &centres[at % islands * dim..][..dim];
        let base: Vec<f32> = match of {
            0 => (0..12_000)
                .flat_map(
                    |i| if i % 2 == 0 { centre(i / 2).to_vec() } else { numbers.normals(dim) },
                )
                .collect(),
            _ => (0..islands * of).flat_map(|i| near(centre(i), size, &mut numbers)).collect(),
        };
        let index = build(Metric::Euclidean, &base, dim);
        let queries: Vec<f32> =
            (0..300).flat_map(|i| near(centre(7 * i), size, &mut numbers)).collect();
        for recall in [0.95, 0.99] {
            let share = found(&index, &queries, 10, Effort::Recall(recall));
            assert!(share > recall - 0.02, "{islands} islands: {share} of {recall}");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let values = clustered(5000, 12, 30, &mut Numbers::new(53));
    for metric in served() {
        let bytes = |n| {
            let builder = Index::builder(metric).graph(Some(true)).trees(2).threads(Some(n));
            let index = builder.build(Vectors::new(&values, 12).unwrap()).unwrap();
            index.as_bytes().to_vec()
        };
        let one = bytes(1);
        assert!(bytes(2) == one && bytes(3) == one, "{metric}");
    }
}

#[test]
fn a_graph_is_grown_by_the_rule_and_refused_where_it_does_not_serve() {
    let values = clustered(10_000, 4, 9, &mut Numbers::new(54));
    let vectors = |n: usize| Vectors::new(&values[..4 * n], 4).unwrap();
    let grown = |metric, n| Index::builder(metric).build(vectors(n)).unwrap().has_graph();
    assert!(grown(Metric::Euclidean, 10_000) && grown(Metric::Angular, 10_000));
    assert!(!grown(Metric::Euclidean, 9_999) && !grown(Metric::Dot, 10_000));
    assert!(!grown(Metric::Manhattan, 10_000) && !grown(Metric::Hamming, 10_000));
    let without = Index::builder(Metric::Euclidean).graph(Some(false));
    assert!(!without.build(vectors(10_000)).unwrap().has_graph());
    let by_product = Index::builder(Metric::Dot).graph(Some(true)).build(vectors(100));
    let error = by_product.err().unwrap().to_string();
    assert!(error.contains("graph") && error.contains("dot"), "{error}");
    let path = std::env::temp_dir().join("graph-and-limit.nw");
    let limited = Index::builder(Metric::Euclidean).graph(Some(true)).memory_limit(Some(1 << 30));
    let error = limited.build_to(&path, vectors(100)).err().unwrap().to_string();
    assert!(error.contains("memory limit") && !path.exists(), "{error}");
    for n in [1, 2, 17, 40] {
        let index = Index::builder(Metric::Euclidean).graph(Some(true)).build(vectors(n)).unwrap();
        index.verify().unwrap();
        let mut searcher = index.searcher();
        let hits = searcher.k(10).search(&values[..4]).unwrap();
        assert_eq!((hits.len(), hits[0].distance), (n.min(10), 0.0));
    }
}

#[test]
fn filters_exclusions_and_radii_hold_beside_a_graph() {
    let dim = 8;
    let values = clustered(6000, dim, 20, &mut Numbers::new(55));
    let index = build(Metric::Angular, &values, dim);
    for share in [1, 2, 30, 1000] {
        let mask: Vec<bool> = (0..6000usize).map(|at| at.is_multiple_of(share)).collect();
        let filter = Filter::from_mask(&index, &mask);
        let mut searcher = index.searcher();
        for query in values.chunks_exact(dim).take(20) {
            let hits = searcher.filter(Some(&filter)).search(query).unwrap();
            assert_eq!(hits.len(), 10.min(6000 / share));
            assert!(hits.iter().all(|hit| (hit.position as usize).is_multiple_of(share)));
        }
    }
    let mut searcher = index.searcher();
    for (at, query) in values.chunks_exact(dim).enumerate().take(50) {
        let at = at as u32;
        let own = searcher.exclude(&[]).search(query).unwrap()[0];
        assert!(own.distance < 1e-6);
        let hits = searcher.exclude(&[at, at + 1]).search(query).unwrap();
        assert_eq!(hits.len(), 10);
        assert!(hits.iter().all(|hit| hit.position != at && hit.position != at + 1));
        // More than a walk is asked to step around.
        let many: Vec<u32> = (0..5995).collect();
        assert_eq!(searcher.exclude(&many).search(query).unwrap().len(), 5);
    }
    let (query, radius) = (&values[..dim], 0.05);
    let options = RadiusOptions { effort: Effort::Recall(0.99), ..RadiusOptions::default() };
    let within = &index.radius(query, radius, options).unwrap()[0].hits;
    let all = exact(&index, query, 6000);
    let truth = all.distances.iter().filter(|d| f64::from(**d) <= radius).count();
    assert!(within.len() as f64 > 0.9 * truth as f64 && within.len() <= truth, "{truth}");
}

#[test]
fn trees_come_and_go_beside_a_graph() {
    let values = clustered(3000, 6, 12, &mut Numbers::new(56));
    let vectors = Vectors::new(&values, 6).unwrap();
    let builder = || Index::builder(Metric::Euclidean).graph(Some(true)).leaf_size(60);
    let (one, three) =
        (builder().build(vectors).unwrap(), builder().trees(3).build(vectors).unwrap());
    let appended = one.append_trees(2, TreeOptions::default()).unwrap();
    assert!(appended.as_bytes() == three.as_bytes());
    let dropped = appended.drop_trees(&[1, 2], TreeOptions::default()).unwrap();
    assert!(dropped.as_bytes() == one.as_bytes());
    let later = builder().trees(2).first_tree(1).build(vectors).unwrap();
    for order in [[&one, &later], [&later, &one]] {
        let merged = Index::merge(&order, TreeOptions::default()).unwrap();
        assert!(merged.as_bytes() == three.as_bytes());
    }
    // Without the tree that it was grown from, the graph is another's, and a good one.
    let others = appended.drop_trees(&[0], TreeOptions::default()).unwrap();
    others.verify().unwrap();
    assert!(found(&others, &values[..600], 10, Effort::Recall(0.95)) > 0.93);
    let bare = builder().graph(Some(false)).first_tree(1).build(vectors).unwrap();
    let error = Index::merge(&[&one, &bare], TreeOptions::default()).err().unwrap().to_string();
    assert!(error.contains("graph"), "{error}");
}

#[test]
fn every_storage_stands_beside_a_graph() {
    let mut numbers = Numbers::new(57);
    let values: Vec<f32> = (0..3000 * 10).map(|_| numbers.below(200) as f32).collect();
    for storage in Storage::ALL {
        let builder = Index::builder(Metric::Euclidean).graph(Some(true)).storage(storage);
        let index = builder.build(Vectors::new(&values, 10).unwrap()).unwrap();
        index.verify().unwrap();
        assert!(found(&index, &values[..1000], 10, Effort::Recall(0.95)) > 0.93, "{storage}");
    }
}

fn section(file: &[u8], kind: Kind) -> Section {
    sections(file).into_iter().find(|section| section.kind == kind.code()).unwrap()
}

#[test]
fn damaged_lists_cost_an_answer_and_nothing_worse() {
    let values = clustered(2000, 5, 10, &mut Numbers::new(58));
    let whole = build(Metric::Euclidean, &values, 5).as_bytes().to_vec();
    let lists = section(&whole, Kind::GraphLinks).bytes;
    let mut numbers = Numbers::new(59);
    for wild in [0u32, 1999, 2000, 1 << 31, u32::MAX - 1, u32::MAX] {
        let mut file = whole.clone();
        for _ in 0..2000 {
            let at = lists.start + numbers.below(lists.len() / 4) * 4;
            file[at..at + 4].copy_from_slice(&wild.to_le_bytes());
        }
        let index = Index::from_bytes(&file).unwrap();
        assert!(index.verify().is_err());
        for query in values.chunks_exact(5).take(50) {
            let hits = index.searcher().search(query).unwrap().to_vec();
            assert!(hits.iter().all(|hit| (hit.position as usize) < 2000), "{hits:?}");
            assert_eq!(hits.len(), 10);
        }
    }
    for wild in [f32::NAN, f32::INFINITY, -1.0, 0.0, 1e30] {
        for kind in [Kind::GraphSteps, Kind::GraphSlack] {
            let mut file = whole.clone();
            let words = file[section(&whole, kind).bytes].chunks_exact_mut(4);
            words.for_each(|value| value.copy_from_slice(&wild.to_le_bytes()));
            let index = Index::from_bytes(&file).unwrap();
            assert_eq!(index.searcher().search(&values[..5]).unwrap().len(), 10, "{kind:?} {wild}");
        }
    }
}

#[test]
fn lists_of_another_length_are_refused() {
    let values = clustered(300, 5, 10, &mut Numbers::new(60));
    let whole = build(Metric::Euclidean, &values, 5).as_bytes().to_vec();
    for kind in [Kind::GraphLinks, Kind::GraphHalves, Kind::GraphSteps, Kind::MemberBias] {
        let section = section(&whole, kind);
        for wrong in [0, section.bytes.len() as u64 - 4, section.bytes.len() as u64 / 8 * 4 + 4] {
            let mut file = whole.clone();
            put(&mut file, entry_field(section.number, "length"), wrong);
            reseal(&mut file);
            let error = Index::from_bytes(&file).err().unwrap().to_string();
            let names = ["graph", "bias", "members"];
            assert!(names.iter().any(|name| error.contains(name)), "{kind:?} {wrong}: {error}");
        }
    }
}
