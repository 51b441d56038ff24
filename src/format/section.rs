//! The table of sections, read and checked.

use std::collections::HashMap;
use std::ops::Range;

use super::header::{HEADER_SIZE, Header, VERSION, array, u32_at, u64_at};
use crate::error::OpenError;
use crate::progress;

/// Every section starts at a multiple of this many bytes: a cache line.
pub const ALIGNMENT: usize = 64;
/// Bytes of one entry of the table.
pub const ENTRY_SIZE: usize = 40;

/// What the values of a section are. All are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Bytes.
    U8,
    /// 32-bit unsigned integers.
    U32,
    /// 64-bit unsigned integers.
    U64,
    /// 64-bit signed integers.
    I64,
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// 8-bit signed integers.
    I8,
}

impl Element {
    const ALL: [Element; 7] = [
        Element::U8,
        Element::U32,
        Element::U64,
        Element::I64,
        Element::F32,
        Element::F16,
        Element::I8,
    ];

    /// Bytes of one value.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Element::U8 | Element::I8 => 1,
            Element::F16 => 2,
            Element::U32 | Element::F32 => 4,
            Element::U64 | Element::I64 => 8,
        }
    }

    fn code(self) -> u32 {
        Element::ALL.iter().position(|&e| e == self).unwrap_or(0) as u32
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal, $element:ident;)*) => {
        /// What a section holds. `docs/format.md` has the shapes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// Every kind of this version.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// The kind's number in the table.
            #[must_use]
            pub fn code(self) -> u32 {
                match self { $(Kind::$name => $code,)* }
            }

            /// The kind's name for people.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Kind::$name => $text,)* }
            }

            /// What its values are.
            #[must_use]
            pub fn element(self) -> Element {
                match self { $(Kind::$name => Element::$element,)* }
            }
        }
    };
}

kinds! {
    /// JSON: parameters, seed, library version.
    Metadata = 1, "metadata", U8;
    /// The vectors, row after row.
    Vectors = 2, "vectors", F32;
    /// 1 / |x| a row, 0 for a zero vector.
    InverseNorms = 3, "inverse norms", F32;
    /// The mean that codes are taken from.
    Mean = 4, "mean", F32;
    /// The position in the caller's order of each row.
    Positions = 5, "positions", U32;
    /// The row of each position.
    Rows = 6, "rows", U32;
    /// The first leaf of each group, and the end.
    GroupOffsets = 10, "group offsets", U32;
    /// Codes of the groups' centres.
    GroupTiles = 11, "group tiles", U8;
    /// Constants of the groups' centres.
    GroupBias = 12, "group bias", F32;
    /// Factors of the groups' centres.
    GroupScale = 13, "group scale", F32;
    /// The first member of each leaf, and the end.
    LeafOffsets = 14, "leaf offsets", U32;
    /// Codes of the leaves' centres.
    LeafTiles = 15, "leaf tiles", U8;
    /// Constants of the leaves' centres.
    LeafBias = 16, "leaf bias", F32;
    /// Factors of the leaves' centres.
    LeafScale = 17, "leaf scale", F32;
    /// The row of each member.
    Members = 18, "members", U32;
    /// Codes of the members.
    MemberTiles = 19, "member tiles", U8;
    /// Constants of the members.
    MemberBias = 20, "member bias", F32;
    /// Factors of the members.
    MemberScale = 21, "member scale", F32;
    /// Codebooks of the members' product codes.
    ProductBooks = 22, "product books", F32;
    /// Members in product codes.
    ProductTiles = 23, "product tiles", U8;
    /// The measured recall of each budget.
    Calibration = 30, "calibration", F32;
    /// How far the neighbours of the queries are that the recall was measured with.
    Distances = 31, "distances", F32;
    /// Integer ids by position.
    IntIds = 40, "integer ids", I64;
    /// Ends of string ids.
    TextIdOffsets = 41, "string id offsets", U64;
    /// Bytes of string ids.
    TextIdBytes = 42, "string id bytes", U8;
    /// From id to position.
    IdTable = 43, "id table", U32;
    /// Ends of labels.
    LabelOffsets = 50, "label offsets", U64;
    /// Bytes of labels.
    LabelBytes = 51, "label bytes", U8;
    /// From label to position.
    LabelTable = 52, "label table", U32;
    /// Factors of the users.
    UserFactors = 60, "user factors", F32;
    /// The first seen item of each user, and the end.
    SeenOffsets = 61, "seen offsets", U64;
    /// Positions of seen items.
    SeenItems = 62, "seen items", U32;
    /// BM25's factor of each item, by position.
    ItemWeights = 63, "item weights", F32;
    /// The vectors as packed bits, row after row.
    BitVectors = 70, "bit vectors", U8;
    /// What a unit of a member's byte is worth, for L1.
    CodeScale = 71, "code scale", F32;
    /// The vectors in half precision, row after row.
    HalfVectors = 72, "half vectors", F16;
    /// The vectors in 8-bit codes, row after row.
    ByteVectors = 73, "byte vectors", I8;
    /// A factor of the codes of each row.
    ByteScales = 74, "byte scales", F32;
    /// What the codes are added to.
    ByteOffset = 75, "byte offset", F32;
    /// What a unit of a graph's byte is worth.
    GraphScale = 80, "graph scale", F32;
    /// The rows in bytes of one scale, row after row.
    GraphCodes = 81, "graph codes", U8;
    /// The neighbours of each row.
    GraphLists = 82, "graph lists", U32;
    /// The measured recall of each reach, in files of format 1.0.
    GraphReach = 83, "graph reach", F32;
    /// The measured recall of walks of each kind.
    GraphSlack = 84, "graph slack", F32;
    /// The centre of each dimension of a graph's rows in halves, and the step.
    GraphSteps = 85, "graph steps", F32;
    /// The high halves of the codes of all rows, then the low ones.
    GraphHalves = 86, "graph halves", U8;
    /// The neighbours of each row, beside codes in halves.
    GraphLinks = 87, "graph links", U32;
    /// Factors of the users in half precision.
    HalfUserFactors = 90, "half user factors", F16;
    /// The weight of each seen item.
    SeenWeights = 91, "seen weights", F32;
}

