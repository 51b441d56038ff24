//! What a leaf's members are scanned by: the 8-bit codes that the query has for centres too, bytes
//! of one common scale for L1, or packed bits for hamming.

use super::tree::slice;
use crate::kernel::bytes;
use crate::kernel::code::{self, CodeQuery, CodeRows, GROUP};
use crate::metric::Metric;
use crate::quant;

/// Bytes of a member in its tile.
#[must_use]
pub fn member_width(metric: Metric, dim: usize) -> usize {
    match metric {
        Metric::Hamming => bytes::packed_len(dim).next_multiple_of(GROUP),
        _ => quant::code_len(dim),
    }
}

/// Whether members stand in product codes too. What those estimate is an L2 distance or a product:
/// it says little of an L1 distance, and bits are as short themselves.
#[must_use]
pub fn has_products(metric: Metric) -> bool {
    !matches!(metric, Metric::Manhattan | Metric::Hamming)
}

/// Appends what a query's members are scanned with, if that is not its codes.
pub(super) fn append_member_query(
    metric: Metric,
    query: &[f32],
    mean: &[f32],
    scale: f32,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    match metric {
        Metric::Manhattan => {
            out.resize(start + member_width(metric, query.len()), 0);
            quant::encode_shared(query, mean, scale, &mut out[start..]);
        }
        Metric::Hamming => {
            out.resize(start + member_width(metric, query.len()), 0);
            bytes::pack(query, &mut out[start..]);
        }
        Metric::Euclidean | Metric::Angular | Metric::Dot => {}
    }
}

/// A query as members are scanned for it.
#[derive(Clone, Copy)]
pub(super) struct MemberQuery<'a> {
    pub metric: Metric,
    pub codes: CodeQuery<'a>,
    /// What [`append_member_query`] appended.
    pub bytes: &'a [u8],
    /// What a unit of a byte is worth for L1.
    pub scale: f32,
}

impl MemberQuery<'_> {
    pub fn score(&self, rows: CodeRows<'_>, out: &mut [f32]) {
        match self.metric {
            Metric::Manhattan => bytes::score_l1(self.bytes, self.scale, rows, out),
            Metric::Hamming => bytes::score_bits(self.bytes, rows, out),
            _ => code::score(self.codes, rows, out),
        }
    }
}

/// Scores rows for four queries, each with the bits it would have alone.
pub(super) fn score4(queries: [MemberQuery<'_>; 4], rows: CodeRows<'_>, out: [&mut [f32]; 4]) {
    match queries[0].metric {
        // A few tiles at a time, which stay in the first cache level for all four.
        Metric::Manhattan | Metric::Hamming => {
            const STEP: usize = 4 * code::TILE;
            let width = queries[0].bytes.len();
            let mut out = out;
            for start in (0..rows.bias.len()).step_by(STEP) {
                let end = rows.bias.len().min(start + STEP);
                let rows = slice(rows, start, end, width);
                for (query, out) in queries.iter().zip(&mut out) {
                    query.score(rows, &mut out[start..end]);
                }
            }
        }
        _ => code::score4(queries.map(|q| q.codes), rows, out),
    }
}
