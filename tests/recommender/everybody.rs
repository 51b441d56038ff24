//! Recommendations for many users at once: exact, the same whatever the threads, gone on with
//! after an end.

use std::fs;
use std::path::Path;

use crate::common::{Numbers, fit_options, plays};
use nearwood::als::{Csr, Trainer};
use nearwood::io::{EverybodyOptions, recommend_everybody};
use nearwood::recommend::{RecommendOptions, Weighting};
use nearwood::{Effort, Filter, Hit, Interactions, Recommender};

const D: usize = 4;

/// A recommender whose factors are what `value` says; the last user has no history.
fn made(matrix: Csr, mut value: impl FnMut(usize, bool) -> f32) -> Recommender {
    let data = Interactions::from_matrix(matrix);
    let options = fit_options(D, Weighting::Raw);
    let mut params = options.params.clone();
    params.iterations = 1;
    let mut model = Trainer::new(params).fit(&data.matrix).unwrap();
    let known = (model.n_users - 1) * D;
    model.user_factors[..known].iter_mut().enumerate().for_each(|(i, x)| *x = value(i / D, true));
    model.user_factors[known..].fill(0.0);
    model.item_factors.iter_mut().enumerate().for_each(|(i, x)| *x = value(i / D, false));
    Recommender::from_model(&model, &data, &options).unwrap()
}

/// Small integers: sums are exact and ties are many.
fn tied(users: usize, items: usize) -> Recommender {
    let mut numbers = Numbers::new(3);
    made(plays(users, items, 9), |_, _| numbers.below(4) as f32 - 1.0)
}

/// Lengths over many powers of ten.
fn heavy(users: usize, items: usize) -> Recommender {
    let mut numbers = Numbers::new(4);
    let lengths: Vec<f32> = (0..items).map(|_| (2.0 * numbers.normal()).exp()).collect();
    made(plays(users, items, 9), |row, is_user| {
        numbers.normal() * if is_user { 1.0 } else { lengths[row] }
    })
}

