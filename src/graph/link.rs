//! Lists of nearest rows made into a graph that can be walked.

use rayon::prelude::*;

use super::NONE;
use crate::kernel::scattered::{self, ByteRows, Measure};
use crate::progress::Work;
use crate::threads;

/// Rows whose lists are made by one task.
const BLOCK: usize = 1024;

/// Rows that another is compared with at once, as the kernel takes them.
const TOGETHER: usize = 4;

/// What links are made of.
#[derive(Debug, Clone, Copy)]
pub struct Links<'a> {
    /// The rows in bytes.
    pub rows: ByteRows<'a>,
    /// How near two of them are; not by products, whose differences say nothing.
    pub measure: Measure,
    /// Places in a list.
    pub degree: usize,
    /// A row is left out of a list if it is this many times nearer to one already there than to the
    /// list's own row.
    pub slack: f32,
}

/// Makes the graph of lists of nearest rows, the nearest first. For each row the nearest are gathered of
/// its list and of the first `near` of the lists of the first `near` rows on it (Dong et al. 2011,
/// NN-descent, one step); as many as there are places are then thinned to rows in different directions
/// (of twice or three times as many, walks compare 3 to 5 per cent more rows for the same recall),
/// completed by the rows on whose thinned lists this one is, and thinned again where they are too many.
///
/// `lists` has `degree` places a row, is left holding the graph, and `spare`, as long, is only memory.
/// Counts four units of work a row; once that is stopped, what is left is of no use.
///
/// # Panics
/// If a list names a row that does not exist.
pub fn link(links: Links<'_>, lists: &mut [u32], near: usize, spare: &mut [u32], work: &Work<'_>) {
    let degree = links.degree;
    let blocks = spare.par_chunks_mut(BLOCK * degree).enumerate();
    threads::for_each_init(blocks, Thinner::default, |thinner, (block, out)| {
        if work.is_stopped() {
            return;
        }
        work.advance(2 * (out.len() / degree) as u64);
        for (at, out) in out.chunks_exact_mut(degree).enumerate() {
            let row = (block * BLOCK + at) as u32;
            let own = filled(lists, degree, row);
            let theirs =
                own.iter().take(near).flat_map(|&id| filled(lists, degree, id).iter().take(near));
            thinner.take(links, row, own.iter().chain(theirs).copied(), degree);
            thinner.thin(links, false);
            thinner.write(out);
        }
    });
    if work.is_stopped() {
        return;
    }
    lists.copy_from_slice(spare);
    let ends = reverse(lists, degree, spare);
    let blocks = lists.par_chunks_mut(BLOCK * degree).enumerate();
    threads::for_each_init(blocks, Thinner::default, |thinner, (block, lists)| {
        if work.is_stopped() {
            return;
        }
        work.advance(2 * (lists.len() / degree) as u64);
        for (at, list) in lists.chunks_exact_mut(degree).enumerate() {
            let row = block * BLOCK + at;
            let start = if row == 0 { 0 } else { ends[row - 1] } as usize;
            let back = &spare[start..ends[row] as usize];
            thinner.take(links, row as u32, list.iter().chain(back).copied(), usize::MAX);
            if thinner.found.len() > degree {
                thinner.thin(links, true);
            } else {
                thinner.kept.clone_from(&thinner.found);
            }
            thinner.write(list);
        }
    });
}

/// For each row, side by side, the rows whose lists it is on, ascending; where each ends. `out` is as
/// long as the lists.
fn reverse(lists: &[u32], degree: usize, out: &mut [u32]) -> Vec<u64> {
    let n = lists.len() / degree;
    let mut ends = vec![0u64; n];
    for &id in lists.iter().filter(|&&id| id != NONE) {
        ends[id as usize] += 1;
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += std::mem::replace(end, sum);
    }
    for row in 0..n as u32 {
        for &id in filled(lists, degree, row) {
            let end = &mut ends[id as usize];
            out[*end as usize] = row;
            *end += 1;
        }
    }
    ends
}

/// The rows on a list.
fn filled(lists: &[u32], degree: usize, row: u32) -> &[u32] {
    let list = &lists[row as usize * degree..][..degree];
    &list[..list.iter().position(|&id| id == NONE).unwrap_or(degree)]
}

/// A row and its distance: the bits of this, which ascend with it since none is negative, above the
/// row's number. One number is sorted in half the time of two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found(u64);

impl Found {
    fn new(key: f32, id: u32) -> Found {
        Found(u64::from(key.to_bits()) << 32 | u64::from(id))
    }

    fn key(self) -> f32 {
        f32::from_bits((self.0 >> 32) as u32)
    }

    fn id(self) -> u32 {
        self.0 as u32
    }
}

/// Thins one list after another.
#[derive(Default)]
struct Thinner {
    ids: Vec<u32>,
    keys: Vec<f32>,
    /// What may be listed, the nearest first.
    found: Vec<Found>,
    kept: Vec<Found>,
    others: Vec<Found>,
    kept_ids: Vec<u32>,
}

impl Thinner {
    /// Takes what may be on the list of a row, each once: the nearest `most`, sorted.
    fn take(&mut self, links: Links<'_>, row: u32, ids: impl Iterator<Item = u32>, most: usize) {
        self.ids.clear();
        self.ids.extend(ids.filter(|&id| id != NONE && id != row));
        self.ids.sort_unstable();
        self.ids.dedup();
        self.keys.resize(self.ids.len(), 0.0);
        let Links { rows, measure, .. } = links;
        scattered::distances(measure, rows.row(row), rows, &self.ids, &mut self.keys);
        self.found.clear();
        self.found.extend(self.keys.iter().zip(&self.ids).map(|(&key, &id)| Found::new(key, id)));
        if self.found.len() > most {
            self.found.select_nth_unstable(most);
            self.found.truncate(most);
        }
        self.found.sort_unstable();
    }

    /// Keeps rows in different directions; what was left out fills the list up if `fill`.
    fn thin(&mut self, links: Links<'_>, fill: bool) {
        let Links { rows, measure, degree, slack } = links;
        self.kept.clear();
        self.kept_ids.clear();
        self.others.clear();
        for &found in &self.found {
            if self.kept.len() == degree {
                break;
            }
            let (key, id) = (found.key(), found.id());
            let row = rows.row(id);
            // A row is mostly left out for one of the nearest: the others are not looked at then.
            let is_apart = self.kept_ids.chunks(TOGETHER).all(|kept| {
                let mut keys = [0.0; TOGETHER];
                let keys = &mut keys[..kept.len()];
                scattered::distances(measure, row, rows, kept, keys);
                keys.iter().all(|between| slack * between >= key)
            });
            if is_apart {
                self.kept.push(found);
                self.kept_ids.push(id);
            } else {
                self.others.push(found);
            }
        }
        if fill {
            let room = degree - self.kept.len();
            self.kept.extend(self.others.iter().take(room));
        }
    }

    fn write(&self, list: &mut [u32]) {
        list.fill(NONE);
        list.iter_mut().zip(&self.kept).for_each(|(out, kept)| *out = kept.id());
    }
}
