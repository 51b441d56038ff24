//! Links between rows that codes cannot tell apart.

use rayon::prelude::*;

use super::NONE;
use crate::kernel::scattered::{self, ByteRows, Measure};

/// Links every row to the rows before and after it that are no further than `limit`.
///
/// Near copies of one row are at about the same distance from each other by code, so their lists of
/// nearest rows name the same few of them, and thinning leaves hardly any link among them. A walk that
/// meets some of such a group would not meet the others, nor learn that there are any. Rows of a leaf
/// follow each other, and so do those of a group: with these links a walk can go from each to all.
///
/// `lists` has `degree` places a row; a full list loses its last row.
///
/// # Panics
/// If there are more lists than rows.
pub fn chain(rows: ByteRows<'_>, measure: Measure, limit: f32, lists: &mut [u32], degree: usize) {
    let n = rows.len() as u32;
    lists.par_chunks_exact_mut(degree).enumerate().for_each(|(row, list)| {
        let row = row as u32;
        for other in [row.checked_sub(1), row.checked_add(1).filter(|&next| next < n)] {
            let Some(other) = other else { continue };
            let mut distance = [0f32];
            scattered::distances(measure, rows.row(row), rows, &[other], &mut distance);
            if distance[0] <= limit {
                add(list, other);
            }
        }
    });
}

fn add(list: &mut [u32], row: u32) {
    let filled = list.iter().position(|&id| id == NONE).unwrap_or(list.len());
    if let Some(last) = list.len().checked_sub(1)
        && !list[..filled].contains(&row)
    {
        list[filled.min(last)] = row;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_alike_are_linked_and_others_are_not() {
        // Two groups, 3 and 2 rows, of which codes say nothing.
        let mut bytes = vec![10u8; 16 * 5];
        bytes[16 * 3..].fill(200);
        let rows = ByteRows { bytes: &bytes, width: 16 };
        let mut lists = [NONE; 10];
        lists[4..6].copy_from_slice(&[0, 4]);
        chain(rows, Measure::Squares, 3.0, &mut lists, 2);
        assert_eq!(lists, [1, NONE, 0, 2, 0, 1, 4, NONE, 3, NONE]);
        chain(rows, Measure::Squares, 3.0, &mut lists, 2);
        assert_eq!(lists, [1, NONE, 0, 2, 0, 1, 4, NONE, 3, NONE], "none twice");
    }
}
