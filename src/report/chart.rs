//! A chart as SVG: axes, and lines or bars between them. Colours are classes of `chart.css`.

use std::fmt::Write;

use super::scale::Axis;
use super::text::escape;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 46.0;
/// Ticks nearer than this to the one before are left without their text.
const APART: f64 = 38.0;
/// The width of a letter in a legend, near enough to keep names apart.
const LETTER: f64 = 6.4;

/// What stands between the axes.
pub(super) enum Mark {
    /// Points, joined if there are several, each with what is told of it.
    Line { name: String, points: Vec<(f64, f64, String)> },
    /// Points that are not joined.
    Points { name: String, points: Vec<(f64, f64, String)> },
    /// From, to, height, and what is told of it.
    Bars(Vec<(f64, f64, f64, String)>),
    /// A line across at a value of the horizontal axis, with its name.
    Rule(f64, String),
}

pub(super) struct Chart {
    /// Said to those who do not see it.
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub marks: Vec<Mark>,
}

impl Chart {
    /// For a page, which has the style.
    pub fn inline(&self) -> String {
        self.svg("")
    }

    /// A file by itself.
    pub fn standalone(&self) -> String {
        let style = include_str!("chart.css");
        self.svg(&format!(
            "<style>{style}</style>\n<rect class=\"ground\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"
        ))
    }

    fn svg(&self, head: &str) -> String {
        let title = escape(&self.title);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 {WIDTH} \
             {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n{head}"
        );
        self.axes(&mut out);
        let mut series = 0;
        for mark in &self.marks {
            match mark {
                Mark::Line { points, .. } => self.line(&mut out, series, points, true),
                Mark::Points { points, .. } => self.line(&mut out, series, points, false),
                Mark::Bars(bars) => self.bars(&mut out, bars),
                Mark::Rule(at, name) => self.rule(&mut out, *at, name),
            }
            series += usize::from(mark.name().is_some());
        }
        self.legend(&mut out);
        out.push_str("</svg>\n");
        out
    }

    fn across(&self, x: f64) -> f64 {
        LEFT + self.x.place(x) * (WIDTH - LEFT - RIGHT)
    }

    fn up(&self, y: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(y) * (HEIGHT - TOP - BOTTOM)
    }

    fn axes(&self, out: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        // Writing to a string cannot fail, here and below.
        let mut last = f64::NEG_INFINITY;
        for (value, text) in &self.x.ticks {
            let x = self.across(*value);
            let _ = writeln!(out, "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>");
            if x - last >= APART {
                let y = bottom + 17.0;
                let _ = writeln!(
                    out,
                    "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>",
                    escape(text)
                );
                last = x;
            }
        }
        for (value, text) in &self.y.ticks {
            let y = self.up(*value);
            let _ = writeln!(out, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>");
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 7.0,
                y + 4.0,
                escape(text)
            );
        }
        let (width, height) = (right - LEFT, bottom - TOP);
        let _ = writeln!(
            out,
            "<rect class=\"frame\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{width}\" height=\"{height}\"/>"
        );
        let (middle, foot) = (LEFT + width / 2.0, HEIGHT - 8.0);
        let _ = writeln!(
            out,
            "<text class=\"name\" x=\"{middle}\" y=\"{foot}\" text-anchor=\"middle\">{}</text>",
            escape(&self.x.name)
        );
        let _ =
            writeln!(out, "<text class=\"name\" x=\"4\" y=\"14\">{}</text>", escape(&self.y.name));
    }

    fn line(&self, out: &mut String, series: usize, points: &[(f64, f64, String)], joined: bool) {
        let place =
            |&(x, y, _): &(f64, f64, String)| format!("{:.1},{:.1}", self.across(x), self.up(y));
        if joined && points.len() > 1 {
            let path: Vec<String> = points.iter().map(place).collect();
            let path = path.join(" ");
            let _ = writeln!(out, "<polyline class=\"line s{series}\" points=\"{path}\"/>");
        }
        let radius = if joined { 3.0 } else { 5.0 };
        for (x, y, told) in points {
            let (x, y, told) = (self.across(*x), self.up(*y), escape(told));
            let _ = writeln!(
                out,
                "<circle class=\"dot s{series}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\">\
                 <title>{told}</title></circle>"
            );
        }
    }

    fn bars(&self, out: &mut String, bars: &[(f64, f64, f64, String)]) {
        let bottom = HEIGHT - BOTTOM;
        for (from, to, height, told) in bars {
            let (left, right, top) = (self.across(*from), self.across(*to), self.up(*height));
            // A gap of one, and something to see of a bar that is hardly one.
            let width = (right - left - 1.0).max(1.0);
            let top = if *height > 0.0 { top.min(bottom - 1.0) } else { bottom };
            let _ = writeln!(
                out,
                "<rect class=\"bar\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
                 height=\"{:.1}\"><title>{}</title></rect>",
                bottom - top,
                escape(told)
            );
        }
    }

    fn rule(&self, out: &mut String, at: f64, name: &str) {
        let (x, bottom) = (self.across(at), HEIGHT - BOTTOM);
        let _ = writeln!(out, "<path class=\"rule\" d=\"M{x:.1} {}V{bottom}\"/>", TOP - 6.0);
        let (anchor, shift) = match x > WIDTH / 2.0 {
            true => ("end", -4.0),
            false => ("start", 4.0),
        };
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            x + shift,
            TOP - 6.0,
            escape(name)
        );
    }

    /// The names of lines, side by side above the frame; one alone needs none.
    fn legend(&self, out: &mut String) {
        if self.marks.iter().filter_map(Mark::name).count() < 2 {
            return;
        }
        let mut x = LEFT + 5.0;
        for (series, name) in self.marks.iter().filter_map(Mark::name).enumerate() {
            let y = TOP - 13.0;
            let _ = writeln!(
                out,
                "<circle class=\"dot s{series}\" cx=\"{x:.1}\" cy=\"{}\" r=\"4\"/>\n\
                 <text x=\"{:.1}\" y=\"{y}\">{}</text>",
                y - 4.0,
                x + 9.0,
                escape(name)
            );
            x += 26.0 + name.chars().count() as f64 * LETTER;
        }
    }
}

impl Mark {
    fn name(&self) -> Option<&str> {
        match self {
            Mark::Line { name, .. } | Mark::Points { name, .. } => Some(name),
            _ => None,
        }
    }
}
