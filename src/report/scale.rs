//! From values to places along an axis, and the values that are written beside it.

use super::text::compact;

/// How values lie along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Evenly.
    Linear,
    /// Evenly in their logarithms.
    Log,
    /// Recalls, evenly in the logarithm of what is missed: 0.9, 0.99 and 0.999 are as far apart as
    /// they are hard to reach.
    Missed,
}

/// The highest recall that has a place of its own; all above stand there.
const FULL: f64 = 0.9995;
const RECALLS: [f64; 9] = [0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999];

/// An axis: its name, its ends, and the values written beside it.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub name: String,
    scale: Scale,
    low: f64,
    high: f64,
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis on which all of `values` have a place; any where there are none.
    pub fn over(name: &str, scale: Scale, values: impl Iterator<Item = f64>) -> Axis {
        let usable = values.filter(|x| x.is_finite() && (scale != Scale::Log || *x > 0.0));
        let ends = usable
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        let ends = if ends.0 > ends.1 { (1.0, 2.0) } else { ends };
        let (low, high) = match scale {
            Scale::Missed => (floor_of(ends.0), FULL),
            Scale::Log => (ends.0 / 1.15, ends.1 * 1.15),
            Scale::Linear if ends.0 == ends.1 => (ends.0 - 1.0, ends.1 + 1.0),
            Scale::Linear => ends,
        };
        let ticks = match scale {
            Scale::Missed => RECALLS.into_iter().filter(|&r| r >= low).collect(),
            Scale::Log => logarithmic(low, high),
            Scale::Linear => linear(low, high),
        };
        let ticks = ticks.into_iter().map(|x| (x, compact(x))).collect();
        Axis { name: name.to_string(), scale, low, high, ticks }
    }

    /// The same from 0, for bars, which say nothing without their foot.
    pub fn from_zero(name: &str, values: impl Iterator<Item = f64>) -> Axis {
        let axis = Axis::over(name, Scale::Linear, values.chain([0.0]));
        Axis { high: axis.high + (axis.high - axis.low) * 0.05, ..axis }
    }

    /// With a little room beyond both ends, so that lines do not run along the frame.
    pub fn loosened(self) -> Axis {
        let room = (self.high - self.low) * 0.04;
        Axis { low: self.low - room, high: self.high + room, ..self }
    }

    /// Where a value stands: 0 at the low end, 1 at the high one, values beyond at the ends.
    pub fn place(&self, x: f64) -> f64 {
        let [x, low, high] = [x, self.low, self.high].map(|x| match self.scale {
            Scale::Linear => x,
            Scale::Log => x.max(f64::MIN_POSITIVE).log10(),
            Scale::Missed => -(1.0 - x.min(FULL)).log10(),
        });
        if high > low { ((x - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 }
    }
}

/// The highest recall of those written that lies at or below one.
fn floor_of(recall: f64) -> f64 {
    RECALLS.into_iter().rfind(|&r| r <= recall && r < RECALLS[8]).unwrap_or(0.0)
}

/// Four to nine multiples of 1, 2 or 5 times a power of ten.
fn linear(low: f64, high: f64) -> Vec<f64> {
    let span = high - low;
    let power = 10f64.powf((span / 8.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| span / s <= 8.0);
    let step = step.unwrap_or(span);
    let first = (low / step).ceil() as i64;
    let ticks = (first..first + 10).map(|at| at as f64 * step);
    // What a multiple has after its last digit is an error of rounding.
    let clean = |x: f64| (x / power).round() * power;
    ticks.take_while(|&x| x <= high + span * 1e-9).map(|x| parsed(clean(x))).collect()
}

/// 0.30000000000000004 as 0.3.
fn parsed(x: f64) -> f64 {
    format!("{x:.10e}").parse().unwrap_or(x)
}

/// 1, 2 and 5 times powers of ten, or powers of ten alone where there would be many.
fn logarithmic(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let decades = high.log10() - low.log10();
    let steps: &[f64] = match decades {
        d if d > 3.0 => &[1.0],
        d if d > 1.6 => &[1.0, 3.0],
        _ => &[1.0, 2.0, 5.0],
    };
    let all = (first..=last).flat_map(|power| steps.iter().map(move |m| m * 10f64.powi(power)));
    all.filter(|&x| x >= low && x <= high).map(parsed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(scale: Scale, values: &[f64]) -> Vec<f64> {
        let axis = Axis::over("", scale, values.iter().copied());
        axis.ticks.iter().map(|tick| tick.0).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(Scale::Linear, &[0.0, 1.0]), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!(ticks(Scale::Linear, &[-394_474.9, -380_000.0]).len(), 8);
        assert_eq!(ticks(Scale::Log, &[64.0, 1000.0]), [100.0, 200.0, 500.0, 1000.0]);
        assert_eq!(ticks(Scale::Log, &[1.0, 1e5]), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5]);
        assert_eq!(ticks(Scale::Missed, &[0.96, 1.0]), [0.95, 0.98, 0.99, 0.995, 0.999]);
        assert_eq!(ticks(Scale::Linear, &[]).len(), 6);
    }

    #[test]
    fn values_lie_between_the_ends() {
        for scale in [Scale::Linear, Scale::Log, Scale::Missed] {
            let axis = Axis::over("", scale, [0.5, 0.999].into_iter()).loosened();
            let places = [0.5, 0.7, 0.9, 0.999].map(|x| axis.place(x));
            assert!(places.is_sorted(), "{places:?}");
            for x in [0.0, -1.0, 1.0, 1e300] {
                assert!((0.0..=1.0).contains(&axis.place(x)), "{scale:?} {x}");
            }
        }
        let same = Axis::over("", Scale::Linear, [3.0, 3.0].into_iter());
        assert_eq!(same.place(3.0), 0.5);
    }
}
