//! Everything that opening does not look at.

use super::Index;
use super::graph::Coded;
use super::stored::verify_vectors;
use crate::error::OpenError;
use crate::forest::Tree;
use crate::graph::{Graph, NONE};

/// Checks all checksums, then that numbers are finite, that rows and positions are each other's
/// inverse, that every tree holds every row once, that offsets ascend, and that every id and label
/// is found where it stands.
pub(crate) fn verify(index: &Index) -> Result<(), OpenError> {
    let (file, n) = (index.file(), index.len());
    index.directory().verify(file)?;
    let rows = index.space().rows(file);
    verify_vectors(rows.values, rows.dim)?;
    finite("code scale", &[index.space().code_scale(file)])?;
    finite("inverse norms", rows.inverse_norms)?;
    finite("mean", index.space().mean(file))?;
    permutation(index)?;
    for (number, tree) in index.space().trees(file).iter().enumerate() {
        walk(tree, n, number)?;
    }
    if let Some(linked) = index.space().graph(file) {
        match linked.coded {
            Coded::Whole(scale) => finite("graph scale", &[scale])?,
            Coded::Halves(steps, _) => finite("graph steps", steps.0)?,
        }
        lists(linked.graph, n)?;
    }
    index.ids.verify(file, n, "the ids")?;
    index.labels.as_ref().map_or(Ok(()), |labels| labels.verify(file, n, "the labels"))
}

pub(crate) fn finite(what: &str, values: &[f32]) -> Result<(), OpenError> {
    match values.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(wrong(what, format!("{} at {at}", values[at]), "finite numbers")),
        None => Ok(()),
    }
}

fn permutation(index: &Index) -> Result<(), OpenError> {
    let (positions, row_of) = (index.positions(), index.row_of());
    for (row, &position) in positions.iter().enumerate() {
        if row_of.get(position as usize) != Some(&(row as u32)) {
            return Err(wrong(
                "the order of rows",
                format!("row {row} at position {position}, which names another row"),
                "rows and positions that are each other's inverse",
            ));
        }
    }
    Ok(())
}

/// That every list names rows that exist, each once and not its own, before the places left empty.
fn lists(graph: Graph<'_>, n_rows: usize) -> Result<(), OpenError> {
    let mut sorted = Vec::with_capacity(graph.degree);
    for (row, list) in graph.lists.chunks_exact(graph.degree).enumerate() {
        let filled = list.iter().position(|&id| id == NONE).unwrap_or(graph.degree);
        sorted.clear();
        sorted.extend_from_slice(&list[..filled]);
        sorted.sort_unstable();
        let is_whole = list[filled..].iter().all(|&id| id == NONE)
            && sorted.iter().all(|&id| (id as usize) < n_rows && id as usize != row)
            && sorted.windows(2).all(|pair| pair[0] < pair[1]);
        if !is_whole {
            return Err(wrong(
                "the graph",
                format!("row {row} with a list of {sorted:?}"),
                "other rows, each once",
            ));
        }
    }
    Ok(())
}

fn walk(tree: &Tree<'_>, n_rows: usize, number: usize) -> Result<(), OpenError> {
    let what = format!("tree {number}");
    walk_groups(tree, &what)?;
    let mut seen = vec![false; n_rows];
    for leaf in 0..tree.leaves.bias.len() as u32 {
        let (members, codes) = tree.leaf(leaf).ok_or_else(|| gap(&what, "leaf", leaf))?;
        for (&row, bias) in members.iter().zip(codes.bias).filter(|(row, _)| **row != u32::MAX) {
            let is_new = seen.get_mut(row as usize).is_some_and(|s| !std::mem::replace(s, true));
            if !is_new {
                return Err(wrong(&what, format!("row {row} twice or unknown"), "each row once"));
            }
            // What is infinitely far only fills a tile: no search comes there.
            if !bias.is_finite() || !tree.leaves.bias[leaf as usize].is_finite() {
                return Err(wrong(&what, format!("row {row} out of reach"), "each row in reach"));
            }
        }
    }
    match seen.iter().position(|seen| !seen) {
        Some(row) => Err(wrong(&what, format!("no leaf with row {row}"), "each row once")),
        None => Ok(()),
    }
}

fn walk_groups(tree: &Tree<'_>, what: &str) -> Result<(), OpenError> {
    let mut next = 0;
    for (group, bias) in tree.groups.bias.iter().enumerate() {
        let group = group as u32;
        let (first, centres) = tree.group(group).ok_or_else(|| gap(what, "group", group))?;
        let is_reached = centres.bias.is_empty() || bias.is_finite();
        if first != next || !is_reached {
            return Err(gap(what, "group", group));
        }
        next += centres.bias.len();
    }
    match tree.leaves.bias.len() {
        leaves if leaves == next => Ok(()),
        leaves => Err(wrong(what, format!("{next} leaves in groups"), &leaves.to_string())),
    }
}

fn gap(what: &str, part: &str, number: u32) -> OpenError {
    wrong(what, format!("{part} {number} out of place"), "ascending offsets, all in reach")
}

pub(super) fn wrong(what: &str, got: String, expected: &str) -> OpenError {
    OpenError::Invalid { what: what.to_string(), got, expected: expected.to_string() }
}
