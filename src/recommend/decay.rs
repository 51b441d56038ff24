//! Weights that fade with time.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate};

use crate::als::Csr;
use crate::error::TrainError;
use crate::{memory, progress};

use super::{Interactions, TimeUnit};

/// An interaction this many half-lives old keeps a millionth of its weight: nothing is learnt of it.
const FADED: f64 = 20.0;

/// How long a weight takes to halve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HalfLife {
    /// A number in the unit of the times, whatever that is.
    Units(f64),
    /// Seconds, for times that are seconds since 1970: what `90d` and timedeltas are.
    Seconds(f64),
}

impl HalfLife {
    const UNITS: [(&str, f64); 5] =
        [("w", 604_800.0), ("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)];

    fn value(self) -> f64 {
        match self {
            HalfLife::Units(value) | HalfLife::Seconds(value) => value,
        }
    }
}

impl From<f64> for HalfLife {
    fn from(units: f64) -> HalfLife {
        HalfLife::Units(units)
    }
}

impl FromStr for HalfLife {
    type Err = String;

    /// `90d`, `12h`, `30min`, `45s`, `2w`, or a number in the unit of the times.
    fn from_str(text: &str) -> Result<HalfLife, String> {
        let text = text.trim();
        let number_of = |text: &str| {
            let number = text.trim().parse::<f64>().ok();
            number.filter(|number| *number > 0.0 && number.is_finite())
        };
        if let Some(number) = text.strip_suffix(['m', 'M']).filter(|n| number_of(n).is_some()) {
            return Err(format!(
                "{text} may be minutes or months: write {number}min, or months in days, such as 91d"
            ));
        }
        let unit = HalfLife::UNITS.iter().find_map(|(name, unit)| {
            Some(HalfLife::Seconds(number_of(text.strip_suffix(name)?)? * unit))
        });
        unit.or_else(|| number_of(text).map(HalfLife::Units)).ok_or_else(|| {
            format!("half-life is {text:?}, expected a time above 0 such as 90d, 12h or 3600")
        })
    }
}

/// Counts of users that a decay left with next to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faded {
    /// Users who had weight before.
    pub users: usize,
    /// Of these, users who keep less than a millionth of it.
    pub faded: usize,
}

impl Interactions {
    /// The same interactions, each weight halved for every `half_life` that it is older than `now`;
    /// `None`: than the latest of all. What is newer than `now` keeps its weight. The times stay.
    ///
    /// Of rows that were summed only the latest time is known, and the sum decays by that.
    ///
    /// # Errors
    /// If there are no times, the half-life is not above 0, its unit does not fit the times, the
    /// latest time lies far beyond the others and `now` is not given, `now` is before all times, or
    /// more than half of the users would keep less than a millionth of their weight.
    pub fn decayed(
        self,
        half_life: impl Into<HalfLife>,
        now: Option<i64>,
    ) -> Result<Interactions, TrainError> {
        self.decayed_counted(half_life, now).map(|decayed| decayed.0)
    }

    /// [`decayed`](Self::decayed), and how many users are left with next to nothing.
    ///
    /// # Errors
    /// As [`decayed`](Self::decayed).
    pub fn decayed_counted(
        self,
        half_life: impl Into<HalfLife>,
        now: Option<i64>,
    ) -> Result<(Interactions, Faded), TrainError> {
        let half_life = half_life.into();
        let Some(times) = &self.times else {
            return Err(TrainError::Matrix {
                what: "the time of each interaction".into(),
                got: "unknown".into(),
                expected: "known, so that weights can decay: read it with time=".into(),
            });
        };
        if !(half_life.value() > 0.0 && half_life.value().is_finite()) {
            return Err(refused(half_life.value(), "above 0, in the unit of the times"));
        }
        check_unit(times, self.time_unit, half_life)?;
        let now = moment(times, self.time_unit, half_life.value(), now)?;
        // In float64: times may lie as far apart as int64 reaches.
        let halvings = |time: i64| (now as f64 - time as f64).max(0.0) / half_life.value();
        let decay =
            |(&weight, &time): (&f32, &i64)| (f64::from(weight) * (-halvings(time)).exp2()) as f32;
        let faded = self.faded(|entry| halvings(times[entry]) > FADED);
        if 2 * faded.faded > faded.users {
            return Err(emptied(faded, half_life, self.time_unit));
        }
        let pairs = progress::checked(self.matrix.values().iter().zip(times), 1 << 16);
        let values = memory::collect(pairs.map(decay));
        let (indptr, indices) = (self.matrix.indptr().to_vec(), self.matrix.indices().to_vec());
        let matrix = Csr::from_parts(self.matrix.n_cols(), indptr, indices, values)?;
        Ok((Interactions { matrix, ..self }, faded))
    }

