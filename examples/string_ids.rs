//! Names: string ids, labels for people, and what is said when a name is not clear.
//!
//! `cargo run --release --example string_ids`

use nearwood::error::QueryError;
use nearwood::{BatchOptions, Effort, Error, Id, Ids, Index, Metric, Vectors};

/// Builds an index of named rows and asks by name.
pub fn main() -> Result<(), Error> {
    let values = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 5.0, 5.0, 5.0, 6.0];
    let ids = ["isrc-1", "isrc-2", "isrc-3", "isrc-4", "isrc-5"].map(String::from).to_vec();
    let labels = ["Dawn", "Noon", "Intro", "Dusk", "Intro"].map(String::from).to_vec();
    let index = Index::builder(Metric::Euclidean)
        .ids(Ids::Text(ids))
        .labels(labels)
        .build(Vectors::new(&values, 2)?)?;

    // By id, or by label where one row alone bears it.
    assert_eq!(index.find("isrc-4")?, 3);
    let noon = index.find("Noon")?;

    let options = BatchOptions { k: 2, effort: Effort::Exact, ..BatchOptions::default() };
    let near = index.search_positions(&[noon], options, false)?;
    for (&position, distance) in near.positions.iter().zip(&near.distances) {
        let label = index.label(position).unwrap_or_default();
        println!("near Noon: {} ({label}) at {distance}", index.id(position));
    }

    // Two rows are called "Intro": the error lists their ids.
    match index.find("Intro") {
        Err(QueryError::AmbiguousLabel { ids, .. }) => println!("Intro may be any of {ids:?}"),
        other => println!("unexpected: {other:?}"),
    }
    if let Err(error) = index.find("Midnight") {
        println!("{error}");
    }
    assert_eq!(index.position(&Id::from("isrc-5")), Some(4));
    Ok(())
}
