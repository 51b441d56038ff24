//! The search for parameters: that it finds, goes on where it was, and never sees a test.
// Helpers of tests are tests too.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::plays;
use nearwood::Interactions;
use nearwood::als::{Confidence, Params, Trainer};
use nearwood::error::{Error, ReadError, TrainError};
use nearwood::eval::{self, Split, Task};
use nearwood::io::Journal;
use nearwood::recommend::Weighting;
use nearwood::tune::{Event, Options, Outcome, Space, Span, Trial, tune};

fn data() -> Interactions {
    Interactions::from_matrix(plays(120, 60, 8))
}

fn options() -> Options {
    Options {
        space: Space {
            factors: Span::new(2.0, 8.0),
            weightings: vec![Weighting::Raw, Weighting::Log1p],
            ..Space::default()
        },
        trials: 5,
        refine: 3,
        target: "ndcg@5".parse().unwrap(),
        validation: 0.2,
        users: 100,
        patience: 2,
        seed: 7,
        base: Params { iterations: 6, n_threads: Some(1), ..Params::default() },
    }
}

fn search(options: &Options, journal: &mut Journal) -> Result<Outcome, Error> {
    tune(&data(), options, journal, &|| false, &mut |_| true)
}

/// All but the times.
fn table(trials: &[Trial]) -> Vec<String> {
    let line = |t: &Trial| format!("{} {:?} {} {:?}", t.trial, t.candidate, t.epochs, t.score);
    trials.iter().map(line).collect()
}

#[test]
fn a_search_that_was_ended_goes_on_to_the_same_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trials.jsonl");
    let whole = search(&options(), &mut Journal::in_memory()).unwrap();
    assert_eq!((whole.trials.len(), whole.resumed), (8, 0));
    // Ended after three trials, in the middle of the fifth's line, and in the middle of an epoch.
    let mut ended = 0;
    for (after, resumed) in [(3, 0), (4, 3)] {
        let mut journal = Journal::open(&path).unwrap();
        let mut done = 0;
        let mut on = |event: &Event<'_>| {
            done += usize::from(matches!(event, Event::Trial { .. }));
            done < after
        };
        let result = tune(&data(), &options(), &mut journal, &|| false, &mut on);
        assert!(matches!(result, Err(Error::Train(TrainError::Cancelled))));
        assert_eq!(journal.lines().len(), after + 1, "a header and the trials");
        ended += 1;
        assert!(resumed < after);
    }
    assert_eq!(ended, 2);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}{{\"trial\":4,\"fac")).unwrap();
    let asked = AtomicUsize::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) > 5;
    let mut journal = Journal::open(&path).unwrap();
    let result = tune(&data(), &options(), &mut journal, &stop, &mut |_| true);
    assert!(matches!(result, Err(Error::Train(TrainError::Cancelled))));
    drop(journal);
    let threads = Options { base: Params { n_threads: Some(3), ..options().base }, ..options() };
    let resumed = search(&threads, &mut Journal::open(&path).unwrap()).unwrap();
    assert_eq!(resumed.resumed, 4);
    assert_eq!(table(&resumed.trials), table(&whole.trials));
    let again = search(&options(), &mut Journal::open(&path).unwrap()).unwrap();
    assert_eq!((again.resumed, &again.trials), (8, &resumed.trials));
    // More trials near the best may follow.
    let more = Options { refine: 4, ..options() };
    let more = search(&more, &mut Journal::open(&path).unwrap()).unwrap();
    assert_eq!((more.resumed, more.trials.len()), (8, 9));
}

#[test]
fn a_journal_of_another_search_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trials.jsonl");
    let short = Options { trials: 1, refine: 1, ..options() };
    search(&short, &mut Journal::open(&path).unwrap()).unwrap();
    let refused = |options: &Options| {
        let error = search(options, &mut Journal::open(&path).unwrap()).unwrap_err();
        assert!(matches!(error, Error::Read(ReadError::Line { .. })), "{error}");
        error.to_string()
    };
    let text = refused(&Options { seed: 8, ..short.clone() });
    assert!(text.contains("another search: its seed is 7, not 8"), "{text}");
    let wider = Space { factors: Span::new(2.0, 16.0), ..options().space };
    assert!(refused(&Options { space: wider, ..short.clone() }).contains("its factors is"));
    // The second was near the first, and would be anywhere.
    let text = refused(&Options { trials: 2, ..short.clone() });
    assert!(text.contains("another number of trials"), "{text}");
    for content in ["user,item\n", "{\"search\":1\n", "[]\n"] {
        std::fs::write(&path, content).unwrap();
        assert!(refused(&short).contains("line 1"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content, "left as it was");
    }
}

#[test]
fn the_figure_of_a_trial_is_that_of_its_training() {
    let options = Options { trials: 3, refine: 0, ..options() };
    let outcome = search(&options, &mut Journal::in_memory()).unwrap();
    let best = outcome.best().unwrap();
    assert!(outcome.trials.iter().all(|t| t.score <= best.score));
    assert_eq!(outcome.ranked()[0], best);
    let parts = data().split(Split::Random { share: 0.2 }, 7).unwrap();
    for trial in &outcome.trials {
        assert!(trial.epochs >= 1 && trial.epochs <= 6);
        let weighted = parts.train.clone().weighted(trial.candidate.weighting).unwrap();
        let model = Trainer::new(trial.params(&options.base)).fit(&weighted.matrix).unwrap();
        let measured = eval::Options { ks: vec![5], seed: 7, ..eval::Options::default() };
        let task = Task::new(&parts.train.matrix, &parts.test.matrix, &measured).unwrap();
        // Fewer than the 120 users have something to find, and at most 100 are asked.
        let figures =
            task.factors(&model.user_factors, &model.item_factors, model.factors).unwrap();
        let score = figures.get(options.target).unwrap();
        if figures.n_users <= 100 {
            assert!((score - trial.score.unwrap()).abs() < 1e-12, "{score} {trial:?}");
        }
        assert!(figures.n_users >= outcome.n_users);
    }
}

#[test]
fn few_users_are_drawn_and_stay_the_same() {
    let few = Options { users: 9, trials: 2, refine: 0, ..options() };
    let outcome = search(&few, &mut Journal::in_memory()).unwrap();
    assert_eq!(outcome.n_users, 9);
    let again = search(&few, &mut Journal::in_memory()).unwrap();
    assert_eq!(table(&again.trials), table(&outcome.trials));
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let refused = |change: &dyn Fn(&mut Options)| {
        let mut options = options();
        change(&mut options);
        search(&options, &mut Journal::in_memory()).unwrap_err().to_string()
    };
    assert!(refused(&|o| o.trials = 0).starts_with("trials is 0"));
    assert!(refused(&|o| o.patience = 0).starts_with("patience is 0"));
    assert!(refused(&|o| o.users = 0).starts_with("users is 0"));
    assert!(refused(&|o| o.base.iterations = 0).starts_with("iterations is 0"));
    assert!(refused(&|o| o.validation = 1.0).starts_with("share is 1"));
    assert!(refused(&|o| o.validation = 1e-9).contains("holds out nothing"));
    assert!(refused(&|o| o.base.confidence = Confidence::Spark).contains("choose \"ials\""));
    assert!(refused(&|o| o.space.weightings.clear()).starts_with("weighting is none"));
    for confidence in Confidence::ALL {
        Options {
            space: Space::of(confidence),
            base: Params { confidence, ..Params::default() },
            ..options()
        }
        .check()
        .unwrap();
    }
}
