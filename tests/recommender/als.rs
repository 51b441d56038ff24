//! The ALS trainer held against the objective, written out plainly in float64.

// Helpers outside `#[test]` functions may unwrap too.
#![allow(clippy::needless_range_loop)]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use nearwood::als::{Confidence, Csr, FoldIn, Model, Params, Solver, Start, Trainer};
use nearwood::error::TrainError;

/// A small generator of our own, so that the tests need none of the crate's private parts.
struct Numbers(u64);

impl Numbers {
    fn uniform(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.uniform() * n as f64) as usize
    }
}

/// Users x items with popular and rare items; weights are drawn by `weight`.
fn plays(users: usize, items: usize, per_user: usize, weight: impl Fn(f64) -> f32) -> Csr {
    let mut numbers = Numbers(users as u64 * 31 + items as u64);
    let mut entries = std::collections::BTreeMap::new();
    for user in 0..users {
        for _ in 0..1 + numbers.below(2 * per_user) {
            let item = (numbers.uniform().powi(3) * items as f64) as u32;
            entries.insert((user as u32, item), weight(numbers.uniform()));
        }
    }
    let (keys, values): (Vec<_>, Vec<f32>) = entries.into_iter().unzip();
    let (rows, columns): (Vec<u32>, Vec<u32>) = keys.into_iter().unzip();
    Csr::from_triplets(users, items, &rows, &columns, &values).unwrap()
}

fn positive(u: f64) -> f32 {
    (1.0 + 9.0 * u * u * u) as f32
}

fn params(confidence: Confidence, factors: usize) -> Params {
    Params { factors, confidence, regularization: 0.1, iterations: 8, ..Params::default() }
}

fn train(params: &Params, matrix: &Csr) -> Model {
    Trainer::new(params.clone()).fit(matrix).unwrap()
}

// The objective, float64, nothing shared with the crate.

/// The (a, b) of the table in docs/objective.md.
fn weigh(p: &Params, r: f32) -> (f64, f64) {
    let (alpha, r) = (f64::from(p.alpha), f64::from(r));
    match p.confidence {
        Confidence::Ials => (alpha * r, alpha * r),
        Confidence::Implicit => (alpha * r.abs() - 1.0, f64::max(alpha * r, 0.0)),
        Confidence::Spark => (alpha * r.abs(), if r > 0.0 { 1.0 + alpha * r } else { 0.0 }),
        _ => unreachable!("a convention without a reference"),
    }
}

fn ridge(p: &Params, entries: usize, others: usize) -> f64 {
    let size = entries as f64 + f64::from(p.unobserved_weight) * others as f64;
    f64::from(p.regularization) * size.powf(f64::from(p.regularization_scaling))
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

/// Gauss's elimination with row pivots.
fn gauss(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[i][k].abs().total_cmp(&a[j][k].abs())).unwrap();
        a.swap(k, pivot);
        b.swap(k, pivot);
        for i in k + 1..n {
            let step = a[i][k] / a[k][k];
            for j in k..n {
                a[i][j] -= step * a[k][j];
            }
            b[i] -= step * b[k];
        }
    }
    for k in (0..n).rev() {
        b[k] = (b[k] - (k + 1..n).map(|j| a[k][j] * b[j]).sum::<f64>()) / a[k][k];
    }
    b
}

fn half_step(p: &Params, rows: &Csr, y: &[f64]) -> Vec<f64> {
    let (d, alpha0) = (p.factors, f64::from(p.unobserved_weight));
    let others = y.len() / d;
    let mut out = Vec::new();
    for row in 0..rows.n_rows() {
        let (columns, values) = rows.row(row);
        let mut a = vec![vec![0f64; d]; d];
        let mut rhs = vec![0f64; d];
        for j in 0..others {
            let (mut weight, mut pull) = (alpha0, 0.0);
            if let Ok(at) = columns.binary_search(&(j as u32)) {
                let (extra, b) = weigh(p, values[at]);
                (weight, pull) = (alpha0 + extra, b);
            }
            for s in 0..d {
                rhs[s] += pull * y[j * d + s];
                (0..d).for_each(|t| a[s][t] += weight * y[j * d + s] * y[j * d + t]);
            }
        }
        (0..d).for_each(|s| a[s][s] += ridge(p, columns.len(), others));
        out.extend(gauss(a, rhs));
    }
    out
}

