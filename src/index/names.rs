//! Ids and labels inside a file: written with their hash tables, so that opening builds nothing.
//!
//! A table has a power of two of slots, at least twice as many as names. A name's slot is the CRC-32
//! of its bytes (an integer's are its 8 little-endian ones) and the slots after it, up to the first
//! empty one; a slot holds a position + 1, and positions of equal names ascend.

use std::hash::{BuildHasher, Hash, RandomState};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::ids::{Id, Ids};
use super::spans::SpanGuard;
use crate::error::OpenError;
use crate::format::{Directory, Image, Key, Kind, Layout};
use crate::kernel::steps;
use crate::memory;
use crate::progress;

/// Adds the sections that `ids` need.
pub(crate) fn plan_ids(layout: &mut Layout, ids: &Ids, space: u16) {
    match ids {
        Ids::Sequential(_) => return,
        Ids::Int(v) => layout.add(Key::new(Kind::IntIds, space), v.len()),
        Ids::Text(v) => plan_texts(layout, v, [Kind::TextIdOffsets, Kind::TextIdBytes], space),
    }
    layout.add(Key::new(Kind::IdTable, space), table_len(ids.len()));
}

/// Writes the sections that [`plan_ids`] added.
pub(crate) fn fill_ids(image: &mut Image, ids: &Ids, space: u16) {
    let table = Key::new(Kind::IdTable, space);
    match ids {
        Ids::Sequential(_) => {}
        Ids::Int(v) => {
            image.fill(Key::new(Kind::IntIds, space), v);
            fill_table(image.section(table), v.iter().map(|i| hash(&i.to_le_bytes())));
        }
        Ids::Text(v) => {
            fill_texts(image, v, [Kind::TextIdOffsets, Kind::TextIdBytes], space);
            fill_table(image.section(table), v.iter().map(|t| hash(t.as_bytes())));
        }
    }
}

const LABELS: [Kind; 2] = [Kind::LabelOffsets, Kind::LabelBytes];

/// Adds the sections that labels need.
pub(crate) fn plan_labels(layout: &mut Layout, labels: &[String], space: u16) {
    plan_texts(layout, labels, LABELS, space);
    layout.add(Key::new(Kind::LabelTable, space), table_len(labels.len()));
}

/// Writes the sections that [`plan_labels`] added.
pub(crate) fn fill_labels(image: &mut Image, labels: &[String], space: u16) {
    fill_texts(image, labels, LABELS, space);
    let table = image.section(Key::new(Kind::LabelTable, space));
    fill_table(table, labels.iter().map(|t| hash(t.as_bytes())));
}

fn plan_texts(layout: &mut Layout, texts: &[String], [offsets, bytes]: [Kind; 2], space: u16) {
    layout.add(Key::new(offsets, space), texts.len() + 1);
    layout.add(Key::new(bytes, space), texts.iter().map(String::len).sum());
}

fn fill_texts(image: &mut Image, texts: &[String], [offsets, bytes]: [Kind; 2], space: u16) {
    let mut end = 0u64;
    let ends: &mut [u64] = image.section(Key::new(offsets, space));
    for (slot, text) in ends[1..].iter_mut().zip(texts) {
        end += text.len() as u64;
        *slot = end;
    }
    let mut out: &mut [u8] = image.section(Key::new(bytes, space));
    for text in progress::checked(texts.iter(), 1 << 14) {
        let (here, rest) = out.split_at_mut(text.len());
        here.copy_from_slice(text.as_bytes());
        out = rest;
    }
}

fn table_len(names: usize) -> usize {
    (2 * names).next_power_of_two().max(2)
}

/// Places names by the slot they hash to, then by position: as linear probing would, but in linear
/// time where thousands of rows bear one label.
fn fill_table(table: &mut [u32], hashes: impl Iterator<Item = u32>) {
    let mask = table.len() - 1;
    let home = |hash: u32| (hash as usize & mask) as u32;
    let hashes = progress::checked(hashes, 1 << 14);
    let mut names: Vec<(u32, u32)> = memory::collect(hashes.map(home).zip(0..));
    names.par_sort_unstable();
    let slots = |first: usize| {
        names.iter().scan(first, |next, &(home, position)| {
            let slot = (*next).max(home as usize);
            *next = slot + 1;
            Some((slot, position))
        })
    };
    // What does not fit before the end of the table takes the first slots, so those are not free.
    let end = slots(0).last().map_or(0, |(slot, _)| slot + 1);
    for (slot, position) in slots(end.saturating_sub(table.len())) {
        table[slot & mask] = position + 1;
    }
}

