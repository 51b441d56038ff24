//! `nearwood similar`.

use std::io::Write;
use std::path::PathBuf;

use crate::error::QueryError;
use crate::{BatchOptions, Hit, Index};

use super::failure::Failure;
use super::hits::{HitTable, describe, hits_of, json_hits, json_item};
use super::options::{
    EffortArgs, find_item, is_recommender, open_index, open_recommender, positive,
};
use super::progress::note;

/// Show the items nearest to one, which is named by its id or its label
///
/// In a recommender by cosine (the distance is 1 - cos), in an index by its metric. --json prints
/// {"id", "label", "similar": [{"rank", "id", "label", "distance"}]}.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A recommender or an index
    file: PathBuf,
    /// An id, or else a label
    #[arg(allow_negative_numbers = true)]
    item: String,
    /// How many
    #[arg(short, default_value_t = 10, value_parser = positive)]
    k: usize,
    #[command(flatten)]
    effort: EffortArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let index = open_index(&args.file)?;
    let position = find_item(&index, &args.item)?;
    let options = BatchOptions {
        k: args.k.min(index.len()),
        effort: args.effort.effort(),
        filter: None,
        n_threads: Some(1),
    };
    let hits = match is_recommender(&index) {
        true => open_recommender(&args.file)?.similar(position, options)?,
        false => neighbours(&index, position, options)?,
    };
    if hits.is_empty() && is_recommender(&index) {
        note(&format!(
            "nothing is known to be similar to {}: no user has it, or its weights are all 0",
            describe(&index, position)
        ));
    }
    if args.json {
        let mut answer = json_item(&index, position);
        answer["similar"] = json_hits(&index, &hits, "distance");
        writeln!(out, "{answer}")?;
        return Ok(());
    }
    writeln!(out, "similar to {}", describe(&index, position))?;
    let mut table = HitTable::new(&index, None, "distance");
    table.push(None, &hits);
    Ok(table.into_table().write(out)?)
}

fn neighbours(
    index: &Index,
    position: u32,
    options: BatchOptions<'_>,
) -> Result<Vec<Hit>, QueryError> {
    let answers = index.search_positions(&[position], options, false)?;
    Ok(hits_of(&answers, 0))
}
