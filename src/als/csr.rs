//! The user-item matrix in compressed sparse rows.

use crate::error::TrainError;
use crate::{memory, progress};

/// Entries, and rows, between two looks for an interruption.
const ENTRIES: usize = 1 << 16;
const ROWS: usize = 1 << 8;

/// A sparse matrix in compressed rows: users x items, or items x users once transposed.
///
/// Columns of a row ascend without duplicates; values are finite. A stored zero is kept: it is an
/// observation of weight zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Csr {
    n_cols: usize,
    /// n_rows + 1 offsets into `indices` and `values`, ascending from 0.
    indptr: Vec<u64>,
    indices: Vec<u32>,
    values: Vec<f32>,
}

impl Csr {
    /// A matrix from (row, column, value) triplets in any order; duplicates are summed.
    ///
    /// # Errors
    /// If the three slices differ in length, an index is out of range, or a value is not finite.
    pub fn from_triplets(
        n_rows: usize,
        n_cols: usize,
        rows: &[u32],
        cols: &[u32],
        values: &[f32],
    ) -> Result<Csr, TrainError> {
        memory::attempt(|| {
            if rows.len() != cols.len() || rows.len() != values.len() {
                return Err(mismatch(
                    "the number of columns and values",
                    format!("{} and {}", cols.len(), values.len()),
                    format!("{}, one for each row index", rows.len()),
                ));
            }
            if let Some(&row) = rows.iter().find(|&&r| r as usize >= n_rows) {
                return Err(mismatch("a row index", row.to_string(), format!("below {n_rows}")));
            }
            let mut indptr = memory::zeroed(n_rows + 1);
            for &r in progress::checked(rows.iter(), ENTRIES) {
                indptr[r as usize + 1] += 1;
            }
            for i in 0..n_rows {
                indptr[i + 1] += indptr[i];
            }
            let mut next: Vec<u64> = memory::copied(&indptr);
            let (mut indices, mut sorted) =
                (memory::zeroed(cols.len()), memory::zeroed(cols.len()));
            let entries = rows.iter().zip(cols).zip(values);
            for ((&r, &c), &v) in progress::checked(entries, ENTRIES) {
                let at = next[r as usize] as usize;
                indices[at] = c;
                sorted[at] = v;
                next[r as usize] += 1;
            }
            Csr::from_parts(n_cols, indptr, indices, sorted)
        })
    }

    /// A matrix from offsets, column indices and values; unsorted rows are sorted and duplicates
    /// within a row summed.
    ///
    /// # Errors
    /// If the parts contradict each other, a column is out of range, or a value is not finite.
    pub fn from_parts(
        n_cols: usize,
        indptr: Vec<u64>,
        indices: Vec<u32>,
        values: Vec<f32>,
    ) -> Result<Csr, TrainError> {
        check_parts(n_cols, &indptr, &indices, &values)?;
        let mut matrix = Csr { n_cols, indptr, indices, values };
        let sorted = progress::checked(0..matrix.n_rows(), ROWS)
            .all(|r| matrix.row(r).0.is_sorted_by(|a, b| a < b));
        if !sorted {
            matrix.sort_rows();
        }
        for row in progress::checked(0..matrix.n_rows(), ROWS) {
            let (columns, values) = matrix.row(row);
            if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                let (column, value) = (columns[at] as usize, values[at]);
                return Err(TrainError::NonFinite { row, column, value });
            }
        }
        Ok(matrix)
    }

    /// The number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.indptr.len() - 1
    }

    /// The number of columns.
    #[must_use]
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// The number of stored entries.
    #[must_use]
    pub fn nnz(&self) -> usize {
        self.indices.len()
    }

    /// Offsets of the rows, `n_rows + 1` of them.
    #[must_use]
    pub fn indptr(&self) -> &[u64] {
        &self.indptr
    }

    /// Column indices, row after row.
    #[must_use]
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// Values, row after row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The columns and values of one row.
    ///
    /// # Panics
    /// If `row` is not below [`n_rows`](Self::n_rows).
    #[must_use]
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.indptr[row] as usize..self.indptr[row + 1] as usize;
        (&self.indices[range.clone()], &self.values[range])
    }

    /// The same matrix with rows and columns exchanged. Takes time and memory in proportion to the
    /// entries.
    #[must_use]
    pub fn transpose(&self) -> Csr {
        let mut indptr = memory::zeroed(self.n_cols + 1);
        for &c in progress::checked(self.indices.iter(), ENTRIES) {
            indptr[c as usize + 1] += 1;
        }
        for i in 0..self.n_cols {
            indptr[i + 1] += indptr[i];
        }
        let mut next: Vec<u64> = memory::copied(&indptr);
        let (mut indices, mut values) = (memory::zeroed(self.nnz()), memory::zeroed(self.nnz()));
        for row in progress::checked(0..self.n_rows(), ROWS) {
            let (columns, row_values) = self.row(row);
            for (&c, &v) in columns.iter().zip(row_values) {
                let at = next[c as usize] as usize;
                indices[at] = row as u32;
                values[at] = v;
                next[c as usize] += 1;
            }
        }
        Csr { n_cols: self.n_rows(), indptr, indices, values }
    }

    /// The same pattern with every value replaced by `f(value)`.
    ///
    /// # Errors
    /// If `f` gives a value that is not finite.
    pub fn map_values(mut self, f: impl Fn(f32) -> f32) -> Result<Csr, TrainError> {
        progress::checked(self.values.iter_mut(), ENTRIES).for_each(|v| *v = f(*v));
        Csr::from_parts(self.n_cols, self.indptr, self.indices, self.values)
    }

    fn sort_rows(&mut self) {
        let mut write = 0usize;
        let mut entries: Vec<(u32, f32)> = Vec::new();
        let mut start = 0usize;
        for row in progress::checked(0..self.n_rows(), ROWS) {
            let end = self.indptr[row + 1] as usize;
            entries.clear();
            entries.extend((start..end).map(|i| (self.indices[i], self.values[i])));
            // Stable, so that duplicates are summed in the order in which they came.
            entries.sort_by_key(|e| e.0);
            let first = write;
            for &(column, value) in &entries {
                if write > first && self.indices[write - 1] == column {
                    self.values[write - 1] += value;
                } else {
                    self.indices[write] = column;
                    self.values[write] = value;
                    write += 1;
                }
            }
            self.indptr[row + 1] = write as u64;
            start = end;
        }
        self.indices.truncate(write);
        self.values.truncate(write);
    }
}

