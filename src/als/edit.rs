//! Rows and columns of a matrix put in, replaced and taken out: what follows a model whose users and
//! items come and go.

use super::csr::Csr;
use crate::error::TrainError;

impl Csr {
    /// This matrix with row `numbers[i]` replaced by row `i` of `rows`. It grows to the largest
    /// number and the most columns; rows between that nobody gave are empty. Of a number given
    /// twice the last row counts. Takes time and memory in proportion to the entries of the result.
    ///
    /// # Errors
    /// If there are not as many numbers as rows, or memory does not hold the result.
    pub fn with_rows(&self, numbers: &[u32], rows: &Csr) -> Result<Csr, TrainError> {
        same_count(numbers, rows)?;
        let n_rows = grown(self.n_rows(), numbers);
        let mut new: Vec<Option<usize>> = reserved("the matrix's rows", n_rows)?;
        new.resize(n_rows, None);
        numbers.iter().enumerate().for_each(|(at, &number)| new[number as usize] = Some(at));
        let row = |number: usize| match new[number] {
            Some(at) => rows.row(at),
            None if number < self.n_rows() => self.row(number),
            None => (&[][..], &[][..]),
        };
        collect(n_rows, self.n_cols().max(rows.n_cols()), row)
    }

    /// This matrix with column `numbers[i]` replaced by row `i` of `columns` (items x users), as
    /// [`with_rows`](Self::with_rows).
    ///
    /// # Errors
    /// As [`with_rows`](Self::with_rows).
    pub fn with_columns(&self, numbers: &[u32], columns: &Csr) -> Result<Csr, TrainError> {
        Ok(self.transpose().with_rows(numbers, columns)?.transpose())
    }

    /// This matrix without some rows; those after them move up.
    ///
    /// # Errors
    /// If there is no such row.
    pub fn without_rows(&self, numbers: &[u32]) -> Result<Csr, TrainError> {
        let kept = kept("a row to remove", self.n_rows(), numbers)?;
        collect(kept.len(), self.n_cols(), |at| self.row(kept[at] as usize))
    }

    /// How many places have an entry in this matrix and in another one.
    #[must_use]
    pub fn n_shared(&self, other: &Csr) -> usize {
        let shared = |row: usize| {
            let theirs = other.row(row).0;
            self.row(row).0.iter().filter(|column| theirs.binary_search(column).is_ok()).count()
        };
        (0..self.n_rows().min(other.n_rows())).map(shared).sum()
    }

    /// This matrix without some columns; those after them move up.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn without_columns(&self, numbers: &[u32]) -> Result<Csr, TrainError> {
        Ok(self.transpose().without_rows(numbers)?.transpose())
    }
}

fn collect<'a>(
    n_rows: usize,
    n_cols: usize,
    row: impl Fn(usize) -> (&'a [u32], &'a [f32]),
) -> Result<Csr, TrainError> {
    let (mut indptr, mut indices, mut values) = (vec![0u64], Vec::new(), Vec::new());
    for at in 0..n_rows {
        let (columns, weights) = row(at);
        indices.extend_from_slice(columns);
        values.extend_from_slice(weights);
        indptr.push(indices.len() as u64);
    }
    Csr::from_parts(n_cols, indptr, indices, values)
}

/// How many rows there are once these numbers have theirs.
pub(super) fn grown(n: usize, numbers: &[u32]) -> usize {
    numbers.iter().map(|&number| number as usize + 1).fold(n, usize::max)
}

/// An empty vector with room for `len` values.
pub(super) fn reserved<T>(what: &str, len: usize) -> Result<Vec<T>, TrainError> {
    let mut values = Vec::new();
    match values.try_reserve_exact(len) {
        Ok(()) => Ok(values),
        Err(_) => Err(TrainError::Matrix {
            what: format!("the number of values for {what}"),
            got: len.to_string(),
            expected: "as many as fit in memory: number new rows from the last one on".into(),
        }),
    }
}

/// That there are as many numbers as rows.
pub(super) fn same_count(numbers: &[u32], rows: &Csr) -> Result<(), TrainError> {
    match numbers.len() == rows.n_rows() {
        true => Ok(()),
        false => Err(TrainError::Matrix {
            what: "the number of rows".into(),
            got: rows.n_rows().to_string(),
            expected: format!("{}, one for each number", numbers.len()),
        }),
    }
}

/// The numbers below `n` that are not among `without`, ascending.
pub(super) fn kept(what: &str, n: usize, without: &[u32]) -> Result<Vec<u32>, TrainError> {
    let mut stays = vec![true; n];
    for &number in without {
        let stay = stays.get_mut(number as usize).ok_or_else(|| TrainError::Matrix {
            what: what.to_string(),
            got: number.to_string(),
            expected: format!("below {n}"),
        })?;
        *stay = false;
    }
    Ok((0..n as u32).filter(|&number| stays[number as usize]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(m: &Csr) -> Vec<Vec<f32>> {
        let row = |r: usize| {
            let mut out = vec![0.0; m.n_cols()];
            let (columns, values) = m.row(r);
            columns.iter().zip(values).for_each(|(&c, &v)| out[c as usize] = v);
            out
        };
        (0..m.n_rows()).map(row).collect()
    }

    fn matrix() -> Csr {
        Csr::from_triplets(3, 2, &[0, 0, 1, 2], &[0, 1, 1, 0], &[1.0, 2.0, 3.0, 4.0]).unwrap()
    }

    #[test]
    fn rows_are_replaced_added_and_taken_out() {
        let new = Csr::from_triplets(3, 3, &[0, 1, 2], &[2, 0, 1], &[7.0, 8.0, 9.0]).unwrap();
        let got = matrix().with_rows(&[1, 4, 1], &new).unwrap();
        assert_eq!(
            dense(&got),
            [[1., 2., 0.], [0., 9., 0.], [4., 0., 0.], [0.; 3], [8., 0., 0.]].map(Vec::from)
        );
        assert_eq!(dense(&got.without_rows(&[0, 3, 3]).unwrap()).len(), 3);
        assert_eq!(got.without_rows(&[4, 3]).unwrap().n_rows(), 3);
        assert_eq!((matrix().n_shared(&got), got.n_shared(&matrix())), (4, 4));
        assert_eq!(matrix().n_shared(&matrix().without_rows(&[0]).unwrap()), 1);
        assert_eq!(
            matrix().with_rows(&[], &Csr::from_parts(2, vec![0], vec![], vec![]).unwrap()),
            { Ok(matrix()) }
        );
    }

    #[test]
    fn columns_likewise() {
        let new = Csr::from_triplets(1, 4, &[0, 0], &[1, 3], &[5.0, 6.0]).unwrap();
        let got = matrix().with_columns(&[2], &new).unwrap();
        assert_eq!(
            dense(&got),
            [[1., 2., 0.], [0., 3., 5.], [4., 0., 0.], [0., 0., 6.]].map(Vec::from)
        );
        let without = dense(&got.without_columns(&[0]).unwrap());
        assert_eq!(without, [[2., 0.], [3., 5.], [0., 0.], [0., 6.]].map(Vec::from));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let text = matrix().without_rows(&[3]).unwrap_err().to_string();
        assert_eq!(text, "a row to remove is 3, expected below 3");
        assert!(matrix().with_rows(&[1], &matrix()).is_err());
        assert!(matrix().without_columns(&[2]).is_err());
    }
}
