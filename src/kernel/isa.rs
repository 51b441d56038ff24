//! Which instruction sets this processor has, and which one is in force.

use std::fmt;
use std::sync::OnceLock;

/// An instruction set that the kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// AVX-512 F, BW, DQ, VL and VNNI, with AVX2, FMA and F16C.
    Avx512,
    /// AVX2, FMA and F16C, which every processor with AVX2 has.
    Avx2,
    /// Plain Rust, written so that a compiler can vectorise it.
    Portable,
}

impl Isa {
    /// Every instruction set, the best first.
    pub const ALL: [Isa; 3] = [Isa::Avx512, Isa::Avx2, Isa::Portable];

    /// The name that `NEARWOOD_ISA` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2",
            Isa::Portable => "portable",
        }
    }

    /// The ones that this processor runs, the best first.
    #[must_use]
    pub fn available() -> Vec<Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// The one in force, chosen at the first call: the best there is, or the one that
    /// `NEARWOOD_ISA` names if the processor has it (otherwise the best below it).
    #[must_use]
    pub fn active() -> Isa {
        static ACTIVE: OnceLock<Isa> = OnceLock::new();
        *ACTIVE.get_or_init(|| choose(std::env::var("NEARWOOD_ISA").ok().as_deref()))
    }

    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        match self {
            Isa::Avx512 => {
                avx2 && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            Isa::Avx2 => avx2,
            Isa::Portable => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_available(self) -> bool {
        self == Isa::Portable
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn choose(forced: Option<&str>) -> Isa {
    let wanted = Isa::ALL.iter().position(|isa| Some(isa.name()) == forced).unwrap_or(0);
    Isa::ALL[wanted..].iter().copied().find(|isa| isa.is_available()).unwrap_or(Isa::Portable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forced_set_is_obeyed_and_an_unknown_one_ignored() {
        assert_eq!(choose(Some("portable")), Isa::Portable);
        assert_eq!(choose(Some("sse9")), Isa::available()[0]);
        assert_eq!(choose(None), Isa::available()[0]);
    }

    #[test]
    fn every_set_that_the_processor_has_is_tested() {
        // The kernel tests loop over `available`. On x86-64 that must be more than the portable
        // path, unless whoever runs the tests says that this processor is that old.
        let available = Isa::available();
        eprintln!("instruction sets under test: {available:?}");
        if cfg!(target_arch = "x86_64") && std::env::var_os("NEARWOOD_OLD_CPU").is_none() {
            assert!(available.contains(&Isa::Avx2), "no AVX2: set NEARWOOD_OLD_CPU=1 if true");
        }
    }
}