    /// How many users have weight, and how many of them in old entries alone.
    fn faded(&self, is_old: impl Fn(usize) -> bool) -> Faded {
        let (mut users, mut faded) = (0, 0);
        for user in 0..self.matrix.n_rows() {
            let start = self.matrix.indptr()[user] as usize;
            let weighty = |&(_, weight): &(usize, &f32)| *weight != 0.0;
            let mut entries = (start..).zip(self.matrix.row(user).1).filter(weighty).peekable();
            let any = entries.peek().is_some();
            users += usize::from(any);
            faded += usize::from(any && entries.all(|(entry, _)| is_old(entry)));
        }
        Faded { users, faded }
    }
}

fn refused(got: f64, expected: impl Into<String>) -> TrainError {
    TrainError::Parameter { name: "half_life", got: got.to_string(), expected: expected.into() }
}

fn emptied(faded: Faded, half_life: HalfLife, unit: TimeUnit) -> TrainError {
    let Faded { users, faded } = faded;
    let hint = match (half_life, unit) {
        (HalfLife::Units(_), TimeUnit::Seconds) => "the times are seconds: 90d is 90 days",
        _ => "give a longer half-life, or the `now` that ages are counted from",
    };
    let expected = format!(
        "one that leaves users some weight: {faded} of {users} would keep less than a millionth of \
         theirs; {hint}"
    );
    refused(half_life.value(), expected)
}

/// The moment from which ages are counted.
fn moment(
    times: &[i64],
    unit: TimeUnit,
    half_life: f64,
    now: Option<i64>,
) -> Result<i64, TrainError> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else {
        return Ok(now.unwrap_or(0));
    };
    if let Some(now) = now {
        let (name, got) = ("now", shown(now, unit));
        let first = shown(first, unit);
        let expected = format!("in the unit of the times, and not before all of them ({first})");
        let before = now < sorted[0];
        return if before { Err(TrainError::Parameter { name, got, expected }) } else { Ok(now) };
    }
    // At least one time, at most a hundredth of them, may be an error of a clock.
    let near = |share: usize| sorted[(sorted.len() - 1) * share / 100..][0];
    let bulk = near(99).min(sorted[sorted.len().saturating_sub(2)]);
    let (gap, span) = (last as f64 - bulk as f64, bulk as f64 - near(1) as f64);
    if gap > 2.0 * half_life && gap > span && sorted.len() > 2 {
        return Err(TrainError::Parameter {
            name: "now",
            got: format!("not given, and the latest time is {}", shown(last, unit)),
            expected: format!(
                "given, because 99% of the times are not after {}: pass now= (--now) with the moment \
                 from which ages are counted",
                shown(bulk, unit)
            ),
        });
    }
    Ok(last)
}

