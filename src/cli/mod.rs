//! The `nearwood` command: one file a subcommand, each with its `Args` and a `run`.
//!
//! Results go to standard output, progress and notes to standard error. Nothing is computed here:
//! every subcommand reads its arguments, calls the crate's public interface and prints. [`main`]
//! is all there is to see; the binary and the Python package both call it.

mod build;
mod columns;
mod demo;
mod evaluate;
mod failure;
mod hits;
mod import_annoy;
mod inspect;
mod options;
mod output;
mod progress;
mod queries;
mod recall;
mod recommend;
mod report;
mod search;
mod similar;
mod train;
mod trees;
mod tune;
mod verify;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};

use clap::{Parser, Subcommand};

use failure::Failure;

/// Interactions in, recommendations out; vectors in, neighbours out; one memory-mapped file between
#[derive(Parser)]
#[command(name = "nearwood", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Train(Box<train::Args>),
    Tune(Box<tune::Args>),
    Evaluate(evaluate::Args),
    Recommend(recommend::Args),
    Similar(similar::Args),
    Build(build::Args),
    Trees(trees::Args),
    Merge(trees::MergeArgs),
    Search(search::Args),
    Recall(recall::Args),
    Report(Box<report::Args>),
    Inspect(inspect::Args),
    Verify(verify::Args),
    ImportAnnoy(import_annoy::Args),
}

/// Runs the command whose words are `args`, the first of which is its own name, and returns the
/// exit code: 0 done, 1 failed with one line on standard error, 2 wrong usage.
///
/// `itself` are the words that start this command in another process: the demo opens the file that
/// it wrote from a second one. Never ends the process. Ctrl-C is left to the caller's signal
/// handling; files are written beside their target and renamed, so that ending at any moment
/// leaves the old file or the new one.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>, itself: &[OsString]) -> u8 {
    let command = match Cli::try_parse_from(args) {
        Ok(cli) => cli.command,
        Err(usage) => {
            // Nobody is left to be told where this cannot be printed.
            let _ = usage.print();
            return usage.exit_code() as u8;
        }
    };
    let mut out = BufWriter::new(io::stdout());
    let done = run(&command, itself, &mut out).and_then(|()| Ok(out.flush()?));
    // What a failure left in the buffer was not meant to be printed, and a closed pipe would
    // refuse it once more.
    let _ = out.into_parts();
    match done {
        Ok(()) | Err(Failure::ClosedPipe) => 0,
        Err(Failure::Message(message)) => {
            let _ = writeln!(io::stderr(), "error: {}", message.replace(['\n', '\r'], " "));
            1
        }
    }
}

fn run(command: &Command, itself: &[OsString], out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::run(args, itself, out),
        Command::Train(args) => train::run(args, out),
        Command::Tune(args) => tune::run(args, out),
        Command::Evaluate(args) => evaluate::run(args, out),
        Command::Recommend(args) => recommend::run(args, out),
        Command::Similar(args) => similar::run(args, out),
        Command::Build(args) => build::run(args, out),
        Command::Trees(args) => trees::run(args, out),
        Command::Merge(args) => trees::run_merge(args, out),
        Command::Search(args) => search::run(args, out),
        Command::Recall(args) => recall::run(args, out),
        Command::Report(args) => report::run(args, out),
        Command::Inspect(args) => inspect::run(args, out),
        Command::Verify(args) => verify::run(args, out),
        Command::ImportAnnoy(args) => import_annoy::run(args, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_do_not_contradict_each_other() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
