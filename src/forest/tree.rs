//! A tree as a search reads it: slices of the mapped file.

use super::product::ProductCodes;
use crate::kernel::code::{CodeRows, TILE};
use crate::kernel::product::ProductRows;

/// A tree's sections. Their lengths fit together (opening checks that); what they name is checked
/// here, where it is used, so that a damaged payload costs an answer and nothing worse.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'a> {
    /// For each group slot, its first leaf slot; and the end.
    pub group_offsets: &'a [u32],
    /// Codes of the groups' centres.
    pub groups: CodeRows<'a>,
    /// For each leaf slot, its first member slot; and the end.
    pub leaf_offsets: &'a [u32],
    /// Codes of the leaves' centres.
    pub leaves: CodeRows<'a>,
    /// The row of each member slot, `u32::MAX` for an empty one.
    pub members: &'a [u32],
    /// Codes of the members; without tiles and scales where the file has none, see
    /// [`has_codes`](Self::has_codes).
    pub codes: CodeRows<'a>,
    /// Codes of a centre.
    pub width: usize,
    /// Bytes of a member in its tile: [`member_width`](super::member_width).
    pub member_width: usize,
    /// The members in product codes, if the file has them.
    pub product: Option<ProductCodes<'a>>,
}

impl<'a> Tree<'a> {
    /// Whether all leaves stand in one group, so that ranking groups would say nothing.
    #[must_use]
    pub fn has_one_group(&self) -> bool {
        self.group_offsets.get(1).is_some_and(|&end| end as usize == self.leaves.bias.len())
    }

    /// Whether members stand in 8-bit codes. If not they stand in product codes, and are searched for
    /// one query at a time.
    #[must_use]
    pub fn has_codes(&self) -> bool {
        !self.codes.tiles.is_empty() || self.codes.bias.is_empty()
    }

    /// The first leaf slot of a group and the codes of its leaves' centres; nothing where the file
    /// names leaves that do not exist.
    #[must_use]
    pub fn group(&self, group: u32) -> Option<(usize, CodeRows<'a>)> {
        let (start, end) = span(self.group_offsets, group, self.leaves.bias.len())?;
        Some((start, slice(self.leaves, start, end, self.width)))
    }

    /// The members of a leaf and their codes; nothing where the file names members that do not
    /// exist.
    #[must_use]
    pub fn leaf(&self, leaf: u32) -> Option<(&'a [u32], CodeRows<'a>)> {
        let (start, end) = span(self.leaf_offsets, leaf, self.members.len())?;
        Some((&self.members[start..end], slice(self.codes, start, end, self.member_width)))
    }

    /// [`leaf`](Self::leaf), with the members' product codes where the file has them. The offsets are
    /// read once: another process may write to the mapped file, and all three must be as long.
    #[must_use]
    pub fn leaf_and_products(&self, leaf: u32) -> Option<Leaf<'a>> {
        let (start, end) = span(self.leaf_offsets, leaf, self.members.len())?;
        Some(Leaf {
            members: &self.members[start..end],
            codes: slice(self.codes, start, end, self.member_width),
            products: self.product.map(|product| product.slice(start, end, self.codes.bias)),
        })
    }

    /// The number of members of each leaf. Linear in the number of member slots, whatever the offsets
    /// say: a leaf that begins before the end of an earlier one counts as empty.
    pub fn leaf_lens(&self) -> impl Iterator<Item = usize> {
        let leaves = 0..self.leaves.bias.len() as u32;
        leaves.scan(0, |end, leaf| {
            let own = span(self.leaf_offsets, leaf, self.members.len());
            let Some((start, next)) = own.filter(|own| own.0 >= *end) else { return Some(0) };
            *end = next;
            Some(slice(self.codes, start, next, self.member_width).n_filled())
        })
    }

    /// How many leaves have members.
    #[must_use]
    pub fn n_leaves(&self) -> usize {
        self.leaf_offsets.windows(2).filter(|w| w[0] < w[1]).count()
    }
}

/// The members of a leaf, in each code that the file has.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'a> {
    /// The row of each slot.
    pub members: &'a [u32],
    /// As [`Tree::codes`].
    pub codes: CodeRows<'a>,
    /// Product codes.
    pub products: Option<ProductRows<'a>>,
}

fn span(offsets: &[u32], at: u32, len: usize) -> Option<(usize, usize)> {
    let start = *offsets.get(at as usize)? as usize;
    let end = *offsets.get(at as usize + 1)? as usize;
    let whole = start.is_multiple_of(TILE) && end.is_multiple_of(TILE);
    (whole && start <= end && end <= len).then_some((start, end))
}

/// Slots `start` to `end - 1`, whole tiles.
pub(super) fn slice(rows: CodeRows<'_>, start: usize, end: usize, width: usize) -> CodeRows<'_> {
    let bias = &rows.bias[start..end];
    if rows.tiles.is_empty() {
        return CodeRows { bias, ..rows };
    }
    CodeRows {
        tiles: &rows.tiles[start * width..end * width],
        bias,
        scale: &rows.scale[start..end],
    }
}
