//! The smallest of many keys.

/// The `capacity` smallest (key, tag) pairs pushed so far, equal keys by tag.
///
/// A buffer of four times the capacity is filled with whatever may still count and then cut to its
/// smaller quarter by selection: constant work a push, cheaper than a heap when most keys lie above
/// the bound.
#[derive(Debug, Clone)]
pub struct Best {
    capacity: usize,
    /// No pair above this key can still count.
    bound: f32,
    pairs: Vec<(f32, u32)>,
}

impl Best {
    /// Room for the `capacity` best.
    #[must_use]
    pub fn new(capacity: usize) -> Best {
        Best { capacity, bound: f32::INFINITY, pairs: Vec::new() }
    }

    /// Empties it for another use, keeping its memory.
    pub fn reset(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.bound = f32::INFINITY;
        self.pairs.clear();
    }

    /// [`reset`](Self::reset), where it is known that keys above `bound` cannot count.
    pub fn reset_below(&mut self, capacity: usize, bound: f32) {
        self.reset(capacity);
        self.bound = bound;
    }

    /// Keys above this do not count any more; equal ones may.
    #[must_use]
    pub fn bound(&self) -> f32 {
        self.bound
    }

    /// How many pairs are held; the best are among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len().min(self.capacity)
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
            self.pairs.push((key, tag));
            if self.pairs.len() >= self.capacity.saturating_mul(4).saturating_add(16) {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if self.pairs.len() > self.capacity {
            if self.capacity == 0 {
                self.pairs.clear();
                self.bound = f32::NEG_INFINITY;
                return;
            }
            self.pairs.select_nth_unstable_by(self.capacity - 1, order);
            self.pairs.truncate(self.capacity);
            self.bound = self.pairs[self.capacity - 1].0;
        }
    }

    /// The best pairs, in no order.
    pub fn unsorted(&mut self) -> &[(f32, u32)] {
        self.cut();
        &self.pairs
    }

    /// The best pairs, the smallest key first, equal keys by tag.
    pub fn sorted(&mut self) -> &[(f32, u32)] {
        self.cut();
        self.pairs.sort_unstable_by(order);
        &self.pairs
    }

    /// The best pairs, the smallest key first, equal keys by tag.
    #[must_use]
    pub fn into_sorted(mut self) -> Vec<(f32, u32)> {
        self.sorted();
        self.pairs
    }
}

fn order(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn keeps_what_a_sort_would_keep_whatever_the_order() {
        let mut r = Random::new(8, 0);
        for capacity in [0, 1, 5, 40, usize::MAX] {
            let all: Vec<(f32, u32)> = (0..500).map(|i| (r.below(30) as f32, i)).collect();
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
}
