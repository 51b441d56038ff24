//! The inner loops: how near they come to what the machine can do.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nearwood::kernel::code::{self, CodeQuery, CodeRows};
use nearwood::kernel::float;

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

criterion_group!(benches, floats, codes);
criterion_main!(benches);
