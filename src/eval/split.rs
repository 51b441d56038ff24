//! Interactions in two parts, one to learn from and one to be measured on.

use crate::als::Csr;
use crate::error::TrainError;
use crate::memory;
use crate::progress;
use crate::random::Random;
use crate::recommend::Interactions;

/// What is held out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Split {
    /// A share of all entries, each equally likely; above 0 and below 1.
    Random {
        /// Of the entries.
        share: f64,
    },
    /// k entries of each user, each equally likely. Users with k entries or fewer stay whole in
    /// the training.
    LeaveKOut {
        /// Entries a user, at least 1.
        k: usize,
    },
    /// The latest k entries of each user. Users with k entries or fewer stay whole in the training.
    /// Needs times; what is equally late is drawn. Of summed rows the latest time counts: see
    /// [`Parts::known_before`].
    UserTime {
        /// Entries a user, at least 1.
        k: usize,
    },
    /// The latest share of all entries, one moment dividing all users' past from their future. Needs
    /// times; entries of the dividing moment stay in the training, so that the share may be smaller.
    /// If no pair was summed of rows with different times, nothing is learnt from what was not known
    /// yet; of summed rows the latest time counts: see [`Parts::known_before`].
    Time {
        /// Of the entries.
        share: f64,
    },
}

/// Two parts of the same shape with the same ids: every entry is in one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// To learn from.
    pub train: Interactions,
    /// To be measured on.
    pub test: Interactions,
    /// Users with entries of whom none is held out.
    pub users_left_whole: usize,
    /// Entries of the test that were summed of rows on both sides of the cut, of a split by time.
    ///
    /// They move into the test whole, so that the training lacks rows that were known by then, and the
    /// test holds pairs that were known. If this is not 0, cut the rows by time before pairs are
    /// summed, and make interactions of each part.
    pub known_before: usize,
}

impl Interactions {
    /// Splits the interactions. The same seed gives the same parts. Takes time in proportion to the
    /// entries (times the logarithm of a user's, or of all by time), and memory for a copy of them.
    ///
    /// # Errors
    /// If a share or k is out of its range, times are needed and not there, or a split by time would
    /// hold out nothing.
    pub fn split(&self, split: Split, seed: u64) -> Result<Parts, TrainError> {
        let held_out = match split {
            Split::Random { share } => random(self.matrix.nnz(), checked(share)?, seed),
            Split::LeaveKOut { k } => last_k(&self.matrix, k, seed, |_| 0)?,
            Split::UserTime { k } => {
                let times = self.known_times()?;
                last_k(&self.matrix, k, seed, |entry| times[entry])?
            }
            Split::Time { share } => latest(self.known_times()?, checked(share)?),
        };
        if let Split::Time { share } = split
            && self.matrix.nnz() > 0
            && !held_out.contains(&true)
        {
            return Err(nothing_later(share));
        }
        let row = |user: usize| {
            self.matrix.indptr()[user] as usize..self.matrix.indptr()[user + 1] as usize
        };
        let whole = |user: &usize| !row(*user).is_empty() && !held_out[row(*user)].contains(&true);
        Ok(Parts {
            train: self.part(&held_out, false)?,
            test: self.part(&held_out, true)?,
            users_left_whole: (0..self.matrix.n_rows()).filter(whole).count(),
            known_before: self.known_before(split, &held_out),
        })
    }

    /// Entries held out whose earliest row is not after the latest of the training, of the same user
    /// if each user has a cut of their own.
    fn known_before(&self, split: Split, held_out: &[bool]) -> usize {
        let (Some(times), Some(first)) = (&self.times, &self.first_times) else { return 0 };
        let count = |entries: std::ops::Range<usize>| {
            let kept = entries.clone().filter(|&entry| !held_out[entry]);
            let Some(cut) = kept.map(|entry| times[entry]).max() else { return 0 };
            entries.filter(|&entry| held_out[entry] && first[entry] <= cut).count()
        };
        let indptr = self.matrix.indptr();
        match split {
            Split::Time { .. } => count(0..self.matrix.nnz()),
            Split::UserTime { .. } => {
                indptr.windows(2).map(|row| count(row[0] as usize..row[1] as usize)).sum()
            }
            Split::Random { .. } | Split::LeaveKOut { .. } => 0,
        }
    }

