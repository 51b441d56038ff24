//! A model after its training: taken apart, grown, shrunk, continued, stopped early, and kept in a
//! file that may be damaged.

use std::fs;

use crate::common::exercise::as_model;
use crate::common::file::{get, header_field, n_sections, reseal, sections};
use crate::common::{Numbers, small_model};
use nearwood::als::{
    Confidence, Csr, EarlyStopping, FoldIn, Model, ModelFile, Params, Solver, Start, Trainer,
};
use nearwood::eval::{HeldOut, Measure, Target};
use nearwood::{Error, Index, Recommender, Storage};

/// Users with a taste for one half of the items.
fn plays(users: usize, items: usize, seed: u64) -> Csr {
    let mut numbers = Numbers::new(seed);
    let (mut rows, mut columns, mut values) = (vec![], vec![], vec![]);
    for user in 0..users {
        for _ in 0..8 {
            let item = numbers.below(items / 2) + (user % 2) * (items / 2);
            rows.push(user as u32);
            columns.push(item as u32);
            values.push(1.0 + numbers.below(5) as f32);
        }
    }
    Csr::from_triplets(users, items, &rows, &columns, &values).unwrap()
}

fn params(confidence: Confidence, solver: Solver) -> Params {
    Params { factors: 6, confidence, solver, regularization: 0.3, ..Params::default() }
}

fn train(params: &Params, matrix: &Csr) -> Model {
    Trainer::new(params.clone()).fit(matrix).unwrap()
}

fn near(got: f64, expected: f64, what: &str) {
    assert!((got - expected).abs() <= 1e-4 * (1.0 + expected.abs()), "{what}: {got} {expected}");
}

#[test]
fn contributions_add_up_to_the_score() {
    let matrix = plays(30, 20, 1);
    for confidence in Confidence::ALL {
        let p = Params { regularization_scaling: 0.5, ..params(confidence, Solver::Cholesky) };
        let model = train(&p, &matrix);
        let fold_in = FoldIn::new(&model.item_factors[..], &p).unwrap();
        for user in [0, 7, 29] {
            let (items, weights) = matrix.row(user);
            for item in 0..20 {
                let why = fold_in.explain(items, weights, item).unwrap();
                near(why.score, f64::from(model.score(user, item as usize)), "score");
                near(why.contributions.iter().map(|c| c.1).sum(), why.score, "sum");
                let mut listed: Vec<u32> = why.contributions.iter().map(|c| c.0).collect();
                assert!(why.contributions.is_sorted_by(|a, b| a.1 >= b.1));
                listed.sort_unstable();
                assert_eq!(listed, items);
            }
        }
        let row = matrix.without_rows(&(1..30).collect::<Vec<_>>()).unwrap();
        let (items, weights) = matrix.row(0);
        assert_eq!(model.explain(&row, 3), fold_in.explain(items, weights, 3));
        assert!(model.explain(&matrix, 3).is_err() && model.explain(&row, 20).is_err());
        assert_eq!(fold_in.explain(&[], &[], 3).unwrap().contributions, []);
    }
}

/// What one entry adds is what the score loses by its pull alone being taken out.
#[test]
fn a_contribution_is_that_of_its_entrys_pull() {
    let matrix = plays(30, 20, 2);
    let p = params(Confidence::Implicit, Solver::Cholesky);
    let model = train(&p, &matrix);
    let (items, weights) = matrix.row(4);
    let fold_in = FoldIn::new(&model.item_factors[..], &p).unwrap();
    let whole = fold_in.explain(items, weights, 9).unwrap();
    for (at, &item) in items.iter().enumerate() {
        // Under this convention a negative weight keeps its part in A and pulls no more.
        let mut without = weights.to_vec();
        without[at] = -without[at];
        let rest = fold_in.explain(items, &without, 9).unwrap();
        let own = whole.contributions.iter().find(|c| c.0 == item).unwrap().1;
        near(whole.score - rest.score, own, "contribution");
        assert!(rest.contributions.iter().all(|c| c.0 != item));
    }
}

