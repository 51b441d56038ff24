//! Vectors added one at a time, under numbers of the caller's.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::error::BuildError;
use crate::index::{Ids, first_unusable};
use crate::io::annoy::AnnoyMetric;
use crate::kernel::code::MAX_DIM;

use super::distance::is_one;

/// Vectors added one at a time. Items may come in any order and leave holes, which take no memory;
/// an item that comes again is overwritten.
///
/// Memory: 4 (dim + 1) bytes an item, and about 16 more once items do not come as 0, 1, 2, ...;
/// grown as a `Vec` is, so that adding n items copies each twice on average.
#[derive(Debug, Clone)]
pub struct Items {
    metric: AnnoyMetric,
    dim: usize,
    /// `dim` values an item, in the order of `numbers`.
    values: Vec<f32>,
    numbers: Vec<u32>,
    /// Where an item stands; `None` while every item stands at its own number.
    places: Option<HashMap<u32, usize>>,
}

impl Items {
    /// No items yet.
    ///
    /// # Errors
    /// If the dimension is 0 or above 65,536.
    pub fn new(metric: AnnoyMetric, dim: usize) -> Result<Items, BuildError> {
        if dim == 0 || dim > MAX_DIM {
            return Err(BuildError::Dimension { got: dim, max: MAX_DIM });
        }
        Ok(Items { metric, dim, values: Vec::new(), numbers: Vec::new(), places: None })
    }

    /// How near two vectors are.
    #[must_use]
    pub fn metric(&self) -> AnnoyMetric {
        self.metric
    }

    /// Values a vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How many items there are, holes left out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Adds or overwrites an item. Of hamming, what is above 0.5 is a one and the rest zero.
    ///
    /// # Errors
    /// If the vector has another dimension, or (hamming apart) a value that cannot be searched
    /// with: NaN, an infinity, or 1e16 and above in size. The items are then as before.
    pub fn set(&mut self, item: u32, vector: &[f32]) -> Result<(), BuildError> {
        if vector.len() != self.dim {
            return Err(BuildError::Shape { len: vector.len(), dim: self.dim });
        }
        let is_hamming = self.metric == AnnoyMetric::Hamming;
        if let Some(column) = first_unusable(vector).filter(|_| !is_hamming) {
            let (row, value) = (item as usize, vector[column]);
            return Err(BuildError::NonFinite { row, column, value });
        }
        let place = self.place_for(item);
        let row = &mut self.values[place * self.dim..][..self.dim];
        match is_hamming {
            true => row.iter_mut().zip(vector).for_each(|(bit, &x)| *bit = f32::from(is_one(x))),
            false => row.copy_from_slice(vector),
        }
        Ok(())
    }

    /// The vector of an item; `None` for a hole.
    #[must_use]
    pub fn get(&self, item: u32) -> Option<&[f32]> {
        self.place(item).map(|place| &self.values[place * self.dim..][..self.dim])
    }

    /// The items' numbers and vectors in ascending order of the numbers, so that equal distances
    /// are told apart by number; copied only if they came in another order.
    pub(super) fn ascending(&self) -> (Ids, Cow<'_, [f32]>) {
        if self.places.is_none() {
            return (Ids::Sequential(self.len()), Cow::Borrowed(&self.values));
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_unstable_by_key(|&place| self.numbers[place]);
        let numbers = order.iter().map(|&place| i64::from(self.numbers[place])).collect();
        if order.is_sorted() {
            return (Ids::Int(numbers), Cow::Borrowed(&self.values));
        }
        let rows = order.iter().flat_map(|&place| &self.values[place * self.dim..][..self.dim]);
        (Ids::Int(numbers), rows.copied().collect())
    }

    fn place(&self, item: u32) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(&item).copied(),
            None => Some(item as usize).filter(|&place| place < self.len()),
        }
    }

    /// The place of an item, made if there is none.
    fn place_for(&mut self, item: u32) -> usize {
        if let Some(place) = self.place(item) {
            return place;
        }
        let place = self.len();
        if place != item as usize && self.places.is_none() {
            self.places = Some(self.numbers.iter().map(|&n| (n, n as usize)).collect());
        }
        if let Some(places) = &mut self.places {
            places.insert(item, place);
        }
        self.numbers.push(item);
        self.values.resize(self.values.len() + self.dim, 0.0);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn items_in_any_order_are_those_of_a_map() {
        for spread in [30, 1 << 31] {
            let mut random = Random::new(7, spread);
            let mut items = Items::new(AnnoyMetric::Euclidean, 2).unwrap();
            let mut oracle = std::collections::BTreeMap::new();
            for step in 0..200 {
                let item = (random.word() % spread) as u32;
                let vector = [step as f32, item as f32];
                items.set(item, &vector).unwrap();
                oracle.insert(item, vector);
            }
            assert_eq!(items.len(), oracle.len());
            assert!(oracle.iter().all(|(&item, vector)| items.get(item) == Some(&vector[..])));
            assert_eq!(items.get(spread as u32), None);
            let (ids, values) = items.ascending();
            assert_eq!(ids, Ids::Int(oracle.keys().map(|&item| i64::from(item)).collect()));
            let expected: Vec<f32> = oracle.values().flatten().copied().collect();
            assert_eq!(values[..], expected);
        }
    }

    #[test]
    fn items_in_order_are_not_copied() {
        let mut items = Items::new(AnnoyMetric::Dot, 1).unwrap();
        (0..5).for_each(|item| items.set(item, &[item as f32]).unwrap());
        items.set(3, &[9.0]).unwrap();
        assert!(matches!(items.ascending(), (Ids::Sequential(5), Cow::Borrowed(_))));
        items.set(70, &[1.0]).unwrap();
        assert!(matches!(items.ascending(), (Ids::Int(_), Cow::Borrowed(_))));
        items.set(6, &[1.0]).unwrap();
        assert!(matches!(items.ascending(), (Ids::Int(_), Cow::Owned(_))));
        assert_eq!(items.get(3), Some(&[9.0][..]));
    }

    #[test]
    fn what_cannot_be_searched_is_refused_and_changes_nothing() {
        let mut items = Items::new(AnnoyMetric::Angular, 2).unwrap();
        assert!(items.set(4, &[1.0]).is_err());
        let text = items.set(4, &[1.0, f32::NAN]).unwrap_err().to_string();
        assert!(text.starts_with("row 4, column 1 is NaN"), "{text}");
        assert!(items.is_empty() && items.get(4).is_none());
        assert!(Items::new(AnnoyMetric::Angular, 0).is_err());
    }

    #[test]
    fn hamming_keeps_bits() {
        let mut items = Items::new(AnnoyMetric::Hamming, 4).unwrap();
        items.set(0, &[0.5, 0.6, f32::NAN, f32::INFINITY]).unwrap();
        assert_eq!(items.get(0), Some(&[0.0, 1.0, 0.0, 1.0][..]));
    }
}
