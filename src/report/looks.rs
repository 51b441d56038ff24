//! The charts of a page, but for the map.

use super::chart::{Chart, Mark};
use super::scale::{Axis, Scale};
use super::text::{compact, percent, thousands};
use crate::index::{CurveStep, Effort, RecallCurve};

/// A measured curve as an SVG file: queries a second against recall, read in light and dark.
#[must_use]
pub fn curve_svg(curve: &RecallCurve) -> String {
    speed(curve).standalone()
}

pub(super) fn speed(curve: &RecallCurve) -> Chart {
    let k = curve.k;
    let point = |step: &CurveStep| {
        let rate = step.queries_per_second();
        let text = format!(
            "{}: recall {}, {}/s",
            told(step.effort),
            percent(step.recall),
            compact(rate.round())
        );
        (step.recall, rate, text)
    };
    let steps: Vec<_> = curve.steps.iter().map(point).collect();
    let asked: Vec<_> = curve.asked.iter().map(point).collect();
    let exact = point(&curve.exact);
    let all = || steps.iter().chain(&asked).chain([&exact]);
    let x = Axis::over(&format!("recall@{k}"), Scale::Missed, all().map(|p| p.0));
    let y = Axis::over("queries/s, one thread", Scale::Log, all().map(|p| p.1));
    let marks = vec![
        Mark::Line { name: "by budget".into(), points: steps },
        Mark::Points { name: "recall = 0.9, 0.95, 0.99".into(), points: asked },
        Mark::Points { name: "brute force".into(), points: vec![exact] },
    ];
    let title = format!(
        "Queries a second against recall@{k}, {} {}",
        thousands(curve.n_queries as u64),
        curve.probe.describe()
    );
    Chart { title, x, y, marks }
}

/// What a search was told.
pub(super) fn told(effort: Effort) -> String {
    match effort {
        Effort::Recall(recall) => format!("recall={recall}"),
        Effort::Budget(budget) => format!("budget {}", thousands(budget as u64)),
        _ => "brute force".into(),
    }
}

/// Curves of the calibration: (name, (budget, recall)).
pub(super) fn work(curves: &[(&str, Vec<(f64, f64)>)]) -> Chart {
    let all = || curves.iter().flat_map(|(_, points)| points);
    let x = Axis::over("vectors compared a query", Scale::Log, all().map(|p| p.0));
    let y = Axis::over("recall@10", Scale::Missed, all().map(|p| p.1));
    let line = |(name, points): &(&str, Vec<(f64, f64)>)| {
        let point = |&(budget, recall): &(f64, f64)| {
            let text = format!("{} compared: recall {}", thousands(budget as u64), percent(recall));
            (budget, recall, text)
        };
        Mark::Line { name: (*name).into(), points: points.iter().map(point).collect() }
    };
    let title = "Recall of 10 neighbours by the vectors compared".into();
    Chart { title, x, y, marks: curves.iter().map(line).collect() }
}

/// The loss after each epoch.
pub(super) fn loss(history: &[f64]) -> Chart {
    let points: Vec<(f64, f64, String)> = history
        .iter()
        .enumerate()
        .map(|(at, &loss)| ((at + 1) as f64, loss, format!("epoch {}: {loss:.1}", at + 1)))
        .collect();
    let x = Axis::over("epoch", Scale::Linear, points.iter().map(|p| p.0)).loosened();
    let y = Axis::over("loss", Scale::Linear, points.iter().map(|p| p.1)).loosened();
    let marks = vec![Mark::Line { name: "loss after an epoch".into(), points }];
    Chart { title: "The loss of the training after each epoch".into(), x, y, marks }
}
