//! Ranking metrics against a plain computation of their definitions, ties, splits and baselines.
// Helpers of tests are tests too.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use crate::common::{Numbers, plays, small_recommender};
use nearwood::als::Csr;
use nearwood::eval::{
    Evaluation, ItemKnn, KnnOptions, Measure, Options, Popularity, Split, Target, Task, Ties,
    align, seen_by,
};
use nearwood::recommend::Weighting;
use nearwood::{Effort, Interactions};
use proptest::prelude::*;

fn csr(users: usize, items: usize, entries: &[(u32, u32)], weight: impl Fn(usize) -> f32) -> Csr {
    let (rows, columns): (Vec<u32>, Vec<u32>) = entries.iter().copied().unzip();
    let weights: Vec<f32> = (0..entries.len()).map(weight).collect();
    Csr::from_triplets(users, items, &rows, &columns, &weights).unwrap()
}

fn get(evaluation: &Evaluation, measure: Measure, k: usize) -> f64 {
    evaluation.get(Target { measure, k }).unwrap()
}

/// The definitions, as they are written in docs/evaluating.md, for lists that are all given.
fn naive(lists: &BTreeMap<u32, (Vec<u32>, BTreeSet<u32>)>, items: usize, k: usize) -> [f64; 8] {
    let mut sums = [0.0; 8];
    let mut recommended = BTreeSet::new();
    for (list, wanted) in lists.values() {
        let list: Vec<u32> = list.iter().copied().take(k).collect();
        let hit = |at: usize| wanted.contains(&list[at]);
        let hits = (0..list.len()).filter(|&at| hit(at)).count() as f64;
        let possible = wanted.len().min(k);
        let gain = |at: usize| 1.0 / ((at + 2) as f64).log2();
        let dcg: f64 = (0..list.len()).filter(|&at| hit(at)).map(gain).sum();
        let ideal: f64 = (0..possible).map(gain).sum();
        let precision_at =
            |at: usize| (0..=at).filter(|&a| hit(a)).count() as f64 / (at + 1) as f64;
        let ap: f64 = (0..list.len()).filter(|&at| hit(at)).map(precision_at).sum();
        let first = (0..list.len()).find(|&at| hit(at));
        let figures = [
            hits / wanted.len() as f64,
            hits / possible as f64,
            hits / k as f64,
            dcg / ideal,
            ap / possible as f64,
            first.map_or(0.0, |at| 1.0 / (at + 1) as f64),
            if hits > 0.0 { 1.0 } else { 0.0 },
        ];
        sums.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
        recommended.extend(list.into_iter().filter(|&item| (item as usize) < items));
    }
    let mut means = sums.map(|sum| sum / lists.len().max(1) as f64);
    means[7] = recommended.len() as f64 / items as f64;
    means
}

fn assert_close(got: &Evaluation, k: usize, want: [f64; 8]) {
    for (measure, want) in Measure::ALL.into_iter().zip(want) {
        let got = get(got, measure, k);
        assert!((got - want).abs() < 1e-12, "{measure}@{k}: {got}, expected {want}");
    }
}

const USERS: usize = 12;
const ITEMS: usize = 17;

type Pair = (u32, u32);

/// Entries of (train, test), each pair in one of them or neither.
fn entries() -> impl Strategy<Value = (Vec<Pair>, Vec<Pair>)> {
    proptest::collection::vec(0..5u8, USERS * ITEMS).prop_map(|kinds| {
        let pair = |at: usize| ((at / ITEMS) as u32, (at % ITEMS) as u32);
        let of = |kind: u8| (0..kinds.len()).filter(|&at| kinds[at] == kind).map(pair).collect();
        (of(0), of(1))
    })
}

