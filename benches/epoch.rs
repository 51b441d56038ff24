//! One epoch of ALS at 64 factors on generated listening data of gowalla's shape and skew, on one
//! thread and on all.
//!
//! Throughput is in elements of one floating-point operation by the formula of docs/objective.md,
//! 2 N (d^2 + 3 d) + S (d^3 / 3 + 4 d^2): Gelem/s reads as GFLOP/s.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nearwood::als::{Csr, Params, Trainer};

const USERS: usize = 29_858;
const ITEMS: usize = 40_981;
const ENTRIES: usize = 810_000;

/// Numbers in [0, 1) from a linear congruence.
fn uniforms() -> impl FnMut() -> f64 {
    let mut state = 1u64;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Activity and popularity fall as powers of the rank.
fn plays() -> Csr {
    let mut uniform = uniforms();
    let mut rank = |n: usize, power: i32| ((uniform().powi(power) * n as f64) as u32, uniform());
    let entries: Vec<(u32, u32, f32)> = (0..ENTRIES)
        .map(|_| {
            let ((user, _), (item, plays)) = (rank(USERS, 2), rank(ITEMS, 3));
            (user, item, (1.0 + 5.0 * plays) as f32)
        })
        .collect();
    let rows: Vec<u32> = entries.iter().map(|e| e.0).collect();
    let columns: Vec<u32> = entries.iter().map(|e| e.1).collect();
    let values: Vec<f32> = entries.iter().map(|e| e.2).collect();
    Csr::from_triplets(USERS, ITEMS, &rows, &columns, &values).expect("generated data are valid")
}

fn operations(entries: usize, d: f64) -> u64 {
    let (n, s) = (entries as f64, (USERS + ITEMS) as f64);
    (2.0 * n * (d * d + 3.0 * d) + s * (d.powi(3) / 3.0 + 4.0 * d * d)) as u64
}

/// The time of `n` epochs, the first one of the training left out: it alone meets a random start.
fn time(matrix: &Csr, n_threads: Option<usize>, n: u64) -> Duration {
    let params = Params { iterations: n as usize + 1, n_threads, ..Params::default() };
    let (mut first, mut total) = (None, Duration::ZERO);
    let trainer = Trainer::new(params).progress(|_| {
        total = first.get_or_insert_with(Instant::now).elapsed();
        ControlFlow::Continue(())
    });
    trainer.fit(matrix).expect("trains");
    total
}

fn epoch(criterion: &mut Criterion) {
    let matrix = plays();
    let mut group = criterion.benchmark_group("als_epoch_64");
    group.sample_size(10).throughput(Throughput::Elements(operations(matrix.nnz(), 64.0)));
    for (name, n_threads) in [("one_thread", Some(1)), ("all_threads", None)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|n| time(&matrix, n_threads, n));
        });
    }
    group.finish();
}

criterion_group!(benches, epoch);
criterion_main!(benches);
