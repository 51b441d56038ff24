//! The `nearwood` command.

use std::process::ExitCode;

use nearwood::kernel::Reserved;

#[global_allocator]
static ALLOCATOR: Reserved = Reserved;

fn main() -> ExitCode {
    nearwood::memory::keep_reserve();
    let itself = std::env::current_exe().map_or_else(|_| "nearwood".into(), Into::into);
    ExitCode::from(nearwood::cli::main(std::env::args_os(), &[itself]))
}
