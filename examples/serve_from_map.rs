//! A service in small: threads that answer from one mapped file while a new one is put in place.
//!
//! `cargo run --release --example serve_from_map`

use std::path::Path;
use std::sync::{Arc, RwLock};

use nearwood::{Error, Index, Metric, Vectors};

const DIM: usize = 16;

fn save(path: &Path, rows: usize) -> Result<(), Error> {
    let noise = |i: usize| ((i as f64 * 78.233).sin() * 43_758.547).fract() as f32;
    let values: Vec<f32> = (0..rows * DIM).map(noise).collect();
    let index = Index::builder(Metric::Euclidean).build(Vectors::new(&values, DIM)?)?;
    Ok(index.save(path)?)
}

/// One worker: a searcher of its own over the shared map, taken anew when the index is.
fn work(live: &RwLock<Arc<Index>>, worker: usize) -> Result<usize, Error> {
    let mut answered = 0;
    for round in 0..50 {
        let Ok(index) = live.read().map(|index| index.clone()) else { break };
        let mut searcher = index.searcher();
        for question in 0..20 {
            let row = (worker * 1000 + round * 20 + question) % index.len();
            let Some(query) = index.vector(row as u32) else { continue };
            answered += usize::from(searcher.k(10).recall(0.9).search(&query)?.len() == 10);
        }
    }
    Ok(answered)
}

/// Serves from four threads and replaces the file meanwhile.
pub fn main() -> Result<(), Error> {
    let path = std::env::temp_dir().join(format!("serve_from_map-{}.nw", std::process::id()));
    save(&path, 5000)?;
    let live = RwLock::new(Arc::new(Index::open(&path)?));
    let answered: Result<usize, Error> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                scope.spawn({
                    let live = &live;
                    move || work(live, worker)
                })
            })
            .collect();
        // A nightly job writes a new file over the old one. Whoever has the old one mapped keeps
        // it; the map is let go when the last of them is done.
        save(&path, 6000)?;
        let fresh = Arc::new(Index::open(&path)?);
        if let Ok(mut live) = live.write() {
            *live = fresh;
        }
        workers.into_iter().map(|worker| worker.join().unwrap_or(Ok(0))).sum()
    });
    let answered = answered?;
    println!("4 threads answered {answered} questions from {}", path.display());
    assert_eq!(answered, 4 * 50 * 20);
    let _ = std::fs::remove_file(path);
    Ok(())
}