fn check_parts(
    n_cols: usize,
    indptr: &[u64],
    idx: &[u32],
    values: &[f32],
) -> Result<(), TrainError> {
    let Some(&last) = indptr.last() else {
        return Err(mismatch("indptr", "empty".into(), "n_rows + 1 offsets".into()));
    };
    if indptr[0] != 0 || !indptr.is_sorted() || last != idx.len() as u64 {
        return Err(mismatch(
            "indptr",
            format!("offsets from {} to {last}", indptr[0]),
            format!("ascending offsets from 0 to {}, the number of entries", idx.len()),
        ));
    }
    if values.len() != idx.len() {
        return Err(mismatch(
            "the number of values",
            values.len().to_string(),
            format!("{}, one for each column index", idx.len()),
        ));
    }
    match idx.iter().find(|&&c| c as usize >= n_cols) {
        Some(c) => Err(mismatch("a column index", c.to_string(), format!("below {n_cols}"))),
        None => Ok(()),
    }
}

fn mismatch(what: &str, got: String, expected: String) -> TrainError {
    TrainError::Matrix { what: what.to_string(), got, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triplets_are_sorted_and_duplicates_summed() {
        let m =
            Csr::from_triplets(3, 4, &[2, 0, 2, 2], &[3, 1, 0, 3], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(m.row(0), (&[1u32][..], &[2.0f32][..]));
        assert_eq!(m.row(1), (&[][..], &[][..]));
        assert_eq!(m.row(2), (&[0u32, 3][..], &[3.0f32, 5.0][..]));
        assert_eq!((m.n_rows(), m.n_cols(), m.nnz()), (3, 4, 3));
        assert_eq!(m.transpose().transpose(), m);
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(Csr::from_triplets(1, 1, &[1], &[0], &[1.0]).is_err());
        assert!(Csr::from_triplets(1, 1, &[0], &[1], &[1.0]).is_err());
        assert!(Csr::from_triplets(1, 1, &[0], &[], &[1.0]).is_err());
        assert!(Csr::from_parts(2, vec![0, 2, 1], vec![0, 1], vec![1.0, 1.0]).is_err());
        assert!(Csr::from_parts(2, vec![], vec![], vec![]).is_err());
        let bad = Csr::from_triplets(1, 2, &[0], &[1], &[f32::NAN]);
        assert!(matches!(bad, Err(TrainError::NonFinite { row: 0, column: 1, .. })));
    }
}
