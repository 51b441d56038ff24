//! The vectors themselves in a file: as what they are stored, and where.

use std::borrow::Cow;
use std::ops::Range;

use half::f16;

use super::builder::Input;
use super::names::view;
use super::verify::{usable, wrong};
use crate::error::{BuildError, OpenError};
use crate::exact::{self, ByteVectors, Storage, Values};
use crate::format::{Directory, Image, Key, Kind, Layout};
use crate::kernel::bytes;
use crate::memory;
use crate::metric::Metric;
use crate::progress;

/// Vectors as they will be stored.
pub(crate) enum StoredVectors<'a> {
    F32(&'a [f32]),
    F16(Vec<f16>),
    I8(ByteVectors),
    Bits(Cow<'a, [u8]>),
}

impl<'a> StoredVectors<'a> {
    /// What is kept of vectors: a bit a component under `Hamming`, else what the storage says.
    pub fn new(
        input: Input<'a>,
        dim: usize,
        metric: Metric,
        storage: Storage,
    ) -> Result<StoredVectors<'a>, BuildError> {
        let values = match (metric, input) {
            (Metric::Hamming, _) if storage != Storage::Float32 => {
                return Err(not_for_bits(storage));
            }
            (Metric::Hamming, Input::Bits(bits)) => {
                return Ok(StoredVectors::Bits(Cow::Borrowed(bits)));
            }
            (_, Input::Bits(_)) => return Err(only_for_bits(metric)),
            (_, Input::Floats(values)) => values,
        };
        Ok(match (metric, storage) {
            (Metric::Hamming, _) => StoredVectors::Bits(Cow::Owned(bytes::pack_rows(values, dim))),
            (_, Storage::Float32) => StoredVectors::F32(values),
            (_, Storage::Float16) => StoredVectors::F16(exact::halves(values, dim)?),
            (_, Storage::Int8) => StoredVectors::I8(ByteVectors::new(values, dim)),
        })
    }

    pub fn values(&self) -> Values<'_> {
        match self {
            StoredVectors::F32(values) => Values::F32(values),
            StoredVectors::F16(values) => Values::F16(values),
            StoredVectors::I8(bytes) => bytes.values(),
            StoredVectors::Bits(bits) => Values::Bits(bits),
        }
    }
}

fn not_for_bits(storage: Storage) -> BuildError {
    BuildError::Parameter {
        name: "storage",
        got: format!("{:?}", storage.name()),
        expected: "no storage under hamming, which keeps a bit a component",
    }
}

fn only_for_bits(metric: Metric) -> BuildError {
    BuildError::Parameter {
        name: "metric",
        got: format!("{:?}", metric.name()),
        expected: "\"hamming\", by which packed bits are compared",
    }
}

/// Packed rows as zeros and ones.
pub(super) fn unpacked(bits: &[u8], dim: usize) -> Vec<f32> {
    let rows = bits.chunks_exact(bytes::packed_len(dim));
    let mut values = memory::with_capacity(rows.len().saturating_mul(dim));
    progress::checked(rows, 1 << 12).for_each(|row| values.extend(bytes::unpack(row, dim)));
    values
}

/// The first row with a bit beyond the dimension.
pub(super) fn first_beyond(bits: &[u8], dim: usize) -> Option<usize> {
    let len = bytes::packed_len(dim);
    let beyond = 0xff_u8.checked_shr(dim as u32 - 8 * (len as u32 - 1)).unwrap_or(0);
    progress::checked(bits.chunks_exact(len), 1 << 16).position(|row| row[len - 1] & beyond != 0)
}

/// All spaces share the vectors.
const fn key(kind: Kind) -> Key {
    Key { kind, space: 0, tree: 0 }
}

const VECTORS: Key = key(Kind::Vectors);
const HALVES: Key = key(Kind::HalfVectors);
const CODES: Key = key(Kind::ByteVectors);
const SCALES: Key = key(Kind::ByteScales);
const OFFSET: Key = key(Kind::ByteOffset);
const BITS: Key = key(Kind::BitVectors);

/// Adds the sections that the vectors need.
pub(crate) fn plan_vectors(layout: &mut Layout, values: Values<'_>) {
    match values {
        Values::F32(values) => layout.add(VECTORS, values.len()),
        Values::F16(values) => layout.add(HALVES, values.len()),
        Values::I8 { codes, scales, offset } => {
            layout.add(CODES, codes.len());
            layout.add(SCALES, scales.len());
            layout.add(OFFSET, offset.len());
        }
        Values::Bits(bits) => layout.add(BITS, bits.len()),
    }
}

