//! Searches over a recommender's items that leave out those without a vector.
//!
//! An item that no user has, or whose weights are all 0, has the zero vector. Nothing is known about
//! it, yet it scores 0 for every user, above known items with a negative score, and its cosine with
//! every item is 0.

use super::Recommender;
use crate::error::QueryError;
use crate::index::{BatchOptions, Hit, Index};

impl Recommender {
    /// Positions of the items without a vector, ascending. Reads all item vectors at the first call
    /// and keeps the result.
    pub(super) fn vectorless(&self) -> &[u32] {
        self.vectorless.get_or_init(|| {
            let items = 0..self.items().len() as u32;
            items.filter(|&position| !self.has_vector(position)).collect()
        })
    }

    pub(super) fn has_vector(&self, position: u32) -> bool {
        self.items().vector(position).is_some_and(|vector| vector.iter().any(|&x| x != 0.0))
    }

    /// The items of `space` nearest to a vector, without `exclude` and those that have no vector;
    /// whether they are exact. None for a vector of zeros: any order would be invented.
    ///
    /// A search that finds no item without a vector is the answer. Only one that does is repeated
    /// with these excluded, so that most searches never read all vectors; an answer does not depend
    /// on the searches before it.
    pub(super) fn search_known(
        &self,
        space: &Index,
        vector: &[f32],
        exclude: &[u32],
        o: BatchOptions<'_>,
    ) -> Result<(Vec<Hit>, bool), QueryError> {
        space.with_searcher(|searcher| {
            searcher.k(o.k).effort(o.effort).filter(o.filter).exclude(exclude);
            let mut hits = searcher.search(vector)?.to_vec();
            if vector.iter().all(|&x| x == 0.0) {
                return Ok((Vec::new(), true));
            }
            if !self.all_have_vectors(&hits) {
                searcher.exclude(&[exclude, self.vectorless()].concat());
                hits = searcher.search(vector)?.to_vec();
            }
            Ok((hits, searcher.was_exact()))
        })
    }

    pub(super) fn all_have_vectors(&self, hits: &[Hit]) -> bool {
        hits.iter().all(|hit| self.has_vector(hit.position))
    }
}
