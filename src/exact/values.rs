//! Stored vectors, whatever their elements are.

use std::borrow::Cow;

use half::f16;

use crate::kernel::bytes;
use crate::kernel::float::Row;

/// Vectors, row after row, borrowed.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// As they are.
    F32(&'a [f32]),
    /// In half precision.
    F16(&'a [f16]),
    /// `offset[j] + scales[row] * code`.
    I8 {
        /// Signed codes.
        codes: &'a [i8],
        /// A factor a row.
        scales: &'a [f32],
        /// A value a dimension.
        offset: &'a [f32],
    },
    /// A bit a component, as [`bytes::pack`] packs each row; for `Hamming`.
    Bits(&'a [u8]),
}

impl<'a> From<&'a [f32]> for Values<'a> {
    fn from(values: &'a [f32]) -> Values<'a> {
        Values::F32(values)
    }
}

impl<'a> Values<'a> {
    /// The number of rows of dimension `dim`.
    #[must_use]
    pub fn n_rows(&self, dim: usize) -> usize {
        match self {
            Values::F32(values) => values.len() / dim,
            Values::F16(values) => values.len() / dim,
            Values::I8 { codes, .. } => codes.len() / dim,
            Values::Bits(bits) => bits.len() / bytes::packed_len(dim),
        }
    }

    /// A row as the float kernels read it, or its bits.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn stored(&self, row: usize, dim: usize) -> Stored<'a> {
        match *self {
            Values::F32(values) => Stored::Floats(Row::F32(&values[row * dim..][..dim])),
            Values::F16(values) => Stored::Floats(Row::F16(&values[row * dim..][..dim])),
            Values::I8 { codes, scales, offset } => Stored::Floats(Row::I8 {
                codes: &codes[row * dim..][..dim],
                scale: scales[row],
                offset,
            }),
            Values::Bits(bits) => {
                let len = bytes::packed_len(dim);
                Stored::Bits(&bits[row * len..][..len])
            }
        }
    }

    /// A row as float32: borrowed if that is what is stored, else decoded.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, row: usize, dim: usize) -> Cow<'a, [f32]> {
        match self.stored(row, dim) {
            Stored::Floats(Row::F32(values)) => Cow::Borrowed(values),
            Stored::Floats(other) => Cow::Owned(other.decode()),
            Stored::Bits(bits) => Cow::Owned(bytes::unpack(bits, dim)),
        }
    }
}

/// One stored vector.
#[derive(Debug, Clone, Copy)]
pub enum Stored<'a> {
    /// For the float kernels.
    Floats(Row<'a>),
    /// A bit a component.
    Bits(&'a [u8]),
}

impl Stored<'_> {
    /// Asks the processor to fetch the row into its caches.
    pub fn prefetch(&self) {
        use crate::kernel::code::prefetch;
        match self {
            Stored::Floats(Row::F32(values)) => prefetch(values, size_of_val(*values)),
            Stored::Floats(Row::F16(values)) => prefetch(values, size_of_val(*values)),
            Stored::Floats(Row::I8 { codes, .. }) => prefetch(codes, codes.len()),
            Stored::Bits(bits) => prefetch(bits, bits.len()),
        }
    }
}
