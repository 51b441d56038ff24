//! What a file is, in words and numbers.

use serde_json::Value;

use super::chart::Chart;
use super::histogram::{histogram, rounded};
use super::page::Subject;
use super::text::{bytes, compact, escape, thousands};
use crate::index::{Index, TreeShape};

/// Rows whose norms are told, evenly spaced: enough for every bar that can be seen.
const NORMS: usize = 100_000;

/// Names and values, most telling first.
pub(super) fn facts(subject: Subject<'_>) -> String {
    let index = subject.items();
    let count = |n: usize| thousands(n as u64);
    let mut facts = Vec::new();
    let rows = match subject {
        Subject::Index(_) => "vectors",
        Subject::Recommender(recommender) => {
            facts.push(("users", count(recommender.n_users())));
            "items"
        }
    };
    facts.insert(0, (rows, count(index.len())));
    facts.extend([
        ("dimension", count(index.dim())),
        ("metric", index.metric().to_string()),
        ("stored as", index.storage().to_string()),
        ("trees", count(index.n_trees())),
        ("leaves", count(index.n_leaves())),
        ("graph", if index.has_graph() { "yes" } else { "no" }.to_string()),
        ("bytes", bytes(index.as_bytes().len() as u64)),
    ]);
    if let Subject::Recommender(recommender) = subject {
        let params = recommender.params();
        facts.extend([
            ("weighting", recommender.weighting().to_string()),
            ("regularization", params.regularization.to_string()),
            ("alpha", params.alpha.to_string()),
            ("unobserved weight", params.unobserved_weight.to_string()),
        ]);
    }
    let item = |(name, value): &(&str, String)| {
        format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value))
    };
    facts.iter().map(item).collect()
}

/// All that the file says of how it was made, but for the losses, which are drawn.
pub(super) fn metadata(index: &Index) -> String {
    let mut metadata = index.metadata();
    strip_losses(&mut metadata);
    escape(&format!("{metadata:#}"))
}

fn strip_losses(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|key, _| key != "loss_history");
        fields.values_mut().for_each(strip_losses);
    }
}

/// The sizes of all leaves.
pub(super) fn leaves(shapes: &[TreeShape]) -> Chart {
    let sizes = shapes.iter().flat_map(|shape| &shape.leaves).map(|&n| n as f64).collect();
    histogram("How many members leaves have", "members of a leaf", "leaves", sizes)
}

/// A row a tree: groups, leaves, and the least, median and most members.
pub(super) fn shapes(shapes: &[TreeShape]) -> Vec<Vec<String>> {
    let row = |(tree, shape): (usize, &TreeShape)| {
        let mut sizes = shape.leaves.clone();
        sizes.sort_unstable();
        let middle = sizes.get(sizes.len() / 2).copied().unwrap_or(0);
        let [least, most] = [sizes.first(), sizes.last()].map(|n| n.copied().unwrap_or(0));
        let numbers = [tree, shape.n_groups, sizes.len(), least, middle, most];
        numbers.map(|n| thousands(n as u64)).to_vec()
    };
    shapes.iter().enumerate().map(row).collect()
}

/// How long vectors are, and what the spread is said to mean.
pub(super) fn norms(index: &Index) -> (Chart, String) {
    let every = index.len().div_ceil(NORMS).max(1);
    let norm = |position: usize| {
        let row = index.vector(position as u32)?;
        Some(row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt())
    };
    let norms: Vec<f64> = (0..index.len()).step_by(every).filter_map(norm).collect();
    let mut sorted = norms.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (sorted.len() as f64 * share) as usize;
        compact(rounded(
            sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0),
        ))
    };
    let caption = format!(
        "Of {} vectors: median {}, one in a hundred above {}, the longest {}.",
        thousands(norms.len() as u64),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    (histogram("How long vectors are", "norm of a vector", "vectors", norms), caption)
}
