//! How much of the truth a search finds, measured against brute force.

use super::{BatchOptions, Effort, Hit, Index};
use crate::error::QueryError;

impl Index {
    /// The share of the true `options.k` nearest that a search with `options` finds, the mean over
    /// the queries (row-major). As in ann-benchmarks, anything no farther than the last true
    /// neighbour counts. 1 where there is nothing to find. Takes a brute-force search of every
    /// query.
    ///
    /// # Errors
    /// If there is no query; else as [`search_batch`](Self::search_batch).
    pub fn recall(&self, queries: &[f32], options: BatchOptions<'_>) -> Result<f64, QueryError> {
        crate::memory::attempt(|| {
            if queries.is_empty() {
                let (name, got) = ("queries", "no row".into());
                let expected = "at least one row to measure with".into();
                return Err(QueryError::Parameter { name, got, expected });
            }
            let found = self.search_batch(queries, options)?;
            let truth =
                self.search_batch(queries, BatchOptions { effort: Effort::Exact, ..options })?;
            let larger = self.metric().larger_is_nearer();
            let n = queries.len() / self.dim();
            let sum: f64 = (0..n).map(|at| share(&found.hits(at), &truth.hits(at), larger)).sum();
            Ok(sum / n as f64)
        })
    }
}

/// What share of the true neighbours one answer has.
pub(super) fn share(found: &[Hit], truth: &[Hit], larger_is_nearer: bool) -> f64 {
    let Some(last) = truth.last().map(|hit| hit.distance) else { return 1.0 };
    let is_near = |hit: &Hit| match larger_is_nearer {
        true => hit.distance >= last,
        false => hit.distance <= last,
    };
    // By position too: a batch may sum in another order than a single search.
    let is_known = |hit: &Hit| truth.iter().any(|true_hit| true_hit.position == hit.position);
    let counted = found.iter().filter(|hit| is_near(hit) || is_known(hit)).count();
    counted.min(truth.len()) as f64 / truth.len() as f64
}

#[cfg(test)]
mod tests {
    use crate::index::{BatchOptions, Effort, Filter, Index, Vectors};
    use crate::metric::Metric;
    use crate::random::Random;

    #[test]
    fn recall_is_one_when_exact_and_less_with_little_work() {
        let mut random = Random::new(1, 0);
        let values: Vec<f32> = (0..4000 * 16).map(|_| random.normal() as f32).collect();
        for metric in Metric::ALL {
            let index = Index::builder(metric).leaf_size(32);
            let index = index.build(Vectors::new(&values, 16).unwrap()).unwrap();
            let recall = |effort| {
                let options = BatchOptions { effort, ..BatchOptions::default() };
                index.recall(&values[..50 * 16], options).unwrap()
            };
            assert_eq!(recall(Effort::Exact), 1.0);
            let (little, more) = (recall(Effort::Budget(64)), recall(Effort::Budget(2000)));
            assert!(little < more && little > 0.0 && more > 0.8, "{metric}: {little} {more}");
            let nothing = Filter::from_positions(&index, []);
            let options = BatchOptions { filter: Some(&nothing), ..BatchOptions::default() };
            assert_eq!(index.recall(&values[..16], options), Ok(1.0), "nothing to find");
            let text = index.recall(&[], BatchOptions::default()).unwrap_err().to_string();
            assert_eq!(text, "queries is no row, expected at least one row to measure with");
        }
    }
}