/// Writes the vectors, in the order of their rows.
pub(crate) fn fill_vectors(image: &mut Image, values: Values<'_>, dim: usize, order: &[u32]) {
    match values {
        Values::F32(values) => reorder(image.section(VECTORS), values, dim, order),
        Values::F16(values) => reorder(image.section(HALVES), values, dim, order),
        Values::I8 { codes, scales, offset } => {
            reorder(image.section(CODES), codes, dim, order);
            reorder(image.section(SCALES), scales, 1, order);
            image.fill(OFFSET, offset);
        }
        Values::Bits(bits) => reorder(image.section(BITS), bits, bytes::packed_len(dim), order),
    }
}

fn reorder<T: Copy>(out: &mut [T], values: &[T], width: usize, order: &[u32]) {
    let rows = out.chunks_exact_mut(width).zip(order);
    for (row, &position) in progress::checked(rows, 1 << 12) {
        row.copy_from_slice(&values[position as usize * width..][..width]);
    }
}

/// Where the vectors of a file are.
#[derive(Debug, Clone)]
pub(super) enum VectorRanges {
    F32(Range<usize>),
    F16(Range<usize>),
    I8 { codes: Range<usize>, scales: Range<usize>, offset: Range<usize> },
    Bits(Range<usize>),
}

impl VectorRanges {
    /// Finds the vectors that a metric searches; `n` x `dim` is a number that fits.
    pub fn open(
        d: &Directory,
        metric: Metric,
        n: usize,
        dim: usize,
    ) -> Result<VectorRanges, OpenError> {
        match metric {
            Metric::Hamming => {
                let len = n * bytes::packed_len(dim);
                Ok(VectorRanges::Bits(d.sized(BITS, len, "search by hamming distance")?))
            }
            _ if d.range(VECTORS).is_some() => {
                Ok(VectorRanges::F32(d.sized(VECTORS, n * dim, "search")?))
            }
            _ if d.range(HALVES).is_some() => {
                Ok(VectorRanges::F16(d.sized(HALVES, n * dim, "search")?))
            }
            _ if d.range(CODES).is_some() => Ok(VectorRanges::I8 {
                codes: d.sized(CODES, n * dim, "search")?,
                scales: d.sized(SCALES, n, "search")?,
                offset: d.sized(OFFSET, dim, "search")?,
            }),
            _ => {
                let section = Kind::Vectors.name();
                Err(OpenError::MissingSection { section, purpose: "search" })
            }
        }
    }

    /// What is stored, for people.
    pub fn name(&self) -> &'static str {
        match self {
            VectorRanges::F32(_) => Storage::Float32.name(),
            VectorRanges::F16(_) => Storage::Float16.name(),
            VectorRanges::I8 { .. } => Storage::Int8.name(),
            VectorRanges::Bits(_) => "bits",
        }
    }

    pub fn view<'a>(&self, file: &'a [u8]) -> Values<'a> {
        match self {
            VectorRanges::F32(range) => Values::F32(view(file, range)),
            VectorRanges::F16(range) => Values::F16(view(file, range)),
            VectorRanges::I8 { codes, scales, offset } => Values::I8 {
                codes: view(file, codes),
                scales: view(file, scales),
                offset: view(file, offset),
            },
            VectorRanges::Bits(range) => Values::Bits(&file[range.clone()]),
        }
    }
}

/// That every value is as a build takes it, and that bits beyond the dimension are zeros.
pub(super) fn verify_vectors(values: Values<'_>, dim: usize) -> Result<(), OpenError> {
    match values {
        Values::F32(values) => usable("vectors", values),
        Values::F16(values) => match values.iter().position(|x| !x.is_finite()) {
            Some(at) => Err(wrong("half vectors", format!("{} at {at}", values[at]), "finite")),
            None => Ok(()),
        },
        Values::I8 { scales, offset, .. } => {
            usable("byte scales", scales)?;
            usable("byte offset", offset)?;
            let most = |values: &[f32]| values.iter().fold(0f32, |most, x| most.max(x.abs()));
            // A code's share of the range about the mean is up to twice as large as the largest value.
            usable("byte vectors", &[(most(offset) + 128.0 * most(scales)) / 4.0])
        }
        Values::Bits(bits) => match first_beyond(bits, dim) {
            Some(row) => {
                Err(wrong("bit vectors", format!("row {row} with a bit too many"), "zeros"))
            }
            None => Ok(()),
        },
    }
}