impl Kind {
    /// A reader of an earlier minor version searches without what came after it.
    fn flags(self) -> u32 {
        let is_later = matches!(
            self,
            Kind::GraphSlack
                | Kind::GraphSteps
                | Kind::GraphHalves
                | Kind::GraphLinks
                | Kind::Distances
        );
        if is_later { 0 } else { REQUIRED }
    }

    fn from_code(code: u32) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|k| k.code() == code)
    }
}

/// Which section: a kind, in a space (0 the main index, 1 the same vectors by cosine, 2 the users),
/// of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// What it holds.
    pub kind: Kind,
    /// Whose it is.
    pub space: u16,
    /// The tree's number; 0 for what is no tree's.
    pub tree: u16,
}

impl Key {
    /// The section of `kind` in `space` that is no tree's.
    #[must_use]
    pub fn new(kind: Kind, space: u16) -> Key {
        Key { kind, space, tree: 0 }
    }
}

/// One known section.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Which one.
    pub key: Key,
    /// Its bytes in the file; aligned, whole elements, inside the file.
    pub range: Range<usize>,
    /// CRC-32 (IEEE) of its bytes.
    pub crc: u32,
}

impl Entry {
    pub(super) fn write(&self, out: &mut [u8]) {
        out[..4].copy_from_slice(&self.key.kind.code().to_le_bytes());
        out[4..6].copy_from_slice(&self.key.space.to_le_bytes());
        out[6..8].copy_from_slice(&self.key.tree.to_le_bytes());
        out[8..12].copy_from_slice(&self.key.kind.flags().to_le_bytes());
        out[12..16].copy_from_slice(&self.key.kind.element().code().to_le_bytes());
        out[16..24].copy_from_slice(&(self.range.start as u64).to_le_bytes());
        out[24..32].copy_from_slice(&(self.range.len() as u64).to_le_bytes());
        out[32..36].copy_from_slice(&self.crc.to_le_bytes());
        out[36..40].fill(0);
    }
}

const REQUIRED: u32 = 1;

/// What is in a file and where, checked as far as opening promises: O(1) a section, no payload is
/// read.
#[derive(Debug, Clone)]
pub struct Directory {
    /// The header's fields.
    pub header: Header,
    /// The format version the file was written in.
    pub version: (u16, u16),
    sections: Vec<Entry>,
    /// Where in `sections` each key stands: a hostile table may have millions of entries.
    places: HashMap<Key, usize>,
    /// The sections that were skipped: their bytes and checksums.
    unknown: Vec<(Range<usize>, u32)>,
    /// The bytes of all sections, known or not, ascending: what lies between them is padding.
    used: Vec<Range<usize>>,
}

impl Directory {
    /// Reads and checks header and table.
    ///
    /// # Errors
    /// If anything about them is wrong; the message says what and what to do.
    pub fn parse(bytes: &[u8]) -> Result<Directory, OpenError> {
        let placed = Header::read(bytes)?;
        let table = table_range(placed.table_offset, placed.sections, bytes.len())?;
        check_crc(&bytes[table.clone()], placed.table_crc, || "the table of sections".into())?;
        let mut used = vec![0..HEADER_SIZE, table.clone()];
        let mut directory = Directory::of(placed.header, Vec::new());
        directory.version = placed.version;
        for entry in bytes[table].chunks_exact(ENTRY_SIZE) {
            let end = used.last().map_or(0, |r| r.end);
            let range = section_range(entry, end, bytes.len())?;
            used.push(range.clone());
            directory.add(known(entry, &range)?, range, u32_at(entry, 32))?;
        }
        directory.used = used;
        Ok(directory)
    }

    pub(super) fn of(header: Header, sections: Vec<Entry>) -> Directory {
        let places = sections.iter().enumerate().map(|(at, entry)| (entry.key, at)).collect();
        let (unknown, used) = (Vec::new(), Vec::new());
        Directory { header, version: VERSION, sections, places, unknown, used }
    }

