//! Vectors in, neighbours out: build an index, save it, open it, ask.
//!
//! `cargo run --release --example build_and_search`

use nearwood::{Effort, Error, Filter, Index, Metric, Vectors};

const DIM: usize = 32;
const ROWS: usize = 20_000;

/// Vectors about forty centres, without a dependency.
fn vectors() -> Vec<f32> {
    let noise = |i: usize| ((i as f64 * 12.9898).sin() * 43_758.547).fract() as f32;
    (0..ROWS * DIM).map(|i| noise(i / DIM % 40 * DIM + i % DIM) + 0.3 * noise(i + 7)).collect()
}

/// Builds, saves, opens and searches.
pub fn main() -> Result<(), Error> {
    let values = vectors();
    let index = Index::builder(Metric::Angular).seed(1).build(Vectors::new(&values, DIM)?)?;

    let path = std::env::temp_dir().join(format!("build_and_search-{}.nw", std::process::id()));
    index.save(&path)?;
    let index = Index::open(&path)?;
    println!("{} vectors of {} in {} bytes", index.len(), index.dim(), index.as_bytes().len());

    // A searcher keeps its memory from one question to the next.
    let query = &values[..DIM];
    let mut searcher = index.searcher();
    for effort in [Effort::Recall(0.9), Effort::Budget(500), Effort::Exact] {
        let hits = searcher.k(5).effort(effort).search(query)?;
        println!("{effort:?}: {:?}", hits.iter().map(|hit| hit.position).collect::<Vec<_>>());
        assert_eq!(hits.len(), 5);
    }

    // Only rows that pass a filter.
    let even = Filter::from_positions(&index, (0..ROWS as u32).step_by(2));
    let hits = searcher.filter(Some(&even)).recall(0.95).search(query)?;
    assert!(hits.iter().all(|hit| hit.position % 2 == 0));
    println!("even rows: {hits:?}");

    // What a recall costs here was measured when the index was built.
    println!("(budget, recall) as measured: {:.3?}", index.walk_curve());
    let _ = std::fs::remove_file(path);
    Ok(())
}