    fn known_times(&self) -> Result<&[i64], TrainError> {
        let times = self.times.as_deref().ok_or_else(|| TrainError::Matrix {
            what: "the interactions' times".into(),
            got: "missing".into(),
            expected: "one for each entry: name a column of times when reading".into(),
        })?;
        if times.len() != self.matrix.nnz() {
            return Err(TrainError::Matrix {
                what: "the number of times".into(),
                got: times.len().to_string(),
                expected: format!("{}, one for each entry", self.matrix.nnz()),
            });
        }
        Ok(times)
    }

    /// The entries whose mark is `wanted`.
    fn part(&self, marks: &[bool], wanted: bool) -> Result<Interactions, TrainError> {
        let matrix = kept(&self.matrix, |entry| marks[entry] == wanted)?;
        let of_part = |times: &Vec<i64>| {
            let pairs = times.iter().zip(marks);
            pairs.filter(|(_, mark)| **mark == wanted).map(|(time, _)| *time).collect()
        };
        Ok(Interactions {
            matrix,
            users: self.users.clone(),
            items: self.items.clone(),
            times: self.times.as_ref().map(of_part),
            first_times: self.first_times.as_ref().map(of_part),
            time_unit: self.time_unit,
        })
    }
}

/// A matrix of the same shape with some of the entries, by their numbers.
pub(crate) fn kept(matrix: &Csr, keep: impl Fn(usize) -> bool) -> Result<Csr, TrainError> {
    let mut indptr = Vec::with_capacity(matrix.n_rows() + 1);
    let (mut indices, mut values) = (Vec::new(), Vec::new());
    indptr.push(0);
    for user in progress::checked(0..matrix.n_rows(), 256) {
        let start = matrix.indptr()[user] as usize;
        let (items, weights) = matrix.row(user);
        for (entry, (&item, &weight)) in (start..).zip(items.iter().zip(weights)) {
            if keep(entry) {
                memory::push(&mut indices, item);
                memory::push(&mut values, weight);
            }
        }
        indptr.push(indices.len() as u64);
    }
    Csr::from_parts(matrix.n_cols(), indptr, indices, values)
}

/// That no moment has entries after it.
fn nothing_later(share: f64) -> TrainError {
    TrainError::Parameter {
        name: "share",
        got: share.to_string(),
        expected:
            "one that begins after some of the times: no entry is later than the moment that \
                   divides them, because equal times stay together"
                .into(),
    }
}

fn checked(share: f64) -> Result<f64, TrainError> {
    if share > 0.0 && share < 1.0 {
        return Ok(share);
    }
    Err(TrainError::Parameter {
        name: "share",
        got: share.to_string(),
        expected: "above 0 and below 1".into(),
    })
}

/// Marks the rounded share of `n` by selection sampling (Knuth 3.4.2, algorithm S): one draw an
/// entry, no table.
fn random(n: usize, share: f64, seed: u64) -> Vec<bool> {
    let mut random = Random::new(seed, 0);
    let mut wanted = (n as f64 * share).round() as usize;
    let mark = |at: usize| {
        let chosen = random.below(n - at) < wanted;
        wanted -= usize::from(chosen);
        chosen
    };
    progress::checked(0..n, 1 << 16).map(mark).collect()
}

/// Marks the k entries of each user with the largest keys, equal ones by a draw of the user's own.
fn last_k(
    matrix: &Csr,
    k: usize,
    seed: u64,
    key: impl Fn(usize) -> i64,
) -> Result<Vec<bool>, TrainError> {
    if k == 0 {
        let (name, expected) = ("k", "at least 1".into());
        return Err(TrainError::Parameter { name, got: "0".into(), expected });
    }
    let mut marks = vec![false; matrix.nnz()];
    for user in progress::checked(0..matrix.n_rows(), 256) {
        let start = matrix.indptr()[user] as usize;
        let mut entries: Vec<usize> = (start..matrix.indptr()[user + 1] as usize).collect();
        if entries.len() <= k {
            continue;
        }
        Random::new(seed, user as u64).shuffle(&mut entries);
        entries.sort_by_key(|&entry| key(entry));
        entries[entries.len() - k..].iter().for_each(|&entry| marks[entry] = true);
    }
    Ok(marks)
}