fn objective(p: &Params, users: &Csr, x: &[f64], y: &[f64]) -> f64 {
    let (d, alpha0) = (p.factors, f64::from(p.unobserved_weight));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let items = users.transpose();
    let mut sum = 0.0;
    for (u, x) in x.chunks(d).enumerate() {
        sum += alpha0 * y.chunks(d).map(|y| dot(x, y).powi(2)).sum::<f64>();
        sum += ridge(p, users.row(u).0.len(), users.n_cols()) * dot(x, x);
        let (columns, values) = users.row(u);
        for (&i, &r) in columns.iter().zip(values) {
            let (s, (a, b)) = (dot(x, &y[i as usize * d..][..d]), weigh(p, r));
            sum += a * s * s - 2.0 * b * s;
        }
    }
    for (i, y) in y.chunks(d).enumerate() {
        sum += ridge(p, items.row(i).0.len(), users.n_rows()) * dot(y, y);
    }
    sum
}

fn near(got: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    let size = (expected.iter().map(|v| v * v).sum::<f64>() / expected.len() as f64).sqrt();
    assert_eq!(got.len(), expected.len());
    for (at, (&g, &e)) in got.iter().zip(expected).enumerate() {
        assert!((f64::from(g) - e).abs() <= tolerance * (size + e.abs()), "{what} {at}: {g} {e}");
    }
}

/// Data, with negative and zero weights where the convention takes them, for each convention.
fn cases() -> Vec<(Params, Csr)> {
    let mixed = |u: f64| if u < 0.1 { 0.0 } else { (4.0 * u - 1.0) as f32 };
    let slightly = |u: f64| if u < 0.1 { 0.0 } else { (2.0 * u - 0.4) as f32 };
    let free = |p: Params| Params { unobserved_weight: 0.2, regularization_scaling: 1.0, ..p };
    vec![
        (params(Confidence::Ials, 5), plays(40, 30, 6, positive)),
        (free(params(Confidence::Ials, 17)), plays(60, 50, 5, positive)),
        (params(Confidence::Ials, 8), plays(50, 40, 6, slightly)),
        (Params { alpha: 3.0, ..params(Confidence::Implicit, 8) }, plays(50, 40, 6, mixed)),
        (params(Confidence::Implicit, 16), plays(45, 60, 6, positive)),
        (Params { alpha: 10.0, ..params(Confidence::Spark, 7) }, plays(50, 40, 6, mixed)),
        (
            Params { regularization_scaling: 0.5, ..params(Confidence::Spark, 33) },
            plays(70, 80, 9, positive),
        ),
    ]
}

#[test]
fn an_epoch_is_the_float64_solution_under_each_convention() {
    for (p, matrix) in cases() {
        let mut numbers = Numbers(7);
        let n = matrix.n_rows() * p.factors;
        let start: Vec<f32> = (0..n).map(|_| (numbers.uniform() - 0.5) as f32).collect();
        let once = Params { iterations: 1, ..p.clone() };
        let model = Trainer::new(once).start(Start::Users(&start)).fit(&matrix).unwrap();
        let items = half_step(&p, &matrix.transpose(), &wide(&start));
        let users = half_step(&p, &matrix, &items);
        let what = format!("{} d={}", p.confidence, p.factors);
        near(&model.item_factors, &items, 2e-4, &format!("{what} items"));
        near(&model.user_factors, &users, 2e-4, &format!("{what} users"));
        // Each half-step alone, so that the second inherits nothing from the first.
        let users = half_step(&p, &matrix, &wide(&model.item_factors));
        near(&model.user_factors, &users, 2e-4, &format!("{what} users from the same items"));
    }
}

#[test]
fn starting_from_items_solves_the_users_first() {
    let (p, matrix) = (params(Confidence::Implicit, 6), plays(30, 25, 5, positive));
    let mut numbers = Numbers(3);
    let start: Vec<f32> = (0..25 * 6).map(|_| numbers.uniform() as f32).collect();
    let once = Params { iterations: 1, ..p.clone() };
    let model = Trainer::new(once.clone()).start(Start::Items(&start)).fit(&matrix).unwrap();
    let users = half_step(&p, &matrix, &wide(&start));
    let items = half_step(&p, &matrix.transpose(), &users);
    near(&model.item_factors, &items, 2e-4, "items");
    // Yesterday's items, continued: the loss goes on falling from where it was.
    let longer = Trainer::new(once).start(Start::Items(&model.item_factors)).fit(&matrix).unwrap();
    assert!(longer.loss_history[0] < model.loss_history[0]);
}

