//! Everything that opening does not look at.

use super::Index;
use crate::error::OpenError;
use crate::forest::Tree;

/// Checks all checksums, then that numbers are finite, that rows and positions are each other's
/// inverse, that every tree holds every row once, that offsets ascend, and that every id and label
/// is found where it stands.
pub(crate) fn verify(index: &Index) -> Result<(), OpenError> {
    let (file, n) = (index.file(), index.len());
    index.directory().verify(file)?;
    let rows = index.space().rows(file);
    finite("vectors", rows.values)?;
    finite("inverse norms", rows.inverse_norms)?;
    finite("mean", index.space().mean(file))?;
    permutation(index)?;
    for (number, tree) in index.space().trees(file).iter().enumerate() {
        walk(tree, n, number)?;
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

fn walk(tree: &Tree<'_>, n_rows: usize, number: usize) -> Result<(), OpenError> {
    let what = format!("tree {number}");
    let mut seen = vec![false; n_rows];
    let (groups, leaves) = (tree.groups.bias.len() as u32, tree.leaves.bias.len() as u32);
    let gap = |at: &str| wrong(&what, format!("{at} out of place"), "ascending offsets");
    let mut next_leaf = 0;
    for group in 0..groups {
        let (first, centres) = tree.group(group).ok_or_else(|| gap(&format!("group {group}")))?;
        if first != next_leaf {
            return Err(gap(&format!("group {group}")));
        }
        next_leaf += centres.bias.len();
    }
    if next_leaf != leaves as usize {
        return Err(wrong(&what, format!("{next_leaf} leaves in groups"), &leaves.to_string()));
    }
    for leaf in 0..leaves {
        let (members, _) = tree.leaf(leaf).ok_or_else(|| gap(&format!("leaf {leaf}")))?;
        for &row in members.iter().filter(|&&row| row != u32::MAX) {
            match seen.get_mut(row as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => {
                    return Err(wrong(
                        &what,
                        format!("row {row} twice or unknown"),
                        "each row once",
                    ));
                }
            }
        }
    }
    match seen.iter().position(|seen| !seen) {
        Some(row) => Err(wrong(&what, format!("no leaf with row {row}"), "each row once")),
        None => Ok(()),
    }
}

fn wrong(what: &str, got: String, expected: &str) -> OpenError {
    OpenError::Invalid { what: what.to_string(), got, expected: expected.to_string() }
}