/// Marks what is later than the moment at which the share begins.
fn latest(times: &[i64], share: f64) -> Vec<bool> {
    let mut copy = memory::copied(times);
    let held_out = (times.len() as f64 * share).round() as usize;
    // Selected rather than sorted: a sort of many times could not be interrupted for seconds.
    let at = copy.len().checked_sub(held_out + 1);
    let moment = at.map_or(i64::MIN, |at| *copy.select_nth_unstable(at).1);
    times.iter().map(|&time| time > moment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(times: bool) -> Interactions {
        // User 0 has 6 items, user 1 two, user 2 none, user 3 four.
        let rows = [0u32, 0, 0, 0, 0, 0, 1, 1, 3, 3, 3, 3];
        let columns = [0u32, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5];
        let values: Vec<f32> = (1..13).map(|v| v as f32).collect();
        let matrix = Csr::from_triplets(4, 6, &rows, &columns, &values).unwrap();
        let times = times.then(|| vec![9, 8, 7, 6, 5, 4, 1, 2, 3, 3, 10, 0]);
        Interactions { times, ..Interactions::from_matrix(matrix) }
    }

    fn held(parts: &Parts) -> Vec<(usize, Vec<u32>)> {
        let rows =
            (0..parts.test.matrix.n_rows()).map(|u| (u, parts.test.matrix.row(u).0.to_vec()));
        rows.filter(|(_, items)| !items.is_empty()).collect()
    }

    #[test]
    fn the_latest_are_held_out() {
        let parts = data(true).split(Split::UserTime { k: 2 }, 0).unwrap();
        assert_eq!(held(&parts)[0], (0, vec![0, 1]));
        assert_eq!((held(&parts).len(), parts.users_left_whole), (2, 1));
        let parts = data(true).split(Split::Time { share: 0.25 }, 0).unwrap();
        assert_eq!(held(&parts), [(0, vec![0, 1]), (3, vec![4])]);
        assert_eq!(parts.test.times, Some(vec![9, 8, 10]));
        assert_eq!(parts.train.times.unwrap().len(), 9);
        // One moment cannot be divided.
        let same = Interactions { times: Some(vec![5; 12]), ..data(true) };
        let error = same.split(Split::Time { share: 0.5 }, 0).unwrap_err().to_string();
        assert!(error.contains("share is 0.5") && error.contains("equal times"), "{error}");
        let error = data(true).split(Split::Time { share: 0.01 }, 0).unwrap_err().to_string();
        assert!(error.contains("share is 0.01"), "{error}");
    }

    #[test]
    fn pairs_summed_over_past_and_future_are_counted() {
        let (users, items) = (vec![1, 1, 1, 1, 2, 2], vec![7, 7, 8, 9, 7, 8]);
        let times = Some(vec![1, 10, 2, 9, 3, 4]);
        let column = crate::recommend::IdColumn::Int;
        let data = Interactions::from_columns(column(users), column(items), None, times).unwrap();
        assert_eq!(data.first_times, Some(vec![1, 2, 9, 3, 4]));
        // User 1 knew item 7 at time 1, and has it in the test with both plays.
        let parts = data.split(Split::Time { share: 0.4 }, 0).unwrap();
        assert_eq!((parts.test.matrix.row(0).1, parts.known_before), (&[2.0f32, 1.0][..], 1));
        let parts = data.split(Split::UserTime { k: 1 }, 0).unwrap();
        assert_eq!((parts.test.matrix.nnz(), parts.known_before), (2, 1));
        assert_eq!(data.split(Split::LeaveKOut { k: 1 }, 0).unwrap().known_before, 0);
        let once = Interactions { first_times: None, ..data };
        assert_eq!(once.split(Split::Time { share: 0.4 }, 0).unwrap().known_before, 0);
    }

    #[test]
    fn what_is_equally_late_is_drawn() {
        let same = Interactions { times: Some(vec![5; 12]), ..data(true) };
        let drawn = |seed| held(&same.split(Split::UserTime { k: 1 }, seed).unwrap());
        let firsts: std::collections::BTreeSet<_> =
            (0..60).map(|seed| drawn(seed)[0].1[0]).collect();
        assert_eq!(firsts.len(), 6, "{firsts:?}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for share in [0.0, 1.0, -0.5, f64::NAN] {
            assert!(data(true).split(Split::Random { share }, 0).is_err());
            assert!(data(true).split(Split::Time { share }, 0).is_err());
        }
        assert!(data(true).split(Split::LeaveKOut { k: 0 }, 0).is_err());
        let text = data(false).split(Split::Time { share: 0.5 }, 0).unwrap_err().to_string();
        assert!(text.contains("times is missing, expected one for each entry"), "{text}");
        let wrong = Interactions { times: Some(vec![1]), ..data(false) };
        assert!(wrong.split(Split::UserTime { k: 1 }, 0).is_err());
    }
}
