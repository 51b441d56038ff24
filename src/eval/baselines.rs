//! What every model is to beat: what most people have, and neighbours of what one has.

use rayon::prelude::*;

use super::ties::Ties;
use crate::als::Csr;
use crate::error::QueryError;
use crate::exact::Best;
use crate::progress::{Report, Work};
use crate::threads;

/// Recommends to everybody the items that most users have.
#[derive(Debug, Clone, PartialEq)]
pub struct Popularity {
    counts: Vec<u32>,
    /// Items, those with most users first.
    order: Vec<u32>,
}

impl Popularity {
    /// Counts the users of each item, whatever the weights above 0.
    #[must_use]
    pub fn fit(train: &Csr) -> Popularity {
        let mut counts = vec![0u32; train.n_cols()];
        for (&item, _) in train.indices().iter().zip(train.values()).filter(|(_, w)| **w > 0.0) {
            counts[item as usize] += 1;
        }
        let mut order: Vec<u32> = (0..train.n_cols() as u32).collect();
        order.sort_by_key(|&item| std::cmp::Reverse(counts[item as usize]));
        Popularity { counts, order }
    }

    /// Users of each item.
    #[must_use]
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// At most `n` items, best first, without `seen`, which ascends.
    #[must_use]
    pub fn rank(&self, seen: &[u32], n: usize, ties: Ties) -> Vec<u32> {
        let mut list = Vec::new();
        let count = |item: &u32| self.counts[*item as usize];
        for equal in self.order.chunk_by(|a, b| count(a) == count(b)) {
            let start = list.len();
            if start >= n {
                break;
            }
            list.extend(equal.iter().copied().filter(|item| seen.binary_search(item).is_err()));
            list[start..].sort_unstable_by_key(|&item| ties.tag(item));
        }
        list.truncate(n);
        list
    }
}

/// The parameters of [`ItemKnn`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnnOptions {
    /// Neighbours kept of each item, at least 1.
    pub neighbours: usize,
    /// What is added to the product of two lengths, at least 0: it takes weight from likenesses
    /// that few users vouch for.
    pub shrink: f64,
    /// Threads; all cores for `None`. The neighbours do not depend on it.
    pub n_threads: Option<usize>,
}

impl Default for KnnOptions {
    /// 100 neighbours and a shrink of 100: without one, neighbours that a single user vouches for
    /// come first, and the baseline is easy to beat.
    fn default() -> KnnOptions {
        KnnOptions { neighbours: 100, shrink: 100.0, n_threads: None }
    }
}

/// Recommends the neighbours of what a user has (Sarwar et al. 2001; Deshpande and Karypis 2004).
///
/// Two items' likeness is the sum over users of the products of their weights, over the product of
/// the items' lengths plus a shrink: their cosine if the shrink is 0. Each item keeps its nearest;
/// an item's score for a user is the sum, over what they have, of weight times likeness. Only
/// likenesses and scores above 0 count, so that a list may be short.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemKnn {
    /// `n_items + 1` offsets into `likenesses`.
    offsets: Vec<usize>,
    /// (item, likeness), the most alike first.
    likenesses: Vec<(u32, f32)>,
}

impl ItemKnn {
    /// Finds every item's neighbours, by the weights as they stand.
    ///
    /// Takes a multiplication for each pair of items that a user has, twice; memory for the
    /// transposed matrix, 8 bytes a neighbour and, for each thread, 12 bytes an item.
    ///
    /// # Errors
    /// If an option is out of its range.
    pub fn fit(train: &Csr, options: &KnnOptions) -> Result<ItemKnn, QueryError> {
        ItemKnn::fit_with(train, options, &|_, _| true)
    }

    /// [`fit`](Self::fit), telling `report` each percent that is done. If it says no, what is
    /// returned has only some of the neighbours: whoever stops it throws it away.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_with(
        train: &Csr,
        options: &KnnOptions,
        report: Report<'_>,
    ) -> Result<ItemKnn, QueryError> {
        check(options)?;
        let items = train.transpose();
        let norms: Vec<f64> = (0..items.n_rows()).map(|item| length(items.row(item).1)).collect();
        let work = Work::new(items.n_rows() as u64, report);
        let lists: Vec<Vec<(u32, f32)>> = threads::run(options.n_threads, || {
            let scratch = || (vec![0f64; items.n_rows()], Vec::new());
            let nearest = |(sums, met): &mut (Vec<f64>, Vec<u32>), item: usize| {
                work.advance(1);
                if work.is_stopped() {
                    return Vec::new();
                }
                co_occurrence(train, items.row(item), sums, met);
                let likeness =
                    |other: usize, sum: f64| sum / (norms[item] * norms[other] + options.shrink);
                let mut best = Best::new(options.neighbours.min(items.n_rows()));
                for other in met.drain(..) {
                    let sum = std::mem::take(&mut sums[other as usize]);
                    let likeness = likeness(other as usize, sum) as f32;
                    if other as usize != item && likeness > 0.0 {
                        best.push(-likeness, other);
                    }
                }
                best.into_sorted().into_iter().map(|(key, other)| (other, -key)).collect()
            };
            threads::map_init((0..items.n_rows()).into_par_iter(), scratch, nearest).collect()
        });
        let mut offsets = vec![0];
        offsets.extend(lists.iter().scan(0, |end, list| {
            *end += list.len();
            Some(*end)
        }));
        Ok(ItemKnn { offsets, likenesses: lists.concat() })
    }

    /// An item's neighbours with their likeness, the most alike first.
    ///
    /// # Panics
    /// If there is no such item.
    #[must_use]
    pub fn neighbours(&self, item: u32) -> &[(u32, f32)] {
        &self.likenesses[self.offsets[item as usize]..self.offsets[item as usize + 1]]
    }

    /// At most `n` items for a history of (items, weights), best first, without `seen`, which
    /// ascends. Holds 16 bytes for each neighbour of the history.
    ///
    /// # Panics
    /// If the history has an item that there is not.
    #[must_use]
    pub fn rank(
        &self,
        (items, weights): (&[u32], &[f32]),
        seen: &[u32],
        n: usize,
        ties: Ties,
    ) -> Vec<u32> {
        let mut terms: Vec<(u32, f64)> = Vec::new();
        for (&item, &weight) in items.iter().zip(weights) {
            let term = |&(other, likeness)| (other, f64::from(weight) * f64::from(likeness));
            terms.extend(self.neighbours(item).iter().map(term));
        }
        // Stable, so that terms are added in the order of the history.
        terms.sort_by_key(|term| term.0);
        let mut best = Best::new(n);
        for same in terms.chunk_by(|a, b| a.0 == b.0) {
            let score = same.iter().map(|term| term.1).sum::<f64>() as f32;
            if score > 0.0 && seen.binary_search(&same[0].0).is_err() {
                best.push(-score, ties.tag(same[0].0));
            }
        }
        best.into_sorted().into_iter().map(|(_, tag)| ties.item(tag)).collect()
    }
}

