//! What is searched: ranges, and how a point in them becomes parameters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::als::{Confidence, Csr, Params};
use crate::error::TrainError;
use crate::random::Random;
use crate::recommend::Weighting;

/// From one number to another, both included; written `0.1..10`, or as one number if fixed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Span {
    /// The smallest value.
    pub low: f64,
    /// The largest value.
    pub high: f64,
}

impl Span {
    /// A range.
    #[must_use]
    pub const fn new(low: f64, high: f64) -> Span {
        Span { low, high }
    }

    /// One value.
    #[must_use]
    pub const fn fixed(value: f64) -> Span {
        Span { low: value, high: value }
    }

    /// The value at `share` of the way: evenly by difference, or by ratio. Rounded to three
    /// digits unless fixed, so that a table says what was done, and so that the last bits of a
    /// platform's powers do not count.
    fn at(self, share: f64, by_ratio: bool) -> f64 {
        if self.low == self.high {
            return self.low;
        }
        let value = match by_ratio {
            true => self.low * (self.high / self.low).powf(share),
            false => self.low + (self.high - self.low) * share,
        };
        digits(value)
    }
}

/// Three significant digits.
fn digits(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.low == self.high {
            true => write!(f, "{}", self.low),
            false => write!(f, "{}..{}", self.low, self.high),
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let (low, high) = text.split_once("..").unwrap_or((text, text));
        match (low.trim().parse(), high.trim().parse()) {
            (Ok(low), Ok(high)) if low <= high => Ok(Span { low, high }),
            _ => Err("expected a number, or a range such as 0.1..10".to_string()),
        }
    }
}

/// The ranges of a search. A fixed value is a range of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    /// The length of a vector; searched by ratio, in multiples of 8 from 16 on.
    pub factors: Span,
    /// The weight of every pair; searched by ratio. 1 unless the convention is `ials`.
    pub unobserved_weight: Span,
    /// Lambda for a row of middle size; searched by ratio. What a trial is trained with is this
    /// over (m + unobserved_weight n)^regularization_scaling, with that base's geometric mean over
    /// a mean user and a mean item: a range then means the same whatever the scaling.
    pub regularization: Span,
    /// Nu, 0 to 1; searched evenly.
    pub regularization_scaling: Span,
    /// The weight of one unit; searched by ratio. Under `ials` it may stay 1: the same factor for
    /// it, the unobserved weight and the regularization changes nothing.
    pub alpha: Span,
    /// What makes weights ready, each equally likely.
    pub weightings: Vec<Weighting>,
}

impl Default for Space {
    fn default() -> Space {
        Space {
            factors: Span::fixed(64.0),
            unobserved_weight: Span::new(0.01, 1.0),
            regularization: Span::new(0.1, 100.0),
            regularization_scaling: Span::new(0.0, 1.0),
            alpha: Span::fixed(1.0),
            weightings: Weighting::ALL.to_vec(),
        }
    }
}

impl Space {
    /// Ranges that suit a convention: those that fix the unobserved weight search alpha instead.
    #[must_use]
    pub fn of(confidence: Confidence) -> Space {
        match confidence {
            Confidence::Ials => Space::default(),
            _ => Space {
                unobserved_weight: Span::fixed(1.0),
                alpha: Span::new(1.0, 50.0),
                ..Space::default()
            },
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`TrainError::Parameter`] names the first that is out of its range.
    pub fn check(&self) -> Result<(), TrainError> {
        let ends =
            |span: Span| span.low.is_finite() && span.high.is_finite() && span.low <= span.high;
        let by_ratio = |span: Span| ends(span) && (span.low > 0.0 || span.low == span.high);
        let within =
            |span: Span, low: f64, high: f64| ends(span) && span.low >= low && span.high <= high;
        let most = Params::MAX_FACTORS as f64;
        let ratio = "finite numbers, the smaller one above 0";
        for (ok, name, span, expected) in [
            (within(self.factors, 1.0, most), "factors", self.factors, "1 to 4096"),
            (
                by_ratio(self.unobserved_weight) && self.unobserved_weight.low >= 0.0,
                "unobserved_weight",
                self.unobserved_weight,
                ratio,
            ),
            (
                by_ratio(self.regularization) && self.regularization.low >= 0.0,
                "regularization",
                self.regularization,
                ratio,
            ),
            (
                within(self.regularization_scaling, 0.0, 1.0),
                "regularization_scaling",
                self.regularization_scaling,
                "0 to 1",
            ),
            (by_ratio(self.alpha) && self.alpha.low > 0.0, "alpha", self.alpha, ratio),
        ] {
            if !ok {
                let (got, expected) = (span.to_string(), expected.to_string());
                return Err(TrainError::Parameter { name, got, expected });
            }
        }
        match self.weightings.is_empty() {
            true => Err(TrainError::Parameter {
                name: "weighting",
                got: "none".into(),
                expected: "at least one".into(),
            }),
            false => Ok(()),
        }
    }
}

/// The parameters of one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The length of a vector.
    pub factors: usize,
    /// What makes weights ready.
    #[serde(serialize_with = "write_name", deserialize_with = "read_name")]
    pub weighting: Weighting,
    /// The weight of one unit.
    #[serde(serialize_with = "write_short")]
    pub alpha: f32,
    /// The weight of every pair.
    #[serde(serialize_with = "write_short")]
    pub unobserved_weight: f32,
    /// Lambda, as it is trained with.
    #[serde(serialize_with = "write_short")]
    pub regularization: f32,
    /// Nu.
    #[serde(serialize_with = "write_short")]
    pub regularization_scaling: f32,
}

