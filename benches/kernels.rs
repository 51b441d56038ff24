//! The inner loops: how near they come to what the machine can do.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nearwood::kernel::code::{self, CodeQuery, CodeRows};
use nearwood::kernel::product::{self, ProductQuery, ProductRows};
use nearwood::kernel::scattered::{self, ByteRows, Measure};
use nearwood::kernel::screen::{self, Screen};
use nearwood::kernel::{bytes, float};

mod data;

fn floats(c: &mut Criterion) {
    let mut group = c.benchmark_group("float, multiply-adds");
    for dim in [40, 64, 128, 384] {
        let v = data::clustered(5, dim, 1, 1);
        let row = |i: usize| &v[i * dim..(i + 1) * dim];
        let four = [row(0), row(1), row(2), row(3)];
        group.throughput(Throughput::Elements(dim as u64));
        group.bench_function(format!("dot {dim}"), |b| {
            b.iter(|| float::dot(black_box(four[0]), black_box(row(4))))
        });
        group.throughput(Throughput::Elements(4 * dim as u64));
        group.bench_function(format!("four squared distances {dim}"), |b| {
            b.iter(|| float::squared_l2s(black_box(four), black_box(float::Row::F32(row(4)))))
        });
    }
}

/// A leaf of 320 rows that stays in the first cache levels, and rows enough to leave them all.
fn codes(c: &mut Criterion) {
    let mut group = c.benchmark_group("8-bit codes, bytes scanned");
    for (dim, rows) in [(64, 320), (128, 320), (384, 320), (128, 640_000)] {
        let tiles = vec![0x85u8; rows * dim];
        let (bias, scale) = (vec![0f32; rows], vec![1f32; rows]);
        let codes = vec![3i8; dim];
        let query = CodeQuery { codes: &codes, shift: 128 * 3 * dim as i32, multiplier: -2.0 };
        let rows = CodeRows { tiles: &tiles, bias: &bias, scale: &scale };
        let mut out = vec![0f32; bias.len()];
        group.throughput(Throughput::Bytes(tiles.len() as u64));
        group.bench_function(format!("{} rows of {dim}", bias.len()), |b| {
            b.iter(|| code::score(black_box(query), black_box(rows), &mut out))
        });
    }
}

/// What a single search reads of a leaf: half a byte a part.
fn products(c: &mut Criterion) {
    let mut group = c.benchmark_group("4-bit product codes, bytes scanned");
    for (parts, rows) in [(32, 208), (64, 320), (96, 320), (64, 640_000)] {
        let tiles = vec![0x85u8; rows / 16 * product::tile_bytes(parts)];
        let bias = vec![0f32; rows];
        let tables = vec![3u8; parts * product::ENTRIES];
        let query = ProductQuery { tables: &tables, step: 0.5, least: 0.0, base: 0.0 };
        let rows = ProductRows { tiles: &tiles, bias: &bias };
        let mut out = vec![0f32; bias.len()];
        group.throughput(Throughput::Bytes(tiles.len() as u64));
        group.bench_function(format!("{} rows of {parts} parts", bias.len()), |b| {
            b.iter(|| product::scan(black_box(query), black_box(rows), &[], &mut out))
        });
    }
}

/// What a walk compares: rows that lie anywhere.
fn scattered_rows(c: &mut Criterion) {
    const IDS: usize = 64;
    let mut group = c.benchmark_group("scattered rows, bytes read");
    for (measure, width, rows) in [
        (Measure::Halves, 64, 1000),
        (Measure::Halves, 64, 200_000),
        (Measure::Halves, 192, 50_000),
        (Measure::Squares, 128, 200_000),
    ] {
        let (codes, query) = (vec![0x85u8; rows * width], vec![0x79u8; measure.query_len(width)]);
        let stored = ByteRows { bytes: &codes, width };
        // Far apart, and never the same ones twice in a row.
        let mut at = 0u32;
        let mut out = [0f32; IDS];
        group.throughput(Throughput::Bytes((IDS * width) as u64));
        group.bench_function(format!("{measure:?}, {width} of {rows} rows"), |b| {
            b.iter(|| {
                let ids: [u32; IDS] = std::array::from_fn(|_| {
                    at = (at + 75_347) % rows as u32;
                    at
                });
                scattered::distances(measure, black_box(&query), stored, &ids, &mut out);
            })
        });
    }
}

/// Bits under hamming and bytes under manhattan, in tiles.
fn bytes_and_bits(c: &mut Criterion) {
    let mut group = c.benchmark_group("bytes and bits, bytes scanned");
    let (rows, width) = (320, 32);
    let tiles = vec![0x85u8; rows * width];
    let (bias, scale, query) = (vec![0f32; rows], vec![1f32; rows], vec![0x79u8; width]);
    let codes = CodeRows { tiles: &tiles, bias: &bias, scale: &scale };
    let mut out = vec![0f32; rows];
    group.throughput(Throughput::Bytes(tiles.len() as u64));
    group.bench_function(format!("bits, {rows} rows of {width} bytes"), |b| {
        b.iter(|| bytes::score_bits(black_box(&query), black_box(codes), &mut out))
    });
    group.bench_function(format!("differences, {rows} rows of {width} bytes"), |b| {
        b.iter(|| bytes::score_l1(black_box(&query), 1.0, black_box(codes), &mut out))
    });
}

/// Four users against items in their order, most of which fail.
fn screens(c: &mut Criterion) {
    let mut group = c.benchmark_group("screen of four, multiply-adds");
    for (dim, tiles) in [(64, 40), (64, 2600)] {
        let rows = vec![0x85u8; tiles * 16 * dim];
        let (codes, least) = (vec![3i8; dim], vec![i32::MAX; tiles]);
        let four = [Screen { codes: &codes, least: &least }; screen::TOGETHER];
        let mut out: [Vec<u32>; screen::TOGETHER] = Default::default();
        group.throughput(Throughput::Elements((screen::TOGETHER * rows.len()) as u64));
        group.bench_function(format!("{} rows of {dim}", 16 * tiles), |b| {
            b.iter(|| screen::screen4(black_box(four), black_box(&rows), &mut out))
        });
    }
}

criterion_group!(benches, floats, codes, products, scattered_rows, bytes_and_bits, screens);
criterion_main!(benches);
