//! Exact rankings from a model's factors: what a notebook asks of a model before any index.

use super::model::Model;
use crate::error::QueryError;
use crate::exact::{self, Rows, inverse_norm};
use crate::memory;
use crate::metric::Metric;
use crate::progress;
use crate::threads;

/// Whether a vector (by its number among those asked for) may be answered with a row.
pub type Allowed<'a> = &'a (dyn Fn(usize, u32) -> bool + Sync);

/// Rows with their scores, best first.
pub type Ranking = Vec<(u32, f32)>;

impl Model {
    /// The `n` best items for each of many user vectors (row-major, as
    /// [`fold_in`](Self::fold_in) gives them), by inner product; equal ones by number. A vector of
    /// zeros, of a user without history, gets none: any order would be invented. Items without
    /// entries, whose vectors are zeros, are left out: they would rank above known items with a
    /// negative score.
    ///
    /// # Errors
    /// If the vectors do not fill whole rows or `n` is 0.
    pub fn best_items(
        &self,
        vectors: &[f32],
        n: usize,
        allowed: Allowed<'_>,
    ) -> Result<Vec<Ranking>, QueryError> {
        let with_vector = self.among_known(&self.item_factors, allowed);
        self.rank(Metric::Dot, &self.item_factors, vectors, n, &with_vector)
    }

    /// The `n` items at the smallest angle to each of `items`, with their cosines; themselves and
    /// items without entries, whose vectors have no direction, are left out.
    ///
    /// # Errors
    /// If there is no such item or `n` is 0.
    pub fn similar_items(&self, items: &[u32], n: usize) -> Result<Vec<Ranking>, QueryError> {
        self.nearest_items(&self.items(items)?, n, &|at, other| items[at] != other)
    }

    /// The `n` users at the smallest angle to each of `users`, as
    /// [`similar_items`](Self::similar_items).
    ///
    /// # Errors
    /// If there is no such user or `n` is 0.
    pub fn similar_users(&self, users: &[u32], n: usize) -> Result<Vec<Ranking>, QueryError> {
        self.nearest_users(&self.users(users)?, n, &|at, other| users[at] != other)
    }

    /// The `n` items at the smallest angle to each of many vectors, with their cosines; items
    /// without entries are left out, and a vector of zeros gets none.
    ///
    /// # Errors
    /// If the vectors do not fill whole rows or `n` is 0.
    pub fn nearest_items(
        &self,
        vectors: &[f32],
        n: usize,
        allowed: Allowed<'_>,
    ) -> Result<Vec<Ranking>, QueryError> {
        self.nearest(&self.item_factors, vectors, n, allowed)
    }

    /// The `n` users at the smallest angle to each of many vectors, as
    /// [`nearest_items`](Self::nearest_items).
    ///
    /// # Errors
    /// As [`nearest_items`](Self::nearest_items).
    pub fn nearest_users(
        &self,
        vectors: &[f32],
        n: usize,
        allowed: Allowed<'_>,
    ) -> Result<Vec<Ranking>, QueryError> {
        self.nearest(&self.user_factors, vectors, n, allowed)
    }

    /// The vectors of some users, row after row.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn users(&self, users: &[u32]) -> Result<Vec<f32>, QueryError> {
        gather(&self.user_factors, self.factors, users, "user")
    }

    /// The vectors of some items, row after row.
    ///
    /// # Errors
    /// If there is no such item.
    pub fn items(&self, items: &[u32]) -> Result<Vec<f32>, QueryError> {
        gather(&self.item_factors, self.factors, items, "item")
    }

    fn nearest(
        &self,
        factors: &[f32],
        vectors: &[f32],
        n: usize,
        allowed: Allowed<'_>,
    ) -> Result<Vec<Ranking>, QueryError> {
        let others = self.among_known(factors, allowed);
        self.rank(Metric::Angular, factors, vectors, n, &others)
    }

    /// Of the rows that are allowed those with a vector.
    fn among_known<'a>(
        &self,
        factors: &'a [f32],
        allowed: Allowed<'a>,
    ) -> impl Fn(usize, u32) -> bool + Sync + 'a {
        let d = self.factors;
        move |at, row| allowed(at, row) && known(&factors[row as usize * d..][..d])
    }

    fn rank(
        &self,
        metric: Metric,
        factors: &[f32],
        vectors: &[f32],
        n: usize,
        allowed: Allowed<'_>,
    ) -> Result<Vec<Ranking>, QueryError> {
        memory::attempt(|| {
            check(vectors, n, self.factors)?;
            let mut queries = memory::copied(vectors);
            let ranked = threads::run(self.params.n_threads, || {
                let inverse_norms: Vec<f32> = match metric {
                    Metric::Angular => {
                        let rows = progress::checked(factors.chunks_exact(self.factors), 1 << 12);
                        rows.map(inverse_norm).collect()
                    }
                    _ => Vec::new(),
                };
                let dim = self.factors;
                let rows =
                    Rows { metric, dim, values: factors.into(), inverse_norms: &inverse_norms };
                queries.chunks_exact_mut(dim).for_each(|query| rows.prepare(query));
                let n = n.min(rows.len());
                exact::search(rows, &queries, n, |at, row| allowed(at, row).then_some(row))
            });
            let score = |key: f32| if metric == Metric::Angular { 1.0 - key } else { -key };
            let scored = |(list, vector): (Vec<(f32, u32)>, &[f32])| match known(vector) {
                true => list.into_iter().map(|(key, row)| (row, score(key))).collect(),
                false => Vec::new(),
            };
            Ok(ranked.into_iter().zip(vectors.chunks_exact(self.factors)).map(scored).collect())
        })
    }
}