fn check(options: &KnnOptions) -> Result<(), QueryError> {
    let refuse = |name, got, expected: &str| {
        Err(QueryError::Parameter { name, got, expected: expected.into() })
    };
    if options.neighbours == 0 {
        return refuse("neighbours", "0".into(), "at least 1");
    }
    if !(options.shrink >= 0.0 && options.shrink.is_finite()) {
        return refuse("shrink", options.shrink.to_string(), "a finite number, at least 0");
    }
    Ok(())
}

fn length(weights: &[f32]) -> f64 {
    weights.iter().map(|&w| f64::from(w) * f64::from(w)).sum::<f64>().sqrt()
}

/// Adds up the products of an item's weights with those of every other; `met` are the items that
/// have a sum.
fn co_occurrence(
    train: &Csr,
    (users, weights): (&[u32], &[f32]),
    sums: &mut [f64],
    met: &mut Vec<u32>,
) {
    for (&user, &weight) in users.iter().zip(weights) {
        let (items, others) = train.row(user as usize);
        for (&item, &other) in items.iter().zip(others) {
            let sum = &mut sums[item as usize];
            // A sum that came back to 0 is met twice, and then is 0 when it is taken again.
            if *sum == 0.0 {
                met.push(item);
            }
            *sum += f64::from(weight) * f64::from(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plays() -> Csr {
        let rows = [0u32, 0, 1, 1, 1, 2, 2, 3];
        let columns = [0u32, 1, 0, 1, 2, 2, 3, 3];
        Csr::from_triplets(4, 5, &rows, &columns, &[1.0, 2.0, 3.0, 1.0, 1.0, 2.0, 1.0, -1.0])
            .unwrap()
    }

    #[test]
    fn popularity_counts_users() {
        let popularity = Popularity::fit(&plays());
        for user in 0..9 {
            let ties = Ties::new(1, user);
            let mut first = [0, 2];
            first.sort_by_key(|&item| ties.tag(item));
            assert_eq!(popularity.rank(&[1], 9, ties), [first[0], first[1], 3, 4]);
            assert_eq!(popularity.rank(&[1], 1, ties), first[..1]);
            assert!(popularity.rank(&[], 0, ties).is_empty());
        }
        assert_eq!(Popularity::fit(&plays()).counts(), [2, 2, 2, 1, 0]);
    }

    #[test]
    fn likeness_is_the_formula() {
        let options = KnnOptions { neighbours: 2, shrink: 0.5, n_threads: Some(1) };
        let knn = ItemKnn::fit(&plays(), &options).unwrap();
        let length = |squares: f64| squares.sqrt();
        let expected = [
            (1, 5.0 / (length(10.0) * length(5.0) + 0.5)),
            (2, 3.0 / (length(10.0) * length(5.0) + 0.5)),
        ];
        let got = knn.neighbours(0);
        assert_eq!(got.len(), 2);
        for (got, want) in got.iter().zip(expected) {
            assert!(got.0 == want.0 && (f64::from(got.1) - want.1).abs() < 1e-6, "{got:?}");
        }
        assert!(knn.neighbours(4).is_empty());
        let history = (&[0u32][..], &[2.0f32][..]);
        assert_eq!(knn.rank(history, &[0], 9, Ties::new(0, 0)), [1, 2]);
        assert_eq!(knn.rank(history, &[0, 1], 9, Ties::new(0, 0)), [2]);
        let threads = KnnOptions { n_threads: Some(3), ..options };
        assert_eq!(ItemKnn::fit(&plays(), &threads).unwrap(), knn);
        for wrong in [
            KnnOptions { neighbours: 0, ..options },
            KnnOptions { shrink: -1.0, ..options },
            KnnOptions { shrink: f64::NAN, ..options },
        ] {
            assert!(ItemKnn::fit(&plays(), &wrong).is_err());
        }
    }
}