fn shown(time: i64, unit: TimeUnit) -> String {
    let date = DateTime::from_timestamp(time, 0).filter(|_| unit == TimeUnit::Seconds);
    date.map_or(time.to_string(), |date| date.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Scale that times given as whole numbers seem to have.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale {
    /// Units since 1970: their name, and how many a second has.
    Epoch(&'static str, f64),
    /// Dates written as numbers, such as 20240131.
    Digits(&'static str),
    Unknown,
}

/// The scale of nine tenths of the times.
fn scale(times: &[i64]) -> Scale {
    let share = |fits: &dyn Fn(i64) -> bool| {
        let fitting = times.iter().filter(|&&time| fits(time)).count();
        !times.is_empty() && fitting * 10 >= times.len() * 9
    };
    if share(&is_date) {
        return Scale::Digits("dates written as numbers (yyyymmdd)");
    }
    if share(&|time| is_date(time / 1_000_000) && is_clock(time % 1_000_000)) {
        return Scale::Digits("dates and times written as numbers (yyyymmddhhmmss)");
    }
    // Fractions of a second from 1973 to 2286; longer units, whose numbers are small and may be
    // something else, from 2008 to 2046.
    let (wide, narrow) = (1e8..1e10, 1.2e9..2.4e9);
    let scales = [
        ("seconds", 1.0, &wide),
        ("milliseconds", 1e3, &wide),
        ("microseconds", 1e6, &wide),
        ("nanoseconds", 1e9, &wide),
        ("minutes", 1.0 / 60.0, &narrow),
        ("hours", 1.0 / 3600.0, &narrow),
        ("days", 1.0 / 86_400.0, &narrow),
    ];
    let fits = |per_second: f64, range: &std::ops::Range<f64>| {
        share(&|time| range.contains(&(time as f64 / per_second)))
    };
    let found = scales.into_iter().find(|(_, per_second, range)| fits(*per_second, range));
    found.map_or(Scale::Unknown, |(name, per_second, _)| Scale::Epoch(name, per_second))
}

/// Whether a number reads as yyyymmdd of 1900 to 2199.
fn is_date(time: i64) -> bool {
    let (year, month, day) = (time / 10_000, time / 100 % 100, time % 100);
    (1900..2200).contains(&year)
        && NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32).is_some()
}

fn is_clock(digits: i64) -> bool {
    digits / 10_000 < 24 && digits / 100 % 100 < 60 && digits % 100 < 61
}

/// Whether the times differ, but hardly for such a half-life. One with a unit should fit better, as
/// the unit of the times is not known.
fn spans_little(times: &[i64], half_life: HalfLife) -> bool {
    let part = match half_life {
        HalfLife::Units(_) => 1000.0,
        HalfLife::Seconds(_) => 20.0,
    };
    let span = match (times.iter().min(), times.iter().max()) {
        (Some(&first), Some(&last)) => last as f64 - first as f64,
        _ => 0.0,
    };
    span > 0.0 && span < half_life.value() / part
}

fn check_unit(times: &[i64], unit: TimeUnit, half_life: HalfLife) -> Result<(), TrainError> {
    if unit == TimeUnit::Seconds || times.is_empty() {
        return Ok(());
    }
    let such = times[times.len() / 2];
    let expected = match (scale(times), half_life) {
        (Scale::Digits(what), _) => format!(
            "used with dates or with numbers of one unit: the times seem to be {what}, such as \
             {such}; write them as 2024-01-31"
        ),
        (Scale::Unknown, _) if spans_little(times, half_life) => format!(
            "in the unit of the times, which are whole numbers such as {such}: nothing would decay, \
             because all of them lie within a small part of it"
        ),
        (Scale::Unknown | Scale::Epoch("seconds", _), _) | (_, HalfLife::Units(_)) => return Ok(()),
        (Scale::Epoch(what, per_second), HalfLife::Seconds(seconds)) => format!(
            "in the unit of the times: they seem to be {what} since 1970, such as {such}; give the \
             half-life as a number of {what} ({}), or make the times seconds",
            (seconds * per_second * 1000.0).round() / 1000.0
        ),
    };
    let got = match half_life {
        HalfLife::Units(units) => units.to_string(),
        HalfLife::Seconds(seconds) => format!("{seconds} seconds"),
    };
    Err(TrainError::Parameter { name: "half_life", got, expected })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::IdColumn;

    /// Six users with a play each, at these times.
    fn plays(times: &[i64], unit: TimeUnit) -> Interactions {
        let ids = || IdColumn::Int((0..times.len() as i64).collect());
        let data = Interactions::from_columns(ids(), ids(), None, Some(times.to_vec())).unwrap();
        Interactions { time_unit: unit, ..data }
    }

    fn days(unit: i64, n: i64) -> Vec<i64> {
        (0..n).map(|day| (1_700_000_000 + 86_400 * day) * unit).collect()
    }

    #[test]
    fn half_lives_are_written_with_units_or_without() {
        for (text, want) in [
            ("90d", HalfLife::Seconds(7_776_000.0)),
            ("2w", HalfLife::Seconds(1_209_600.0)),
            ("1.5h", HalfLife::Seconds(5400.0)),
            ("30min", HalfLife::Seconds(1800.0)),
            ("45s", HalfLife::Seconds(45.0)),
            ("3600", HalfLife::Units(3600.0)),
        ] {
            assert_eq!(text.parse(), Ok(want), "{text}");
        }
        for text in ["3m", "3M", "0.5m"] {
            let error = text.parse::<HalfLife>().unwrap_err();
            assert!(error.contains("may be minutes or months"), "{error}");
        }
        for text in ["", "d", "-1d", "0", "nan", "inf", "3y", "3mo", "1e999d"] {
            assert!(text.parse::<HalfLife>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_unit_must_fit_the_times() {
        let month = HalfLife::Seconds(30.0 * 86_400.0);
        for (unit, name) in
            [(1_000, "milliseconds"), (1_000_000, "microseconds"), (1_000_000_000, "nanoseconds")]
        {
            let times = days(unit, 60);
            let data = plays(&times, TimeUnit::Unknown);
            let error = data.clone().decayed(month, None).unwrap_err().to_string();
            let number = 2_592_000 * unit;
            assert!(error.contains(&format!("number of {name} ({number})")), "{error}");
            let same = data.decayed(number as f64, None).unwrap();
            let seconds = plays(&days(1, 60), TimeUnit::Unknown).decayed(month, None).unwrap();
            assert_eq!(same.matrix, seconds.matrix);
        }
        let minutes: Vec<i64> = days(1, 60).iter().map(|time| time / 60).collect();
        let error = plays(&minutes, TimeUnit::Unknown).decayed(month, None).unwrap_err();
        assert!(error.to_string().contains("number of minutes (43200)"), "{error}");
        let ymd: Vec<i64> = (1..29).map(|day| 20_240_200 + day).collect();
        let full: Vec<i64> = ymd.iter().map(|date| date * 1_000_000 + 123_059).collect();
        for times in [ymd, full] {
            for half_life in [month, HalfLife::Units(90.0)] {
                let error = plays(&times, TimeUnit::Unknown).decayed(half_life, None).unwrap_err();
                assert!(error.to_string().contains("write them as 2024-01-31"), "{error}");
            }
        }
        let error = plays(&[1, 2, 3], TimeUnit::Unknown).decayed(month, None).unwrap_err();
        assert!(error.to_string().contains("nothing would decay"), "{error}");
        let days = plays(&[86_400, 172_800, 259_200], TimeUnit::Unknown);
        assert!(days.decayed(HalfLife::Seconds(86_400.0), None).is_ok());
        assert!(plays(&[1, 2, 3], TimeUnit::Seconds).decayed(month, None).is_ok());
        assert!(plays(&[1, 2, 3], TimeUnit::Unknown).decayed(2.0, None).is_ok());
    }

    #[test]
    fn one_time_in_the_future_asks_for_now() {
        let mut times = days(1, 60);
        times.push(253_402_214_400);
        let month = HalfLife::Seconds(30.0 * 86_400.0);
        let data = plays(&times, TimeUnit::Seconds);
        let error = data.clone().decayed(month, None).unwrap_err().to_string();
        assert!(error.contains("the latest time is 9999-12-31T00:00:00Z"), "{error}");
        assert!(error.contains("pass now= (--now)"), "{error}");
        let now = data.decayed(month, Some(times[59])).unwrap();
        assert_eq!(now.matrix.values()[59..], [1.0, 1.0]);
        assert!((now.matrix.values()[29] - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_decay_that_leaves_nothing_is_refused_and_little_is_counted() {
        let data = || plays(&days(1, 60), TimeUnit::Seconds);
        let error = data().decayed(90.0, None).unwrap_err().to_string();
        assert!(error.contains("59 of 60 would keep less than a millionth"), "{error}");
        assert!(error.contains("90d is 90 days"), "{error}");
        let late = data().decayed(HalfLife::Seconds(86_400.0), Some(1_900_000_000)).unwrap_err();
        assert!(late.to_string().contains("60 of 60"), "{late}");
        let (_, faded) = data().decayed_counted(HalfLife::Seconds(1.5 * 86_400.0), None).unwrap();
        assert_eq!((faded.users, faded.faded), (60, 29));
        let early = data().decayed(HalfLife::Seconds(86_400.0), Some(20_240_131)).unwrap_err();
        assert!(early.to_string().contains("not before all of them (2023-11-14"), "{early}");
    }
}
