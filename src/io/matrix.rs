//! Rows of numbers in memory.

/// A matrix in row-major order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matrix<T = f32> {
    /// `rows * cols` values, row after row.
    pub data: Vec<T>,
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub cols: usize,
}

impl<T> Matrix<T> {
    /// One row.
    ///
    /// # Panics
    /// If `row` is not below `rows`.
    #[must_use]
    pub fn row(&self, row: usize) -> &[T] {
        &self.data[row * self.cols..(row + 1) * self.cols]
    }
}

impl<T: Copy> Matrix<T> {
    /// A matrix of the same shape whose values came column after column.
    pub(super) fn from_columns(columns: &[T], rows: usize, cols: usize) -> Matrix<T> {
        let mut data = Vec::with_capacity(columns.len());
        for row in 0..rows {
            data.extend((0..cols).map(|col| columns[col * rows + row]));
        }
        Matrix { data, rows, cols }
    }
}
