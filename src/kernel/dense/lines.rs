//! Memory for matrices, in whole cache lines.

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

    /// The first float, to read whole lines from.
    ///
    /// Pointers come from the vector and not from a slice of it: they reach all lines, and stay usable
    /// when others are made of the same memory, which a pointer from a borrow that has ended is not.
    pub(super) fn pointer(&self) -> *const f32 {
        self.0.as_ptr().cast()
    }

    /// The first float, to read from and write to; see [`pointer`](Self::pointer).
    pub(super) fn pointer_mut(&mut self) -> *mut f32 {
        self.0.as_mut_ptr().cast()
    }

    pub(super) fn view(&mut self, stride: usize) -> View {
        View { at: self.pointer_mut(), stride }
    }
}
