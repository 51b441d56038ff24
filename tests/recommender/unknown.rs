//! What nothing is known about: items without a vector, tests that ask for nothing, weights that
//! cannot be trained on.

use std::collections::BTreeSet;

use crate::common::{fit_options, plays};
use nearwood::als::{Confidence, Csr, FoldIn, Params, Trainer};
use nearwood::error::{Error, QueryError, TrainError};
use nearwood::eval::{HeldOut, Options, Split, Task, align_to, seen_by};
use nearwood::io::Journal;
use nearwood::recommend::{FitOptions, IdColumn, RecommendOptions, Weighting};
use nearwood::tune::{self, Space, tune};
use nearwood::{BatchOptions, Effort, Filter, Hit, Ids, Interactions, Recommender};

const USERS: usize = 90;
const ITEMS: usize = 60;

/// Items 0, 5, 10, ... have no entry, 1, 6, 11, ... none but of weight 0.
fn sparse() -> Csr {
    let all = plays(USERS, ITEMS, 6);
    let (mut rows, mut columns, mut values) = (vec![], vec![], vec![]);
    for user in 0..USERS {
        let (items, weights) = all.row(user);
        for (&item, &weight) in items.iter().zip(weights).filter(|e| e.0 % 5 != 0) {
            rows.push(user as u32);
            columns.push(item);
            values.push(if item % 5 == 1 { 0.0 } else { weight });
        }
    }
    Csr::from_triplets(USERS, ITEMS, &rows, &columns, &values).unwrap()
}

fn is_known(position: u32) -> bool {
    position % 5 > 1
}

fn recommender() -> Recommender {
    let data = Interactions::from_matrix(sparse());
    Recommender::fit(&data, &fit_options(8, Weighting::Log1p)).unwrap()
}

fn efforts() -> [Effort; 4] {
    [Effort::Exact, Effort::Recall(0.95), Effort::Recall(1.0), Effort::Budget(ITEMS)]
}

fn all_known(hits: &[Hit]) -> bool {
    hits.iter().all(|hit| is_known(hit.position))
}

#[test]
fn items_without_a_vector_are_never_recommended() {
    let r = recommender();
    // A user with items of weight 0 alone has no vector either, and gets nothing.
    let has_vector = |user: &u32| r.user_factors()[*user as usize * 8..][..8] != [0.0; 8];
    let users: Vec<u32> = (0..USERS as u32).filter(has_vector).collect();
    assert!(users.len() > USERS / 2);
    let few = Filter::from_positions(r.items(), [0, 1, 2, 3, 5, 6, 7]);
    for effort in efforts() {
        for filter in [None, Some(&few)] {
            for k in [3, ITEMS] {
                let o = RecommendOptions { k, effort, filter, ..RecommendOptions::default() };
                let batch = r.recommend_batch(&users, o).unwrap();
                for (at, &user) in users.iter().enumerate() {
                    let one = r.recommend(user, o).unwrap();
                    assert!(all_known(&one) && all_known(&batch.hits(at)), "{effort:?}");
                    let free = (0..ITEMS as u32)
                        .filter(|&i| is_known(i) && !r.seen(user).contains(&i))
                        .filter(|&i| filter.is_none_or(|_| [2, 3, 7].contains(&i)))
                        .count();
                    assert_eq!(one.len(), free.min(k));
                    assert_eq!(batch.hits(at).len(), free.min(k));
                }
                let some = r.recommend_batch(&users[..5], o).unwrap();
                assert!((0..5).all(|at| all_known(&some.hits(at))));
            }
        }
        let o = RecommendOptions { k: ITEMS, effort, ..RecommendOptions::default() };
        let hits = r.recommend_for(&[(2, 3.0), (7, 1.0)], o).unwrap();
        assert!(all_known(&hits) && hits.len() == ITEMS / 5 * 3 - 2);
        assert!(r.recommend_for(&[(0, 3.0), (1, 1.0)], o).unwrap().is_empty());
        r.recommend_all(o, |_, hits| {
            assert!(all_known(hits));
            Ok::<_, QueryError>(true)
        })
        .unwrap();
    }
}