/// Whether a table names each of `n` positions once, where probing for its hash comes by.
fn is_table_of(table: &[u32], n: usize, hash: impl Fn(usize) -> u32) -> bool {
    let mask = table.len() - 1;
    let Some(empty) = table.iter().position(|&slot| slot == 0) else { return false };
    let mut seen = vec![false; n];
    // How many slots before this one are taken without a gap.
    let mut taken = 0;
    for slot in progress::checked(1..table.len(), 1 << 14).map(|step| (empty + step) & mask) {
        let Some(position) = (table[slot] as usize).checked_sub(1) else {
            taken = 0;
            continue;
        };
        let is_new = seen.get_mut(position).is_some_and(|seen| !std::mem::replace(seen, true));
        if !is_new || slot.wrapping_sub(hash(position) as usize) & mask > taken {
            return false;
        }
        taken += 1;
    }
    seen.into_iter().all(|seen| seen)
}

fn hash(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// The positions that a name may stand for, in the order of the table.
fn probe(table: &[u32], hash: u32) -> impl Iterator<Item = u32> {
    let mask = table.len().wrapping_sub(1);
    // A damaged table may have no empty slot: every slot is then tried once.
    (0..table.len())
        .inspect(|_| steps::add(1))
        .map(move |step| table[(hash as usize).wrapping_add(step) & mask])
        .take_while(|&slot| slot != 0)
        .map(|slot| slot - 1)
}

/// The most slots that a look-up probes before it asks the [`Spare`]. Where hashes are as good as random
/// a table this full has runs of about 110 slots at three thousand million names.
const MOST_PROBES: usize = 256;

/// Where a look-up in a table ended.
enum Probed {
    At(u32),
    Nowhere,
    /// After [`MOST_PROBES`] slots.
    TooFar,
}

/// The first position that a table has for a hash and that `is_it` holds of.
fn look_up(table: &[u32], hash: u32, is_it: impl Fn(u32) -> bool) -> Probed {
    for (probed, position) in probe(table, hash).enumerate() {
        if is_it(position) {
            return Probed::At(position);
        }
        if probed == MOST_PROBES {
            return Probed::TooFar;
        }
    }
    Probed::Nowhere
}

/// Positions by a hash that the file's writer cannot know, made once probing took too far: CRC-32 is
/// linear, so 2^32 integers have the same one, and looking up all of `n` such ids would be quadratic.
/// Takes 16 bytes an id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spare(Arc<OnceLock<Hashed>>);

#[derive(Debug)]
pub(crate) struct Hashed {
    state: RandomState,
    /// (hash, position), ascending; `None` where there is no memory for them.
    positions: Option<Vec<(u64, u32)>>,
}

impl Spare {
    fn get(&self) -> Option<&Hashed> {
        self.0.get()
    }

    fn make<T: Hash>(&self, n: usize, name: impl Fn(usize) -> T) -> &Hashed {
        self.0.get_or_init(|| {
            let (state, mut positions) = (RandomState::new(), Vec::new());
            if positions.try_reserve_exact(n).is_err() {
                return Hashed { state, positions: None };
            }
            positions.extend((0..n).map(|at| (state.hash_one(name(at)), at as u32)));
            positions.sort_unstable();
            Hashed { state, positions: Some(positions) }
        })
    }
}

impl Hashed {
    /// The first position that `is_it` holds of, of those with the hash of a name; `all` are the
    /// positions to try where there was no memory.
    fn find<T: Hash>(
        &self,
        name: T,
        is_it: impl Fn(u32) -> bool,
        mut all: impl Iterator<Item = u32>,
    ) -> Option<u32> {
        let Some(positions) = &self.positions else { return all.find(|&p| is_it(p)) };
        let hash = self.state.hash_one(name);
        let from = positions.partition_point(|entry| entry.0 < hash);
        let equal = positions[from..].iter().take_while(|entry| entry.0 == hash);
        equal.map(|entry| entry.1).find(|&p| is_it(p))
    }
}

/// Strings in a file.
#[derive(Debug, Clone)]
struct Texts {
    offsets: Range<usize>,
    bytes: Range<usize>,
    guard: SpanGuard,
}

impl Texts {
    fn open(
        d: &Directory,
        [offsets, bytes]: [Kind; 2],
        space: u16,
        n: usize,
    ) -> Result<Self, OpenError> {
        let offsets = d.sized(Key::new(offsets, space), n + 1, "names")?;
        let section = bytes.name();
        let bytes = d.range(Key::new(bytes, space));
        let bytes = bytes.ok_or(OpenError::MissingSection { section, purpose: "names" })?;
        let guard = SpanGuard::new(bytes.len());
        Ok(Texts { offsets, bytes, guard })
    }

    /// How many strings there are.
    fn n(&self) -> usize {
        self.offsets.len() / size_of::<u64>() - 1
    }

    /// That offsets ascend over all bytes, and every string is UTF-8.
    fn verify(&self, file: &[u8], what: &str) -> Result<(), OpenError> {
        let offsets: &[u64] = view(file, &self.offsets);
        let whole = offsets.first() == Some(&0)
            && offsets.is_sorted()
            && offsets.last() == Some(&(self.bytes.len() as u64));
        let is_text = |p| String::from_utf8(self.get(file, p).to_vec()).is_ok();
        match whole && progress::checked(0..offsets.len() - 1, 1 << 14).all(is_text) {
            true => Ok(()),
            false => Err(wrong(what, "offsets out of order or bytes that are no UTF-8")),
        }
    }

    /// The string of a position; empty where a damaged file names bytes that do not exist, or the same
    /// ones again and again.
    fn get<'a>(&self, file: &'a [u8], position: usize) -> &'a [u8] {
        let span = self.guard.span(view(file, &self.offsets), position);
        span.and_then(|span| file[self.bytes.clone()].get(span)).unwrap_or(&[])
    }

    /// [`get`](Self::get) as text. Copied first and checked then: another process may write to a mapped
    /// file between a check and a copy.
    fn text(&self, file: &[u8], position: usize) -> String {
        let bytes = self.get(file, position).to_vec();
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

fn wrong(what: &str, got: &str) -> OpenError {
    let expected = "names in order, each found through its table".into();
    OpenError::Invalid { what: what.into(), got: got.into(), expected }
}

fn table_problem(what: &str) -> OpenError {
    wrong(what, "a hash table that does not hold each of them once")
}

/// A section as values. Ranges come from an opened directory, so they are inside and aligned.
pub(crate) fn view<'a, T: bytemuck::Pod>(file: &'a [u8], range: &Range<usize>) -> &'a [T] {
    bytemuck::cast_slice(&file[range.clone()])
}

