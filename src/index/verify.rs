//! Everything that opening does not look at.

use super::names::view;
use super::space::first_unusable;
use super::stored::verify_vectors;
use super::{Index, calibration, far, fits, reach};
use crate::error::OpenError;
use crate::forest::Tree;
use crate::format::{Key, Kind};
use crate::graph::{Graph, NONE};
use crate::progress;

/// Checks all checksums, then every section of the file that this space reads: that numbers are such
/// as a build writes, that what names something names what is there, each once, and that codes,
/// centres and constants are those of the vectors.
pub(crate) fn verify(index: &Index) -> Result<(), OpenError> {
    let directory = index.directory();
    directory.verify(index.file())?;
    let own = [0, index.space().number];
    let sections = directory.sections().iter().filter(|entry| own.contains(&entry.key.space));
    sections.map(|entry| entry.key).try_for_each(|key| section(index, key))
}

/// Checks what a section holds. Without a catch-all, so that a new kind is decided about here.
fn section(index: &Index, key: Key) -> Result<(), OpenError> {
    use Kind::*;
    let (file, space, n) = (index.file(), index.space(), index.len());
    let rows = space.rows(file);
    // Codes, trees and graph are this space's own; vectors and names are everybody's.
    let is_own = key.space == space.number;
    match key.kind {
        Metadata => metadata(file, index),
        Vectors | BitVectors | HalfVectors | ByteVectors => verify_vectors(rows.values, rows.dim),
        // With the byte vectors.
        ByteScales | ByteOffset => Ok(()),
        Positions => permutation(index),
        // With the positions.
        Rows => Ok(()),
        InverseNorms if is_own => fits::inverse_norms(rows),
        Mean if is_own => usable("mean", space.mean(file)),
        CodeScale if is_own => steps("code scale", &[space.code_scale(file)]),
        Members if is_own => match space.trees(file).get(usize::from(key.tree)) {
            Some(tree) => verify_tree(index, tree, key.tree),
            None => Ok(()),
        },
        // With the members.
        GroupOffsets | GroupTiles | GroupBias | GroupScale | LeafOffsets | LeafTiles | LeafBias
        | LeafScale | MemberTiles | MemberBias | MemberScale | ProductTiles => Ok(()),
        ProductBooks if is_own => usable("product books", values(index, key)),
        Calibration if is_own => calibration::verify(values(index, key)),
        Distances if is_own => far::verify(values(index, key)),
        GraphReach | GraphSlack if is_own => reach::verify(key.kind, values(index, key)),
        GraphScale if is_own => steps("graph scale", values(index, key)),
        GraphSteps if is_own => graph_steps(values(index, key)),
        GraphLists | GraphLinks if is_own => verify_graph(index),
        // With the lists.
        GraphCodes | GraphHalves => Ok(()),
        IntIds | TextIdOffsets if key.space == 0 => index.ids.verify(file, n, "the ids"),
        LabelOffsets => {
            index.labels.as_ref().map_or(Ok(()), |labels| labels.verify(file, n, "the labels"))
        }
        // With the offsets, or the integers.
        TextIdBytes | IdTable | LabelBytes | LabelTable => Ok(()),
        // Another space's, which is another index.
        InverseNorms | Mean | CodeScale | Members | ProductBooks | Calibration | Distances
        | GraphReach | GraphSlack | GraphScale | GraphSteps | GraphLists | GraphLinks | IntIds
        | TextIdOffsets => Ok(()),
        // A recommender's, which checks them; a model's are checked when it is opened.
        UserFactors | SeenOffsets | SeenItems | ItemWeights | HalfUserFactors | SeenWeights => {
            Ok(())
        }
    }
}

/// The values of a section of numbers that is there.
fn values(index: &Index, key: Key) -> &[f32] {
    index.directory().range(key).map_or(&[], |range| view(index.file(), &range))
}

