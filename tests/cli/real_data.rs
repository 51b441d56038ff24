//! The command on published data sets.
//!
//! They are not part of the project: `NEARWOOD_DATA` names their folder, `../shared/data` is the
//! default. Without them each test says so and passes.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::common::place::{Place, ids};

fn data(file: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("NEARWOOD_DATA").map_or_else(default, PathBuf::from);
    let path = folder.join(file);
    if path.exists() {
        return Some(fs::canonicalize(path).unwrap());
    }
    // Not eprintln!, which the test harness swallows when a test passes.
    let note = format!("NOT RUN: {file} (set NEARWOOD_DATA)\n");
    std::io::stderr().write_all(note.as_bytes()).unwrap();
    None
}

/// Each artist's listeners, read plainly from the file.
fn listeners(path: &Path) -> HashMap<i64, HashSet<u32>> {
    let mut listeners: HashMap<i64, HashSet<u32>> = HashMap::new();
    for line in fs::read_to_string(path).unwrap().lines().skip(1) {
        let mut fields = line.split('\t');
        let user = fields.next().unwrap().parse().unwrap();
        listeners.entry(fields.next().unwrap().parse().unwrap()).or_default().insert(user);
    }
    listeners
}

/// The hundred artists nearest by the cosine of who listens to them.
fn nearest(listeners: &HashMap<i64, HashSet<u32>>, artist: i64) -> HashSet<i64> {
    let own = &listeners[&artist];
    let cosine = |other: &HashSet<u32>| {
        own.intersection(other).count() as f64 / ((own.len() * other.len()) as f64).sqrt()
    };
    let others = listeners.iter().filter(|(id, _)| **id != artist);
    let mut all: Vec<(f64, i64)> = others.map(|(&id, other)| (cosine(other), id)).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all.into_iter().take(100).map(|(_, id)| id).collect()
}

#[test]
fn lastfm_similar_artists_share_listeners() {
    let files = ["lastfm/user_artists.dat", "lastfm/artists.tsv"].map(data);
    let [Some(plays), Some(names)] = files else { return };
    let place = Place::new();
    let [plays_file, names] = [&plays, &names].map(|path| path.to_str().unwrap());
    let columns = ["--user", "userID", "--item", "artistID", "--weight", "weight"];
    let words = [&["train", plays_file][..], &columns, &["--names", names, "-o", "music.nw"]];
    let report = place.words(&words.concat()).ok();
    assert!(report.starts_with("users             1,892\nitems             17,632\n"), "{report}");
    let listeners = listeners(&plays);
    let artists = ["Radiohead", "Metallica", "Lady Gaga", "Coldplay", "Johnny Cash"];
    let mut shared = Vec::new();
    for artist in artists {
        let answer = place.words(&["similar", "music.nw", artist, "-k", "10", "--json"]).json();
        let similar = ids(&answer["similar"]);
        assert_eq!((&answer["label"], similar.len()), (&artist.into(), 10));
        let near = nearest(&listeners, answer["id"].as_i64().unwrap());
        shared.push(similar.iter().filter(|id| near.contains(id)).count());
    }
    assert!(shared.iter().sum::<usize>() >= 30, "{artists:?}: {shared:?}");
    let text = place.run("recommend music.nw --user 2 -k 5").ok();
    assert_eq!(text.lines().count(), 7, "{text}");
}

#[test]
fn gowalla_from_lists() {
    let Some(train) = data("gowalla/train.txt.gz") else { return };
    let place = Place::new();
    let small = ["--format", "lists", "--factors", "8", "--iterations", "2", "-o", "g.nw"];
    let words = [&["train", train.to_str().unwrap()][..], &small].concat();
    let report = place.words(&words).ok();
    assert!(report.starts_with("users             29,858\nitems             40,981\n"), "{report}");
    assert!(report.contains("interactions      810,128\n"), "{report}");
    let answer = place.run("recommend g.nw --user 29857 -k 3 --json").json();
    assert_eq!((&answer["user"], ids(&answer["recommendations"]).len()), (&29857.into(), 3));
}
