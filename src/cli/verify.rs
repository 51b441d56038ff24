//! `nearwood verify`.

use std::io::Write;
use std::path::PathBuf;

use super::failure::Failure;
use super::options::{is_recommender, open_index, open_recommender};
use super::output::Report;

/// Check every byte of a file: checksums, and everything that its sections name
#[derive(clap::Args)]
pub(super) struct Args {
    /// A recommender or an index
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let index = open_index(&args.file)?;
    let mut checked = vec!["header", "sections", "padding", "trees", "ids"];
    let verified = match is_recommender(&index) {
        true => {
            checked.extend(["users", "seen items"]);
            open_recommender(&args.file)?.verify()
        }
        false => index.verify(),
    };
    verified.map_err(|error| Failure::about(&args.file, &error))?;
    let mut report = Report::default();
    report.add("result", "ok", "ok");
    report.add("content", index.content().name(), index.content().name());
    report.count("sections", index.directory().sections().len());
    report.add("checked", checked.clone(), checked.join(", "));
    report.file(&args.file, index.as_bytes().len() as u64);
    report.print(&args.file, args.json, out)
}
