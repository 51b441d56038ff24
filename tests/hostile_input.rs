//! Whatever bytes a reader is fed, it answers or refuses: no panic, and no allocation out of
//! proportion to the input.
#![cfg(feature = "tables")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use nearwood::index::IdRef;
use nearwood::io::{
    Format, IdKind, RankingWriter, ReadOptions, fvecs, npy, read_ids, read_interactions,
    read_names, read_vectors,
};
use proptest::prelude::*;
