//! The `nearwood` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let itself = std::env::current_exe().map_or_else(|_| "nearwood".into(), Into::into);
    ExitCode::from(nearwood::cli::main(std::env::args_os(), &[itself]))
}
