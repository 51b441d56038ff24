//! How values are spread: bars, evenly wide.

use super::chart::{Chart, Mark};
use super::scale::{Axis, Scale};
use super::text::{compact, thousands};

const BARS: usize = 32;

/// A chart of how many of `values` (`what`, in the plural) lie where; their median is marked.
pub(super) fn histogram(title: &str, name: &str, what: &str, mut values: Vec<f64>) -> Chart {
    values.retain(|x| x.is_finite());
    values.sort_unstable_by(f64::total_cmp);
    let bars = bars(&values);
    let told = |&(from, to, count): &(f64, f64, usize)| {
        let text =
            format!("{} to {}: {} {what}", compact(from), compact(to), thousands(count as u64));
        (from, to, count as f64, text)
    };
    let median = values.get(values.len() / 2).copied();
    let ends = bars.iter().flat_map(|&(from, to, _)| [from, to]);
    let x = Axis::over(name, Scale::Linear, ends);
    let y = Axis::from_zero(what, bars.iter().map(|bar| bar.2 as f64));
    let rule = median.map(|at| Mark::Rule(at, format!("median {}", compact(rounded(at)))));
    let marks = std::iter::once(Mark::Bars(bars.iter().map(told).collect())).chain(rule);
    Chart { title: title.into(), x, y, marks: marks.collect() }
}

/// To three digits.
pub(super) fn rounded(x: f64) -> f64 {
    format!("{x:.2e}").parse().unwrap_or(x)
}

/// (from, to, how many) over sorted values. Counts get bars of whole widths, so that one bar does not
/// stand for more of them than the next.
fn bars(sorted: &[f64]) -> Vec<(f64, f64, usize)> {
    let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let is_whole = sorted.iter().all(|x| x.fract() == 0.0);
    let width = match (high - low) / BARS as f64 {
        width if is_whole => ((high - low + 1.0) / BARS as f64).ceil().max(width),
        // All values the same: one bar, as wide as they are large.
        0.0 => low.abs().max(1.0) * 0.1,
        width => width,
    };
    let start = if is_whole { low - 0.5 } else { low };
    let n = (((high - start) / width).ceil() as usize).clamp(1, BARS + 1);
    let mut counts = vec![0; n];
    for x in sorted {
        counts[(((x - start) / width) as usize).min(n - 1)] += 1;
    }
    let bar = |(at, count): (usize, usize)| {
        let from = start + at as f64 * width;
        (rounded_to(from, width), rounded_to(from + width, width), count)
    };
    counts.into_iter().enumerate().map(bar).collect()
}

/// A bar's end to the thousandth of a bar, which is what anybody can see of it.
fn rounded_to(x: f64, width: f64) -> f64 {
    let unit = 10f64.powf(width.log10().floor() - 2.0);
    format!("{:.9e}", (x / unit).round() * unit).parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_bar() {
        let values: Vec<f64> = (0..1000).map(|at| (f64::from(at) * 0.7).sin().exp()).collect();
        for values in [values, vec![3.0; 7], vec![0.25; 3], (0..90).map(f64::from).collect()] {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let bars = bars(&sorted);
            assert_eq!(bars.iter().map(|bar| bar.2).sum::<usize>(), values.len());
            assert!(
                bars.len() <= BARS + 1 && bars.windows(2).all(|w| w[0].1 == w[1].0),
                "{bars:?}"
            );
        }
        assert!(bars(&[]).is_empty());
    }

    #[test]
    fn counts_have_bars_of_whole_widths() {
        let sizes: Vec<f64> = (100..400).map(f64::from).collect();
        let bars = bars(&sizes);
        assert!(bars.iter().all(|bar| bar.1 - bar.0 == 10.0), "{bars:?}");
        assert!(bars.iter().all(|bar| bar.2 == 10), "{bars:?}");
    }
}