    fn add(&mut self, key: Option<Key>, range: Range<usize>, crc: u32) -> Result<(), OpenError> {
        let Some(key) = key else {
            self.unknown.push((range, crc));
            return Ok(());
        };
        if self.places.insert(key, self.sections.len()).is_some() {
            return Err(invalid("a section", &format!("{key:?} twice"), "each at most once"));
        }
        self.sections.push(Entry { key, range, crc });
        Ok(())
    }

    /// The known sections in file order.
    #[must_use]
    pub fn sections(&self) -> &[Entry] {
        &self.sections
    }

    /// The bytes of a section, if it is there.
    #[must_use]
    pub fn range(&self, key: Key) -> Option<Range<usize>> {
        self.places.get(&key).map(|&at| self.sections[at].range.clone())
    }

    /// The bytes of a section that must have `len` elements.
    ///
    /// # Errors
    /// If it is missing or has another length.
    pub fn sized(
        &self,
        key: Key,
        len: usize,
        purpose: &'static str,
    ) -> Result<Range<usize>, OpenError> {
        let section = key.kind.name();
        let range = self.range(key).ok_or(OpenError::MissingSection { section, purpose })?;
        let got = range.len() / key.kind.element().size();
        match got == len {
            true => Ok(range),
            false => Err(invalid(
                &format!("the length of section {section}"),
                &got.to_string(),
                &len.to_string(),
            )),
        }
    }

    /// Recomputes every checksum and looks at the padding. Reads the whole file.
    ///
    /// # Errors
    /// At the first part that differs.
    pub fn verify(&self, bytes: &[u8]) -> Result<(), OpenError> {
        for section in &self.sections {
            let what = || format!("section {}", section.key.kind.name());
            check_crc(&bytes[section.range.clone()], section.crc, what)?;
        }
        for (range, crc) in &self.unknown {
            let what = || format!("the unknown section at byte {}", range.start);
            check_crc(&bytes[range.clone()], *crc, what)?;
        }
        let starts = self.used.iter().skip(1).map(|r| r.start).chain([bytes.len()]);
        for (end, start) in self.used.iter().map(|r| r.end).zip(starts) {
            if bytes[end..start].iter().any(|&b| b != 0) {
                return Err(invalid(&format!("the padding from byte {end}"), "not zero", "zeros"));
            }
        }
        Ok(())
    }
}

/// The CRC-32 of some bytes, which may be very many.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in bytes.chunks(1 << 22) {
        progress::check();
        hasher.update(part);
    }
    hasher.finalize()
}

fn check_crc(bytes: &[u8], expected: u32, what: impl Fn() -> String) -> Result<(), OpenError> {
    match checksum(bytes) {
        got if got == expected => Ok(()),
        got => Err(OpenError::Checksum { what: what(), got, expected }),
    }
}

fn table_range(offset: u64, sections: u32, file: usize) -> Result<Range<usize>, OpenError> {
    let length = u64::from(sections) * ENTRY_SIZE as u64;
    match offset.checked_add(length) {
        Some(end) if offset >= HEADER_SIZE as u64 && end <= file as u64 => {
            Ok(offset as usize..end as usize)
        }
        _ => Err(invalid(
            "the table of sections",
            &format!("{length} bytes at {offset}"),
            &format!("a place after the header and within the file's {file} bytes"),
        )),
    }
}

fn section_range(entry: &[u8], after: usize, file: usize) -> Result<Range<usize>, OpenError> {
    let (offset, length) = (u64_at(entry, 16), u64_at(entry, 24));
    match offset.checked_add(length) {
        Some(end)
            if offset % ALIGNMENT as u64 == 0 && offset >= after as u64 && end <= file as u64 =>
        {
            Ok(offset as usize..end as usize)
        }
        _ => Err(invalid(
            &format!("section kind {}", u32_at(entry, 0)),
            &format!("{length} bytes at {offset}"),
            &format!("a multiple of {ALIGNMENT}, from {after} on and within {file} bytes"),
        )),
    }
}

/// The key of a section that this version knows; `None` for one that may be skipped.
fn known(entry: &[u8], range: &Range<usize>) -> Result<Option<Key>, OpenError> {
    let code = u32_at(entry, 0);
    let Some(kind) = Kind::from_code(code) else {
        let required = u32_at(entry, 8) & REQUIRED != 0;
        return if required { Err(OpenError::UnknownSection { kind: code }) } else { Ok(None) };
    };
    let element = u32_at(entry, 12);
    if element != kind.element().code() || !range.len().is_multiple_of(kind.element().size()) {
        return Err(invalid(
            &format!("section {}", kind.name()),
            &format!("{} bytes of element type {element}", range.len()),
            &format!("whole elements of type {}", kind.element().code()),
        ));
    }
    let space = u16::from_le_bytes(array(entry, 4));
    Ok(Some(Key { kind, space, tree: u16::from_le_bytes(array(entry, 6)) }))
}

fn invalid(what: &str, got: &str, expected: &str) -> OpenError {
    OpenError::Invalid { what: what.into(), got: got.into(), expected: expected.into() }
}
