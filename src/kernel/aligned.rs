//! Memory that begins a cache line.

use std::ops::{Deref, DerefMut};

use bytemuck::Pod;

use crate::memory;

/// The bytes of a cache line.
const LINE: usize = 64;

/// Values of which the first begins a cache line: rows of whole lines lie across none, and bytes stand
/// as those of a mapped file.
///
/// Allocated as plain values with a line to spare: memory asked for by its alignment is not taken from
/// the system's pages of zeros, but filled by the thread that asks.
#[derive(Debug, Default)]
pub struct Aligned<T> {
    memory: Vec<T>,
    first: usize,
    length: usize,
}

impl<T: Pod> Aligned<T> {
    /// `length` zeros, which take no memory before they are written to.
    #[must_use]
    pub fn zeroed(length: usize) -> Aligned<T> {
        let spare = LINE / size_of::<T>();
        let memory: Vec<T> = memory::zeroed(length.saturating_add(spare));
        let first = memory.as_ptr().align_offset(LINE).min(spare);
        Aligned { memory, first, length }
    }

    /// The same values without the line to spare, in place.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<T> {
        self.memory.copy_within(self.first..self.first + self.length, 0);
        self.memory.truncate(self.length);
        self.memory.shrink_to_fit();
        self.memory
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[self.first..][..self.length]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.first..][..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_begin_a_line_and_stay_what_they_are() {
        for length in [0, 1, 16, 1000, 100_000] {
            let mut floats = Aligned::<f32>::zeroed(length);
            assert!(floats.iter().all(|&x| x == 0.0));
            floats.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
            let bytes = Aligned::<u8>::zeroed(length);
            for at in [floats.as_ptr() as usize, bytes.as_ptr() as usize] {
                assert_eq!(at % LINE, 0, "{length} values");
            }
            let expected: Vec<f32> = (0..length).map(|i| i as f32).collect();
            assert_eq!(floats.into_vec(), expected);
        }
    }
}
