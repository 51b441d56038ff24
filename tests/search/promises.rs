//! A recall is kept on data unlike that of benchmarks too: small groups, near copies, copies, empty rows,
//! values near zero, queries from elsewhere. Recall is against float64.

use crate::common::Numbers;
use nearwood::error::BuildError;
use nearwood::{BatchOptions, Effort, Index, Metric, Storage, Vectors};

/// Row-major vectors.
struct Rows {
    values: Vec<f32>,
    dim: usize,
}

impl Rows {
    fn each(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim)
    }

    /// `n` rows about a centre.
    fn about(&mut self, centre: &[f32], n: usize, noise: f32, numbers: &mut Numbers) {
        for _ in 0..n {
            self.values.extend(centre.iter().map(|c| c + noise * numbers.normal()));
        }
    }

    fn index(&self, metric: Metric, graph: bool) -> Index {
        let builder = Index::builder(metric).graph(Some(graph)).seed(1);
        builder.build(Vectors::new(&self.values, self.dim).unwrap()).unwrap()
    }

    /// The distance of every row to a query, in float64.
    fn distances(&self, metric: Metric, query: &[f32]) -> Vec<f64> {
        self.each().map(|row| distance(metric, query, row)).collect()
    }
}

fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let length = |x: &[f32]| x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let pairs = |(f, g): (f64, f64)| {
        a.iter().zip(b).map(move |(&x, &y)| (f64::from(x) / f, f64::from(y) / g))
    };
    let squares = |scales| pairs(scales).map(|(x, y)| (x - y).powi(2)).sum::<f64>();
    match metric {
        Metric::Angular if length(a) == 0.0 || length(b) == 0.0 => 1.0,
        Metric::Angular => squares((length(a), length(b))) / 2.0,
        Metric::Dot => -pairs((1.0, 1.0)).map(|(x, y)| x * y).sum::<f64>(),
        _ => squares((1.0, 1.0)).sqrt(),
    }
}

/// The share of the `k` nearest that single searches find, and a batch.
fn recalls(rows: &Rows, queries: &Rows, index: &Index, k: usize, effort: Effort) -> [f64; 2] {
    let options = BatchOptions { k, effort, n_threads: Some(1), ..BatchOptions::default() };
    let batch = index.search_batch(&queries.values, options).unwrap();
    let (mut searcher, mut sums, mut n) = (index.searcher(), [0.0; 2], 0.0);
    searcher.k(k).effort(effort);
    for (at, query) in queries.each().enumerate() {
        let distances = rows.distances(index.metric(), query);
        let mut sorted = distances.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted[k - 1] + 1e-6 * sorted[k - 1].abs();
        let near = |position: u32| distances[position as usize] <= last;
        let single = searcher.search(query).unwrap();
        assert_eq!(single.len(), k);
        sums[0] += single.iter().filter(|hit| near(hit.position)).count() as f64 / k as f64;
        let hits = batch.hits(at);
        sums[1] += hits.iter().filter(|hit| near(hit.position)).count() as f64 / k as f64;
        n += 1.0;
    }
    sums.map(|sum| sum / n)
}

/// That both find at least `least` of the neighbours.
#[track_caller]
fn holds(found: [f64; 2], least: f64, what: &str) {
    assert!(found.iter().all(|&recall| recall >= least), "{what}: {found:?}, asked for {least}");
}

const NONE: Rows = Rows { values: Vec::new(), dim: 32 };

