//! `nearwood verify`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::format::Directory;

use super::failure::Failure;
use super::options::{is_recommender, open_index, open_model, open_recommender};
use super::output::Report;

/// Check every byte of a file: checksums, and everything that its sections name
#[derive(clap::Args)]
pub(super) struct Args {
    /// A recommender, an index or a model
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some((directory, _)) = open_model(&args.file)? {
        let checked = ["header", "sections", "padding", "parameters", "factors", "interactions"];
        return report(args, &directory, &checked, out);
    }
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
    report(args, index.directory(), &checked, out)
}

fn report(
    args: &Args,
    directory: &Directory,
    checked: &[&str],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (mut report, content) = (Report::default(), directory.header.content.name());
    report.add("result", "ok", "ok");
    report.add("content", content, content);
    report.count("sections", directory.sections().len());
    report.add("checked", checked, checked.join(", "));
    report.file(&args.file, fs::metadata(&args.file)?.len());
    report.print(&args.file, args.json, out)
}
