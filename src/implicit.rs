//! What the drop-in for the package implicit computes beside training: its weights, its split and
//! its measures, as it defines them. They differ from [`crate::recommend::Weighting`] and
//! [`crate::eval`], which are this crate's own.

use crate::als::Csr;
use crate::error::{QueryError, TrainError};
use crate::random::Random;

/// ln(N / (1 + n)) for each column that n of the N rows have.
fn rarity(n_rows: usize, n_cols: usize, columns: &[u32]) -> Vec<f64> {
    let mut counts = vec![0f64; n_cols];
    columns.iter().for_each(|&c| counts[c as usize] += 1.0);
    counts.into_iter().map(|n| (n_rows as f64).ln() - n.ln_1p()).collect()
}

/// Term frequency and inverse document frequency of each entry, rows being documents:
/// sqrt(w) ln(N / (1 + n)), N the rows and n those that have the column. Values in the order of the
/// matrix.
#[must_use]
pub fn tfidf(matrix: &Csr) -> Vec<f64> {
    let rarity = rarity(matrix.n_rows(), matrix.n_cols(), matrix.indices());
    let weigh = |(&column, &w): (&u32, &f32)| f64::from(w).sqrt() * rarity[column as usize];
    matrix.indices().iter().zip(matrix.values()).map(weigh).collect()
}

/// BM25 of each entry, rows being documents: w (k1 + 1) / (k1 (1 - b + b L / mean L) + w) times
/// ln(N / (1 + n)), L being the sum of a row. The second factor is negative for a column that all
/// rows have. Values in the order of the matrix.
#[must_use]
pub fn bm25(matrix: &Csr, k1: f64, b: f64) -> Vec<f64> {
    let rarity = rarity(matrix.n_rows(), matrix.n_cols(), matrix.indices());
    let length = |row: usize| matrix.row(row).1.iter().map(|&w| f64::from(w)).sum::<f64>();
    let lengths: Vec<f64> = (0..matrix.n_rows()).map(length).collect();
    let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
    let mut weights = Vec::with_capacity(matrix.nnz());
    for (row, length) in lengths.iter().enumerate() {
        let norm = k1 * (1.0 - b + b * length / mean);
        let (columns, values) = matrix.row(row);
        weights.extend(columns.iter().zip(values).map(|(&column, &w)| {
            let w = f64::from(w);
            w * (k1 + 1.0) / (norm + w) * rarity[column as usize]
        }));
    }
    weights
}

/// Which entries to hold out, in the order of the matrix: `k` of every row with more than `k` + 1,
/// drawn from the seed, but for a share of the rows, of which none is held out.
///
/// # Errors
/// If `k` is 0 or the share is not from 0 to below 1.
pub fn leave_out(
    matrix: &Csr,
    k: usize,
    train_only: f64,
    seed: u64,
) -> Result<Vec<bool>, TrainError> {
    let refused = |name, got: String, expected: &str| {
        Err(TrainError::Parameter { name, got, expected: expected.into() })
    };
    if k == 0 {
        return refused("K", k.to_string(), "at least 1");
    }
    if !(0.0..1.0).contains(&train_only) {
        return refused("train_only_size", train_only.to_string(), "from 0 to below 1");
    }
    let mut random = Random::new(seed, 0);
    let mut held = vec![false; matrix.nnz()];
    let taken: Vec<usize> =
        (0..matrix.n_rows()).filter(|&row| !matrix.row(row).0.is_empty()).collect();
    let spared =
        if train_only > 0.0 { ((taken.len() as f64 * train_only) as usize).max(1) } else { 0 };
    let mut may = vec![true; matrix.n_rows()];
    for at in random.sample(taken.len(), spared.min(taken.len())) {
        may[taken[at]] = false;
    }
    for row in taken.into_iter().filter(|&row| may[row]) {
        let (first, n) = (matrix.indptr()[row] as usize, matrix.row(row).0.len());
        if n > k + 1 {
            random.sample(n, k).into_iter().for_each(|at| held[first + at] = true);
        }
    }
    Ok(held)
}

/// Measures of rankings, of users with held-out entries.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ranked {
    /// Held-out items among the first k, over the most there could have been, of all users
    /// together.
    pub precision: f64,
    /// The mean of a user's average precision, over min(k, held out).
    pub map: f64,
    /// The mean of a user's discounted gain over that of the best order.
    pub ndcg: f64,
    /// The mean of a user's area under the curve, items beyond the first k taken as in any order.
    pub auc: f64,
}

