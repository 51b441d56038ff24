//! One trial after the other.

use std::ops::ControlFlow;
use std::time::Instant;

use serde_json::{Value, json};

use super::space::{Candidate, Point, Shape, Space};
use super::trial::Trial;
use crate::als::{Csr, Params, Trainer};
use crate::error::{Error, ReadError, TrainError};
use crate::eval::{self, Parts, Split, Target, Task};
use crate::io::Journal;
use crate::random::Random;
use crate::recommend::{Interactions, Weighting};

/// How far from the best a trial of the second round lies, as a share of each range.
const SPREAD: f64 = 0.15;

/// How parameters are searched: `trials` anywhere in the space, then `refine` near the best one so
/// far, each drawn from the seed and its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Where.
    pub space: Space,
    /// Trials anywhere, at least 1.
    pub trials: usize,
    /// Trials near the best after them.
    pub refine: usize,
    /// What is to be high.
    pub target: Target,
    /// The share of the entries that is held out to measure on.
    pub validation: f64,
    /// The most users who are measured, drawn once.
    pub users: usize,
    /// A trial ends when so many epochs in a row were not better than its best, at least 1.
    pub patience: usize,
    /// Of the split, the users, the trials and the ties.
    pub seed: u64,
    /// What is not searched: convention, solver, seed, threads; `iterations` is the most epochs.
    pub base: Params,
}

impl Default for Options {
    /// 30 trials and 15 near the best, by `ndcg@20` on a tenth of the entries and at most 10,000
    /// users, up to 40 epochs with a patience of 3.
    fn default() -> Options {
        Options {
            space: Space::default(),
            trials: 30,
            refine: 15,
            target: Target::default(),
            validation: 0.1,
            users: 10_000,
            patience: 3,
            seed: 0,
            base: Params { iterations: 40, ..Params::default() },
        }
    }
}

impl Options {
    /// Checks every option that can be checked without data.
    ///
    /// # Errors
    /// [`TrainError::Parameter`] names the first that is out of its range.
    pub fn check(&self) -> Result<(), TrainError> {
        self.space.check()?;
        for (name, got) in [
            ("trials", self.trials),
            ("users", self.users),
            ("patience", self.patience),
            ("iterations", self.base.iterations),
        ] {
            if got == 0 {
                let expected = "at least 1".to_string();
                return Err(TrainError::Parameter { name, got: "0".into(), expected });
            }
        }
        let corner = |share| {
            let unobserved_weight = match share {
                0 => self.space.unobserved_weight.low,
                _ => self.space.unobserved_weight.high,
            } as f32;
            Params { unobserved_weight, ..self.base.clone() }
        };
        corner(0).check()?;
        corner(1).check()
    }
}

/// What happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An epoch of a trial ended.
    Epoch {
        /// The trial, from 0.
        trial: usize,
        /// How many there will be.
        of: usize,
        /// The epoch, from 1.
        epoch: usize,
        /// The figure after it.
        score: f64,
    },
    /// A trial ended, or was found in the journal.
    Trial {
        /// The trial.
        trial: &'a Trial,
        /// How many there will be.
        of: usize,
    },
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// In the order in which they were made.
    pub trials: Vec<Trial>,
    /// How many of them the journal had.
    pub resumed: usize,
    /// Users who were measured.
    pub n_users: usize,
    /// Weightings of the space that the data cannot take, and that no trial has.
    pub left_out: Vec<LeftOut>,
}

/// A weighting that was left out of a search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The weighting.
    pub weighting: Weighting,
    /// The first weight that it cannot take.
    pub error: TrainError,
}

impl Outcome {
    /// Trials, the best first; equal ones, and those without a figure, by number.
    #[must_use]
    pub fn ranked(&self) -> Vec<&Trial> {
        let mut ranked: Vec<&Trial> = self.trials.iter().collect();
        let worth = |trial: &Trial| trial.score.unwrap_or(f64::NEG_INFINITY);
        ranked.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
        ranked
    }

