//! Who played what, how often, with the names of both.

use crate::als::Csr;
use crate::error::{ReadError, TrainError};
use crate::index::{IdRef, Ids};

use super::InteractionsBuilder;
use super::weighting::{WeightModel, Weighting};

/// The ids of a table's user or item column, one a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdColumn {
    /// Integers, none of them -1.
    Int(Vec<i64>),
    /// Strings; they stay strings, even if they read as integers.
    Text(Vec<String>),
}

impl IdColumn {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            IdColumn::Int(ids) => ids.len(),
            IdColumn::Text(ids) => ids.len(),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn get(&self, row: usize) -> IdRef<'_> {
        match self {
            IdColumn::Int(ids) => IdRef::Int(ids[row]),
            IdColumn::Text(ids) => IdRef::Text(&ids[row]),
        }
    }
}

/// A user-item matrix of raw weights with the ids of its rows and columns, and when it was, if that
/// is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Interactions {
    /// Users x items; raw weights.
    pub matrix: Csr,
    /// The id of each row.
    pub users: Ids,
    /// The id of each column.
    pub items: Ids,
    /// When each stored entry was, in the matrix's order; of summed rows the latest. Seconds since
    /// 1970 where dates were read, else in the unit in which they were given.
    pub times: Option<Vec<i64>>,
    /// The earliest time of each stored entry, if rows with different times were summed; else none.
    pub first_times: Option<Vec<i64>>,
    /// The unit of the times, if it is known.
    pub time_unit: TimeUnit,
}

/// Unit of times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Nothing: they were given as whole numbers.
    #[default]
    Unknown,
    /// Seconds since 1970, made of dates.
    Seconds,
}

impl Interactions {
    /// Interactions whose rows and columns are their own ids.
    #[must_use]
    pub fn from_matrix(matrix: Csr) -> Interactions {
        let (users, items) = (Ids::Sequential(matrix.n_rows()), Ids::Sequential(matrix.n_cols()));
        let (times, first_times, time_unit) = (None, None, TimeUnit::Unknown);
        Interactions { matrix, users, items, times, first_times, time_unit }
    }

    /// Interactions from the columns of a table; without `weights` each row weighs 1.
    ///
    /// Users and items are numbered in order of first appearance, rows of the same pair are summed
    /// and keep their latest time.
    ///
    /// # Errors
    /// If the columns differ in length, an id is -1, a weight is not finite (the row, from 0, is
    /// named), or a pair's sum leaves float32.
    pub fn from_columns(
        users: IdColumn,
        items: IdColumn,
        weights: Option<Vec<f32>>,
        times: Option<Vec<i64>>,
    ) -> Result<Interactions, ReadError> {
        crate::memory::attempt(|| {
            check_length("item ids", items.len(), users.len())?;
            if let Some(weights) = &weights {
                check_length("weights", weights.len(), users.len())?;
            }
            if let Some(times) = &times {
                check_length("times", times.len(), users.len())?;
            }
            let mut builder = InteractionsBuilder::new();
            for row in 0..users.len() {
                let weight = weights.as_ref().map_or(1.0, |w| w[row]);
                match &times {
                    Some(times) => {
                        builder.push_at(users.get(row), items.get(row), weight, times[row])
                    }
                    None => builder.push(users.get(row), items.get(row), weight),
                }?;
            }
            Ok(builder.finish()?)
        })
    }

    /// The same interactions with weights made ready for training.
    ///
    /// Takes time in proportion to the interactions; BM25 holds a second copy of them meanwhile.
    ///
    /// # Errors
    /// If the weighting is BM25 and a weight is negative.
    pub fn weighted(self, weighting: Weighting) -> Result<Interactions, TrainError> {
        let matrix = WeightModel::fit(weighting, &self.matrix)
            .and_then(|model| model.apply(self.matrix.clone()))
            .map_err(|error| self.in_words(error, weighting))?;
        Ok(Interactions { matrix, ..self })
    }
}

