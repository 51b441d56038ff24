//! The container as `docs/format.md` draws it.

use std::ops::Range;

/// (name, offset, length) of each field of the header.
pub const HEADER: [(&str, usize, usize); 15] = [
    ("magic", 0, 8),
    ("major version", 8, 2),
    ("minor version", 10, 2),
    ("header size", 12, 4),
    ("file length", 16, 8),
    ("table offset", 24, 8),
    ("section count", 32, 4),
    ("content", 36, 4),
    ("rows", 40, 8),
    ("dim", 48, 4),
    ("metric", 52, 4),
    ("users", 56, 8),
    ("reserved", 64, 56),
    ("table crc", 120, 4),
    ("header crc", 124, 4),
];

/// (name, offset, length) of each field of a table entry.
pub const ENTRY: [(&str, usize, usize); 9] = [
    ("kind", 0, 4),
    ("space", 4, 2),
    ("tree", 6, 2),
    ("flags", 8, 4),
    ("element", 12, 4),
    ("offset", 16, 8),
    ("length", 24, 8),
    ("crc", 32, 4),
    ("reserved", 36, 4),
];

pub const HEADER_SIZE: usize = 128;
pub const ENTRY_SIZE: usize = 40;

/// Where a field of the header is.
pub fn header_field(name: &str) -> Range<usize> {
    let &(_, at, len) = HEADER.iter().find(|f| f.0 == name).expect(name);
    at..at + len
}

/// Where a field of entry `number` is.
pub fn entry_field(number: usize, name: &str) -> Range<usize> {
    let &(_, at, len) = ENTRY.iter().find(|f| f.0 == name).expect(name);
    let start = HEADER_SIZE + number * ENTRY_SIZE + at;
    start..start + len
}

/// The little-endian number in a field.
pub fn get(bytes: &[u8], field: Range<usize>) -> u64 {
    bytes[field].iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// Writes a little-endian number into a field, cut to its length.
pub fn put(bytes: &mut [u8], field: Range<usize>, value: u64) {
    for (byte, shift) in bytes[field].iter_mut().zip((0..64).step_by(8)) {
        *byte = (value >> shift) as u8;
    }
}

pub fn n_sections(bytes: &[u8]) -> usize {
    get(bytes, header_field("section count")) as usize
}

/// One entry of the table of an undamaged file.
#[derive(Debug, Clone)]
pub struct Section {
    pub number: usize,
    pub kind: u32,
    pub space: u16,
    pub tree: u16,
    pub bytes: Range<usize>,
}

pub fn sections(bytes: &[u8]) -> Vec<Section> {
    let section = |number| {
        let field = |name| get(bytes, entry_field(number, name));
        let start = field("offset") as usize;
        Section {
            number,
            kind: field("kind") as u32,
            space: field("space") as u16,
            tree: field("tree") as u16,
            bytes: start..start + field("length") as usize,
        }
    };
    (0..n_sections(bytes)).map(section).collect()
}

/// Makes the checksums of header and table right again.
pub fn reseal(bytes: &mut [u8]) {
    let end = (HEADER_SIZE + ENTRY_SIZE * n_sections(bytes)).min(bytes.len());
    let crc = crc32fast::hash(&bytes[HEADER_SIZE..end]);
    put(bytes, header_field("table crc"), crc.into());
    let crc = crc32fast::hash(&bytes[..124]);
    put(bytes, header_field("header crc"), crc.into());
}

/// Makes the checksum of one section right again, and then those of header and table.
pub fn reseal_section(bytes: &mut [u8], section: &Section) {
    let crc = crc32fast::hash(&bytes[section.bytes.clone()]);
    put(bytes, entry_field(section.number, "crc"), crc.into());
    reseal(bytes);
}
