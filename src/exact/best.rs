//! The smallest of many keys.

use crate::memory;

/// The `capacity` smallest (key, tag) pairs pushed so far, equal keys by tag.
///
/// A buffer of four times the capacity is filled with whatever may still count and then cut to its
/// smaller quarter by selection: constant work a push, cheaper than a heap when most keys lie above
/// the bound. A pair is kept as one number, of which the smaller half are found in half the time of
/// pairs.
#[derive(Debug, Clone)]
pub struct Best {
    capacity: usize,
    /// No pair above this key can still count.
    bound: f32,
    packed: Vec<u64>,
    /// What was last asked for.
    shown: Vec<(f32, u32)>,
}

impl Default for Best {
    /// Room for none.
    fn default() -> Best {
        Best::new(0)
    }
}

impl Best {
    /// Room for the `capacity` best.
    #[must_use]
    pub fn new(capacity: usize) -> Best {
        Best { capacity, bound: f32::INFINITY, packed: Vec::new(), shown: Vec::new() }
    }

    /// How many pairs are kept.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Empties it for another use, keeping its memory.
    pub fn reset(&mut self, capacity: usize) {
        self.reset_below(capacity, f32::INFINITY);
    }

    /// [`reset`](Self::reset), where it is known that keys above `bound` cannot count.
    pub fn reset_below(&mut self, capacity: usize, bound: f32) {
        self.capacity = capacity;
        self.bound = bound;
        self.packed.clear();
    }

    /// Keys above this do not count any more; equal ones may.
    #[must_use]
    pub fn bound(&self) -> f32 {
        self.bound
    }

    /// How many pairs are held; the best are among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packed.len().min(self.capacity)
    }

    /// Whether no pair is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Offers a pair. NaN keys are never kept.
    #[inline]
    pub fn push(&mut self, key: f32, tag: u32) {
        if key <= self.bound {
            memory::push(&mut self.packed, pack(key, tag));
            if self.packed.len() >= self.capacity.saturating_mul(4).saturating_add(16) {
                self.cut();
            }
        }
    }

    /// Drops what cannot count any more; the bound is then as low as it can be.
    pub fn cut(&mut self) {
        if self.packed.len() > self.capacity {
            if self.capacity == 0 {
                self.packed.clear();
                self.bound = f32::NEG_INFINITY;
                return;
            }
            self.packed.select_nth_unstable(self.capacity - 1);
            self.packed.truncate(self.capacity);
            self.bound = unpack(self.packed[self.capacity - 1]).0;
        }
    }

    /// The best pairs, in no order.
    pub fn unsorted(&mut self) -> &[(f32, u32)] {
        self.cut();
        self.shown.clear();
        self.shown.extend(self.packed.iter().map(|&pair| unpack(pair)));
        &self.shown
    }

    /// The best pairs, the smallest key first, equal keys by tag.
    pub fn sorted(&mut self) -> &[(f32, u32)] {
        self.cut();
        self.packed.sort_unstable();
        self.unsorted()
    }

    /// The best pairs, the smallest key first, equal keys by tag.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<(f32, u32)> {
        self.sorted();
        self.shown
    }
}

/// A key and its tag as one number, which ascends as keys do by [`f32::total_cmp`], and where these are
/// equal as tags do.
#[inline]
fn pack(key: f32, tag: u32) -> u64 {
    u64::from(ascending(key)) << 32 | u64::from(tag)
}

#[inline]
fn unpack(pair: u64) -> (f32, u32) {
    (descended((pair >> 32) as u32), pair as u32)
}

/// Bits that ascend as numbers do by [`f32::total_cmp`].
#[inline]
#[must_use]
pub fn ascending(key: f32) -> u32 {
    let bits = key.to_bits();
    // A negative number's bits descend as it ascends.
    bits ^ ((bits.cast_signed() >> 31).cast_unsigned() | SIGN)
}

/// The number that [`ascending`] made these bits of.
#[inline]
#[must_use]
pub fn descended(bits: u32) -> f32 {
    f32::from_bits(bits ^ ((!bits.cast_signed() >> 31).cast_unsigned() | SIGN))
}

const SIGN: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn order(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
        a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
    }

    #[test]
    fn keeps_what_a_sort_would_keep_whatever_the_order() {
        let mut r = Random::new(8, 0);
        for capacity in [0, 1, 5, 40, usize::MAX] {
            let all: Vec<(f32, u32)> = (0..500).map(|i| (r.below(30) as f32 - 15.5, i)).collect();
            let mut sorted = all.clone();
            sorted.sort_by(order);
            sorted.truncate(capacity);
            for _ in 0..3 {
                let mut shuffled = all.clone();
                r.shuffle(&mut shuffled);
                let mut best = Best::new(capacity);
                shuffled.iter().for_each(|&(key, tag)| best.push(key, tag));
                best.push(f32::NAN, 7);
                assert_eq!(best.into_sorted(), sorted);
            }
        }
    }

    #[test]
    fn a_pair_as_one_number_is_the_pair_again_and_stands_in_its_order() {
        let keys = [f32::NEG_INFINITY, -2.0, -1e-40, -0.0, 0.0, 1e-40, 3.5, f32::INFINITY];
        let pairs: Vec<(f32, u32)> =
            keys.iter().flat_map(|&key| [(key, 0), (key, u32::MAX)]).collect();
        for pair in pairs.windows(2) {
            assert!(pack(pair[0].0, pair[0].1) < pack(pair[1].0, pair[1].1), "{pair:?}");
        }
        for &(key, tag) in &pairs {
            let (back, same) = unpack(pack(key, tag));
            assert_eq!((back.to_bits(), same), (key.to_bits(), tag));
        }
    }
}
