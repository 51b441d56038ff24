//! A page, put together.

use super::chart::Chart;
use super::facts;
use super::items::{Items, items};
use super::looks;
use super::metrics::Metrics;
use super::text::{escape, fill, percent, script_json, table, thousands};
use crate::error::QueryError;
use crate::index::{CurveStep, Index, RecallCurve};
use crate::recommend::Recommender;

/// The most items that a page may show. An item takes at most 4.6 kB: twelve names of 60 characters,
/// each of at most six bytes, and numbers. All else on a page stays below 300 kB.
pub const MAX_ITEMS: usize = 5000;

/// What a page is about.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// An index.
    Index(&'a Index),
    /// A recommender.
    Recommender(&'a Recommender),
}

impl<'a> Subject<'a> {
    /// The vectors.
    pub(super) fn items(self) -> &'a Index {
        match self {
            Subject::Index(index) => index,
            Subject::Recommender(recommender) => recommender.items(),
        }
    }

    /// The vectors by what makes two of them alike: a recommender's by cosine.
    pub(super) fn by_likeness(self) -> &'a Index {
        match self {
            Subject::Index(index) => index,
            Subject::Recommender(recommender) => recommender.similarity(),
        }
    }
}

/// What a page shows beside what the file holds.
#[derive(Clone, Copy)]
pub struct PageOptions<'a> {
    /// The page's heading.
    pub title: &'a str,
    /// Items on the map, 1 to [`MAX_ITEMS`]: a recommender's most popular, an index's drawn.
    pub items: usize,
    /// Of what is drawn at random.
    pub seed: u64,
    /// Threads; all cores for `None`. The page does not depend on it.
    pub n_threads: Option<usize>,
    /// A curve measured with queries.
    pub curve: Option<&'a RecallCurve>,
    /// Ranking metrics measured on a test.
    pub metrics: Option<&'a Metrics>,
}

impl Default for PageOptions<'_> {
    fn default() -> Self {
        PageOptions {
            title: "nearwood",
            items: 2000,
            seed: 0,
            n_threads: None,
            curve: None,
            metrics: None,
        }
    }
}

/// An index or a recommender as one HTML page that needs nothing else: the curves of recall, the
/// shape of the trees, the norms, of a recommender its training and metrics, a map of the items with
/// their names, and a search for what is near them. The same file and options give the same page.
///
/// Takes a batch search for the items shown, and reads norms of at most 100,000 vectors; a
/// recommender's table of who has what is read through once.
///
/// # Errors
/// If `items` is out of its range.
pub fn page(subject: Subject<'_>, options: &PageOptions<'_>) -> Result<String, QueryError> {
    if !(1..=MAX_ITEMS).contains(&options.items) {
        return Err(QueryError::Parameter {
            name: "items",
            got: options.items.to_string(),
            expected: format!("1 to {MAX_ITEMS}, so that the page stays small enough to open"),
        });
    }
    let items = items(subject, options)?;
    let index = subject.items();
    Ok(fill(include_str!("page.html"), |name| match name {
        "title" => escape(options.title),
        "chart_style" => include_str!("chart.css").to_string(),
        "style" => include_str!("page.css").to_string(),
        "script" => include_str!("page.js").to_string(),
        "kind" => escape(kind(subject)),
        "facts" => facts::facts(subject),
        "map_caption" => escape(&map_caption(subject, &items)),
        "recall" => recall(subject, options.curve),
        "training" => training(subject, options.metrics),
        "shape" => shape(index),
        "metadata" => facts::metadata(index),
        "version" => env!("CARGO_PKG_VERSION").to_string(),
        "data" => script_json(&items.data),
        _ => String::new(),
    }))
}

