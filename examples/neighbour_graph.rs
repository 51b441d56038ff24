//! What a neighbour graph changes: an index with one and an index without, side by side.
//!
//! `cargo run --release --example neighbour_graph`

use nearwood::{Effort, Error, Filter, Index, Metric, Vectors};

const DIM: usize = 24;
const ROWS: usize = 12_000;

/// Vectors about sixty centres, without a dependency.
fn vectors() -> Vec<f32> {
    let noise = |i: usize| ((i as f64 * 12.9898).sin() * 43_758.547).fract() as f32;
    (0..ROWS * DIM).map(|i| noise(i / DIM % 60 * DIM + i % DIM) + 0.3 * noise(i + 7)).collect()
}

/// Builds both, asks both.
pub fn main() -> Result<(), Error> {
    let values = vectors();
    let build = |graph| {
        Index::builder(Metric::Euclidean).graph(Some(graph)).build(Vectors::new(&values, DIM)?)
    };
    // Unless told, there is a graph from 10,000 rows on by euclidean and angular.
    let (with, without) = (build(true)?, build(false)?);
    assert!(with.has_graph() && !without.has_graph());
    for index in [&with, &without] {
        println!("{} bytes, graph: {}", index.as_bytes().len(), index.has_graph());
    }

    // A recall is kept either way, each by its own calibration: what it costs was measured.
    println!("(rows compared, recall) over the graph: {:.3?}", with.walk_curve());
    println!("(rows compared, recall) over the trees: {:.3?}", with.calibration().curve());
    let mut found = 0;
    for query in values.chunks_exact(DIM).step_by(600) {
        let truth = with.searcher().k(5).effort(Effort::Exact).search(query)?.to_vec();
        let mut searcher = with.searcher();
        let hits = searcher.k(5).recall(0.99).search(query)?;
        found += truth.iter().filter(|near| hits.contains(near)).count();
    }
    println!("{found} of 100 neighbours found");
    assert!(found >= 90);

    // Under a filter the leaves of the trees are searched, and exactly k come back.
    let few = Filter::from_positions(&with, (0..ROWS as u32).step_by(7));
    let mut searcher = with.searcher();
    let hits = searcher.k(5).filter(Some(&few)).search(&values[..DIM])?;
    assert!(hits.len() == 5 && hits.iter().all(|hit| hit.position % 7 == 0));
    Ok(())
}
