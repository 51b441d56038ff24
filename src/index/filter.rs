//! Which rows a search may find.

use super::Index;
use crate::forest::is_set;

/// A set of positions, as a bit a row of the index it was made for.
#[derive(Debug, Clone)]
pub struct Filter {
    bits: Vec<u64>,
    len: usize,
}

impl Filter {
    /// The positions for which `mask` is true; `mask` is as long as the index (what it lacks is
    /// false).
    #[must_use]
    pub fn from_mask(index: &Index, mask: &[bool]) -> Filter {
        let passing = mask.iter().enumerate().filter(|(_, pass)| **pass);
        Filter::from_positions(index, passing.map(|(position, _)| position as u32))
    }

    /// The positions given; those that do not exist are passed over, doubles count once.
    #[must_use]
    pub fn from_positions(index: &Index, positions: impl IntoIterator<Item = u32>) -> Filter {
        let row_of = index.row_of();
        let mut bits = vec![0u64; index.len().div_ceil(64)];
        for position in positions {
            // A damaged file may name rows that do not exist.
            let row = row_of.get(position as usize).copied();
            if let Some(row) = row.filter(|&row| (row as usize) < index.len()) {
                bits[row as usize / 64] |= 1 << (row % 64);
            }
        }
        let len = bits.iter().map(|word| word.count_ones() as usize).sum();
        Filter { bits, len }
    }

    /// How many rows pass.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn passes(&self, row: u32) -> bool {
        is_set(&self.bits, row)
    }

    pub(crate) fn bits(&self) -> &[u64] {
        &self.bits
    }

    /// The rows that pass, ascending.
    pub(crate) fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.bits.iter().enumerate().flat_map(|(at, &word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at as u32 * 64 + bit)
        })
    }
}