#[test]
fn items_without_a_vector_are_similar_to_nothing() {
    let r = recommender();
    for effort in efforts() {
        let o = BatchOptions { k: ITEMS, effort, ..BatchOptions::default() };
        for item in 0..ITEMS as u32 {
            let hits = r.similar(item, o).unwrap();
            assert!(all_known(&hits));
            assert_eq!(hits.len(), if is_known(item) { ITEMS / 5 * 3 - 1 } else { 0 }, "{item}");
        }
        assert!(r.similar(0, BatchOptions { k: 0, ..o }).is_err(), "options are checked");
    }
    let model = Trainer::new(fit_options(8, Weighting::Raw).params).fit(&sparse()).unwrap();
    for list in model.best_items(&model.user_factors, ITEMS, &|_, _| true).unwrap() {
        assert!(list.iter().all(|&(item, _)| is_known(item)));
    }
    let fold_in = FoldIn::new(&model.item_factors[..], &model.params).unwrap();
    let why = fold_in.explain(&[2, 3], &[1.0, 2.0], 5).unwrap();
    assert_eq!((why.score, why.contributions.len()), (0.0, 0));
}

fn whole() -> Interactions {
    Interactions::from_matrix(plays(USERS, ITEMS, 6))
}

#[test]
fn a_recommender_trained_on_the_test_is_refused() {
    let parts = whole().split(Split::LeaveKOut { k: 2 }, 1).unwrap();
    let (train, test) = (&parts.train.matrix, &parts.test.matrix);
    let all = Recommender::fit(&whole(), &fit_options(4, Weighting::Raw)).unwrap();
    let options = Options::default();
    // By the training part that it should have had, and by what it knows itself.
    let seen = seen_by(&all).unwrap();
    for train in [train, &seen] {
        for effort in [Effort::Exact, Effort::default()] {
            let task = Task::new(train, test, &options).unwrap();
            let error = task.served(&all, effort).unwrap_err();
            let n = test.nnz();
            assert!(
                matches!(error, QueryError::TrainedOnTest { entries, of, .. } if entries == n && of == n)
            );
            let text = error.to_string();
            let start = format!("the recommender has {n} of {n} test entries in its own history: ");
            assert!(text.starts_with(&start), "{text}");
        }
    }
    let task = Task::new(train, test, &options).unwrap();
    assert!(task.trained_on(&whole().matrix).is_err());
    let right = Recommender::fit(&parts.train, &fit_options(4, Weighting::Raw)).unwrap();
    let found = Task::new(train, test, &options).unwrap().served(&right, Effort::Exact).unwrap();
    assert_eq!(found.entries_trained_on, 0);
    let aligned = align_to(&parts.test, &parts.train).unwrap();
    assert_eq!(found.caveats(&aligned), Vec::<String>::new());
    let task = Task::new(train, test, &options).unwrap().trained_on(train).unwrap();
    assert!(task.has_findable());
    // A few of them: measured, counted and told.
    let (user, item) = (0, test.row(0).0[0]);
    let more = train.with_rows(&[user], &one_more(train, user, item)).unwrap();
    let leak = Recommender::fit(&Interactions::from_matrix(more), &fit_options(4, Weighting::Raw))
        .unwrap();
    let found = Task::new(train, test, &options).unwrap().served(&leak, Effort::Exact).unwrap();
    assert_eq!(found.entries_trained_on, 1);
    let caveats = found.caveats(&aligned);
    assert!(caveats[0].starts_with("the model was trained on 1 of the "), "{caveats:?}");
    // Who comes back to what they have.
    let again = Options { include_seen: true, ..options };
    let task = Task::new(&seen, test, &again).unwrap();
    assert_eq!(task.served(&all, Effort::Exact).unwrap().entries_trained_on, 0);
}

