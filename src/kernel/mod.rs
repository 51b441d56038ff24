//! The inner loops: one portable reference, one file an instruction set, one dispatch. (Where the
//! compiler makes good vectors of the reference, as in [`vector`], there are no other files.)
//!
//! Every function has the same bits on every instruction set: float sums run in a fixed number of
//! lanes with fused multiply-add and end in a fixed tree; integer sums are exact. So the portable
//! file is the definition, and the tests hold the others to it bit for bit.
//!
//! This is one of the two rooms where `unsafe` may live (the other is `store`).
#![allow(unsafe_code)]

/// Calls the function of an instruction set: each room that uses this has the modules `avx512`,
/// `avx2` and `portable`, and checks lengths, or works on memory that it laid out itself, before it
/// comes here. What is portable may be safe or, where it is the same code as the others, not.
macro_rules! dispatch {
    ($isa:expr, $name:ident$(::<$constant:ident>)?($($argument:expr),*)) => {
        match $isa {
            // SAFETY: an Isa above Portable comes from detection, so the processor has it; the
            // lengths were checked just before, or are those that the caller gave its memory.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512::$name$(::<$constant>)?($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2::$name$(::<$constant>)?($($argument),*) },
            // SAFETY: as above.
            #[allow(unused_unsafe, reason = "where the portable function is safe")]
            _ => unsafe { portable::$name$(::<$constant>)?($($argument),*) },
        }
    };
}

mod aligned;
pub mod bytes;
pub mod code;
pub mod dense;
pub mod float;
pub mod isa;
pub mod product;
mod reserved;
pub mod scattered;
pub mod screen;
pub(crate) mod steps;
pub mod vector;

pub use aligned::Aligned;
pub use isa::Isa;
pub use reserved::Reserved;

/// The sum of lanes, of which there is a power of two: the upper half is added to the lower one until one
/// is left, as instruction sets do it.
#[inline(always)]
fn sum_in_halves<T: Copy + std::ops::AddAssign, const N: usize>(mut lanes: [T; N]) -> T {
    let mut half = N / 2;
    while half > 0 {
        for i in 0..half {
            let upper = lanes[i + half];
            lanes[i] += upper;
        }
        half /= 2;
    }
    lanes[0]
}
