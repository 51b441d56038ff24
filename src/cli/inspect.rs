//! `nearwood inspect`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Index;
use crate::als::{Csr, ModelFile};
use crate::format::{Directory, Entry, Key, Kind};
use crate::index::Calibration;

use super::failure::Failure;
use super::options::{is_recommender, open_index, open_model, open_recommender};
use super::output::{Align, Report, Table, bytes, percent, thousands, yes};

/// Show what a file is, how it was made, and what its bytes hold
///
/// --json prints one object; "calibration" holds [budget, recall] pairs for 10 neighbours over
/// the trees, "walk_curve" those over the neighbour graph, if there is one.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A recommender, an index or a model
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some((directory, file)) = open_model(&args.file)? {
        return model(args, &directory, &file, out);
    }
    let index = open_index(&args.file)?;
    let report = report(&index, args);
    let curves = curves(&index, args)?;
    if args.json {
        let mut document = report.to_json();
        document["metadata"] = index.metadata();
        for (key, curve) in &curves {
            document[*key] = json!(curve);
        }
        document["section_table"] = sections(index.directory());
        return Ok(writeln!(out, "{document}")?);
    }
    report.write(out)?;
    print_metadata(&index.metadata(), out)?;
    for (key, curve) in &curves {
        print_curve(key, curve, out)?;
    }
    print_sections(index.directory(), out)
}

fn model(
    args: &Args,
    directory: &Directory,
    file: &ModelFile,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let is_half = directory.range(Key::new(Kind::HalfVectors, 0)).is_some();
    let storage = if is_half { "float16" } else { "float32" };
    let content = directory.header.content.name();
    let mut report = Report::default();
    report.file(&args.file, fs::metadata(&args.file)?.len());
    report.add("content", content, content);
    report.add("storage", storage, storage);
    report.count("factors", file.model.factors);
    report.count("users", file.model.n_users);
    report.count("items", file.model.n_items);
    report.count("interactions", file.interactions.as_ref().map_or(0, Csr::nnz));
    report.count("sections", directory.sections().len());
    let training = json!({"params": file.model.params, "loss_history": file.model.loss_history});
    if args.json {
        let mut document = report.to_json();
        document["training"] = training;
        document["section_table"] = sections(directory);
        return Ok(writeln!(out, "{document}")?);
    }
    report.write(out)?;
    print_metadata(&training, out)?;
    print_sections(directory, out)
}

fn report(index: &Index, args: &Args) -> Report {
    let (directory, content) = (index.directory(), index.content().name());
    let (major, minor) = directory.version;
    let mut report = Report::default();
    report.file(&args.file, index.as_bytes().len() as u64);
    report.add("content", content, content);
    report.add("format_version", format!("{major}.{minor}"), format!("{major}.{minor}"));
    report.add("metric", index.metric().name(), index.metric().name());
    report.add("storage", index.storage(), index.storage());
    report.count("dim", index.dim());
    report.count("rows", index.len());
    report.add("ids", ids(index), ids(index));
    report.add("labels", index.label(0).is_some(), yes(index.label(0).is_some()));
    report.count("trees", index.n_trees());
    report.count("leaves", index.n_leaves());
    add_graph(index, &mut report);
    if is_recommender(index) {
        report.count("users", directory.header.users as usize);
    }
    report.count("sections", directory.sections().len());
    report
}

fn ids(index: &Index) -> &'static str {
    if index.has_text_ids() { "strings" } else { "integers" }
}

/// The sections of the graph.
const GRAPH: [Kind; 8] = [
    Kind::GraphScale,
    Kind::GraphCodes,
    Kind::GraphLists,
    Kind::GraphReach,
    Kind::GraphSlack,
    Kind::GraphSteps,
    Kind::GraphHalves,
    Kind::GraphLinks,
];

fn add_graph(index: &Index, report: &mut Report) {
    let range = |kind| index.directory().range(Key::new(kind, 0));
    let places =
        range(Kind::GraphLinks).or(range(Kind::GraphLists)).map_or(0, |range| range.len() / 4);
    if !index.has_graph() {
        return report.add("graph", Value::Null, yes(false));
    }
    let all = index.directory().sections().iter().filter(|entry| GRAPH.contains(&entry.key.kind));
    let size: usize = all.map(|entry| entry.range.len()).sum();
    let degree = places / index.len();
    let text = format!("degree {degree}, {}", bytes(size as u64));
    report.add("graph", json!({"degree": degree, "bytes": size}), text);
}

/// (budget, recall) of walks over the graph, of the trees, and of the cosine that a recommender finds
/// similar items by.
type Curves = Vec<(&'static str, Vec<(f64, f64)>)>;

fn curves(index: &Index, args: &Args) -> Result<Curves, Failure> {
    let curve = |calibration: &Calibration| calibration.curve().to_vec();
    let mut curves = vec![("calibration", curve(index.calibration()))];
    if index.has_graph() {
        curves.insert(0, ("walk_curve", index.walk_curve()));
    }
    if is_recommender(index) {
        let recommender = open_recommender(&args.file)?;
        curves.push(("calibration_by_cosine", curve(recommender.similarity().calibration())));
    }
    Ok(curves)
}

/// The leaves of the JSON tree as `path  value`.
fn print_metadata(metadata: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new([("parameter", Align::Left), ("value", Align::Left)]);
    flatten("", metadata, &mut table);
    writeln!(out)?;
    Ok(table.write(out)?)
}

fn flatten(path: &str, value: &Value, table: &mut Table) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, table);
            }
        }
        // The losses of all epochs, mostly: the ends tell enough.
        Value::Array(values) if values.len() > 2 => {
            let ends = format!("{}, ... {}", values[0], values[values.len() - 1]);
            table.row(vec![path.to_string(), format!("{ends} ({} values)", values.len())]);
        }
        Value::String(text) => table.row(vec![path.to_string(), text.clone()]),
        other => table.row(vec![path.to_string(), other.to_string()]),
    }
}

fn print_curve(key: &str, curve: &[(f64, f64)], out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "\n{} (recall of 10 neighbours at each budget)", key.replace('_', " "))?;
    let mut table = Table::new([("budget", Align::Right), ("recall", Align::Right)]);
    for &(budget, recall) in curve {
        table.row(vec![thousands(budget as u64), percent(recall)]);
    }
    Ok(table.write(out)?)
}

fn sections(directory: &Directory) -> Value {
    directory.sections().iter().map(json_section).collect()
}

fn json_section(entry: &Entry) -> Value {
    json!({
        "kind": entry.key.kind.name(),
        "space": entry.key.space,
        "tree": entry.key.tree,
        "offset": entry.range.start,
        "bytes": entry.range.len(),
        "crc32": format!("{:08x}", entry.crc),
    })
}

fn print_sections(directory: &Directory, out: &mut dyn Write) -> Result<(), Failure> {
    let number = [("space", Align::Right), ("tree", Align::Right)];
    let size = [("offset", Align::Right), ("bytes", Align::Right), ("crc32", Align::Right)];
    let mut table = Table::new([("section", Align::Left)].into_iter().chain(number).chain(size));
    for entry in directory.sections() {
        table.row(vec![
            entry.key.kind.name().to_string(),
            entry.key.space.to_string(),
            entry.key.tree.to_string(),
            thousands(entry.range.start as u64),
            thousands(entry.range.len() as u64),
            format!("{:08x}", entry.crc),
        ]);
    }
    let total: usize = directory.sections().iter().map(|entry| entry.range.len()).sum();
    writeln!(out)?;
    table.write(out)?;
    Ok(writeln!(out, "{} in sections", bytes(total as u64))?)
}