#[test]
fn partial_fits_are_half_steps_of_the_rows_named() {
    let matrix = plays(40, 24, 3);
    for solver in Solver::ALL {
        let p = params(Confidence::Ials, solver);
        let model = train(&p, &matrix);
        let mut grown = model.clone();
        let rows = matrix.without_rows(&(3..40).collect::<Vec<_>>()).unwrap();
        grown.partial_fit_users(&[42, 5, 42], &rows).unwrap();
        let fresh = model.fold_in(&rows).unwrap();
        assert_eq!((grown.n_users, grown.user_factors.len()), (43, 43 * 6));
        assert_eq!(grown.user(42), &fresh[12..18], "the last of two rows counts");
        assert_eq!(grown.user(5), &fresh[6..12]);
        assert_eq!((grown.user(4), grown.user(41)), (model.user(4), &[0.0; 6][..]));
        let columns = matrix.transpose().without_rows(&(1..24).collect::<Vec<_>>()).unwrap();
        let mut grown = model.clone();
        grown.partial_fit_items(&[25], &columns).unwrap();
        assert_eq!(grown.n_items, 26);
        assert_eq!(grown.item(25), &model.fold_in_items(&columns).unwrap()[..]);
        let before = grown.clone();
        assert!(grown.partial_fit_users(&[0], &rows).is_err(), "other numbers than rows");
        assert!(grown.partial_fit_items(&[0], &rows).is_err(), "rows of another width");
        assert_eq!(grown, before);
    }
}

#[test]
fn an_unchanged_item_is_solved_to_what_the_next_epoch_gives() {
    let matrix = plays(40, 24, 4);
    let p = params(Confidence::Ials, Solver::Cholesky);
    let model = train(&p, &matrix);
    let next = Trainer::new(Params { iterations: 1, ..p })
        .start(Start::Users(&model.user_factors))
        .fit(&matrix)
        .unwrap();
    assert_eq!(model.fold_in_items(&matrix.transpose()).unwrap(), next.item_factors);
}

#[test]
fn users_and_items_are_taken_out() {
    let matrix = plays(10, 8, 5);
    let model = train(&params(Confidence::Ials, Solver::Auto), &matrix);
    let mut less = model.clone();
    less.remove_users(&[0, 9, 0]).unwrap();
    less.remove_items(&[3]).unwrap();
    assert_eq!((less.n_users, less.n_items), (8, 7));
    assert_eq!((less.user(0), less.user(7)), (model.user(1), model.user(8)));
    assert_eq!((less.item(2), less.item(3)), (model.item(2), model.item(4)));
    let before = less.clone();
    for error in [less.remove_users(&[8]), less.remove_items(&[0, 1, 2, 3, 4, 5, 6])] {
        assert!(error.is_err());
    }
    assert_eq!(less, before);
}

#[test]
fn a_training_continues_with_more_users_and_items() {
    let (old, new) = (plays(40, 24, 6), plays(50, 30, 6));
    for solver in Solver::ALL {
        let p = params(Confidence::Ials, solver);
        let long = train(&Params { iterations: 40, ..p.clone() }, &new);
        let model = train(&p, &old);
        let start = model.items_to_continue(30).unwrap();
        let few = Params { iterations: 3, ..p.clone() };
        let warm = Trainer::new(few.clone()).start(Start::Items(&start)).fit(&new).unwrap();
        let cold = train(&few, &new);
        assert!(warm.loss_history[0] < cold.loss_history[0], "{solver}");
        assert!(warm.loss_history[2] >= long.loss_history[39] * 1.02, "{solver}: a sane loss");
        assert!(model.items_to_continue(23).is_err());
        // On the same data it goes on from where it was.
        let start = long.items_to_continue(30).unwrap();
        let on = Trainer::new(few).start(Start::Items(&start)).fit(&new).unwrap();
        let (last, next) = (long.loss_history[39], on.loss_history[0]);
        // Solvers that take steps find yesterday's users again only nearly.
        let share = if solver == Solver::Cholesky { 1e-6 } else { 1e-2 };
        assert!(next <= last + share * last.abs(), "{solver}: {next} {last}");
    }
}

