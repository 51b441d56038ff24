//! Whatever call to the system fails while a file is written: the old file or the new one stands there,
//! whole, and the error says which.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::Path;
use std::rc::Rc;

use super::npy;
use crate::index::{Builder, Ids, Index, TreeOptions, Vectors};
use crate::metric::Metric;
use crate::store::system::Call;
use crate::store::system::faults::during;

const N: usize = 40;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EMFILE: i32 = 24;

fn values() -> Vec<f32> {
    (0..N * 3).map(|i| ((i * 37) % 101) as f32 / 7.0).collect()
}

fn build(first_tree: usize) -> Builder {
    let builder = Index::builder(Metric::Euclidean).leaf_size(8).first_tree(first_tree);
    builder.ids(Ids::Int((0..N as i64).map(|i| 3 * i).collect())).threads(Some(1))
}

fn made(first_tree: usize) -> Index {
    build(first_tree).build(Vectors::new(&values(), 3).unwrap()).unwrap()
}

type Write<'a> = &'a dyn Fn(&Path) -> Result<(), String>;

/// Runs `write` with its `nth` call failing. Returns what it came to, and the call that failed.
fn failing(
    write: Write<'_>,
    path: &Path,
    nth: usize,
    number: i32,
) -> (Result<(), String>, Option<Call>) {
    let (seen, failed) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(None)));
    let (count, note) = (seen.clone(), failed.clone());
    let hook = move |call: Call| {
        count.set(count.get() + 1);
        (count.get() == nth + 1).then(|| {
            note.set(Some(call));
            io::Error::from_raw_os_error(number)
        })
    };
    let done = during(hook, || write(path));
    (done, failed.get())
}

fn hold(name: &str, write: Write<'_>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.nw");
    write(&path).unwrap();
    let new = fs::read(&path).unwrap();
    let mut calls = Vec::new();
    for number in [EIO, ENOSPC, EMFILE] {
        for old in [None, Some(&b"old"[..])] {
            for nth in 0.. {
                let _ = fs::remove_file(&path);
                old.into_iter().for_each(|old| fs::write(&path, old).unwrap());
                let (done, failed) = failing(write, &path, nth, number);
                let Some(call) = failed else {
                    assert_eq!(done, Ok(()), "{name}");
                    break;
                };
                calls.push(call);
                let what = format!("{name}, error {number} of call {nth} ({call:?}): {done:?}");
                let is_new =
                    done.as_ref().map_or_else(|e| e.contains("is in its place"), |()| true);
                let expected = if is_new { Some(&new[..]) } else { old };
                assert!(fs::read(&path).ok().as_deref() == expected, "{what}");
                let left = fs::read_dir(dir.path()).unwrap().count();
                let own = usize::from(expected.is_some());
                assert!(left == own || call == Call::Remove, "{what}: {left} files left");
            }
        }
    }
    // A test that no call comes by holds nothing. A file that is composed in place is created on a thread
    // of the build, whose calls a hook does not see: `store` tests those.
    let least = match cfg!(target_os = "linux") {
        true => &[Call::Sync, Call::Link, Call::Rename, Call::SyncFolder][..],
        false => &[Call::Sync, Call::Rename][..],
    };
    for call in least {
        assert!(calls.contains(call), "{name} makes no {call:?}: {calls:?}");
    }
}

#[test]
fn a_save_leaves_the_old_file_or_the_new_one_whichever_call_fails() {
    let index = made(0);
    hold("save", &|path| index.save(path).map_err(|e| e.to_string()));
}

#[test]
fn a_build_leaves_the_old_file_or_the_new_one_whichever_call_fails() {
    let values = values();
    hold("build", &|path| {
        let vectors = Vectors::new(&values, 3).map_err(|e| e.to_string())?;
        build(0).build_to(path, vectors).map(drop).map_err(|e| e.to_string())
    });
}

fn to(path: &Path) -> TreeOptions<'_> {
    TreeOptions { path: Some(path), n_threads: Some(1), ..TreeOptions::default() }
}

#[test]
fn trees_leave_the_old_file_or_the_new_one_whichever_call_fails() {
    let (one, other) = (made(0), made(1));
    let both = Index::merge(&[&one, &other], TreeOptions::default()).unwrap();
    hold("append", &|path| one.append_trees(1, to(path)).map(drop).map_err(|e| e.to_string()));
    hold("drop", &|path| both.drop_trees(&[0], to(path)).map(drop).map_err(|e| e.to_string()));
    hold("merge", &|path| {
        Index::merge(&[&one, &other], to(path)).map(drop).map_err(|e| e.to_string())
    });
}

#[test]
fn an_array_leaves_the_old_file_or_the_new_one_whichever_call_fails() {
    let values = values();
    hold("npy", &|path| npy::write(path, &values, 3).map_err(|e| e.to_string()));
}