#[test]
fn few_neighbours_are_found_in_tight_groups() {
    let mut numbers = Numbers::new(2);
    for noise in [0.1, 0.03] {
        let centres = Rows { values: numbers.normals(100 * 32), dim: 32 };
        let (mut rows, mut queries) = (NONE, NONE);
        centres.each().for_each(|centre| rows.about(centre, 40, noise, &mut numbers));
        centres.each().for_each(|centre| queries.about(centre, 1, noise, &mut numbers));
        for metric in [Metric::Euclidean, Metric::Angular] {
            for graph in [false, true] {
                let index = rows.index(metric, graph);
                for (k, recall, least) in
                    [(1, 0.95, 0.9), (1, 0.99, 0.96), (3, 0.95, 0.93), (20, 0.95, 0.93)]
                {
                    let found = recalls(&rows, &queries, &index, k, Effort::Recall(recall));
                    holds(found, least, &format!("{metric}, noise {noise}, graph {graph}, k {k}"));
                }
            }
        }
    }
}

#[test]
fn many_neighbours_are_found_beyond_a_group_of_copies() {
    let mut numbers = Numbers::new(12);
    let values = Rows { values: numbers.normals(60 * 16), dim: 16 };
    let mut rows = Rows { values: Vec::new(), dim: 16 };
    values.each().for_each(|value| rows.about(value, 120, 0.0, &mut numbers));
    for metric in [Metric::Euclidean, Metric::Angular] {
        let index = rows.index(metric, false);
        for k in [30, 150, 300, 900] {
            let found = recalls(&rows, &values, &index, k, Effort::Recall(0.95));
            holds(found, 0.93, &format!("{metric}, k {k}"));
        }
    }
}

#[test]
fn near_copies_of_one_row_find_each_other() {
    let mut numbers = Numbers::new(3);
    for (copies, noise) in [(300, 0.1), (300, 0.01), (700, 0.03)] {
        let mut rows = Rows { values: numbers.normals(8000 * 32), dim: 32 };
        let centre = numbers.normals(32);
        rows.about(&centre, copies, noise, &mut numbers);
        let mut queries = NONE;
        queries.about(&centre, 40, noise, &mut numbers);
        for graph in [false, true] {
            let index = rows.index(Metric::Euclidean, graph);
            for k in [1, 10] {
                let found = recalls(&rows, &queries, &index, k, Effort::Recall(0.95));
                holds(found, 0.9, &format!("{copies} of {noise}, graph {graph}, k {k}"));
            }
            let found = recalls(&rows, &queries, &index, 10, Effort::Budget(4000));
            holds(found, 0.9, &format!("{copies} of {noise}, graph {graph}, by a budget"));
        }
    }
}

#[test]
fn copies_and_empty_rows_take_nothing_from_the_recall_of_others() {
    let mut numbers = Numbers::new(4);
    for (others, copied) in [(4000, false), (4000, true), (16_000, false)] {
        let mut rows = NONE;
        let centres = Rows { values: numbers.normals(40 * 32), dim: 32 };
        centres.each().for_each(|centre| rows.about(centre, 100, 0.7, &mut numbers));
        let first = rows.values[..20 * 32].to_vec();
        for _ in 0..others {
            let row = if copied { &first[numbers.below(20) * 32..][..32] } else { &[0.0; 32] };
            rows.values.extend_from_slice(row);
        }
        let mut queries = NONE;
        centres.each().for_each(|centre| queries.about(centre, 2, 0.7, &mut numbers));
        for metric in [Metric::Euclidean, Metric::Angular] {
            let index = rows.index(metric, true);
            let found = recalls(&rows, &queries, &index, 10, Effort::Recall(0.95));
            holds(found, 0.9, &format!("{metric}, {others} others, copied {copied}"));
        }
        // Users, for which products are calibrated, are made from items.
        let index = rows.index(Metric::Dot, false);
        let found = recalls(&rows, &queries, &index, 10, Effort::Recall(0.95));
        holds(found, 0.85, &format!("dot, {others} others, copied {copied}"));
    }
}

