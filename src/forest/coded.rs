//! The rows in codes, as a build needs them.

use rayon::prelude::*;

use crate::exact::Rows;
use crate::kernel::code::{self, TILE};
use crate::metric::Metric;
use crate::quant::{self, Coded};

/// All rows in 8-bit codes about their common mean: made once, used by every tree.
pub struct CodedRows {
    /// What the codes are taken from.
    pub mean: Vec<f32>,
    /// Scale, sum and norm of each row.
    pub about: Vec<Coded>,
    codes: Vec<i8>,
    width: usize,
}

impl CodedRows {
    /// Codes every row.
    #[must_use]
    pub fn new(rows: Rows<'_>) -> CodedRows {
        let mean = quant::mean(rows.values, rows.dim, rows.inverse_norms);
        let width = quant::code_len(rows.dim);
        let mut codes = vec![0i8; rows.len() * width];
        let about = codes
            .par_chunks_exact_mut(width)
            .enumerate()
            .map(|(row, codes)| quant::encode(rows.row(row), rows.factor(row), &mean, codes))
            .collect();
        CodedRows { mean, about, codes, width }
    }

    /// The codes of one row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[i8] {
        &self.codes[row * self.width..][..self.width]
    }

    /// Packs the codes of `members` (rows, or `u32::MAX` for a slot that stays empty) into tiles.
    ///
    /// # Panics
    /// If the outputs are not as long as the members ask for.
    pub fn pack(
        &self,
        rows: Rows<'_>,
        members: &[u32],
        tiles: &mut [u8],
        bias: &mut [f32],
        scale: &mut [f32],
    ) {
        tiles
            .par_chunks_exact_mut(TILE * self.width)
            .zip(bias.par_chunks_exact_mut(TILE))
            .zip(scale.par_chunks_exact_mut(TILE))
            .zip(members.par_chunks_exact(TILE))
            .for_each(|(((tile, bias), scale), members)| {
                tile.fill(0x80);
                for (slot, &row) in members.iter().enumerate() {
                    (bias[slot], scale[slot]) = (f32::INFINITY, 0.0);
                    if row != u32::MAX {
                        code::place(tile, slot, self.row(row as usize));
                        bias[slot] = self.bias(rows, row as usize);
                        scale[slot] = self.about[row as usize].scale;
                    }
                }
            });
    }

    /// What a row's score starts from, so that the smallest score is the nearest row.
    fn bias(&self, rows: Rows<'_>, row: usize) -> f32 {
        let square = self.about[row].squared_norm;
        match rows.metric {
            Metric::Euclidean => square,
            // Rows have unit length, so L2 ranks as the cosine does; a zero row, whose cosine
            // counts as 0, is moved to where a right angle would put it.
            Metric::Angular if rows.factor(row) == 0.0 => square + 1.0,
            Metric::Angular => square,
            Metric::Dot => 0.0,
        }
    }
}