#[test]
fn early_stopping_goes_back_to_the_best_epoch() {
    let matrix = plays(20, 16, 7);
    let p = Params { iterations: 9, ..params(Confidence::Ials, Solver::Cholesky) };
    let scores = [1.0, 3.0, f64::NAN, 3.0, 2.0, 9.0];
    for (patience, epochs, best) in [(2, 4, 2), (1, 3, 2), (4, 9, 6), (0, 9, 6)] {
        let mut early =
            EarlyStopping::new(patience, |e| scores.get(e.number - 1).copied().unwrap_or(0.0));
        let mut model = Trainer::new(p.clone()).progress(|e| early.after(e)).fit(&matrix).unwrap();
        let measured = early.finish(&mut model);
        let short = train(&Params { iterations: best, ..p.clone() }, &matrix);
        assert_eq!((measured.len(), model.loss_history.len()), (epochs, best), "{patience}");
        assert_eq!(model.user_factors, short.user_factors);
        assert_eq!(model.item_factors, short.item_factors);
    }
}

#[test]
fn held_out_measures_are_those_of_a_plain_sort() {
    let matrix = plays(60, 24, 8);
    let (train_part, held) = HeldOut::split(&matrix, 0.4, 3).unwrap();
    assert_eq!(train_part.nnz() + held.nnz(), matrix.nnz());
    assert!((0..60).all(|u| !train_part.row(u).0.is_empty()), "everybody keeps one");
    let share = held.nnz() as f64 / matrix.nnz() as f64;
    assert!((0.25..0.45).contains(&share), "{share}");
    for name in ["recall@5", "ndcg@3"] {
        let target = HeldOut::target(name).unwrap();
        let measured = HeldOut::new(&train_part, &held, target, Some(2)).unwrap();
        let p = params(Confidence::Ials, Solver::Cholesky);
        let mut got = 0.0;
        let trainer = Trainer::new(Params { iterations: 2, ..p });
        let watched = trainer.progress(|epoch| {
            got = measured.measure(epoch);
            std::ops::ControlFlow::Continue(())
        });
        let model = watched.fit(&train_part).unwrap();
        near(got, plain(&model, &train_part, &held, target), name);
    }
    for bad in ["recall", "map@5", "ndcg@0", "ndcg@x"] {
        assert!(HeldOut::target(bad).is_err(), "{bad}");
    }
    let target = HeldOut::target("recall@5").unwrap();
    let none = Csr::from_triplets(60, 24, &[], &[], &[]).unwrap();
    let measured = HeldOut::new(&train_part, &held, target, None).unwrap();
    let p = Params { iterations: 1, ..params(Confidence::Ials, Solver::Cholesky) };
    let watched = Trainer::new(p).progress(|epoch| {
        assert!(measured.measure(epoch).is_nan(), "of other users");
        std::ops::ControlFlow::Continue(())
    });
    watched.fit(&plays(5, 24, 1)).unwrap();
    assert!(HeldOut::new(&train_part, &none, target, None).is_err());
    assert!(HeldOut::new(&train_part, &plays(5, 24, 1), target, None).is_err());
    assert!([0.0, 1.0, f64::NAN].iter().all(|&s| HeldOut::split(&matrix, s, 0).is_err()));
}

fn plain(model: &Model, train: &Csr, held: &Csr, target: Target) -> f64 {
    let k = target.k;
    let (mut sum, mut users) = (0.0, 0);
    for user in 0..train.n_rows() {
        let wanted = held.row(user).0;
        if wanted.is_empty() {
            continue;
        }
        users += 1;
        let mut free: Vec<u32> =
            (0..train.n_cols() as u32).filter(|i| !train.row(user).0.contains(i)).collect();
        let score = |item: u32| model.score(user, item as usize);
        free.sort_by(|&a, &b| score(b).total_cmp(&score(a)).then(a.cmp(&b)));
        let hit = |rank: usize| f64::from(u8::from(wanted.contains(&free[rank])));
        sum += match target.measure {
            Measure::CappedRecall => (0..k).map(hit).sum::<f64>() / k.min(wanted.len()) as f64,
            Measure::Ndcg => {
                let discount = |rank: usize| 1.0 / (2.0 + rank as f64).log2();
                let best: f64 = (0..k.min(wanted.len())).map(discount).sum();
                (0..k).map(|rank| hit(rank) * discount(rank)).sum::<f64>() / best
            }
            _ => unreachable!("a measure without a reference"),
        };
    }
    sum / f64::from(users)
}