/// Measures rankings of `k` items each (-1 for none), one for each row of `held`, whose columns are
/// the items. Rows without entries do not count; without any all is 0.
///
/// # Errors
/// If there are not `k` items for each row.
pub fn ranked(rankings: &[i64], k: usize, held: &Csr) -> Result<Ranked, QueryError> {
    if Some(rankings.len()) != held.n_rows().checked_mul(k) {
        let expected = format!("{k} for each of {} rows", held.n_rows());
        let (name, got) = ("the number of ranked items", rankings.len().to_string());
        return Err(QueryError::Parameter { name, got, expected });
    }
    let discounts: Vec<f64> = (0..k).map(|rank| 1.0 / (rank as f64 + 2.0).log2()).collect();
    let (mut sums, mut most, mut users) = (Ranked::default(), 0.0, 0.0);
    for (row, list) in rankings.chunks_exact(k.max(1)).enumerate() {
        let likes = held.row(row).0;
        if likes.is_empty() {
            continue;
        }
        let reach = k.min(likes.len());
        let (positive, all) = (likes.len() as f64, held.n_cols() as f64);
        let (mut hits, mut misses, mut precision, mut gain, mut area) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (rank, &item) in list.iter().enumerate() {
            if u32::try_from(item).is_ok_and(|item| likes.binary_search(&item).is_ok()) {
                hits += 1.0;
                precision += hits / (rank as f64 + 1.0);
                gain += discounts[rank];
            } else {
                misses += 1.0;
                area += hits;
            }
        }
        area += (hits + positive) / 2.0 * (all - positive - misses);
        sums.precision += hits;
        sums.map += precision / reach as f64;
        sums.ndcg += gain / discounts[..reach].iter().sum::<f64>();
        sums.auc += area / (positive * (all - positive)).max(1.0);
        most += reach as f64;
        users += 1.0;
    }
    let share = |sum: f64, of: f64| if of > 0.0 { sum / of } else { 0.0 };
    Ok(Ranked {
        precision: share(sums.precision, most),
        map: share(sums.map, users),
        ndcg: share(sums.ndcg, users),
        auc: share(sums.auc, users),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_of_a_ranking_worked_out_by_hand() {
        // User 0 has 1 and 3, user 1 nothing, user 2 has 0; five items.
        let held = Csr::from_triplets(3, 5, &[0, 0, 2], &[1, 3, 0], &[1.0; 3]).unwrap();
        let got = ranked(&[2, 3, 0, 0, 4, -1], 2, &held).unwrap();
        let second = 1.0 / 3f64.log2();
        assert_eq!(got.precision, 1.0 / 3.0);
        assert_eq!(got.map, 0.25 / 2.0);
        assert!((got.ndcg - second / (1.0 + second) / 2.0).abs() < 1e-12);
        // User 0: one miss before the hit, then (1 + 2) / 2 of the two others; user 2: two misses.
        assert!((got.auc - (3.0 / 6.0 + 0.5 * 2.0 / 4.0) / 2.0).abs() < 1e-12);
        assert_eq!(ranked(&[1, 3, 7, 7, 0, -1], 2, &held).unwrap().map, 1.0);
        assert!(ranked(&[1], 2, &held).is_err());
        let nothing = Csr::from_triplets(1, 5, &[], &[], &[]).unwrap();
        assert_eq!(ranked(&[1, 2], 2, &nothing).unwrap(), Ranked::default());
    }

    #[test]
    fn k_entries_of_the_rows_that_have_enough_are_held_out() {
        let rows: Vec<u32> = (0..40u32).flat_map(|r| vec![r; r as usize % 8]).collect();
        let columns: Vec<u32> = (0..40u32).flat_map(|r| 0..r % 8).collect();
        let m = Csr::from_triplets(40, 8, &rows, &columns, &vec![1.0; rows.len()]).unwrap();
        let count = |held: &[bool], row: usize| {
            let span = m.indptr()[row] as usize..m.indptr()[row + 1] as usize;
            held[span].iter().filter(|&&h| h).count()
        };
        let held = leave_out(&m, 2, 0.0, 1).unwrap();
        assert!((0..40).all(|row| count(&held, row) == if row % 8 > 3 { 2 } else { 0 }));
        assert_eq!(held, leave_out(&m, 2, 0.0, 1).unwrap());
        assert_ne!(held, leave_out(&m, 2, 0.0, 2).unwrap());
        let spared = leave_out(&m, 2, 0.4, 1).unwrap();
        let users = (0..40).filter(|&row| count(&spared, row) > 0).count();
        assert!((6..20).contains(&users), "{users} of 20");
        assert!(leave_out(&m, 0, 0.0, 1).is_err() && leave_out(&m, 1, 1.0, 1).is_err());
    }

    #[test]
    fn weights_are_the_formulas() {
        let m = Csr::from_triplets(4, 2, &[0, 0, 1], &[0, 1, 0], &[4.0, 1.0, 9.0]).unwrap();
        let rarity = [(4f64 / 3.0).ln(), (4f64 / 2.0).ln()];
        let expected = [2.0 * rarity[0], rarity[1], 3.0 * rarity[0]];
        tfidf(&m).iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-12));
        let norm = |length: f64| 100.0 * (0.2 + 0.8 * length / 3.5);
        let expected = [
            4.0 * 101.0 / (norm(5.0) + 4.0) * rarity[0],
            101.0 / (norm(5.0) + 1.0) * rarity[1],
            9.0 * 101.0 / (norm(9.0) + 9.0) * rarity[0],
        ];
        bm25(&m, 100.0, 0.8).iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-12));
    }
}