fn metadata(file: &[u8], index: &Index) -> Result<(), OpenError> {
    let range = index.directory().range(Key::new(Kind::Metadata, 0)).unwrap_or(0..0);
    // Copied, then checked: another process may change what is mapped.
    let copy = file[range].to_vec();
    let parsed: Option<serde_json::Value> = serde_json::from_slice(&copy).ok();
    match parsed.is_some_and(|value| value.is_object()) {
        true => Ok(()),
        false => Err(wrong("the metadata", "something else".into(), "a JSON object")),
    }
}

/// That values are finite and as small as a build takes them.
pub(crate) fn usable(what: &str, values: &[f32]) -> Result<(), OpenError> {
    match first_unusable(values) {
        Some(at) => Err(wrong(what, format!("{} at {at}", values[at]), "numbers below 1e16")),
        None => Ok(()),
    }
}

/// That units of codes are numbers that a build may find.
fn steps(what: &str, values: &[f32]) -> Result<(), OpenError> {
    usable(what, values)?;
    match values.iter().find(|&&x| x < 0.0) {
        Some(x) => Err(wrong(what, x.to_string(), "0 or more")),
        None => Ok(()),
    }
}

fn graph_steps(values: &[f32]) -> Result<(), OpenError> {
    usable("graph steps", values)?;
    steps("graph steps", values.split_last().map_or(&[], |(step, _)| std::slice::from_ref(step)))
}

fn verify_tree(index: &Index, tree: &Tree<'_>, number: u16) -> Result<(), OpenError> {
    let (file, space, what) = (index.file(), index.space(), format!("tree {number}"));
    walk(tree, index.len(), &what)?;
    if (space.number, number) == (0, 0) {
        in_order(tree, &what)?;
    }
    fits::tree(space, file, tree, &what)
}

/// That rows stand in the order of the first tree's leaves: counts of a filter's rows go by it.
fn in_order(tree: &Tree<'_>, what: &str) -> Result<(), OpenError> {
    let filled = tree.members.iter().filter(|row| **row != u32::MAX);
    match filled.zip(0u32..).find(|(row, at)| *row != at) {
        Some((row, at)) => Err(wrong(what, format!("row {row} as member {at}"), "rows in order")),
        None => Ok(()),
    }
}

fn verify_graph(index: &Index) -> Result<(), OpenError> {
    let (file, space) = (index.file(), index.space());
    let Some(linked) = space.graph(file) else { return Ok(()) };
    lists(linked.graph, index.len())?;
    fits::graph(space, file, linked.graph, linked.coded)
}

fn permutation(index: &Index) -> Result<(), OpenError> {
    let (positions, row_of) = (index.positions(), index.row_of());
    for (row, &position) in progress::checked(positions.iter(), 1 << 16).enumerate() {
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
    let all = progress::checked(graph.lists.chunks_exact(graph.degree), 1 << 12);
    for (row, list) in all.enumerate() {
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

fn walk(tree: &Tree<'_>, n_rows: usize, what: &str) -> Result<(), OpenError> {
    walk_groups(tree, what)?;
    let mut seen = vec![false; n_rows];
    for leaf in 0..tree.leaves.bias.len() as u32 {
        let (members, codes) = tree.leaf(leaf).ok_or_else(|| gap(what, "leaf", leaf))?;
        for (&row, bias) in members.iter().zip(codes.bias).filter(|(row, _)| **row != u32::MAX) {
            let is_new = seen.get_mut(row as usize).is_some_and(|s| !std::mem::replace(s, true));
            if !is_new {
                return Err(wrong(what, format!("row {row} twice or unknown"), "each row once"));
            }
            // What is infinitely far only fills a tile: no search comes there.
            if !bias.is_finite() || !tree.leaves.bias[leaf as usize].is_finite() {
                return Err(wrong(what, format!("row {row} out of reach"), "each row in reach"));
            }
        }
    }
    match seen.iter().position(|seen| !seen) {
        Some(row) => Err(wrong(what, format!("no leaf with row {row}"), "each row once")),
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

pub(super) fn gap(what: &str, part: &str, number: u32) -> OpenError {
    wrong(what, format!("{part} {number} out of place"), "ascending offsets, all in reach")
}

pub(super) fn wrong(what: &str, got: String, expected: &str) -> OpenError {
    OpenError::Invalid { what: what.to_string(), got, expected: expected.to_string() }
}