fn known(vector: &[f32]) -> bool {
    vector.iter().any(|&x| x != 0.0)
}

fn check(vectors: &[f32], n: usize, factors: usize) -> Result<(), QueryError> {
    if !vectors.len().is_multiple_of(factors) {
        return Err(QueryError::Dimension { got: vectors.len() % factors, expected: factors });
    }
    match n {
        0 => {
            Err(QueryError::Parameter { name: "N", got: "0".into(), expected: "at least 1".into() })
        }
        _ => Ok(()),
    }
}

fn gather(
    factors: &[f32],
    d: usize,
    rows: &[u32],
    what: &'static str,
) -> Result<Vec<f32>, QueryError> {
    let mut vectors = memory::with_capacity(rows.len() * d);
    for &row in rows {
        let vector = (row as usize).checked_mul(d).and_then(|at| factors.get(at..at + d));
        vectors.extend_from_slice(vector.ok_or_else(|| QueryError::UnknownId {
            what,
            id: row.to_string(),
            hint: format!("{what}s are numbered 0 to {}", factors.len() / d - 1),
        })?);
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use crate::als::{Csr, Model, Params, Trainer};

    fn model() -> Model {
        let plays =
            Csr::from_triplets(4, 3, &[0, 0, 1, 2], &[0, 1, 0, 2], &[3.0, 1.0, 2.0, 5.0]).unwrap();
        let params = Params { factors: 3, iterations: 5, ..Params::default() };
        Trainer::new(params).fit(&plays).unwrap()
    }

    #[test]
    fn the_best_items_are_those_of_the_highest_score() {
        let model = model();
        let lists = model.best_items(&model.user_factors, 9, &|_, _| true).unwrap();
        for (user, list) in lists[..3].iter().enumerate() {
            let mut all: Vec<u32> = (0..3).collect();
            let score = |item: u32| model.score(user, item as usize);
            all.sort_by(|&a, &b| score(b).total_cmp(&score(a)).then(a.cmp(&b)));
            assert_eq!(list.iter().map(|l| l.0).collect::<Vec<_>>(), all);
            assert!(list.iter().all(|&(item, s)| (s - score(item)).abs() < 1e-6));
        }
        assert!(lists[3].is_empty(), "user 3 has no history");
        let without = model.best_items(model.user(0), 9, &|_, item| item != 0).unwrap();
        assert!(without[0].iter().all(|l| l.0 != 0) && without[0].len() == 2);
    }

    #[test]
    fn similar_ranks_by_cosine_and_leaves_itself_and_the_unknown_out() {
        let model = model();
        let cosine = |a: u32, b: u32| {
            let (a, b) = (model.user(a as usize), model.user(b as usize));
            let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        for (user, list) in (0..3).zip(model.similar_users(&[0, 1, 2], 9).unwrap()) {
            let mut others: Vec<u32> = (0..3).filter(|&other| other != user).collect();
            others.sort_by(|&a, &b| cosine(user, b).total_cmp(&cosine(user, a)));
            assert_eq!(list.iter().map(|l| l.0).collect::<Vec<_>>(), others, "user 3 is unknown");
            assert!(list.iter().all(|&(other, c)| (c - cosine(user, other)).abs() < 1e-5));
        }
        assert!(model.similar_users(&[3], 2).unwrap()[0].is_empty());
        let items = model.similar_items(&[2], 2).unwrap();
        assert!(items[0].len() == 2 && items[0].iter().all(|s| s.0 != 2));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let model = model();
        let text = model.similar_items(&[3], 1).unwrap_err().to_string();
        assert_eq!(text, "there is no item 3: items are numbered 0 to 2");
        assert!(model.users(&[4]).is_err());
        assert!(model.best_items(&[0.0; 4], 1, &|_, _| true).is_err());
        assert!(model.best_items(&[0.0; 3], 0, &|_, _| true).is_err());
    }
}