/// A user's row with one item more.
fn one_more(train: &Csr, user: u32, item: u32) -> Csr {
    let mut items: BTreeSet<u32> = train.row(user as usize).0.iter().copied().collect();
    items.insert(item);
    let items: Vec<u32> = items.into_iter().collect();
    let n = items.len();
    Csr::from_parts(train.n_cols(), vec![0, n as u64], items, vec![1.0; n]).unwrap()
}

#[test]
fn a_test_without_anything_to_find_says_why() {
    let texts = |ids: &[&str]| IdColumn::Text(ids.iter().map(|s| s.to_string()).collect());
    let data = |users: &[&str], items: &[&str], weights: &[f32]| {
        Interactions::from_columns(texts(users), texts(items), Some(weights.to_vec()), None)
            .unwrap()
    };
    let train = data(&["7", "8", "8"], &["a", "a", "b"], &[1.0; 3]);
    let why = |test: &Interactions| {
        let aligned = align_to(test, &train).unwrap();
        let task = Task::new(&train.matrix, &aligned.matrix, &Options::default()).unwrap();
        let found = task.factors(&[1.0; 2], &[1.0; 2], 1).unwrap();
        (found.why_empty(&aligned), found.caveats(&aligned))
    };
    for (test, says) in [
        (data(&[], &[], &[]), "it has no interactions"),
        (
            data(&["007", "008"], &["a", "b"], &[1.0; 2]),
            "no interaction of its 2 is between a user and an item that the model knows: 2 of its 2 \
             users are unknown, such as \"007\", and all of its 2 items are known",
        ),
        (data(&["7"], &["b"], &[0.0]), "none of its 1 interactions has a weight above 0"),
        (data(&["7"], &["a"], &[1.0]), "all of its 1 interactions are in the training"),
        (
            data(&["7", "9"], &["a", "a"], &[1.0; 2]),
            "of its 2 interactions 1 have unknown ids, 1 are in the training",
        ),
    ] {
        let text = why(&test).0.unwrap();
        let start = format!("the test has nothing to find, so that every figure is 0: {says}");
        assert!(text.starts_with(&start), "{text}");
    }
    let (none, caveats) = why(&data(&["7", "007"], &["b", "b"], &[1.0; 2]));
    assert!(none.is_none() && caveats.len() == 1, "{caveats:?}");
    assert!(caveats[0].starts_with("1 of 2 test entries were left out because"), "{caveats:?}");
}

#[test]
fn a_validation_part_in_which_nothing_can_be_found_is_refused() {
    let train = Csr::from_triplets(3, 3, &[0, 0, 1], &[0, 1, 0], &[1.0; 3]).unwrap();
    let target = HeldOut::target("ndcg@2").unwrap();
    let refused = |user: u32, item: u32| {
        let held = Csr::from_triplets(3, 3, &[user], &[item], &[1.0]).unwrap();
        HeldOut::new(&train, &held, target, Some(1)).err().map(|error| error.to_string())
    };
    assert_eq!(refused(1, 1), None);
    for (user, item, says) in [
        (2, 1, "1 entries of users who have none in the training"),
        (1, 0, "1 entries that the training has too, or of items that it lacks"),
        (1, 2, "1 entries that the training has too, or of items that it lacks"),
    ] {
        let text = refused(user, item).unwrap();
        assert!(text.starts_with(&format!("validation is {says}, expected entries")), "{text}");
    }
    let nothing = Csr::from_triplets(3, 3, &[], &[], &[]).unwrap();
    let text = HeldOut::new(&train, &nothing, target, None).err().unwrap().to_string();
    assert!(text.starts_with("validation is without entries"), "{text}");
}

/// User `u3` dislikes item 6.
fn with_a_dislike() -> Interactions {
    let all = plays(USERS, ITEMS, 6);
    let rows: Vec<u32> =
        (0..USERS).flat_map(|user| vec![user as u32; all.row(user).0.len()]).chain([3]).collect();
    let columns = [all.indices(), &[6]].concat();
    let values = [all.values(), &[-30.0]].concat();
    Interactions {
        users: Ids::Text((0..USERS).map(|u| format!("u{u}")).collect()),
        ..Interactions::from_matrix(
            Csr::from_triplets(USERS, ITEMS, &rows, &columns, &values).unwrap(),
        )
    }
}