/// The ids of a file.
#[derive(Debug, Clone)]
pub(crate) enum StoredIds {
    Sequential(usize),
    Int { ids: Range<usize>, table: Range<usize>, spare: Spare },
    Text { texts: TextsAndTable, spare: Spare },
}

/// Strings and their table.
#[derive(Debug, Clone)]
pub(crate) struct TextsAndTable {
    texts: Texts,
    table: Range<usize>,
}

fn open_table(d: &Directory, kind: Kind, space: u16, n: usize) -> Result<Range<usize>, OpenError> {
    d.sized(Key::new(kind, space), table_len(n), "looking up names")
}

impl StoredIds {
    /// Finds the ids of `n` rows; without sections they are 0 to n - 1.
    pub fn open(d: &Directory, space: u16, n: usize) -> Result<StoredIds, OpenError> {
        if d.range(Key::new(Kind::IntIds, space)).is_some() {
            let ids = d.sized(Key::new(Kind::IntIds, space), n, "ids")?;
            let table = open_table(d, Kind::IdTable, space, n)?;
            return Ok(StoredIds::Int { ids, table, spare: Spare::default() });
        }
        if d.range(Key::new(Kind::TextIdOffsets, space)).is_some() {
            let texts = Texts::open(d, [Kind::TextIdOffsets, Kind::TextIdBytes], space, n)?;
            let table = open_table(d, Kind::IdTable, space, n)?;
            let texts = TextsAndTable { texts, table };
            return Ok(StoredIds::Text { texts, spare: Spare::default() });
        }
        Ok(StoredIds::Sequential(n))
    }

    pub fn is_text(&self) -> bool {
        matches!(self, StoredIds::Text { .. })
    }

    pub fn int(&self, file: &[u8], position: usize) -> Option<i64> {
        match self {
            StoredIds::Sequential(n) => (position < *n).then_some(position as i64),
            StoredIds::Int { ids, .. } => view::<i64>(file, ids).get(position).copied(),
            StoredIds::Text { .. } => None,
        }
    }

    pub fn get(&self, file: &[u8], position: usize) -> Id {
        match self {
            StoredIds::Text { texts, .. } => Id::Text(texts.get(file, position)),
            _ => Id::Int(self.int(file, position).unwrap_or(-1)),
        }
    }