fn wanted(test: &[(u32, u32)], user: u32) -> BTreeSet<u32> {
    test.iter().filter(|e| e.0 == user).map(|e| e.1).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn figures_of_factors_are_the_definitions(
        (train, test) in entries(),
        factors in proptest::collection::vec(-2..3i8, 2 * (USERS + ITEMS)),
        ks in proptest::collection::vec(1..25usize, 1..4),
        seed in 0..9u64,
    ) {
        let values: Vec<f32> = factors.iter().map(|&f| f32::from(f)).collect();
        let (users, items) = values.split_at(2 * USERS);
        let (a, b) = (csr(USERS, ITEMS, &train, |_| 1.0), csr(USERS, ITEMS, &test, |_| 2.0));
        let options = Options { ks: ks.clone(), seed, ..Options::default() };
        let got = Task::new(&a, &b, &options).unwrap().factors(users, items, 2).unwrap();
        let mut lists = BTreeMap::new();
        for user in 0..USERS as u32 {
            let wanted = wanted(&test, user);
            if wanted.is_empty() {
                continue;
            }
            let x = &users[2 * user as usize..][..2];
            let ties = Ties::new(seed, user);
            let mut list: Vec<u32> = (0..ITEMS as u32)
                .filter(|&i| x != [0.0, 0.0] && !train.contains(&(user, i)))
                .filter(|&i| items[2 * i as usize..][..2] != [0.0, 0.0])
                .collect();
            // Small whole numbers: products are exact.
            let score = |i: u32| x[0] * items[2 * i as usize] + x[1] * items[2 * i as usize + 1];
            list.sort_by_key(|&i| (-score(i) as i64, ties.tag(i)));
            lists.insert(user, (list, wanted));
        }
        prop_assert_eq!(got.n_users, lists.len());
        prop_assert_eq!(got.users_without_test, USERS - lists.len());
        for k in ks {
            assert_close(&got, k, naive(&lists, ITEMS, k));
        }
        for n_threads in [1, 3] {
            let options = Options { n_threads: Some(n_threads), ..options.clone() };
            let again = Task::new(&a, &b, &options).unwrap().factors(users, items, 2).unwrap();
            prop_assert_eq!(&again, &got);
        }
    }

    #[test]
    fn figures_of_lists_are_the_definitions(
        (train, test) in entries(),
        given in proptest::collection::vec(
            proptest::sample::subsequence((0..ITEMS as u32 + 3).collect::<Vec<_>>(), 0..ITEMS).prop_shuffle(),
            USERS
        ),
        k in 1..25usize,
    ) {
        let (a, b) = (csr(USERS, ITEMS, &train, |_| 1.0), csr(USERS, ITEMS, &test, |_| 1.0));
        let options = Options { ks: vec![k], ..Options::default() };
        let task = Task::new(&a, &b, &options).unwrap();
        let Ok(got) = task.lists(|user, _| Ok::<_, Infallible>(given[user as usize].clone()));
        let filled = |list: &Vec<u32>| {
            let rest = std::iter::repeat_n(u32::MAX, ITEMS - list.len());
            list.iter().copied().chain(rest).collect::<Vec<u32>>()
        };
        let table: Vec<u32> = given.iter().flat_map(filled).collect();
        prop_assert_eq!(&task.table(&table, ITEMS).unwrap(), &got);
        let n = k.min(ITEMS);
        let lists: BTreeMap<_, _> = task
            .users()
            .iter()
            .map(|&user| {
                let list = given[user as usize].iter().copied().take(n).collect();
                (user, (list, wanted(&test, user)))
            })
            .collect();
        assert_close(&got, k, naive(&lists, ITEMS, k));
    }

    #[test]
    fn a_split_is_two_parts_of_the_whole(
        (entries, _) in entries(),
        times in proptest::collection::vec(0..30i64, USERS * ITEMS),
        share in 0.05..0.95f64,
        k in 1..6usize,
        seed in 0..5u64,
    ) {
        let data = Interactions::from_matrix(csr(USERS, ITEMS, &entries, |at| at as f32 + 1.0));
        let data = Interactions { times: Some(times[..entries.len()].to_vec()), ..data };
        for split in [
            Split::Random { share },
            Split::LeaveKOut { k },
            Split::UserTime { k },
            Split::Time { share },
        ] {
            let parts = match data.split(split, seed) {
                Ok(parts) => parts,
                // Where the latest of the times are equal, a small share is none.
                Err(error) => {
                    let text = error.to_string();
                    let is_empty = text.contains("equal times stay together");
                    prop_assert!(matches!(split, Split::Time { .. }) && is_empty, "{}", text);
                    continue;
                }
            };
            prop_assert_eq!(&parts, &data.split(split, seed).unwrap());
            let mut whole = BTreeMap::new();
            for part in [&parts.train, &parts.test] {
                prop_assert!(part.users == data.users && part.items == data.items);
                let mut times = part.times.as_ref().unwrap().iter();
                for user in 0..USERS {
                    let (items, weights) = part.matrix.row(user);
                    for (&item, &weight) in items.iter().zip(weights) {
                        let twice = whole.insert((user as u32, item), (weight, *times.next().unwrap()));
                        prop_assert!(twice.is_none());
                    }
                }
            }
            let all = entries.iter().enumerate();
            let expected: BTreeMap<_, _> =
                all.map(|(at, &pair)| (pair, (at as f32 + 1.0, times[at]))).collect();
            prop_assert_eq!(whole, expected);
            let held = |user: usize| parts.test.matrix.row(user).0.len();
            let had = |user: usize| data.matrix.row(user).0.len();
            let untouched = (0..USERS).filter(|&u| had(u) > 0 && held(u) == 0).count();
            prop_assert_eq!(parts.users_left_whole, untouched);
            match split {
                Split::LeaveKOut { k } | Split::UserTime { k } => {
                    for user in 0..USERS {
                        prop_assert_eq!(held(user), if had(user) > k { k } else { 0 });
                    }
                }
                Split::Random { share } => {
                    let want = (entries.len() as f64 * share).round() as usize;
                    prop_assert_eq!(parts.test.matrix.nnz(), want);
                }
                Split::Time { share } => {
                    let [old, new] = [&parts.train, &parts.test].map(|p| p.times.as_ref().unwrap());
                    prop_assert!(old.iter().max() < new.iter().min() || new.is_empty());
                    let most = (entries.len() as f64 * share).round() as usize;
                    prop_assert!(new.len() <= most);
                }
            }
        }
    }

    #[test]
    fn neighbours_are_the_formula(
        (train, test) in entries(),
        neighbours in 1..20usize,
        shrink in 0.0..5.0f64,
        k in 1..10usize,
    ) {
        let weight = |at: usize| 1.0 + (at % 3) as f32;
        let (a, b) = (csr(USERS, ITEMS, &train, weight), csr(USERS, ITEMS, &test, |_| 1.0));
        let options = Options { ks: vec![k], ..Options::default() };
        let task = Task::new(&a, &b, &options).unwrap();
        let knn = KnnOptions { neighbours, shrink, n_threads: Some(2) };
        let knn = ItemKnn::fit(&a, &knn).unwrap();
        let mut dense = vec![vec![0f64; ITEMS]; USERS];
        for (at, &(u, i)) in train.iter().enumerate() {
            dense[u as usize][i as usize] = f64::from(weight(at));
        }
        let dot = |i: usize, j: usize| dense.iter().map(|row| row[i] * row[j]).sum::<f64>();
        for i in 0..ITEMS {
            let like = |j: usize| dot(i, j) / ((dot(i, i) * dot(j, j)).sqrt() + shrink);
            let mut others: Vec<f64> =
                (0..ITEMS).filter(|&j| j != i && dot(i, j) > 0.0).map(like).collect();
            others.sort_by(|a, b| b.total_cmp(a));
            others.truncate(neighbours);
            let got = knn.neighbours(i as u32);
            prop_assert_eq!(got.len(), others.len());
            for (&(j, got), want) in got.iter().zip(others) {
                prop_assert!((f64::from(got) - want).abs() < 1e-6);
                prop_assert!((like(j as usize) - want).abs() < 1e-6);
            }
        }
        // Scores by the neighbours that it found: which of equal ones it keeps is its own affair.
        for &user in task.users() {
            let mut scores = [0f64; ITEMS];
            for (i, &weight) in dense[user as usize].iter().enumerate() {
                for &(j, likeness) in knn.neighbours(i as u32).iter().filter(|_| weight != 0.0) {
                    scores[j as usize] += weight * f64::from(likeness);
                }
            }
            let history = a.row(user as usize);
            let list = knn.rank(history, history.0, k, Ties::new(0, user));
            let mut best: Vec<f64> = (0..ITEMS)
                .filter(|&i| dense[user as usize][i] == 0.0 && scores[i] > 0.0)
                .map(|i| scores[i])
                .collect();
            best.sort_by(|a, b| b.total_cmp(a));
            best.truncate(k);
            prop_assert_eq!(list.len(), best.len());
            for (&item, want) in list.iter().zip(best) {
                prop_assert!((scores[item as usize] - want).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn who_knows_nothing_is_as_good_as_chance() {
    // Everybody wants item 0, which sorting by number would put first; ten others are seen.
    const MANY: usize = 6000;
    let train: Vec<(u32, u32)> =
        (0..MANY as u32).flat_map(|u| (0..10).map(move |i| (u, 1 + (u + 5 * i) % 59))).collect();
    let test: Vec<(u32, u32)> = (0..MANY as u32).map(|u| (u, 0)).collect();
    let (a, b) = (csr(MANY, 60, &train, |_| 1.0), csr(MANY, 60, &test, |_| 1.0));
    let unseen = 60.0 - a.row(0).0.len() as f64;
    let (users, items) = (vec![1.0; MANY], vec![0.5; 60]);
    let mut recalls = Vec::new();
    for seed in 0..4 {
        let options = Options { ks: vec![1, 10, 60], seed, ..Options::default() };
        let got = Task::new(&a, &b, &options).unwrap().factors(&users, &items, 1).unwrap();
        // Standard deviations: 0.0018, 0.0052.
        assert!((get(&got, Measure::Recall, 1) - 1.0 / unseen).abs() < 0.008);
        assert!((get(&got, Measure::Recall, 10) - 10.0 / unseen).abs() < 0.022);
        assert_eq!(get(&got, Measure::Recall, 60), 1.0);
        let harmonic: f64 = (1..=unseen as usize).map(|n| 1.0 / n as f64).sum();
        assert!((get(&got, Measure::Mrr, 60) - harmonic / unseen).abs() < 0.012);
        assert_eq!(get(&got, Measure::Coverage, 10), 1.0);
        recalls.push(get(&got, Measure::Recall, 10).to_bits());
    }
    recalls.dedup();
    assert_eq!(recalls.len(), 4, "each seed draws another order");
}

#[test]
fn a_users_figures_do_not_depend_on_others() {
    let data = Interactions::from_matrix(plays(90, 50, 6));
    let parts = data.split(Split::LeaveKOut { k: 2 }, 3).unwrap();
    let (train, test) = (&parts.train.matrix, &parts.test.matrix);
    let mut numbers = Numbers::new(5);
    let mut factors = |n: usize| -> Vec<f32> { (0..n).map(|_| numbers.below(3) as f32).collect() };
    let (users, items) = (factors(90 * 4), factors(50 * 4));
    let measure = |train: &Csr, test: &Csr| {
        let task = Task::new(train, test, &Options::default()).unwrap();
        task.factors(&users, &items, 4).unwrap()
    };
    let whole = measure(train, test);
    let mut sum = 0.0;
    for user in (0..90).filter(|&user| !test.row(user).0.is_empty()) {
        let only = |matrix: &Csr| {
            let row: Vec<_> = matrix.row(user).0.iter().map(|&i| (user as u32, i)).collect();
            csr(90, 50, &row, |_| 1.0)
        };
        sum += get(&measure(&only(train), &only(test)), Measure::Ndcg, 20);
    }
    let mean = sum / whole.n_users as f64;
    assert!((get(&whole, Measure::Ndcg, 20) - mean).abs() < 1e-12);
}

#[test]
fn what_is_left_out_is_counted() {
    let train = csr(5, 4, &[(0, 0), (1, 1), (2, 2)], |_| 1.0);
    let entries = [(0, 0), (0, 1), (1, 1), (2, 0), (3, 3), (3, 2)];
    let test = csr(5, 4, &entries, |at| [1.0, 1.0, 1.0, 0.0, 1.0, -1.0][at]);
    let options = Options { ks: vec![2], ..Options::default() };
    let task = Task::new(&train, &test, &options).unwrap();
    assert_eq!(task.users(), [0, 3]);
    let got = task.popularity(&Popularity::fit(&train));
    assert_eq!((got.n_users, got.n_items, got.test_entries), (2, 4, 2));
    assert_eq!((got.users_without_test, got.users_without_history), (3, 1));
    assert_eq!((got.entries_seen, got.entries_not_positive), (2, 2));
    let again = Options { include_seen: true, ..options.clone() };
    let task = Task::new(&train, &test, &again).unwrap();
    assert_eq!(task.users(), [0, 1, 3]);
    assert_eq!(task.popularity(&Popularity::fit(&train)).entries_seen, 0);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let a = csr(3, 4, &[(0, 0)], |_| 1.0);
    let options = |ks: &[usize]| Options { ks: ks.to_vec(), ..Options::default() };
    let other = csr(3, 5, &[(0, 0)], |_| 1.0);
    let text = Task::new(&a, &other, &options(&[1])).err().unwrap().to_string();
    assert!(text.contains("3 users x 5 items, expected 3 users x 4 items"), "{text}");
    for ks in [&[][..], &[0], &[5, 0]] {
        assert!(Task::new(&a, &a, &options(ks)).is_err());
    }
    let task = Task::new(&a, &a, &options(&[1])).unwrap();
    for (users, items, d) in [(6, 8, 3), (6, 7, 2), (0, 0, 0), (6, 8, usize::MAX)] {
        assert!(task.factors(&vec![0.0; users], &vec![0.0; items], d).is_err());
    }
    assert!(task.table(&[0; 8], 4).is_err() && task.table(&[], 0).is_err());
    // Nobody is asked: nothing is divided by zero.
    let nothing = task.factors(&[0.0; 6], &[0.0; 8], 2).unwrap();
    assert_eq!((nothing.n_users, get(&nothing, Measure::Ndcg, 1)), (0, 0.0));
}

#[test]
fn a_file_is_measured_by_the_lists_it_gives() {
    let rec = small_recommender(80, 60, Weighting::Log1p);
    let train = seen_by(&rec).unwrap();
    assert_eq!((0..80).map(|u| train.row(u).0.len()).sum::<usize>(), train.nnz());
    assert!((0..80).all(|u| train.row(u as usize).0 == rec.seen(u)));
    let mut numbers = Numbers::new(9);
    let pairs: BTreeSet<(u32, u32)> =
        (0..400).map(|_| (numbers.below(80) as u32, numbers.below(60) as u32)).collect();
    let pairs: Vec<(u32, u32)> = pairs.into_iter().collect();
    let test = Interactions::from_matrix(csr(80, 60, &pairs, |_| 1.0));
    // By ids, in which the recommender's differ from positions.
    let named = Interactions { users: rec.user_ids(), items: rec.items().ids(), ..test.clone() };
    let position = |id: &nearwood::Id| rec.items().position(id);
    let aligned = align(&named, (80, 60), |id| rec.user(id), position).unwrap();
    assert_eq!((aligned.matrix == test.matrix, aligned.entries_dropped), (true, 0));
    let task = Task::new(&train, &aligned.matrix, &Options::default()).unwrap();
    let [exact, all] = [Effort::Exact, Effort::Recall(1.0)].map(|e| task.served(&rec, e).unwrap());
    for measure in Measure::ALL {
        let [exact, all] = [&exact, &all].map(|e| get(e, measure, 20));
        assert!((exact - all).abs() < 1e-9, "{measure}: {exact} {all}");
    }
    assert!(exact.test_entries > 0 && exact.entries_seen > 0);
    assert!(task.served(&rec, Effort::Recall(f64::NAN)).is_err());
}
