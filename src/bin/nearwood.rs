//! The `nearwood` command.

fn main() {}
