//! The recall/speed curve of recommendations.

use super::Recommender;
use crate::error::QueryError;
use crate::index::{CurveOptions, Probe, Probes, RecallCurve};

/// Users that are asked about where no queries are given.
const USERS: usize = 500;

impl Recommender {
    /// [`Index::recall_curve`](crate::Index::recall_curve) of the items by inner product; without
    /// queries it is measured with 500 users, evenly spaced among those with a history, by their
    /// factors. What they have is not left out.
    ///
    /// # Errors
    /// As [`Index::recall_curve`](crate::Index::recall_curve).
    pub fn recall_curve(
        &self,
        queries: Option<&[f32]>,
        options: CurveOptions<'_>,
    ) -> Result<RecallCurve, QueryError> {
        if queries.is_some() {
            return self.items().recall_curve(queries, options);
        }
        let users = self.user_factors().chunks_exact(self.items().dim());
        let known: Vec<&[f32]> = users.filter(|user| user.iter().any(|&x| x != 0.0)).collect();
        let every = known.len().div_ceil(USERS).max(1);
        let queries: Vec<f32> = known.into_iter().step_by(every).flatten().copied().collect();
        let probes = Probes { queries: &queries, own: &[], probe: Probe::Users };
        self.items().curve_of(&probes, options)
    }
}