fn kind(subject: Subject<'_>) -> &'static str {
    match subject {
        Subject::Index(_) => "An index: vectors, and the trees to search them.",
        Subject::Recommender(_) => {
            "A recommender: trained vectors of users and items, and the trees to search them."
        }
    }
}

fn map_caption(subject: Subject<'_>, items: &Items) -> String {
    let n = thousands(items.n as u64);
    let what = match subject {
        Subject::Recommender(_) => format!("The {n} items that most users have"),
        Subject::Index(index) if items.n == index.len() => format!("All {n} vectors"),
        Subject::Index(_) => format!("{n} vectors drawn at random"),
    };
    let all = thousands(subject.items().len() as u64);
    format!(
        "{what}, on the two directions in which they differ most: {} of their spread. Near on the \
         map is not always near: the search and its distances are over all {all} and all {} \
         directions.",
        percent(items.share),
        subject.items().dim()
    )
}

/// A chart under a heading, with its caption and whatever HTML is to follow that.
fn figure(heading: &str, chart: &Chart, caption: &str, more: &str) -> String {
    format!(
        "<figure><h3>{}</h3>{}<figcaption>{}</figcaption>{more}</figure>\n",
        escape(heading),
        chart.inline(),
        escape(caption)
    )
}

fn recall(subject: Subject<'_>, curve: Option<&RecallCurve>) -> String {
    let index = subject.items();
    let trees = |index: &Index| index.calibration().curve().to_vec();
    let mut curves = match subject {
        Subject::Recommender(recommender) => {
            let similar = trees(recommender.similarity());
            vec![("recommend (inner product)", trees(index)), ("similar (cosine)", similar)]
        }
        Subject::Index(_) if index.has_graph() => {
            vec![("over the graph", index.walk_curve()), ("over the trees", trees(index))]
        }
        Subject::Index(_) => vec![("over the trees", trees(index))],
    };
    curves.retain(|(_, points)| !points.is_empty());
    let caption = "As measured when the file was built, and kept in it: this is what turns \
                   recall=0.95 into a number of vectors to compare. Higher at the left is better.";
    let hint =
        "<p class=\"quiet\">Speed is not in the file, and was not measured for this page.</p>";
    let more = if curve.is_none() { hint } else { "" };
    let work = figure("Recall by work", &looks::work(&curves), caption, more);
    work + &curve.map(measured).unwrap_or_default()
}

fn measured(curve: &RecallCurve) -> String {
    let caption = format!(
        "Measured with {} {}, one after another on one thread. Higher at the right is better.",
        thousands(curve.n_queries as u64),
        curve.probe.describe()
    );
    let row = |step: &CurveStep| {
        let rate = thousands(step.queries_per_second().round() as u64);
        let micros = match step.micros {
            few if few < 1000.0 => format!("{few:.1}"),
            many => thousands(many.round() as u64),
        };
        vec![looks::told(step.effort), percent(step.recall), micros, rate]
    };
    let rows: Vec<Vec<String>> = curve.asked.iter().chain([&curve.exact]).map(row).collect();
    let head = format!("recall@{}", curve.k);
    let told = table(&["asked for", &head, "µs a query", "queries/s"], &rows);
    figure("Speed by recall", &looks::speed(curve), &caption, &told)
}

fn training(subject: Subject<'_>, metrics: Option<&Metrics>) -> String {
    let Subject::Recommender(recommender) = subject else { return String::new() };
    let mut out = String::from("<section><h2>Training</h2><div class=\"figures\">");
    let history = recommender.loss_history();
    if !history.is_empty() {
        let caption = "The objective after each epoch: flat at the end means that more epochs would \
                       change little. A lower loss is no better list by itself.";
        out.push_str(&figure("Loss", &looks::loss(history), caption, ""));
    }
    out.push_str("<figure><h3>Ranking metrics</h3>");
    match metrics {
        Some(metrics) => out.push_str(&format!(
            "{}<figcaption>{}</figcaption>",
            metrics.table(),
            escape(&metrics.caption())
        )),
        None => out.push_str(
            "<p class=\"quiet\">They need interactions that were held out: <code>--test \
             FILE</code> measures them here.</p>",
        ),
    }
    out.push_str("</figure></div></section>");
    out
}

fn shape(index: &Index) -> String {
    let shapes = index.tree_shapes();
    let (norms, told) = facts::norms(index);
    let caption = "A search scans whole leaves: where some are far larger than the others, some \
                   searches take longer. A row a tree, with the members of its smallest, median and \
                   largest leaf.";
    let heads = ["tree", "groups", "leaves", "smallest", "median", "largest"];
    let trees = table(&heads, &facts::shapes(&shapes));
    figure("Leaf sizes", &facts::leaves(&shapes), caption, &trees)
        + &figure("Norms", &norms, &told, "")
}
