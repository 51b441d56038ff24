//! How far codes are wrong near a query, and how many neighbours a cut by code may have lost.
//!
//! A search keeps the best candidates by code and ranks those by their rows. Where more rows lie within
//! the codes' error of the k-th neighbour than were kept (near copies of one row, tight clusters, a
//! small `k`), neighbours are among the rows that were cut off. That is estimated for each query, from
//! what the candidates' codes and rows say of the codes' error.

/// The error is estimated from the nearest candidates, at least this many. Candidates further out are
/// there because their codes err towards the query, so their errors say little about others.
const NEAREST: usize = 12;

/// From fewer candidates nothing is concluded.
const LEAST: usize = 4;

/// Rows lie denser beyond a cut than before it, by about this much within an error.
const GROWTH: f64 = 1.5;

/// Beyond this many deviations no row is looked for.
const BEYOND: f64 = 4.0;

/// The share of the allowed misses that cuts by code may take up.
const SHARE: f64 = 0.3;

/// The candidates compared were chosen by their scores, so these err less than others do.
const WIDER: f64 = 1.25;

/// The recall that a budget stands for where a number of misses must be allowed.
const RECALL_OF_BUDGETS: f64 = 0.95;

/// Candidates of which both the exact key and the score by code are known.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// (key, score)
    pairs: Vec<(f32, f32)>,
}

/// The scores by code of rows as near as the k-th neighbour.
#[derive(Debug, Clone, Copy)]
pub(super) struct CodeError {
    /// Their mean.
    mean: f64,
    /// Their standard deviation.
    deviation: f64,
}

/// How many neighbours cuts by code may lose, for `k` neighbours with a recall; `None` for a budget.
pub(super) fn misses_allowed(k: usize, recall: Option<f64>) -> f64 {
    let recall = recall.unwrap_or(RECALL_OF_BUDGETS);
    SHARE * (1.0 - recall).max(0.0) * k as f64
}

impl Compared {
    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    pub fn push(&mut self, key: f32, score: f32) {
        self.pairs.push((key, score));
    }

    /// The error of the codes, for the `k`-th neighbour of those compared. A difference of 1 between keys
    /// is one of `worth` between scores, and scores differ by `unit` if at all. `None` if too few were
    /// compared to say.
    pub fn error(&mut self, k: usize, worth: f64, unit: f64) -> Option<CodeError> {
        let n = k.max(NEAREST).min(self.pairs.len());
        if n < LEAST || k > self.pairs.len() {
            return None;
        }
        if n < self.pairs.len() {
            self.pairs.select_nth_unstable_by(n - 1, |a, b| a.0.total_cmp(&b.0));
        }
        let nearest = &mut self.pairs[..n];
        let kth = match k == n {
            true => nearest.iter().map(|pair| pair.0).fold(f32::NEG_INFINITY, f32::max),
            false => nearest.select_nth_unstable_by(k - 1, |a, b| a.0.total_cmp(&b.0)).1.0,
        };
        let mut errors = Spread::default();
        nearest
            .iter()
            .for_each(|&(key, score)| errors.add(f64::from(score) - worth * f64::from(key)));
        let mean = worth * f64::from(kth) + errors.mean;
        // Below this a deviation is rounding.
        let least = unit.max(1e-6 * (mean.abs() + f64::from(kth).abs() * worth));
        Some(CodeError { mean, deviation: (WIDER * errors.deviation()).max(least) })
    }

    /// How many rows as near as the k-th neighbour are expected to score beyond `cut`, the last score that
    /// was kept.
    pub fn expected_misses(&self, error: CodeError, cut: f32) -> f64 {
        let (cut, from) = (f64::from(cut), f64::from(cut) - error.deviation);
        let near = self.pairs.iter().filter(|pair| f64::from(pair.1) >= from).count();
        GROWTH * near as f64 * tail((cut - error.mean) / error.deviation)
    }
}

impl CodeError {
    /// Scores beyond this are no neighbours'.
    pub fn limit(self) -> f32 {
        ((self.mean + BEYOND * self.deviation) as f32).next_up()
    }

