//! What a recommender's file is worth, by the lists that it gives.

use super::task::{Evaluation, Task};
use crate::als::Csr;
use crate::error::{QueryError, TrainError};
use crate::index::Effort;
use crate::recommend::{RecommendOptions, Recommender};

impl Task<'_> {
    /// Measures a recommender's lists with the effort at which they will be asked for, or by all
    /// its factors if that is [`Effort::Exact`]. Users and items are its numbers and positions.
    ///
    /// The recommender never lists what it was trained on, so that a test it was trained on would
    /// give 0 for every figure: it is compared with the recommender's own history first, as
    /// [`trained_on`](Self::trained_on) does.
    ///
    /// # Errors
    /// [`QueryError::TrainedOnTest`] if it was trained on the test; if the recommender has other
    /// users and items than the task, or the effort is out of its range.
    pub fn served(
        &self,
        recommender: &Recommender,
        effort: Effort,
    ) -> Result<Evaluation, QueryError> {
        let entries_trained_on =
            self.check_history("recommender", |user| recommender.seen(user))?;
        let evaluation = self.measure_served(recommender, effort)?;
        Ok(Evaluation { entries_trained_on, ..evaluation })
    }

    fn measure_served(
        &self,
        recommender: &Recommender,
        effort: Effort,
    ) -> Result<Evaluation, QueryError> {
        if effort == Effort::Exact {
            let vector = |position| recommender.items().vector(position);
            let positions = 0..recommender.items().len() as u32;
            let items: Vec<f32> =
                positions.filter_map(vector).flat_map(|row| row.into_owned()).collect();
            return self.factors(recommender.user_factors(), &items, recommender.items().dim());
        }
        let include_seen = self.includes_seen();
        self.lists(|user, k| {
            let options = RecommendOptions { k, effort, include_seen, ..Default::default() };
            let hits = recommender.recommend(user, options)?;
            Ok(hits.iter().map(|hit| hit.position).collect())
        })
    }
}

/// Users x items, 1 where a recommender knows that a user has an item: the training of a [`Task`]
/// where only the file is left.
///
/// # Errors
/// If the file names items that there are not, or more than it has room for: it is damaged.
pub fn seen_by(recommender: &Recommender) -> Result<Csr, TrainError> {
    let room = recommender.as_bytes().len() / 4;
    let mut indptr = vec![0];
    let mut indices = Vec::new();
    for user in 0..recommender.n_users() as u32 {
        indices.extend_from_slice(recommender.seen(user));
        indptr.push(indices.len() as u64);
        // Ranges of a damaged file may overlap.
        if indices.len() > room {
            return Err(TrainError::Matrix {
                what: "the number of items that users have".into(),
                got: format!("above {room}"),
                expected: "what the file has room for: it is damaged, write it again".into(),
            });
        }
    }
    let ones = vec![1.0; indices.len()];
    let seen = Csr::from_parts(recommender.items().len(), indptr, indices, ones)?;
    seen.map_values(|_| 1.0)
}
