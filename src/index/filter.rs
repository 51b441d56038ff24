//! Which rows a search may find.

use std::ops::Range;

use super::Index;
use crate::forest::is_set;
use crate::progress;

/// Below one passing row in so many, they are listed beside their bits: reading the list is then
/// less than reading the bits, and it takes no more memory than these.
const SPARSE: usize = 32;

/// A set of positions, as a bit a row of the index it was made for.
#[derive(Debug, Clone)]
pub struct Filter {
    bits: Vec<u64>,
    len: usize,
    /// The rows that pass, ascending, where they are few.
    few: Option<Vec<u32>>,
}

impl Filter {
    /// The positions for which `mask` is true; `mask` is as long as the index (what it lacks is
    /// false). Takes about a nanosecond a row.
    #[must_use]
    pub fn from_mask(index: &Index, mask: &[bool]) -> Filter {
        // By rows rather than by positions: words come out whole, one after the other.
        let word = |positions: &[u32]| {
            let pass = |&position: &u32| mask.get(position as usize).copied().unwrap_or(false);
            positions.iter().rev().fold(0, |word, position| word << 1 | u64::from(pass(position)))
        };
        Filter::new(index.positions().chunks(64).map(word).collect())
    }

    /// The positions given; those that do not exist are passed over, doubles count once.
    #[must_use]
    pub fn from_positions(index: &Index, positions: impl IntoIterator<Item = u32>) -> Filter {
        let row_of = index.row_of();
        let mut bits = crate::memory::zeroed(index.len().div_ceil(64));
        for position in progress::checked(positions.into_iter(), 1 << 16) {
            // A damaged file may name rows that do not exist.
            let row = row_of.get(position as usize).copied();
            if let Some(row) = row.filter(|&row| (row as usize) < index.len()) {
                bits[row as usize / 64] |= 1 << (row % 64);
            }
        }
        Filter::new(bits)
    }

    fn new(bits: Vec<u64>) -> Filter {
        let len: usize = bits.iter().map(|word| word.count_ones() as usize).sum();
        let is_sparse = len.saturating_mul(SPARSE) <= bits.len().saturating_mul(64);
        let few = is_sparse.then(|| Ones::of(&bits).collect());
        Filter { bits, len, few }
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

    /// How many of some rows pass. Rows that do not exist do not.
    pub(crate) fn count(&self, rows: Range<u32>) -> usize {
        let (first, last) = (rows.start as usize / 64, rows.end as usize / 64);
        let from = |bit: u32| u64::MAX << bit;
        let words = self.bits.iter().enumerate().take(last + 1).skip(first);
        let within = words.map(|(at, &word)| {
            let low = if at == first { from(rows.start % 64) } else { u64::MAX };
            let high = if at == last { !from(rows.end % 64) } else { u64::MAX };
            (word & low & high).count_ones() as usize
        });
        within.sum()
    }

    /// The rows below `n` that pass, ascending: an index has no more, and a filter made for another
    /// one may name more.
    pub(crate) fn rows(&self, n: usize) -> impl Iterator<Item = u32> + '_ {
        let (listed, bits) = match &self.few {
            Some(rows) => (&rows[..], &[][..]),
            None => (&[][..], &self.bits[..]),
        };
        let rows = listed.iter().copied().chain(Ones::of(bits));
        rows.take_while(move |&row| (row as usize) < n)
    }
}

/// The places of ones.
struct Ones<'a> {
    bits: &'a [u64],
    /// What is left of the current word.
    word: u64,
    at: usize,
}

impl Ones<'_> {
    fn of(bits: &[u64]) -> Ones<'_> {
        Ones { bits, word: bits.first().copied().unwrap_or(0), at: 0 }
    }
}

impl Iterator for Ones<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while self.word == 0 {
            self.at += 1;
            self.word = *self.bits.get(self.at)?;
        }
        let place = self.at as u32 * 64 + self.word.trailing_zeros();
        self.word &= self.word - 1;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn rows_and_counts_are_those_of_the_bits() {
        let mut random = Random::new(4, 0);
        for (words, pass) in [(0, 1), (1, 2), (5, 2), (40, 100), (40, 1)] {
            let mut bits = vec![0u64; words];
            for at in 0..64 * words {
                bits[at / 64] |= u64::from(random.below(pass) == 0) << (at % 64);
            }
            let filter = Filter::new(bits);
            let all = 0..64 * words as u32;
            let rows: Vec<u32> = all.clone().filter(|&row| filter.passes(row)).collect();
            assert_eq!(filter.rows(64 * words).collect::<Vec<u32>>(), rows);
            let half = rows.partition_point(|&row| row < 32 * words as u32);
            assert_eq!(filter.rows(32 * words).collect::<Vec<u32>>(), rows[..half]);
            assert_eq!((filter.len(), filter.count(all)), (rows.len(), rows.len()));
            assert_eq!(filter.few.is_some(), pass != 2 && words > 1 && pass == 100 || words == 0);
            for _ in 0..100 {
                let end = random.below(64 * words + 100) as u32;
                let range = random.below(end as usize + 1) as u32..end;
                let expected = rows.iter().filter(|row| range.contains(row)).count();
                assert_eq!(filter.count(range.clone()), expected, "{range:?}");
            }
            assert_eq!(filter.count(u32::MAX - 1..u32::MAX), 0);
        }
    }
}