#[test]
fn a_budget_finds_as_many_as_are_asked_for_among_copies() {
    for (metric, n, dim) in
        [(Metric::Euclidean, 6000, 8), (Metric::Angular, 6000, 8), (Metric::Hamming, 300, 64)]
    {
        let rows = Rows { values: vec![1.0; n * dim], dim };
        let index = rows.index(metric, true);
        for k in [1, 46, 50, 99, 200] {
            for budget in [1, 100, 1000] {
                let options =
                    BatchOptions { k, effort: Effort::Budget(budget), ..BatchOptions::default() };
                let answers = index.search_batch(&rows.values[..3 * dim], options).unwrap();
                assert!((0..3).all(|at| answers.hits(at).len() == k), "{metric}, {k} of {budget}");
                let mut searcher = index.searcher();
                let hits = searcher.k(k).budget(budget).search(&rows.values[..dim]).unwrap();
                let mut positions: Vec<u32> = hits.iter().map(|hit| hit.position).collect();
                positions.sort_unstable();
                positions.dedup();
                assert_eq!(positions.len(), k, "{metric}, {k} of {budget}");
            }
        }
    }
}

#[test]
fn a_budget_grows_until_every_row_is_compared() {
    let mut numbers = Numbers::new(5);
    let centres = Rows { values: numbers.normals(80 * 16), dim: 16 };
    let mut rows = Rows { values: Vec::new(), dim: 16 };
    centres.each().for_each(|centre| rows.about(centre, 50, 0.05, &mut numbers));
    // Half way between two groups, and beyond all.
    let mut queries = Rows { values: Vec::new(), dim: 16 };
    for at in 0..20 {
        let (a, b) = (&rows.values[at * 800..][..16], &rows.values[(at + 30) * 800..][..16]);
        queries.values.extend(a.iter().zip(b).map(|(x, y)| (x + y) / 2.0));
        queries.values.extend(a.iter().map(|x| -2.0 * x));
    }
    for metric in [Metric::Euclidean, Metric::Angular] {
        for graph in [false, true] {
            let index = rows.index(metric, graph);
            let at = |budget| recalls(&rows, &queries, &index, 10, Effort::Budget(budget));
            let [few, many] = [at(200), at(3000)];
            assert!(few[0] + 0.1 < many[0] && many[0] > 0.9, "{metric}, {graph}: {few:?} {many:?}");
            assert_eq!([at(4000), at(1_000_000)], [[1.0; 2]; 2], "{metric}, {graph}");
            let mut searcher = index.searcher();
            searcher.budget(4000).search(&queries.values[..16]).unwrap();
            assert!(searcher.was_exact());
        }
    }
}

#[test]
fn near_duplicates_keep_their_order_by_angle() {
    let mut numbers = Numbers::new(6);
    let centre = numbers.normals(32);
    for noise in [1e-2f32, 1e-3, 1e-4] {
        let (mut rows, mut queries) = (NONE, NONE);
        rows.about(&centre, 1500, noise, &mut numbers);
        queries.about(&centre, 30, noise, &mut numbers);
        let index = rows.index(Metric::Angular, false);
        let found = recalls(&rows, &queries, &index, 10, Effort::Exact);
        holds(found, 0.995, &format!("exact, noise {noise}"));
        let found = recalls(&rows, &queries, &index, 10, Effort::Recall(0.95));
        holds(found, 0.9, &format!("noise {noise}"));
        let mut searcher = index.searcher();
        for (at, row) in rows.each().enumerate().take(100) {
            let own = |hits: &[nearwood::Hit]| {
                hits.iter().any(|hit| hit.position == at as u32 && hit.distance == 0.0)
            };
            assert!(own(searcher.k(1).effort(Effort::Exact).search(row).unwrap()), "{noise}, {at}");
            assert!(own(searcher.effort(Effort::default()).radius(row, 0.0).unwrap()));
            let longer: Vec<f32> = row.iter().map(|x| 3.7 * x).collect();
            let nearest = searcher.k(1).effort(Effort::Exact).search(&longer).unwrap()[0];
            assert!(nearest.position == at as u32 && nearest.distance < 1e-13, "{nearest:?}");
        }
    }
}