#[test]
fn weights_that_cannot_be_trained_on_are_named_by_their_ids() {
    let data = with_a_dislike();
    let text = |weighting, confidence| {
        let options = fit_options(4, weighting);
        let params = Params { confidence, ..options.params };
        let fitted = Recommender::fit(&data, &FitOptions { params, ..options });
        fitted.err().map(|error| error.to_string())
    };
    let given = data.matrix.row(3).0.binary_search(&6).map(|at| data.matrix.row(3).1[at]).unwrap();
    let start = format!("the weight of user \"u3\", item 6 is {given}");
    let log = text(Weighting::Log1p, Confidence::Ials).unwrap();
    assert!(log.starts_with(&format!("{start}, which log1p makes -")), "{log}");
    assert!(log.contains("expected above -1 (-unobserved_weight / alpha)"), "{log}");
    let raw = text(Weighting::Raw, Confidence::Ials).unwrap();
    assert!(raw.starts_with(&format!("{start}, expected above -1")), "{raw}");
    let bm25 = text(Weighting::Bm25, Confidence::Implicit).unwrap();
    assert!(bm25.starts_with(&format!("{start}, expected 0 or more")), "{bm25}");
    assert_eq!(text(Weighting::Log1p, Confidence::Implicit), None);

    let named = Interactions {
        items: Ids::Text((0..ITEMS).map(|i| format!("song {i}")).collect()),
        ..whole()
    };
    for weighting in [Weighting::Log1p, Weighting::Raw, Weighting::Bm25] {
        let r = Recommender::fit(&named, &fit_options(4, weighting)).unwrap();
        let history = [(9, 2.0), (21, -30.0), (2, 1.0)];
        let text = r.recommend_for(&history, RecommendOptions::default()).unwrap_err().to_string();
        assert!(text.starts_with("the weight of item \"song 21\" is -30"), "{text}");
        let text = r.fold_in(&[(9, f32::NAN)]).unwrap_err().to_string();
        assert!(text.starts_with("the weight of item \"song 9\" is NaN"), "{text}");
    }
}

#[test]
fn a_search_leaves_out_the_weightings_that_the_data_cannot_take() {
    let search = |confidence, weightings: Vec<Weighting>| {
        let space = Space { weightings, ..Space::of(confidence) };
        let base = Params { iterations: 2, confidence, n_threads: Some(1), ..Params::default() };
        let options =
            tune::Options { space, trials: 4, refine: 2, base, ..tune::Options::default() };
        let journal = &mut Journal::in_memory();
        tune(&with_a_dislike(), &options, journal, &|| false, &mut |_| true)
            .map(|found| (found.report(&options).unwrap(), found))
    };
    for confidence in [Confidence::Implicit, Confidence::Spark] {
        let (report, found) = search(confidence, Weighting::ALL.to_vec()).unwrap();
        assert_eq!(found.left_out.len(), 1);
        assert_eq!(found.left_out[0].weighting, Weighting::Bm25);
        assert!(found.trials.iter().all(|t| t.candidate.weighting != Weighting::Bm25));
        assert!(found.trials.iter().all(|t| t.score.is_some()));
        let reason = report["left_out"]["bm25"].as_str().unwrap();
        assert!(reason.starts_with("the weight of user \"u3\", item 6 is -"), "{reason}");
        let alone = search(confidence, vec![Weighting::Bm25]).unwrap_err();
        assert!(matches!(alone, Error::Train(TrainError::Weight { .. })), "{alone}");
    }
    let text = search(Confidence::Ials, Weighting::ALL.to_vec()).unwrap_err().to_string();
    assert!(text.starts_with("the weight of user \"u3\", item 6 is -"), "{text}");
    assert!(text.contains("choose confidence \"implicit\" or \"spark\""), "{text}");
}
