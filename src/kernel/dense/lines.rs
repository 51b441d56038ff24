//! Memory for matrices, in whole cache lines.

use std::ops::{Deref, DerefMut};

use bytemuck::{Pod, Zeroable};

use super::algorithm::{LANES, View};

/// The side of the matrix for `d` unknowns: `d` rounded up to 16. The rows and columns from `d` on
/// are those of the unit matrix.
#[must_use]
pub fn padded(d: usize) -> usize {
    d.next_multiple_of(LANES)
}

/// A cache line, so that no vector of a matrix lies across two.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

/// Memory in whole lines.
#[derive(Clone)]
pub(super) struct Lines(Vec<Line>);

impl Lines {
    pub(super) fn new(n: usize) -> Lines {
        Lines(vec![Line([0.0; LANES]); n.div_ceil(LANES)])
    }

    /// Makes room for `n` floats, if there is less.
    pub(super) fn grow(&mut self, n: usize) {
        let lines = n.div_ceil(LANES);
        if self.0.len() < lines {
            self.0.resize(lines, Line([0.0; LANES]));
        }
    }

    pub(super) fn get(&self) -> &[f32] {
        bytemuck::cast_slice(&self.0)
    }

    pub(super) fn get_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }

    pub(super) fn view(&mut self, stride: usize) -> View {
        View { at: self.get_mut().as_mut_ptr(), stride }
    }
}

/// Floats of which the first begins a cache line, so that rows of a multiple of 16 lie across none.
///
/// Allocated as plain floats with a line to spare: memory asked for by its alignment is not taken
/// from the system's pages of zeros, but filled by the thread that asks.
#[derive(Debug)]
pub struct Aligned {
    memory: Vec<f32>,
    first: usize,
    length: usize,
}

impl Aligned {
    /// `length` zeros.
    #[must_use]
    pub fn zeroed(length: usize) -> Aligned {
        let memory = vec![0f32; length + LANES];
        let first = memory.as_ptr().align_offset(align_of::<Line>()).min(LANES);
        Aligned { memory, first, length }
    }

    /// The same floats without the line to spare, in place.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<f32> {
        self.memory.copy_within(self.first..self.first + self.length, 0);
        self.memory.truncate(self.length);
        self.memory.shrink_to_fit();
        self.memory
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[self.first..][..self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.first..][..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_floats_begin_a_line_and_stay_what_they_are() {
        for length in [0, 1, 16, 1000, 100_000] {
            let mut floats = Aligned::zeroed(length);
            assert_eq!((floats.as_ptr() as usize) % 64, 0);
            assert!(floats.iter().all(|&x| x == 0.0));
            floats.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
            let expected: Vec<f32> = (0..length).map(|i| i as f32).collect();
            assert_eq!(floats.into_vec(), expected);
        }
    }
}