fn check_length(what: &str, got: usize, expected: usize) -> Result<(), TrainError> {
    if got == expected {
        return Ok(());
    }
    Err(TrainError::Matrix {
        what: format!("the number of {what}"),
        got: got.to_string(),
        expected: format!("{expected}, one for each user id"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::IdsError;

    fn texts(ids: &[&str]) -> IdColumn {
        IdColumn::Text(ids.iter().map(|s| s.to_string()).collect())
    }

    fn small(weights: &[f32]) -> Interactions {
        let users = IdColumn::Int(vec![9, 9, 4, 4, 4]);
        let items = texts(&["b", "a", "a", "c", "a"]);
        Interactions::from_columns(users, items, Some(weights.to_vec()), None).unwrap()
    }

    #[test]
    fn columns_become_a_matrix_in_order_of_first_appearance() {
        let data = small(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(data.users, Ids::Int(vec![9, 4]));
        assert_eq!(data.items, Ids::Text(["b", "a", "c"].map(String::from).to_vec()));
        assert_eq!(data.matrix.row(0), (&[0u32, 1][..], &[1.0f32, 2.0][..]));
        assert_eq!(data.matrix.row(1), (&[1u32, 2][..], &[8.0f32, 4.0][..]));
        let ones = Interactions::from_columns(texts(&["1"]), IdColumn::Int(vec![1]), None, None);
        let ones = ones.unwrap();
        assert_eq!((ones.users, ones.matrix.values()), (Ids::Text(vec!["1".into()]), &[1.0][..]));
    }

    #[test]
    fn columns_that_make_no_sense_are_refused() {
        let ints = |v: &[i64]| IdColumn::Int(v.to_vec());
        let got = Interactions::from_columns(ints(&[1, 2]), ints(&[1]), None, None);
        assert!(got.unwrap_err().to_string().contains("item ids is 1, expected 2"));
        let got = Interactions::from_columns(ints(&[1]), ints(&[1]), Some(vec![]), None);
        assert!(got.unwrap_err().to_string().contains("weights is 0, expected 1"));
        let got = Interactions::from_columns(ints(&[1]), ints(&[1]), None, Some(vec![3, 4]));
        assert!(got.unwrap_err().to_string().contains("times is 2, expected 1"));
        let got = Interactions::from_columns(ints(&[1, -1]), ints(&[1, 1]), None, None);
        assert!(matches!(got, Err(ReadError::Ids(IdsError::Reserved { row: 1 }))));
        let infinite = Some(vec![f32::INFINITY]);
        let got = Interactions::from_columns(ints(&[1]), ints(&[7]), infinite, None);
        assert!(matches!(got, Err(ReadError::Weight { row: 0, .. })));
    }

    #[test]
    fn a_summed_pair_keeps_its_latest_time() {
        let users = IdColumn::Int(vec![9, 9, 4, 4, 4]);
        let items = texts(&["b", "a", "a", "c", "a"]);
        let times = Some(vec![5, -6, 8, 2, 7]);
        let data = Interactions::from_columns(users, items, None, times).unwrap();
        assert_eq!(data.times, Some(vec![5, -6, 8, 2]));
        assert_eq!(data.matrix.values(), [1.0, 1.0, 2.0, 1.0]);
        let log = data.clone().weighted(Weighting::Log1p).unwrap();
        assert_eq!(log.times, data.times);
    }

    #[test]
    fn log1p_keeps_the_sign_and_bm25_refuses_it() {
        let data = small(&[1.0, -2.0, 3.0, 0.0, 5.0]);
        let log = data.clone().weighted(Weighting::Log1p).unwrap();
        let expected = [2f64.ln(), -(3f64.ln()), 9f64.ln(), 0.0];
        for (got, want) in log.matrix.values().iter().zip(expected) {
            assert_eq!(*got, want as f32);
        }
        assert_eq!(data.clone().weighted(Weighting::Raw).unwrap(), data);
        let text = data.weighted(Weighting::Bm25).unwrap_err().to_string();
        assert!(text.starts_with("the weight of user 9, item \"a\" is -2, expected 0"), "{text}");
        assert!(text.contains("log1p"), "{text}");
    }

    #[test]
    fn normalized_is_the_formula_and_keeps_the_mean_size() {
        let raw = small(&[1.0, -2.0, 3.0, 4.0, 5.0]);
        let data = raw.clone().weighted(Weighting::Normalized { beta: 0.3 }).unwrap();
        // Both users have two items; item a both users, b and c one each.
        let one = |w: f64, both: bool| w / (2.0 * if both { 2.0 } else { 1.0f64 }).powf(0.3);
        let exact = [one(1.0, false), one(-2.0, true), one(8.0, true), one(4.0, false)];
        let scale = 15.0 / exact.iter().map(|w| w.abs()).sum::<f64>();
        for (got, want) in data.matrix.values().iter().zip(exact) {
            assert!((f64::from(*got) - want * scale).abs() < 1e-5, "{got} {want}");
        }
        let same = raw.clone().weighted(Weighting::Normalized { beta: 0.0 }).unwrap();
        assert_eq!(same, raw);
        assert!(raw.weighted(Weighting::Normalized { beta: f32::NAN }).is_err());
        let zeros = small(&[0.0; 5]).weighted(Weighting::Normalized { beta: 1.0 }).unwrap();
        assert_eq!(zeros.matrix.values(), [0.0; 4]);
    }

    #[test]
    fn weightings_have_names_that_read_back() {
        let other = Weighting::Normalized { beta: 0.3 };
        for weighting in Weighting::ALL.into_iter().chain([other]) {
            assert_eq!(weighting.to_string().parse::<Weighting>().unwrap(), weighting);
        }
        assert_eq!((other.to_string(), other.name()), ("normalized:0.3".into(), "normalized"));
        for wrong in ["normalized:", "normalized:2", "normalized:nan", "tfidf", "raw:1", ""] {
            let error = wrong.parse::<Weighting>().unwrap_err().to_string();
            assert!(error.contains("\"normalized:BETA\""), "{error}");
        }
    }

    #[test]
    fn weights_halve_with_every_half_life() {
        let ids = || IdColumn::Int(vec![0, 1, 2, 3, 4]);
        let times = Some(vec![100, 90, 80, i64::MIN, 70]);
        let weights = Some(vec![8.0, 8.0, -8.0, 8.0, 0.0]);
        let data = Interactions::from_columns(ids(), ids(), weights, times).unwrap();
        let decayed = data.clone().decayed(10.0, None).unwrap();
        assert_eq!(decayed.matrix.values(), [8.0, 4.0, -2.0, 0.0, 0.0]);
        assert_eq!((&decayed.times, &decayed.users), (&data.times, &data.users));
        let now = data.clone().decayed(10.0, Some(90)).unwrap();
        assert_eq!(now.matrix.values()[..3], [8.0, 8.0, -4.0], "the future does not grow");
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = data.clone().decayed(wrong, None).unwrap_err().to_string();
            assert!(error.contains("half_life is"), "{error}");
        }
        let error = small(&[1.0; 5]).decayed(1.0, None).unwrap_err().to_string();
        assert!(error.contains("read it with time="), "{error}");
        let none = Interactions {
            times: Some(vec![]),
            ..Interactions::from_matrix(Csr::from_triplets(2, 2, &[], &[], &[]).unwrap())
        };
        assert_eq!(none.decayed(1.0, None).unwrap().matrix.nnz(), 0);
    }

    #[test]
    fn bm25_is_the_formula() {
        let data = small(&[1.0, 2.0, 3.0, 4.0, 5.0]).weighted(Weighting::Bm25).unwrap();
        // Users total 3 and 12, their mean is 7.5; item a has both users, b and c one each.
        let (one, both) = ((1.0 + 1.5 / 1.5f64).ln(), (1.0 + 0.5 / 2.5f64).ln());
        let term = |w: f64, total: f64| w * 101.0 / (w + 100.0 * (0.2 + 0.8 * total / 7.5));
        let expected = [
            term(1.0, 3.0) * one,
            term(2.0, 3.0) * both,
            term(8.0, 12.0) * both,
            term(4.0, 12.0) * one,
        ];
        for (got, want) in data.matrix.values().iter().zip(expected) {
            assert!((f64::from(*got) - want).abs() < 1e-6 * want.max(1.0), "{got} {want}");
        }
        let zeros = small(&[0.0; 5]).weighted(Weighting::Bm25).unwrap();
        assert_eq!(zeros.matrix.values(), [0.0; 4]);
    }
}
