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
mod history;
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
mod terminal;
mod train;
mod trees;
mod tune;
mod verify;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};

use clap::{Parser, Subcommand};

use crate::error::{is_steering, printable};
use crate::memory;
use failure::Failure;
use terminal::{ForPeople, notes};

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
    let args: Vec<OsString> = args.into_iter().collect();
    let command = match Cli::try_parse_from(&args) {
        Ok(cli) => cli.command,
        Err(usage) => {
            print_usage(&usage, &args);
            return usage.exit_code() as u8;
        }
    };
    let mut stdout = BufWriter::new(io::stdout());
    let done = memory::attempt(|| match command.is_json() {
        true => run_to_the_end(&command, itself, &mut stdout),
        false => run_to_the_end(&command, itself, &mut ForPeople::new(&mut stdout)),
    });
    // What a failure left in the buffer was not meant to be printed, and a closed pipe would
    // refuse it once more.
    let _ = stdout.into_parts();
    match done {
        Ok(()) | Err(Failure::ClosedPipe) => 0,
        Err(Failure::Message(message)) => {
            let _ = writeln!(notes(), "error: {}", printable(&message));
            1
        }
    }
}

fn run_to_the_end(
    command: &Command,
    itself: &[OsString],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    run(command, itself, out)?;
    Ok(out.flush()?)
}

/// The longest argument that is repeated as it is.
const LONG_ARGUMENT: usize = 1_000;

/// Prints what is wrong with the arguments, or the help. Arguments are repeated in it, and may be
/// names of files. Nobody is left to be told where this cannot be printed.
fn print_usage(usage: &clap::Error, args: &[OsString]) {
    let is_plain =
        |arg: &OsString| arg.len() <= LONG_ARGUMENT && !arg.to_string_lossy().contains(is_steering);
    if args.iter().all(is_plain) {
        let _ = usage.print();
        return;
    }
    let lines: Vec<String> = usage.render().to_string().lines().map(printable).collect();
    let text = lines.join("\n");
    let _ = match usage.use_stderr() {
        true => writeln!(notes(), "{text}"),
        false => writeln!(ForPeople::new(io::stdout()), "{text}"),
    };
}

impl Command {
    /// Whether the results are for programs, which get names as they are.
    fn is_json(&self) -> bool {
        match self {
            Command::Demo(_) => false,
            Command::Train(args) => args.json,
            Command::Tune(args) => args.json,
            Command::Evaluate(args) => args.json,
            Command::Recommend(args) => args.json,
            Command::Similar(args) => args.json,
            Command::Build(args) => args.json,
            Command::Trees(args) => args.into.json,
            Command::Merge(args) => args.into.json,
            Command::Search(args) => args.json,
            Command::Recall(args) => args.json,
            Command::Report(args) => args.json,
            Command::Inspect(args) => args.json,
            Command::Verify(args) => args.json,
            Command::ImportAnnoy(args) => args.json,
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