    /// The best trial.
    ///
    /// # Errors
    /// If none has a figure.
    pub fn best(&self) -> Result<&Trial, TrainError> {
        let best = self.ranked().into_iter().next().filter(|trial| trial.score.is_some());
        best.ok_or_else(|| TrainError::Parameter {
            name: "regularization",
            got: "a range in which no trial's equations had a finite solution".into(),
            expected: "larger values, or smaller weights".into(),
        })
    }

    /// An object for programs: "params", those of a training by the best trial; "best"; "trials",
    /// the best first; and what they were measured by.
    ///
    /// # Errors
    /// If no trial has a figure.
    pub fn report(&self, options: &Options) -> Result<Value, TrainError> {
        let best = self.best()?;
        let mut params = json!(best.candidate);
        params["iterations"] = best.epochs.into();
        params["confidence"] = json!(options.base.confidence);
        params["solver"] = json!(options.base.solver);
        params["random_state"] = options.base.seed.into();
        let left_out: serde_json::Map<String, Value> = self
            .left_out
            .iter()
            .map(|out| (out.weighting.to_string(), out.error.to_string().into()))
            .collect();
        Ok(json!({
            "metric": options.target.to_string(),
            "n_users": self.n_users,
            "resumed": self.resumed,
            "left_out": left_out,
            "params": params,
            "best": best,
            "trials": self.ranked(),
        }))
    }
}

/// Searches parameters for training on `data`, whose weights are raw. A test is not given, and so
/// cannot be looked at.
///
/// Trials that `journal` has are taken from there: the same arguments give the same trials whether
/// or not the work was ended in between, at any number of threads. `on` hears what happens, and
/// ends the search by returning false, as `stop` does in the middle of an epoch.
///
/// Takes, for each epoch, that of a training and users x items x factors multiplications.
///
/// # Errors
/// If an option or a weight is refused, the journal is of another search or cannot be written, or
/// the search was stopped.
pub fn tune(
    data: &Interactions,
    options: &Options,
    journal: &mut Journal,
    stop: &(dyn Fn() -> bool + Sync),
    on: &mut dyn FnMut(&Event<'_>) -> bool,
) -> Result<Outcome, Error> {
    crate::memory::attempt(|| {
        options.check()?;
        let (weightings, left_out) = weightings(data, options)?;
        let space = Space { weightings, ..options.space.clone() };
        let options = &Options { space, ..options.clone() };
        begin(journal, &header(data, options))?;
        let parts = data.split(Split::Random { share: options.validation }, options.seed)?;
        let asked = sampled(&parts.test.matrix, options)?;
        let measured = eval::Options {
            ks: vec![options.target.k],
            seed: options.seed,
            n_threads: options.base.n_threads,
            ..eval::Options::default()
        };
        let task = Task::new(&parts.train.matrix, &asked, &measured)?.interrupt(stop);
        if !task.has_findable() {
            return Err(nobody(options).into());
        }
        let of = options.trials + options.refine;
        let mut search = Search { options, parts: &parts, task: &task, of, stop, on };
        let mut trials: Vec<(Point, Trial)> = Vec::new();
        let resumed = (journal.lines().len() - 1).min(of);
        for number in 0..of {
            let point = propose(number, options, &trials);
            let candidate = point.candidate(&options.space, Shape::of(&data.matrix));
            let trial = match journal.lines().get(number + 1) {
                Some(line) => replayed(line, number, &candidate, journal)?,
                None => search.run(number, candidate, journal)?,
            };
            if !(search.on)(&Event::Trial { trial: &trial, of }) {
                return Err(TrainError::Cancelled.into());
            }
            trials.push((point, trial));
        }
        let n_users = task.users().len();
        let trials = trials.into_iter().map(|t| t.1).collect();
        Ok(Outcome { trials, resumed, n_users, left_out })
    })
}

/// The weightings that the data can take with every value of the ranges, and those that it cannot.
///
/// Trials in a part of the ranges would have no figure otherwise, and a search would be one of the
/// rest without a word.
fn weightings(
    data: &Interactions,
    options: &Options,
) -> Result<(Vec<Weighting>, Vec<LeftOut>), TrainError> {
    let asked = &options.space.weightings;
    if !data.matrix.values().iter().any(|&weight| weight < 0.0) {
        return Ok((asked.clone(), Vec::new()));
    }
    let least = Params {
        unobserved_weight: options.space.unobserved_weight.low as f32,
        alpha: options.space.alpha.high as f32,
        ..options.base.clone()
    };
    let (mut taken, mut left_out) = (Vec::new(), Vec::new());
    for &weighting in asked {
        let check = data.clone().weighted(weighting).and_then(|weighted| {
            let checked = least.check_weights(&weighted.matrix);
            checked.map_err(|error| data.in_words(error, weighting))
        });
        match check {
            Ok(()) => taken.push(weighting),
            Err(error) => left_out.push(LeftOut { weighting, error }),
        }
    }
    match (taken.is_empty(), left_out.first()) {
        (true, Some(first)) => Err(first.error.clone()),
        _ => Ok((taken, left_out)),
    }
}

struct Search<'a> {
    options: &'a Options,
    parts: &'a Parts,
    task: &'a Task<'a>,
    of: usize,
    stop: &'a (dyn Fn() -> bool + Sync),
    on: &'a mut dyn FnMut(&Event<'_>) -> bool,
}

