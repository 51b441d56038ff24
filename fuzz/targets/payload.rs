#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

/// So that memory out of proportion is a find.
#[global_allocator]
static ALLOCATOR: common::allocator::Counting = common::allocator::Counting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    common::fuzz::payload(bytes);
});