#[test]
fn the_loss_is_the_objective_and_never_rises() {
    for (p, matrix) in cases() {
        let model = train(&Params { iterations: 20, ..p.clone() }, &matrix);
        let (x, y) = (wide(&model.user_factors), wide(&model.item_factors));
        let (expected, got) = (objective(&p, &matrix, &x, &y), model.loss_history[19]);
        assert!((got - expected).abs() <= 2e-6 * expected.abs(), "{p:?}: {got} {expected}");
        for pair in model.loss_history.windows(2) {
            assert!(pair[1] <= pair[0] + 1e-6 * pair[0].abs(), "{p:?}: {:?}", model.loss_history);
        }
    }
}

#[test]
fn the_loss_never_rises_on_larger_data_without_much_regularisation() {
    for confidence in Confidence::ALL {
        for regularization in [0.0, 1e-4, 10.0] {
            let p = Params { regularization, iterations: 12, ..params(confidence, 48) };
            let model = train(&p, &plays(900, 500, 15, positive));
            for pair in model.loss_history.windows(2) {
                let ok = pair[1] <= pair[0] + 1e-6 * pair[0].abs();
                assert!(ok, "{confidence} {regularization}: {:?}", model.loss_history);
            }
        }
    }
}

#[test]
fn the_loss_never_rises_where_float32_alone_would_lose_it() {
    let heavy = |u: f64| (0.01 + 3.0 * u) as f32;
    // The first needs the repair's Gramian in float64, the second its rows: without them the loss
    // rose by 2e-1 and 1e-6 of itself and more.
    let cases = [
        (30, 20, 48, 1.0, 1.0, 0.0),
        (800, 60, 48, 40.0, 1e-3, 0.0),
        (800, 60, 48, 40.0, 1e-3, 1e-5),
    ];
    for (users, items, factors, alpha, unobserved_weight, regularization) in cases {
        let p = Params {
            alpha,
            unobserved_weight,
            regularization,
            iterations: 25,
            ..params(Confidence::Ials, factors)
        };
        let model = train(&p, &plays(users, items, 10, heavy));
        for pair in model.loss_history.windows(2) {
            let rise = (pair[1] - pair[0]) / pair[0].abs();
            assert!(rise <= 1e-6, "{p:?}: {rise:e}");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    // One item that everybody has: a row longer than a float32 segment.
    let mut numbers = Numbers(1);
    let users = 3000u32;
    let rows: Vec<u32> = (0..users).flat_map(|u| [u, u]).collect();
    let columns: Vec<u32> = (0..users).flat_map(|_| [0, 1 + numbers.below(299) as u32]).collect();
    let matrix = Csr::from_triplets(3000, 300, &rows, &columns, &[1.0; 6000]).unwrap();
    let fit = |n, solver| {
        train(&Params { n_threads: Some(n), solver, ..params(Confidence::Ials, 20) }, &matrix)
    };
    for solver in Solver::ALL {
        let one = fit(1, solver);
        for n in [2, 3] {
            let other = fit(n, solver);
            assert_eq!(other.user_factors, one.user_factors, "{solver}");
            assert_eq!(other.item_factors, one.item_factors, "{solver}");
            assert_eq!(other.loss_history, one.loss_history, "{solver}");
        }
    }
    let one = fit(1, Solver::Auto);
    let p = Params { seed: 1, ..one.params.clone() };
    assert_ne!(train(&p, &matrix).user_factors, one.user_factors, "another seed, another start");
    let x = half_step(&one.params, &matrix, &wide(&one.item_factors));
    near(&one.user_factors, &x, 1e-3, "users of long items");
}

#[test]
fn a_row_of_many_entries_is_the_float64_solution() {
    let users = 5000;
    let columns: Vec<u32> = vec![0; users];
    let rows: Vec<u32> = (0..users as u32).collect();
    let values: Vec<f32> = (0..users).map(|u| positive(u as f64 / users as f64)).collect();
    let matrix = Csr::from_triplets(users, 1, &rows, &columns, &values).unwrap();
    let mut numbers = Numbers(2);
    let start: Vec<f32> = (0..users * 6).map(|_| numbers.uniform() as f32).collect();
    let p = Params { iterations: 1, ..params(Confidence::Spark, 6) };
    let model = Trainer::new(p.clone()).start(Start::Users(&start)).fit(&matrix).unwrap();
    let items = half_step(&p, &matrix.transpose(), &wide(&start));
    near(&model.item_factors, &items, 1e-5, "the item");
}

#[test]
fn a_row_that_all_threads_sum_is_the_float64_solution_at_any_number_of_threads() {
    let users = 70_000;
    let rows: Vec<u32> = (0..users as u32).collect();
    let matrix = Csr::from_triplets(users, 1, &rows, &vec![0; users], &vec![1.0; users]).unwrap();
    let mut numbers = Numbers(3);
    let start: Vec<f32> = (0..users * 3).map(|_| numbers.uniform() as f32).collect();
    let fit = |n| {
        let p = Params { iterations: 1, n_threads: Some(n), ..params(Confidence::Spark, 3) };
        Trainer::new(p).start(Start::Users(&start)).fit(&matrix).unwrap()
    };
    let one = fit(1);
    let items = half_step(&one.params, &matrix.transpose(), &wide(&start));
    near(&one.item_factors, &items, 1e-5, "the item");
    for n in [2, 3] {
        assert_eq!(fit(n).item_factors, one.item_factors);
    }
}

#[test]
fn every_solver_comes_to_the_same_loss() {
    let wide_enough = 80;
    let matrix = plays(300, 150, 60, positive);
    for scaling in [0.0, 1.0] {
        let fit = |solver, iterations| {
            let p = Params {
                solver,
                iterations,
                regularization: if scaling > 0.0 { 0.01 } else { 2.0 },
                regularization_scaling: scaling,
                ..params(Confidence::Ials, wide_enough)
            };
            *train(&p, &matrix).loss_history.last().unwrap()
        };
        let exact = fit(Solver::Cholesky, 60);
        for solver in [Solver::Cg, Solver::Block] {
            let loss = fit(solver, 120);
            assert!((loss - exact).abs() < 2e-3 * exact.abs(), "{solver}: {loss} {exact}");
            let early = fit(solver, 1);
            assert!(early > loss + 0.01 * loss.abs(), "{solver}: nothing was left to learn");
        }
    }
}

#[test]
fn folding_in_an_unchanged_row_gives_the_stored_bits() {
    for (p, matrix) in cases() {
        let model = train(&p, &matrix);
        assert_eq!(model.fold_in(&matrix).unwrap(), model.user_factors, "{p:?}");
        let fold_in = FoldIn::new(&model.item_factors[..], &p).unwrap();
        let (mut scratch, mut x) = (fold_in.scratch(), vec![0f32; p.factors]);
        for user in 0..matrix.n_rows() {
            let (items, weights) = matrix.row(user);
            fold_in.solve(&mut scratch, items, weights, &mut x).unwrap();
            assert_eq!(x, model.user(user));
        }
    }
}

#[test]
fn few_rows_have_the_bits_of_many() {
    let matrix = plays(60, 1200, 6, positive);
    let p = Params { iterations: 2, ..params(Confidence::Ials, 16) };
    let model = train(&p, &matrix);
    for first in (0..60).step_by(7) {
        let users = first..60.min(first + 7);
        let from = matrix.indptr()[users.start] as usize;
        let to = matrix.indptr()[users.end] as usize;
        let offsets = matrix.indptr()[users.start..=users.end].iter().map(|&at| at - from as u64);
        let (items, weights) =
            (matrix.indices()[from..to].to_vec(), matrix.values()[from..to].to_vec());
        let some = Csr::from_parts(1200, offsets.collect(), items, weights).unwrap();
        let expected = &model.user_factors[users.start * 16..users.end * 16];
        assert_eq!(model.fold_in(&some).unwrap(), expected);
    }
}

#[test]
fn who_has_no_entries_gets_the_zero_vector() {
    let matrix = Csr::from_triplets(4, 5, &[0, 1, 3], &[1, 1, 4], &[1.0, 2.0, 1.0]).unwrap();
    for confidence in Confidence::ALL {
        let model = train(&params(confidence, 3), &matrix);
        assert!(model.user(2).iter().all(|&v| v == 0.0));
        assert!([0, 2, 3].iter().all(|&i| model.item(i).iter().all(|&v| v == 0.0)));
        let nobody = Csr::from_parts(5, vec![0, 0], vec![], vec![]).unwrap();
        assert_eq!(model.fold_in(&nobody).unwrap(), [0.0; 3]);
    }
}

#[test]
fn a_singular_row_is_repaired_and_never_nan() {
    // Two entries, eight factors, no regularisation, and alpha0 0: every matrix is singular.
    let matrix = Csr::from_triplets(2, 2, &[0, 1], &[0, 1], &[1.0, 1.0]).unwrap();
    let p = Params { regularization: 0.0, unobserved_weight: 0.0, ..params(Confidence::Ials, 8) };
    let model = train(&p, &matrix);
    assert!(model.user_factors.iter().chain(&model.item_factors).all(|v| v.is_finite()));
    assert!((model.score(0, 0) - 1.0).abs() < 1e-3, "{}", model.score(0, 0));
}

#[test]
fn vectors_beyond_float32_are_an_error_that_names_the_row() {
    // Items of about 1e42 would suit users of 1e-42.
    let matrix = Csr::from_triplets(2, 2, &[0, 1], &[0, 1], &[1.0, 1.0]).unwrap();
    let p = Params { regularization: 0.0, ..params(Confidence::Ials, 2) };
    let fit = Trainer::new(p.clone()).start(Start::Users(&[1e-42; 4])).fit(&matrix);
    assert!(matches!(fit, Err(TrainError::Singular { side: "item", row: 0, .. })), "{fit:?}");
    // Beyond float32 on the way there, but not at the end, is repaired.
    let fit = Trainer::new(p).start(Start::Users(&[3e30, 0.0, 0.0, 2e30])).fit(&matrix).unwrap();
    assert!(fit.score(0, 0) > 0.49, "{}", fit.score(0, 0));
}

#[test]
fn refusals_say_what_was_got_and_what_was_expected() {
    let matrix = plays(10, 10, 3, positive);
    let refused = |p: Params, m: &Csr| Trainer::new(p).fit(m).unwrap_err().to_string();
    let p = params(Confidence::Ials, 4);
    assert_eq!(
        refused(Params { factors: 0, ..p.clone() }, &matrix),
        "factors is 0, expected 1 to 4096"
    );
    assert_eq!(
        refused(Params { regularization: -1.0, ..p.clone() }, &matrix),
        "regularization is -1, expected a finite number, at least 0"
    );
    let empty = Csr::from_parts(3, vec![0, 0, 0], vec![], vec![]).unwrap();
    let expected = TrainError::Empty { users: 2, items: 3, interactions: 0 };
    assert_eq!(Trainer::new(p.clone()).fit(&empty), Err(expected));
    let negative = Csr::from_triplets(2, 2, &[0, 1], &[0, 1], &[1.0, -1.5]).unwrap();
    let message = refused(p.clone(), &negative);
    assert!(message.starts_with("the weight of row 1, column 1 is -1.5, expected above -1"));
    let short = Trainer::new(p.clone()).start(Start::Users(&[0.0; 3])).fit(&matrix);
    assert_eq!(
        short.unwrap_err().to_string(),
        "the start of the users is 3 values, expected 40, 10 rows of 4 factors"
    );
    let bad = [f32::NAN; 40];
    let bad = Trainer::new(p.clone()).start(Start::Items(&bad)).fit(&matrix).unwrap_err();
    assert!(bad.to_string().contains("row 0, column 0 is NaN"), "{bad}");
    let model = train(&p, &matrix);
    let message = model.fold_in(&negative).unwrap_err().to_string();
    assert!(message.contains("is 2, expected 10, one for each item"), "{message}");
    let fold_in = FoldIn::new(&model.item_factors[..], &p).unwrap();
    let mut x = [0f32; 4];
    let mut solve = |items: &[u32], weights: &[f32]| {
        fold_in.solve(&mut fold_in.scratch(), items, weights, &mut x).unwrap_err().to_string()
    };
    assert_eq!(solve(&[10], &[1.0]), "an item is 10, expected below 10, the number of items");
    assert_eq!(solve(&[1], &[]), "the number of weights is 0, expected 1, one for each item");
    assert!(solve(&[1], &[f32::NAN]).contains("a finite float32"));
    assert!(FoldIn::new(&model.item_factors[..7], &p).is_err());
}

#[test]
fn progress_can_end_a_training_and_an_interrupt_cancels_it() {
    let (p, matrix) = (params(Confidence::Ials, 4), plays(200, 50, 4, positive));
    let mut seen = Vec::new();
    let model = Trainer::new(p.clone())
        .progress(|e| {
            assert_eq!((e.of, e.user_factors.len(), e.item_factors.len()), (8, 800, 200));
            seen.push((e.number, e.loss));
            if e.number == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .fit(&matrix)
        .unwrap();
    assert_eq!(model.loss_history.len(), 3);
    assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(seen.iter().map(|s| s.1).collect::<Vec<_>>(), model.loss_history);
    assert_eq!(
        train(&Params { iterations: 3, ..p.clone() }, &matrix).user_factors,
        model.user_factors
    );
    let asked = AtomicUsize::new(0);
    let cancelled =
        Trainer::new(p).interrupt(|| asked.fetch_add(1, Ordering::Relaxed) >= 2).fit(&matrix);
    assert_eq!(cancelled, Err(TrainError::Cancelled));
    assert!(asked.into_inner() < 10, "the rest of the epochs was not begun");
}