impl Search<'_> {
    /// Makes a trial and writes its line. What is returned was read from that line, so that a
    /// search which goes on from the journal decides by the same bits.
    fn run(
        &mut self,
        trial: usize,
        candidate: Candidate,
        journal: &mut Journal,
    ) -> Result<Trial, Error> {
        let start = Instant::now();
        let (score, epochs) = match self.best_epoch(trial, &candidate) {
            Ok((score, epochs)) => (Some(score), epochs),
            Err(Error::Train(TrainError::Singular { .. } | TrainError::Weight { .. })) => (None, 0),
            Err(other) => return Err(other),
        };
        let seconds = (start.elapsed().as_secs_f64() * 1e3).round() / 1e3;
        let line = Trial { trial, candidate, epochs, score, seconds }.line()?;
        journal.append(&line)?;
        Ok(Trial::parse(&line, trial, journal.path())?)
    }

    /// The best figure and its epoch.
    fn best_epoch(&mut self, trial: usize, candidate: &Candidate) -> Result<(f64, usize), Error> {
        let weighted = self.parts.train.clone().weighted(candidate.weighting)?;
        let (options, task, of) = (self.options, self.task, self.of);
        let on = &mut *self.on;
        let mut best = (f64::NEG_INFINITY, 0);
        let mut ended: Result<(), Error> = Ok(());
        let params = candidate.params(&options.base);
        let trainer = Trainer::new(params).interrupt(self.stop).progress(|epoch| {
            let (users, items) = (epoch.user_factors, epoch.item_factors);
            let score = match task.factors(users, items, candidate.factors) {
                Ok(figures) => figures.get(options.target).unwrap_or(0.0),
                Err(error) => {
                    ended = Err(error.into());
                    return ControlFlow::Break(());
                }
            };
            if !on(&Event::Epoch { trial, of, epoch: epoch.number, score }) {
                ended = Err(TrainError::Cancelled.into());
                return ControlFlow::Break(());
            }
            if score > best.0 {
                best = (score, epoch.number);
            }
            match epoch.number - best.1 >= options.patience {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        trainer.fit(&weighted.matrix)?;
        ended.map(|()| best)
    }
}

/// What the journal's first line must say: all that a trial depends on but its number.
fn header(data: &Interactions, options: &Options) -> String {
    let (matrix, base, space) = (&data.matrix, &options.base, &options.space);
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(bytemuck::cast_slice(matrix.indptr()));
    checksum.update(bytemuck::cast_slice(matrix.indices()));
    checksum.update(bytemuck::cast_slice(matrix.values()));
    json!({
        "search": 1,
        "data": {
            "users": matrix.n_rows(),
            "items": matrix.n_cols(),
            "interactions": matrix.nnz(),
            "checksum": checksum.finalize(),
        },
        "metric": options.target.to_string(),
        "validation": options.validation,
        "users": options.users,
        "patience": options.patience,
        "seed": options.seed,
        "iterations": base.iterations,
        "confidence": base.confidence,
        "solver": base.solver,
        "random_state": base.seed,
        "factors": space.factors.to_string(),
        "unobserved_weight": space.unobserved_weight.to_string(),
        "regularization": space.regularization.to_string(),
        "regularization_scaling": space.regularization_scaling.to_string(),
        "alpha": space.alpha.to_string(),
        "weightings": space.weightings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
    .to_string()
}

fn begin(journal: &mut Journal, header: &str) -> Result<(), Error> {
    let Some(line) = journal.lines().first() else { return Ok(journal.append(header)?) };
    if line == header {
        return Ok(());
    }
    let problem = match difference(line, header) {
        Some(what) => format!("the journal is of another search: {what}; take another journal"),
        None => "got no journal of a search: take another file".to_string(),
    };
    Err(ReadError::Line { path: journal.path().to_path_buf(), line: 1, problem }.into())
}

/// The first argument in which a journal's header differs.
fn difference(line: &str, header: &str) -> Option<String> {
    let [got, expected]: [Value; 2] =
        [serde_json::from_str(line).ok()?, serde_json::from_str(header).ok()?];
    let got = got.as_object().filter(|got| got.contains_key("search"))?;
    let differs = |(key, value): &(&String, &Value)| got.get(*key) != Some(*value);
    let (key, value) = expected.as_object()?.iter().find(differs)?;
    let theirs = got.get(key).unwrap_or(&Value::Null);
    Some(format!("its {key} is {theirs}, not {value}"))
}

/// The rows of at most so many users, drawn.
fn sampled(test: &Csr, options: &Options) -> Result<Csr, TrainError> {
    let with_test: Vec<usize> =
        (0..test.n_rows()).filter(|&user| !test.row(user).0.is_empty()).collect();
    let drawn = Random::new(options.seed, 1).sample(with_test.len(), options.users);
    let mut asked = vec![false; test.nnz()];
    for at in drawn {
        let row = test.indptr()[with_test[at]] as usize..test.indptr()[with_test[at] + 1] as usize;
        asked[row].fill(true);
    }
    eval::kept(test, |entry| asked[entry])
}

fn nobody(options: &Options) -> TrainError {
    TrainError::Parameter {
        name: "validation",
        got: format!("{}, which holds out nothing that can be found", options.validation),
        expected: "a share that holds out entries above 0, of users and items that keep others: \
                   choose another, or give more data"
            .into(),
    }
}

fn propose(number: usize, options: &Options, before: &[(Point, Trial)]) -> Point {
    // Streams 0 and 1 of the seed are the split's and the users'.
    let mut random = Random::new(options.seed, 2 + number as u64);
    // The first of equals, as in the table.
    let better = |a: &&(Point, Trial), b: &&(Point, Trial)| {
        let order = a.1.score.partial_cmp(&b.1.score);
        order.unwrap_or(std::cmp::Ordering::Equal).then(b.1.trial.cmp(&a.1.trial))
    };
    let best = before.iter().filter(|(_, trial)| trial.score.is_some()).max_by(better);
    match best {
        Some((point, _)) if number >= options.trials => point.near(SPREAD, &mut random),
        _ => Point::anywhere(&options.space, &mut random),
    }
}

/// A trial from the journal, which must be the one that would be made now.
fn replayed(
    line: &str,
    number: usize,
    candidate: &Candidate,
    journal: &Journal,
) -> Result<Trial, ReadError> {
    let trial = Trial::parse(line, number, journal.path())?;
    if trial.candidate == *candidate {
        return Ok(trial);
    }
    Err(ReadError::Line {
        path: journal.path().to_path_buf(),
        line: number as u64 + 2,
        problem: format!(
            "got a trial with {:?}, expected {candidate:?}: the journal is of a search with \
             another number of trials before refining, or was changed; take another journal",
            trial.candidate
        ),
    })
}