#[test]
fn a_file_gives_the_model_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.nw");
    let matrix = plays(20, 16, 9);
    let model = train(
        &Params { n_threads: Some(2), seed: 5, ..params(Confidence::Spark, Solver::Auto) },
        &matrix,
    );
    model.save(&path, Storage::Float32).unwrap();
    let mut expected = model;
    expected.params.n_threads = None;
    assert_eq!(Model::open(&path).unwrap(), expected);
    ModelFile::write(&path, &expected, Some(&matrix), Storage::Float32).unwrap();
    let file = ModelFile::open(&path).unwrap();
    assert_eq!((&file.model, file.interactions.as_ref()), (&expected, Some(&matrix)));
    let whole = fs::metadata(&path).unwrap().len();
    expected.save(&path, Storage::Float16).unwrap();
    assert!(fs::metadata(&path).unwrap().len() < whole);
    let half = Model::open(&path).unwrap();
    assert!(half.item_factors != expected.item_factors);
    for (a, b) in half.item_factors.iter().zip(&expected.item_factors) {
        assert!((a - b).abs() <= b.abs() / 2048.0 + 1e-7, "{a} {b}");
    }
    assert_eq!(half.loss_history, expected.loss_history);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing is left beside it");
}

#[test]
fn what_cannot_be_saved_is_refused_and_the_old_file_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.nw");
    fs::write(&path, "old").unwrap();
    let matrix = plays(20, 16, 10);
    let model = train(&params(Confidence::Ials, Solver::Auto), &matrix);
    let text = |model: &Model, matrix: Option<&Csr>, storage| {
        let error: Error = ModelFile::write(&path, model, matrix, storage).unwrap_err();
        error.to_string()
    };
    assert!(text(&model, None, Storage::Int8).contains("\"float16\""));
    assert!(text(&model, Some(&plays(20, 12, 1)), Storage::Float32).contains("20 x 12"));
    let mut wrong = model.clone();
    wrong.n_items += 1;
    assert!(text(&wrong, None, Storage::Float32).contains("the shape of the model"));
    let mut wrong = model.clone();
    wrong.user_factors[3] = f32::NAN;
    assert!(text(&wrong, None, Storage::Float32).contains("row 0, column 3 is NaN"));
    let mut large = model.clone();
    large.user_factors[3] = 1e6;
    assert!(text(&large, None, Storage::Float16).contains("1000000"));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert!(Model::open(&path).is_err() && Model::open(dir.path().join("none")).is_err());
    assert!(Model::from_factors(vec![0.0; 7], vec![0.0; 6], model.params.clone()).is_err());
    assert!(Model::from_factors(vec![], vec![0.0; 6], model.params).is_err());
}

#[test]
fn every_damaged_byte_and_every_cut_is_seen() {
    for storage in [Storage::Float32, Storage::Float16] {
        let whole = small_model(storage);
        assert!(as_model(&whole));
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x41;
            // Nobody reads the reserved bytes of header and table; their checksums guard them.
            assert!(ModelFile::from_bytes(&bytes).is_err(), "byte {at}");
        }
        for length in 0..whole.len() {
            assert!(ModelFile::from_bytes(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}

#[test]
fn lying_headers_and_tables_are_refused() {
    let whole = small_model(Storage::Float32);
    for name in ["rows", "dim", "users"] {
        let old = get(&whole, header_field(name));
        for value in [0, old - 1, old + 1, u64::MAX, u64::MAX / 4, 1 << 33] {
            let mut bytes = whole.clone();
            let field = header_field(name);
            let length = field.len();
            bytes[field].copy_from_slice(&value.to_le_bytes()[..length]);
            reseal(&mut bytes);
            if get(&bytes, header_field(name)) != old {
                assert!(ModelFile::from_bytes(&bytes).is_err(), "{name} = {value}");
            }
        }
    }
    assert_eq!(n_sections(&whole), sections(&whole).len());
    for (other, text) in [
        (Index::from_bytes(&whole).map(|_| ()), "a whole model, expected index"),
        (Recommender::from_bytes(&whole).map(|_| ()), "a whole model, expected recommender"),
    ] {
        assert!(other.unwrap_err().to_string().contains(text));
    }
}