/// What a sort of all items by score, then number, gives.
fn naive(r: &Recommender, user: u32, k: usize, passes: &dyn Fn(u32) -> bool) -> Vec<(u32, f64)> {
    let vector = &r.user_factors()[user as usize * D..][..D];
    if vector.iter().all(|&x| x == 0.0) {
        return Vec::new();
    }
    let score = |item: u32| -> f64 {
        let item = r.items().vector(item).unwrap();
        vector.iter().zip(item.iter()).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let items = (0..r.items().len() as u32).filter(|&item| passes(item));
    let mut all: Vec<(u32, f64)> = items.map(|item| (item, score(item))).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

fn exact(k: usize) -> RecommendOptions<'static> {
    RecommendOptions { k, effort: Effort::Exact, ..RecommendOptions::default() }
}

#[test]
fn ties_go_by_the_number_of_the_item() {
    let r = tied(90, 700);
    let third = Filter::from_positions(r.items(), (0..700).step_by(3));
    for filter in [None, Some(&third)] {
        for include_seen in [false, true] {
            let o = RecommendOptions { filter, include_seen, ..exact(25) };
            r.recommend_all(o, |user, hits| {
                let passes = |item: u32| {
                    (filter.is_none() || item.is_multiple_of(3))
                        && (include_seen || !r.seen(user).contains(&item))
                };
                let expected = naive(&r, user, 25, &passes);
                let found: Vec<(u32, f64)> =
                    hits.iter().map(|h| (h.position, f64::from(h.distance))).collect();
                assert_eq!(found, expected, "user {user}, seen {include_seen}");
                Ok::<_, nearwood::Error>(true)
            })
            .unwrap();
        }
    }
}

#[test]
fn a_batch_is_to_the_bit_what_each_user_alone_is() {
    let r = heavy(300, 900);
    let few = Filter::from_positions(r.items(), [5, 800, 77]);
    for (k, filter) in [(1, None), (30, None), (30, Some(&few)), (900, None)] {
        let o = RecommendOptions { filter, ..exact(k) };
        let users: Vec<u32> = (0..300).rev().chain([7, 7]).collect();
        let alone: Vec<Vec<Hit>> = users.iter().map(|&u| r.recommend(u, o).unwrap()).collect();
        for n_threads in [Some(1), Some(2), Some(3), None] {
            let o = RecommendOptions { n_threads, ..o };
            let batch = r.recommend_batch(&users, o).unwrap();
            for (at, alone) in alone.iter().enumerate() {
                assert_eq!(batch.hits(at), *alone, "user {}, k {k}", users[at]);
                assert!(batch.exact[at]);
            }
        }
    }
}

#[test]
fn the_index_leaves_out_what_was_seen_too() {
    let r = heavy(200, 3000);
    for effort in [Effort::Budget(600), Effort::Budget(3000), Effort::Recall(0.9)] {
        let o = RecommendOptions { effort, ..exact(12) };
        let mut found = 0;
        for n_threads in [Some(1), Some(3)] {
            let users: Vec<u32> = (0..200).collect();
            let batch = r.recommend_batch(&users, RecommendOptions { n_threads, ..o }).unwrap();
            for &user in &users {
                let hits = batch.hits(user as usize);
                assert_eq!(hits.len(), if user == 199 { 0 } else { 12 });
                assert!(hits.iter().all(|h| !r.seen(user).contains(&h.position)), "user {user}");
                let best = r.recommend(user, exact(12)).unwrap();
                found += best.iter().filter(|best| hits.contains(best)).count();
            }
        }
        assert!(found > 2 * 199 * 12 * 8 / 10, "{effort:?}: {found}");
    }
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let r = tied(90, 50);
    let users: Vec<u32> = (0..91).collect();
    let error = r.recommend_batch(&users, exact(3)).unwrap_err().to_string();
    assert!(error.contains("no user 90"), "{error}");
    for o in [exact(0), RecommendOptions { effort: Effort::Recall(-1.0), ..exact(3) }] {
        assert!(r.everybody(90, o).is_err());
        assert!(r.recommend_batch(&[], o).is_err());
    }
    assert!(r.recommend_batch(&[], exact(3)).unwrap().exact.is_empty());
}

fn write(r: &Recommender, target: &Path, o: EverybodyOptions<'_>, last: usize) -> Option<usize> {
    let written = recommend_everybody(r, target, o, |done, _| done < last).unwrap();
    written.map(|written| written.resumed)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_job_that_was_ended_goes_on_and_writes_the_same_bytes() {
    let (dir, r) = (tempfile::tempdir().unwrap(), tied(10_000, 60));
    for name in ["r.parquet", "r.csv"] {
        let (whole, target) = (dir.path().join(format!("w{name}")), dir.path().join(name));
        let new = EverybodyOptions { recommend: exact(5), ..EverybodyOptions::default() };
        assert_eq!(write(&r, &whole, new, usize::MAX), Some(0));
        let bytes = fs::read(&whole).unwrap();
        fs::remove_file(&whole).unwrap();
        fs::write(&target, "old").unwrap();
        // Ended after the first block and, gone on with, after the second.
        let again = EverybodyOptions { resume: true, ..new };
        assert_eq!(write(&r, &target, new, 4096), None);
        assert_eq!(write(&r, &target, again, 8192), None);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        let parts = format!("{name}.parts");
        let left = names(&dir.path().join(&parts));
        assert_eq!(left, ["job.txt", "part-00000000", "part-00000001"]);
        // Half a block, as a system crash may leave it.
        let half = dir.path().join(&parts).join(&left[2]);
        let cut = fs::read(&half).unwrap()[..5000].to_vec();
        fs::write(&half, cut).unwrap();
        let one = RecommendOptions { n_threads: Some(1), ..exact(5) };
        let again = EverybodyOptions { recommend: one, ..again };
        assert_eq!(write(&r, &target, again, usize::MAX), Some(4096));
        assert_eq!(fs::read(&target).unwrap(), bytes);
        assert_eq!(names(dir.path()), [name], "nothing is left");
        fs::remove_file(&target).unwrap();
    }
}

#[test]
fn another_job_is_not_gone_on_with() {
    let (dir, r) = (tempfile::tempdir().unwrap(), tied(5000, 60));
    let target = dir.path().join("r.csv");
    let first = EverybodyOptions { recommend: exact(5), ..EverybodyOptions::default() };
    assert_eq!(write(&r, &target, first, 4096), None);
    let users: Vec<u32> = (0..5000).rev().collect();
    let odd = Filter::from_positions(r.items(), (1..60).step_by(2));
    let again = EverybodyOptions { resume: true, ..first };
    for other in [
        EverybodyOptions { recommend: exact(6), ..again },
        EverybodyOptions { users: Some(&users), ..again },
        EverybodyOptions {
            recommend: RecommendOptions { include_seen: true, ..exact(5) },
            ..again
        },
        EverybodyOptions {
            recommend: RecommendOptions { filter: Some(&odd), ..exact(5) },
            ..again
        },
    ] {
        let error = recommend_everybody(&r, &target, other, |_, _| true).unwrap_err().to_string();
        assert!(error.contains("parts of another job"), "{error}");
    }
    let retrained = heavy(5000, 60);
    let error = recommend_everybody(&retrained, &target, again, |_, _| true).unwrap_err();
    assert!(error.to_string().contains("parts of another job"), "{error}");
    assert_eq!(
        write(&r, &target, EverybodyOptions { users: Some(&users), ..first }, 9999),
        Some(0)
    );
    let text = fs::read_to_string(&target).unwrap();
    assert!(text.starts_with("user,item,rank,score\n4998,"), "the last has no items");
    assert_eq!(names(dir.path()), ["r.csv"]);
}

/// Runs the command for all users and kills it once the first block is done; whether it was killed
/// before the last.
#[cfg(feature = "cli")]
fn killed(model: &Path, target: &Path) -> bool {
    let words = ["--all", "-k", "3", "--exact", "--threads", "1", "-o"];
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nearwood"));
    command.arg("recommend").arg(model).args(words).arg(target);
    let mut job = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let part = target.with_extension("csv.parts").join("part-00000000");
    while !part.exists() && job.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    job.kill().unwrap();
    !job.wait().unwrap().success()
}

#[cfg(feature = "cli")]
#[test]
fn a_killed_command_leaves_its_parts_alone_and_is_gone_on_with() {
    let (dir, r) = (tempfile::tempdir().unwrap(), tied(80_000, 60));
    let (model, target) = (dir.path().join("m.nw"), dir.path().join("r.csv"));
    r.save(&model).unwrap();
    // It may be done before this process gets a turn, but not ten times.
    assert!((0..10).any(|_| killed(&model, &target)));
    let left = names(dir.path());
    assert!(left.iter().all(|n| ["m.nw", "r.csv", "r.csv.parts"].contains(&&n[..])), "{left:?}");
    let new = EverybodyOptions { recommend: exact(3), ..EverybodyOptions::default() };
    let resumed = write(&r, &target, EverybodyOptions { resume: true, ..new }, usize::MAX);
    assert!(resumed.unwrap() >= 4096);
    let whole = dir.path().join("w.csv");
    write(&r, &whole, new, usize::MAX);
    assert!(fs::read(&target).unwrap() == fs::read(&whole).unwrap(), "the same bytes");
    assert_eq!(names(dir.path()), ["m.nw", "r.csv", "w.csv"]);
}
