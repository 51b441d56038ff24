//! Centres of parts, and the rounds that improve them (Lloyd 1982).

use rayon::prelude::*;

use super::coded::CodedRows;
use crate::exact::Rows;
use crate::kernel::code::{self, CodeQuery, CodeRows, TILE};
use crate::kernel::float;
use crate::memory;
use crate::progress;
use crate::progress::Work;
use crate::quant;
use crate::threads;

/// Coded vectors in tiles, with what scoring needs.
#[derive(Debug, Default, Clone)]
pub(super) struct Centres {
    pub tiles: Vec<u8>,
    pub bias: Vec<f32>,
    pub scale: Vec<f32>,
}

impl Centres {
    /// Codes centres (row-major, `mean.len()` wide) so that scoring a row coded about the same mean
    /// gives its squared distance less its own square. `slots` names the place of each.
    pub fn code(centres: &[f32], mean: &[f32], slots: &[u32], n_slots: usize) -> Centres {
        let width = quant::code_len(mean.len());
        let mut coded = Centres {
            tiles: vec![0x80; n_slots * width],
            bias: vec![f32::INFINITY; n_slots],
            scale: vec![0.0; n_slots],
        };
        let mut codes = vec![0i8; width];
        for (centre, &slot) in centres.chunks_exact(mean.len()).zip(slots) {
            let slot = slot as usize;
            let c = quant::encode(centre, 1.0, mean, &mut codes);
            code::place(&mut coded.tiles, slot, &codes);
            coded.bias[slot] = c.squared_norm;
            coded.scale[slot] = c.scale;
        }
        coded
    }

    pub fn rows(&self) -> CodeRows<'_> {
        CodeRows { tiles: &self.tiles, bias: &self.bias, scale: &self.scale }
    }
}

/// The mean of each part's points, summed in float64 in the order of the rows. Parts hold different
/// rows, ascending.
pub(super) fn means(rows: Rows<'_>, parts: &[Vec<u32>]) -> Vec<f32> {
    let dim = rows.dim;
    let mut sums = memory::zeroed(parts.len() * dim);
    let mut of_part: Vec<&mut [f64]> = sums.chunks_exact_mut(dim).collect();
    in_order_of_rows(rows, parts, &mut of_part, |sum, _, row| {
        let factor = rows.factor(row);
        sum.iter_mut().zip(rows.row(row).iter()).for_each(|(s, x)| *s += f64::from(x * factor));
    });
    let mut means = memory::zeroed(sums.len());
    let of_part = means.par_chunks_mut(dim).zip(sums.par_chunks(dim)).zip(parts);
    of_part.for_each(|((mean, sum), part)| {
        let n = part.len().max(1) as f64;
        mean.iter_mut().zip(sum).for_each(|(m, s)| *m = (s / n) as f32);
    });
    means
}

/// Hands every part its rows, one after the other: (what the part gathers, its number, a row). Rows
/// are read block by block, so that those of a file larger than memory come from the disk once.
fn in_order_of_rows<T: Send>(
    rows: Rows<'_>,
    parts: &[Vec<u32>],
    gathered: &mut [T],
    add: impl Fn(&mut T, usize, usize) + Sync,
) {
    let mut next = vec![0u32; parts.len()];
    // Blocks of this many rows a part keep the looking at every part cheap.
    let block = (1 << 16).max(4 * parts.len());
    for end in (1..=rows.len().div_ceil(block)).map(|number| number * block) {
        let parts = gathered.par_iter_mut().zip(&mut next).zip(parts).enumerate();
        threads::for_each(
            parts,
            |(number, ((gathered, next), part)): (usize, ((&mut T, &mut u32), _))| {
                let part: &Vec<u32> = part;
                let rest = &part[*next as usize..];
                for &row in rest.iter().take_while(|&&row| (row as usize) < end) {
                    *next += 1;
                    add(gathered, number, row as usize);
                }
            },
        );
    }
}

/// The mean squared distance of each part's points from its centre.
pub(super) fn spreads(rows: Rows<'_>, parts: &[Vec<u32>], centres: &[f32]) -> Vec<f32> {
    let mut sums = vec![(0f64, Vec::new()); parts.len()];
    in_order_of_rows(rows, parts, &mut sums, |(sum, point), number, row| {
        let factor = rows.factor(row);
        point.clear();
        point.extend(rows.row(row).iter().map(|x| x * factor));
        let centre = &centres[number * rows.dim..][..rows.dim];
        *sum += f64::from(float::squared_l2(point, centre));
    });
    let mean = |((sum, _), part): (&(f64, Vec<f32>), &Vec<u32>)| sum / part.len().max(1) as f64;
    sums.iter().zip(parts).map(|part| mean(part) as f32).collect()
}

/// One round: every row goes to its nearest centre (in codes, the first of equals). Parts that end
/// empty are left out.
pub(super) fn round(
    rows: Rows<'_>,
    coded: &CodedRows,
    parts: Vec<Vec<u32>>,
    work: &Work<'_>,
) -> Vec<Vec<u32>> {
    let centres = means(rows, &parts);
    let n_parts = parts.len();
    // Freed before as many numbers again are needed.
    drop(parts);
    let n_slots = n_parts.next_multiple_of(TILE);
    let slots: Vec<u32> = (0..n_parts as u32).collect();
    let centres = Centres::code(&centres, &coded.mean, &slots, n_slots);
    let nearest = assign(coded, centres.rows(), work);
    let mut sizes = vec![0; n_parts];
    nearest.iter().for_each(|&part| sizes[part as usize] += 1);
    let mut parts: Vec<Vec<u32>> = sizes.into_iter().map(memory::with_capacity).collect();
    for (row, &part) in nearest.iter().enumerate() {
        parts[part as usize].push(row as u32);
    }
    parts.retain(|p| !p.is_empty());
    parts
}

fn assign(coded: &CodedRows, centres: CodeRows<'_>, work: &Work<'_>) -> Vec<u32> {
    const ROWS: usize = 256;
    let n = coded.about.len();
    let mut nearest = memory::zeroed(n);
    threads::for_each_init(
        nearest.par_chunks_mut(ROWS).enumerate(),
        || vec![vec![0f32; centres.bias.len()]; 4],
        |scores, (chunk, nearest)| {
            if work.is_stopped() {
                return;
            }
            work.advance(nearest.len() as u64 * passes(centres.bias.len()));
            for (four, nearest) in nearest.chunks_mut(4).enumerate() {
                let first = chunk * ROWS + four * 4;
                // The last rows of a short four are scored more than once and used once.
                let queries = [0, 1, 2, 3].map(|i| as_query(coded, (first + i).min(n - 1)));
                progress::check();
                if let [a, b, c, d] = &mut scores[..] {
                    code::score4(queries, centres, [a, b, c, d]);
                }
                for (nearest, scores) in nearest.iter_mut().zip(scores.iter()) {
                    *nearest = code::argmin(scores) as u32;
                }
            }
        },
    );
    nearest
}

/// What assigning a row to one of so many centres costs, in the time a split takes to read it.
pub(super) fn passes(centres: usize) -> u64 {
    1 + centres as u64 / 256
}

fn as_query(coded: &CodedRows, row: usize) -> CodeQuery<'_> {
    let about = coded.about[row];
    CodeQuery { codes: coded.row(row), shift: 128 * about.sum, multiplier: -2.0 * about.scale }
}
