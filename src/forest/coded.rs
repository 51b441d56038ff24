//! The rows in codes, as a build needs them.

use std::io;

use rayon::prelude::*;

use super::members::member_width;
use crate::exact::{Rows, Stored};
use crate::kernel::code::{self, TILE};
use crate::memory;
use crate::metric::Metric;
use crate::quant::{self, Coded};
use crate::store::{Buffer, Room};
use crate::threads;

/// Where a build works, and how.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Where the codes of all rows are held.
    pub room: Room,
    /// Up to so many rows are read in any order; more only in their own order, so that vectors
    /// and codes larger than memory come from the disk in few passes.
    pub window: usize,
}

impl Default for Workspace {
    /// Everything in memory.
    fn default() -> Workspace {
        Workspace { room: Room::Memory, window: usize::MAX }
    }
}

/// All rows in 8-bit codes about their common mean: made once, used by every tree.
pub struct CodedRows {
    /// What the codes are taken from.
    pub mean: Vec<f32>,
    /// What a unit of a member's byte is worth under `Manhattan`; else 0.
    pub scale: f32,
    /// Scale, sum and norm of each row.
    pub about: Vec<Coded>,
    /// See [`Workspace::window`]; at least a tile.
    pub(super) window: usize,
    codes: Buffer,
    width: usize,
}

impl CodedRows {
    /// Codes every row.
    ///
    /// # Errors
    /// If the workspace has no room for the codes.
    pub fn new(rows: Rows<'_>, workspace: &Workspace) -> io::Result<CodedRows> {
        let mean = quant::mean(rows.len(), rows.dim, |row| rows.row(row), rows.inverse_norms);
        let read = |row, out: &mut [f32]| out.copy_from_slice(&rows.row(row));
        let scale = match rows.metric {
            Metric::Manhattan => quant::shared_scale(rows.len(), &mean, read),
            _ => 0.0,
        };
        let width = quant::code_len(rows.dim);
        let mut codes = workspace.room.buffer(rows.len() * width)?;
        let each = bytemuck::cast_slice_mut::<u8, i8>(codes.as_mut()).par_chunks_exact_mut(width);
        let encode = |(row, codes): (usize, &mut [i8])| {
            quant::encode(&rows.row(row), rows.factor(row), &mean, codes)
        };
        let mut about = memory::with_capacity(rows.len());
        threads::map(each.enumerate(), encode).collect_into_vec(&mut about);
        let window = workspace.window.max(TILE);
        Ok(CodedRows { mean, scale, about, window, codes, width })
    }

    /// The codes of one row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[i8] {
        bytemuck::cast_slice(&self.codes.as_ref()[row * self.width..][..self.width])
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
        let width = member_width(rows.metric, rows.dim);
        let window = if members.len() <= self.window { members.len() } else { self.window };
        let slots = (window / TILE * TILE).max(TILE);
        let parts = tiles.chunks_mut(slots * width);
        let parts = parts.zip(bias.chunks_mut(slots)).zip(scale.chunks_mut(slots));
        for (((tiles, bias), scale), members) in parts.zip(members.chunks(slots)) {
            // Without a choice of order, rows are read from where they are.
            let near = (slots < self.about.len()).then(|| self.gather(members));
            let code = |slot: usize, row: u32| match &near {
                Some(near) => &near[slot * self.width..][..self.width],
                None => self.row(row as usize),
            };
            self.pack_window(rows, members, &code, (tiles, bias, scale));
        }
    }

    /// The codes of members in their order, read in the order of the rows.
    fn gather(&self, members: &[u32]) -> Vec<i8> {
        let mut near = memory::zeroed(members.len() * self.width);
        let filled = members.iter().copied().zip(0..).filter(|&(row, _)| row != u32::MAX);
        let mut places: Vec<(u32, u32)> = filled.collect();
        places.par_sort_unstable();
        for (row, slot) in places {
            near[slot as usize * self.width..][..self.width]
                .copy_from_slice(self.row(row as usize));
        }
        near
    }

    fn pack_window<'a>(
        &'a self,
        rows: Rows<'_>,
        members: &[u32],
        code_of: &(impl Fn(usize, u32) -> &'a [i8] + Sync),
        (tiles, bias, scale): (&mut [u8], &mut [f32], &mut [f32]),
    ) {
        let width = member_width(rows.metric, rows.dim);
        let tiles = tiles
            .par_chunks_exact_mut(TILE * width)
            .zip(bias.par_chunks_exact_mut(TILE))
            .zip(scale.par_chunks_exact_mut(TILE))
            .zip(members.par_chunks_exact(TILE));
        threads::for_each(tiles.enumerate(), |(tile_number, (((tile, bias), scale), members))| {
            tile.fill(0x80);
            let mut bytes = vec![0u8; width];
            for (slot, &row) in members.iter().enumerate() {
                (bias[slot], scale[slot]) = (f32::INFINITY, 0.0);
                if row != u32::MAX {
                    let codes = code_of(tile_number * TILE + slot, row);
                    (bias[slot], scale[slot]) = self.member(rows, row as usize, codes, &mut bytes);
                    code::place_bytes(tile, slot, &bytes);
                }
            }
        });
    }

    /// Writes a member's bytes; returns its bias and scale.
    fn member(&self, rows: Rows<'_>, row: usize, codes: &[i8], bytes: &mut [u8]) -> (f32, f32) {
        match (rows.metric, rows.values.stored(row, rows.dim)) {
            (Metric::Manhattan, _) => {
                quant::encode_shared(&rows.row(row), &self.mean, self.scale, bytes);
                (0.0, self.scale)
            }
            (_, Stored::Bits(bits)) => {
                bytes[..bits.len()].copy_from_slice(bits);
                (0.0, 1.0)
            }
            _ => {
                let codes = codes.iter().map(|&code| code as u8 ^ 0x80);
                bytes.iter_mut().zip(codes).for_each(|(byte, code)| *byte = code);
                (self.bias(rows, row), self.about[row].scale)
            }
        }
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
            Metric::Dot | Metric::Manhattan | Metric::Hamming => 0.0,
        }
    }
}