    /// How many of these rows, (score, row) ascending, must be compared so that no more than
    /// `allowed` neighbours are expected among the others.
    pub fn needed(self, scores: &[(f32, u32)], allowed: f64) -> usize {
        let chance = |score: f32| chance((f64::from(score) - self.mean) / self.deviation);
        // As a rule the nearest of them settles it.
        match scores.first() {
            Some(first) if chance(first.0) * scores.len() as f64 > allowed => {}
            _ => return 0,
        }
        let (mut left, mut n) = (allowed, scores.len());
        for &(score, _) in scores.iter().rev() {
            left -= chance(score);
            if left < 0.0 {
                break;
            }
            n -= 1;
        }
        n
    }
}

/// The slope of the logistic curve that is nearest to the normal distribution.
const LOGISTIC: f64 = 1.702;

/// The chance that a standard normal number is above `z`.
fn chance(z: f64) -> f64 {
    1.0 / (1.0 + (LOGISTIC * z).exp())
}

/// The integral of [`chance`] from `z` on.
fn tail(z: f64) -> f64 {
    (-LOGISTIC * z).exp().ln_1p().min(1e300) / LOGISTIC
}

/// Mean and deviation of numbers as they come (Welford 1962).
#[derive(Default)]
pub(super) struct Spread {
    pub n: f64,
    pub mean: f64,
    squares: f64,
}

impl Spread {
    pub fn add(&mut self, x: f64) {
        self.n += 1.0;
        let d = x - self.mean;
        self.mean += d / self.n;
        self.squares += d * (x - self.mean);
    }

    pub fn deviation(&self) -> f64 {
        (self.squares / (self.n - 1.0)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// 400 rows whose keys lie within `spread` and whose scores err by a standard normal; the best
    /// `kept` by score are compared. Returns the neighbours cut off and those expected to be.
    fn cut(k: usize, kept: usize, spread: f64, random: &mut Random) -> (f64, f64) {
        let row = |random: &mut Random| {
            let key = 100.0 + spread * random.uniform().sqrt();
            (key as f32, (2.0 * key + random.normal()) as f32)
        };
        let mut rows: Vec<(f32, f32)> = (0..400).map(|_| row(random)).collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let kth = rows[k - 1].0;
        rows.sort_by(|a, b| a.1.total_cmp(&b.1));
        let missed = rows[kept..].iter().filter(|row| row.0 <= kth).count();
        let mut compared = Compared::default();
        rows[..kept].iter().for_each(|row| compared.push(row.0, row.1));
        let error = compared.error(k, 2.0, 0.0).unwrap();
        (missed as f64, compared.expected_misses(error, rows[kept - 1].1))
    }

    #[test]
    fn misses_are_expected_about_where_they_are() {
        let mut random = Random::new(4, 0);
        for (k, kept, spread) in
            [(1, 22, 0.3), (1, 22, 3.0), (10, 40, 1.0), (10, 40, 10.0), (10, 40, 60.0)]
        {
            let mut sums = [0.0; 2];
            for _ in 0..300 {
                let (missed, expected) = cut(k, kept, spread, &mut random);
                sums[0] += missed / 300.0;
                sums[1] += expected / 300.0;
            }
            let [missed, expected] = sums;
            assert!(expected < 4.0 * missed + 0.1 * k as f64, "{k}, {spread}: {missed} {expected}");
            assert!(
                expected > 0.2 * missed - 0.01 * k as f64,
                "{k}, {spread}: {missed} {expected}"
            );
        }
    }

    #[test]
    fn copies_that_score_alike_are_all_needed() {
        let mut compared = Compared::default();
        (0..30).for_each(|_| compared.push(3.0, 6.5));
        let error = compared.error(10, 2.0, 0.0).unwrap();
        assert!(compared.expected_misses(error, 6.5) > 1.0);
        assert!(error.limit() >= 6.5);
        assert_eq!(error.needed(&[(6.5, 0); 50], 0.1), 50);
        assert_eq!(compared.expected_misses(error, 6.6), 0.0);
        assert!(error.limit() < 6.6);
    }

    #[test]
    fn rows_far_beyond_the_error_are_not_needed() {
        let error = CodeError { mean: 10.0, deviation: 1.0 };
        let rows = [9.0, 10.0, 11.0, 14.0, 15.0, 20.0].map(|score| (score, 0));
        assert_eq!(error.needed(&rows, 0.05), 3);
        assert_eq!(error.needed(&rows, 10.0), 0);
        assert_eq!(error.needed(&rows[3..], 0.05), 0);
        assert_eq!(error.needed(&[], 0.0), 0);
    }
}