/// The float64 of the fewest digits that reads as this float32: 0.119 stays 0.119 where a number is
/// kept in float64, as in a `Value`.
fn write_short<S: Serializer>(x: &f32, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(x.to_string().parse().unwrap_or_else(|_| f64::from(*x)))
}

fn write_name<S: Serializer>(weighting: &Weighting, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(weighting)
}

fn read_name<'de, D: Deserializer<'de>>(d: D) -> Result<Weighting, D::Error> {
    String::deserialize(d)?.parse().map_err(de::Error::custom)
}

/// A place in a space: a share of the way for each range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    shares: [f64; 5],
    weighting: usize,
}

impl Point {
    /// Anywhere.
    pub fn anywhere(space: &Space, random: &mut Random) -> Point {
        let weighting = random.below(space.weightings.len());
        Point { shares: std::array::from_fn(|_| random.uniform()), weighting }
    }

    /// Near another: normally distributed about it, with `spread` of each range.
    pub fn near(self, spread: f64, random: &mut Random) -> Point {
        let shares = self.shares.map(|share| (share + spread * random.normal()).clamp(0.0, 1.0));
        Point { shares, ..self }
    }

    pub fn candidate(self, space: &Space, shape: Shape) -> Candidate {
        let [factors, unobserved, strength, scaling, alpha] = self.shares;
        let unobserved_weight = space.unobserved_weight.at(unobserved, true);
        let scaling = space.regularization_scaling.at(scaling, false);
        let strength = space.regularization.at(strength, true);
        let middle = shape.middle_row(unobserved_weight).powf(scaling);
        let factors = space.factors.at(factors, true).round() as usize;
        Candidate {
            factors: whole_lines(factors, space.factors),
            weighting: space.weightings[self.weighting],
            alpha: space.alpha.at(alpha, true) as f32,
            unobserved_weight: unobserved_weight as f32,
            regularization: if scaling == 0.0 { strength } else { digits(strength / middle) }
                as f32,
            regularization_scaling: scaling as f32,
        }
    }
}

/// A multiple of 8 from 16 on, unless that leaves the range or it is fixed.
fn whole_lines(factors: usize, range: Span) -> usize {
    let rounded = factors / 8 * 8;
    let fits = rounded >= 16 && rounded as f64 >= range.low && range.low != range.high;
    if fits { rounded } else { factors }
}

/// The size of a matrix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    users: f64,
    items: f64,
    entries: f64,
}

impl Shape {
    pub fn of(matrix: &Csr) -> Shape {
        let [users, items, entries] =
            [matrix.n_rows(), matrix.n_cols(), matrix.nnz()].map(|n| n.max(1) as f64);
        Shape { users, items, entries }
    }

    /// What regularization is scaled by: the geometric mean over a mean user and a mean item.
    fn middle_row(self, unobserved: f64) -> f64 {
        let user = self.entries / self.users + unobserved * self.items;
        let item = self.entries / self.items + unobserved * self.users;
        (user * item).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_written() {
        for (text, span) in [("0.1..10", Span::new(0.1, 10.0)), ("64", Span::fixed(64.0))] {
            assert_eq!((text.parse(), span.to_string()), (Ok(span), text.to_string()));
        }
        for wrong in ["", "a", "1..", "2..1", "1..2..3", "nan", "0..nan"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn candidates_lie_in_their_ranges_and_are_valid() {
        let space = Space {
            factors: Span::new(8.0, 200.0),
            alpha: Span::new(0.5, 40.0),
            ..Space::default()
        };
        space.check().unwrap();
        let shape = Shape { users: 100.0, items: 50.0, entries: 1000.0 };
        let mut random = Random::new(1, 2);
        let mut at = Point::anywhere(&space, &mut random);
        for round in 0..400 {
            at = if round % 2 == 0 {
                Point::anywhere(&space, &mut random)
            } else {
                at.near(0.3, &mut random)
            };
            let c = at.candidate(&space, shape);
            assert!(
                (8..=200).contains(&c.factors) && (c.factors < 16 || c.factors.is_multiple_of(8))
            );
            assert!((0.01..=1.0).contains(&c.unobserved_weight), "{c:?}");
            assert!((0.0..=1.0).contains(&c.regularization_scaling));
            assert!(c.regularization > 0.0 && (0.5..=40.0).contains(&c.alpha));
            let text = serde_json::to_string(&c).unwrap();
            assert_eq!(serde_json::from_str::<Candidate>(&text).unwrap(), c, "{text}");
        }
    }

    #[test]
    fn ranges_that_make_no_sense_are_refused() {
        let refused = |change: fn(&mut Space)| {
            let mut space = Space::default();
            change(&mut space);
            match space.check() {
                Err(TrainError::Parameter { name, .. }) => name,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(refused(|s| s.factors = Span::fixed(0.0)), "factors");
        assert_eq!(refused(|s| s.factors = Span::new(1.0, 5000.0)), "factors");
        assert_eq!(refused(|s| s.unobserved_weight = Span::new(0.0, 1.0)), "unobserved_weight");
        assert_eq!(refused(|s| s.unobserved_weight = Span::fixed(-1.0)), "unobserved_weight");
        assert_eq!(refused(|s| s.regularization = Span::new(1.0, f64::NAN)), "regularization");
        let scaling = refused(|s| s.regularization_scaling = Span::new(0.0, 1.5));
        assert_eq!(scaling, "regularization_scaling");
        assert_eq!(refused(|s| s.alpha = Span::fixed(0.0)), "alpha");
        assert_eq!(refused(|s| s.weightings.clear()), "weighting");
        let zero = Space { regularization: Span::fixed(0.0), ..Space::default() };
        assert_eq!(zero.check(), Ok(()));
    }
}