    pub fn position(&self, file: &[u8], id: &Id) -> Option<u32> {
        match (self, id) {
            (StoredIds::Sequential(n), Id::Int(i)) => {
                u32::try_from(*i).ok().filter(|&p| (p as usize) < *n)
            }
            (StoredIds::Int { ids, table, spare }, Id::Int(i)) => {
                let (ids, table): (&[i64], &[u32]) = (view(file, ids), view(file, table));
                let is_it = |p: u32| ids.get(p as usize) == Some(i);
                find(table, hash(&i.to_le_bytes()), i, is_it, spare, ids.len(), |p| &ids[p])
            }
            (StoredIds::Text { texts: TextsAndTable { texts, table }, spare }, Id::Text(t)) => {
                let (t, n) = (t.as_bytes(), texts.n());
                let is_it = |p: u32| texts.get(file, p as usize) == t;
                find(view(file, table), hash(t), t, is_it, spare, n, |p| texts.get(file, p))
            }
            _ => None,
        }
    }

    /// Checks that every id is text, unique and found where it stands; `what` names them.
    pub fn verify(&self, file: &[u8], n: usize, what: &str) -> Result<(), OpenError> {
        match self {
            StoredIds::Sequential(_) => return Ok(()),
            StoredIds::Int { ids, table, .. } => {
                let ids: &[i64] = view(file, ids);
                if ids.contains(&-1) {
                    return Err(wrong(what, "-1, which marks a missing result"));
                }
                if !is_table_of(view(file, table), n, |p| hash(&ids[p].to_le_bytes())) {
                    return Err(table_problem(what));
                }
            }
            StoredIds::Text { texts, .. } => texts.verify(file, n, what)?,
        }
        // Of ids that stand twice, the first is found for both.
        let own = |p: usize| self.position(file, &self.get(file, p)) == Some(p as u32);
        if progress::checked(0..n, 1 << 14).all(own) {
            Ok(())
        } else {
            Err(wrong(what, "an id that stands twice"))
        }
    }

    /// All ids, copied out of the file.
    pub fn to_ids(&self, file: &[u8], n: usize) -> Ids {
        match self {
            StoredIds::Sequential(n) => Ids::Sequential(*n),
            StoredIds::Int { ids, .. } => Ids::Int(memory::copied(view(file, ids))),
            StoredIds::Text { .. } => {
                let ids = progress::checked(0..n, 1 << 14);
                Ids::Text(memory::collect(ids.map(|p| self.get(file, p).to_string())))
            }
        }
    }
}

/// The first position that bears a name: by the table, or by the spare once the table took too far.
fn find<T: Hash>(
    table: &[u32],
    hash: u32,
    name: T,
    is_it: impl Fn(u32) -> bool,
    spare: &Spare,
    n: usize,
    names: impl Fn(usize) -> T,
) -> Option<u32> {
    if let Some(spare) = spare.get() {
        return spare.find(name, is_it, probe(table, hash));
    }
    match look_up(table, hash, &is_it) {
        Probed::At(position) => Some(position),
        Probed::Nowhere => None,
        Probed::TooFar => spare.make(n, names).find(name, is_it, probe(table, hash)),
    }
}

impl TextsAndTable {
    /// The labels of `n` rows, if the file has any.
    pub fn open_labels(d: &Directory, space: u16, n: usize) -> Result<Option<Self>, OpenError> {
        if d.range(Key::new(LABELS[0], space)).is_none() {
            return Ok(None);
        }
        let texts = Texts::open(d, LABELS, space, n)?;
        Ok(Some(TextsAndTable { texts, table: open_table(d, Kind::LabelTable, space, n)? }))
    }

    /// Checks the strings and that the table holds each.
    pub fn verify(&self, file: &[u8], n: usize, what: &str) -> Result<(), OpenError> {
        self.texts.verify(file, what)?;
        match is_table_of(view(file, &self.table), n, |p| hash(self.texts.get(file, p))) {
            true => Ok(()),
            false => Err(table_problem(what)),
        }
    }

    pub fn get(&self, file: &[u8], position: usize) -> String {
        self.texts.text(file, position)
    }

    /// Every position that bears a name, ascending as written.
    pub fn positions<'a>(
        &'a self,
        file: &'a [u8],
        name: &'a str,
    ) -> impl Iterator<Item = u32> + 'a {
        probe(view(file, &self.table), hash(name.as_bytes()))
            .filter(move |&p| self.texts.get(file, p as usize) == name.as_bytes())
    }
}