#[test]
fn vectors_too_small_for_float32_are_refused() {
    let mut numbers = Numbers::new(7);
    let values = numbers.normals(400 * 8);
    let scaled = |by: f32| -> Vec<f32> { values.iter().map(|x| x * by).collect() };
    let build = |values: &[f32], metric, storage| {
        Index::builder(metric).storage(storage).build(Vectors::new(values, 8).unwrap())
    };
    for metric in [Metric::Euclidean, Metric::Dot, Metric::Angular, Metric::Manhattan] {
        let (fine, small) = match metric {
            Metric::Euclidean | Metric::Dot => (1e-17, 1e-20),
            _ => (1e-28, 1e-33),
        };
        let rows = Rows { values: scaled(fine), dim: 8 };
        let index = build(&rows.values, metric, Storage::Float32).unwrap();
        if metric != Metric::Manhattan {
            let queries = Rows { values: rows.values[..80].to_vec(), dim: 8 };
            holds(recalls(&rows, &queries, &index, 5, Effort::Exact), 1.0, metric.name());
        }
        let error = build(&scaled(small), metric, Storage::Float32).err().unwrap();
        assert!(matches!(error, BuildError::TooSmall { .. }), "{metric}: {error}");
        assert!(error.to_string().contains("multiply"), "{error}");
        assert!(build(&[0.0; 80], metric, Storage::Float32).is_ok(), "zeros are no small values");
    }
    let error = build(&scaled(1e-7), Metric::Angular, Storage::Float16).err().unwrap();
    assert!(error.to_string().contains("float16"), "{error}");
    let index = build(&values, Metric::Dot, Storage::Float32).unwrap();
    assert!(index.searcher().search(&[0.0; 8]).is_ok());
}

#[test]
fn the_smallest_queries_by_product_find_what_larger_ones_do() {
    let mut numbers = Numbers::new(17);
    let rows = Rows { values: numbers.normals(6000 * 8), dim: 8 };
    let queries = Rows { values: numbers.normals(40 * 8), dim: 8 };
    let index = rows.index(Metric::Dot, false);
    for scale in [1e-12f32, 1e-20, 1e-23, 1e-28, 1e-33] {
        let values = queries.values.iter().map(|x| x * scale).collect();
        let small = Rows { values, dim: 8 };
        let found = recalls(&rows, &small, &index, 10, Effort::Recall(0.95));
        holds(found, 0.85, &format!("times {scale:e}"));
    }
}

#[test]
fn a_query_from_elsewhere_is_known_by_its_distance() {
    let mut numbers = Numbers::new(8);
    let rows = Rows { values: numbers.normals(3000 * 16), dim: 16 };
    for metric in [Metric::Euclidean, Metric::Angular] {
        let mut rows = Rows { values: rows.values.clone(), dim: 16 };
        // A cone, so that there is an elsewhere by angle too.
        rows.values.chunks_exact_mut(16).for_each(|row| row[0] = 20.0);
        let index = rows.index(metric, false);
        let far = |queries: &[f32]| -> f64 {
            let n = queries.len() / 16;
            let is_far = |query: &[f32]| {
                let mut searcher = index.searcher();
                let hits = searcher.k(10).search(query).unwrap();
                index.is_far(query, 10, hits[9].distance).unwrap()
            };
            queries.chunks_exact(16).filter(|query| is_far(query)).count() as f64 / n as f64
        };
        let mut own = numbers.normals(300 * 16);
        own.chunks_exact_mut(16).for_each(|row| row[0] = 20.0);
        assert!(far(&own) < 0.05, "{metric}: {}", far(&own));
        let elsewhere: Vec<f32> = own.iter().map(|x| -x).collect();
        assert_eq!(far(&elsewhere), 1.0, "{metric}");
        let saved = Index::from_bytes(index.as_bytes()).unwrap();
        assert_eq!(saved.is_far(&elsewhere[..16], 10, 99.0), Some(true));
        assert_eq!(saved.is_far(&elsewhere[..16], 101, 99.0), None);
    }
}
