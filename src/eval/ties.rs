//! In which order items of equal score come.
//!
//! By number would favour whoever numbered the items: in many data sets low numbers are popular, so
//! that a model which knows nothing looks good.

use crate::random::Random;

/// A random order of all items for one user, drawn from a seed: it depends on nothing else.
///
/// [`tag`](Self::tag) maps item numbers one to one, so that sorting by it is a shuffle which needs
/// no table.
#[derive(Debug, Clone, Copy)]
pub struct Ties(u32);

/// Odd, so that multiplying by it can be undone: the mixing steps of MurmurHash3's 32-bit finaliser
/// (Appleby).
const MIX: [u32; 2] = [0x85eb_ca6b, 0xc2b2_ae35];
/// Their inverses modulo 2^32.
const UNMIX: [u32; 2] = [0xa5cb_9243, 0x7ed1_b41d];

impl Ties {
    /// The order for a user, by its number.
    #[must_use]
    pub fn new(seed: u64, user: u32) -> Ties {
        Ties(Random::new(seed, u64::from(user)).word() as u32)
    }

    /// Of items of equal score, the one with the smaller tag comes first.
    #[must_use]
    pub fn tag(self, item: u32) -> u32 {
        let mut x = item ^ self.0;
        x = (x ^ (x >> 16)).wrapping_mul(MIX[0]);
        x = (x ^ (x >> 13)).wrapping_mul(MIX[1]);
        x ^ (x >> 16)
    }

    /// The item of a tag.
    #[must_use]
    pub fn item(self, tag: u32) -> u32 {
        let mut x = (tag ^ (tag >> 16)).wrapping_mul(UNMIX[1]);
        x = (x ^ (x >> 13) ^ (x >> 26)).wrapping_mul(UNMIX[0]);
        x ^ (x >> 16) ^ self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_leads_back_to_its_item() {
        let mut r = Random::new(1, 1);
        for user in 0..50 {
            let ties = Ties::new(7, user);
            for item in (0..20).chain((0..200).map(|_| r.word() as u32)).chain([u32::MAX]) {
                assert_eq!(ties.item(ties.tag(item)), item);
            }
        }
    }

    #[test]
    fn every_item_is_equally_often_at_every_place() {
        const ITEMS: usize = 8;
        const USERS: u32 = 16_000;
        let mut counts = [[0u32; ITEMS]; ITEMS];
        for user in 0..USERS {
            let ties = Ties::new(3, user);
            let mut order: Vec<u32> = (0..ITEMS as u32).collect();
            order.sort_by_key(|&item| ties.tag(item));
            order.iter().zip(&mut counts).for_each(|(&item, place)| place[item as usize] += 1);
        }
        // 2000 each, with a standard deviation of 42.
        let spread = counts.as_flattened().iter().map(|&n| n.abs_diff(2000)).max();
        assert!(spread < Some(200), "{counts:?}");
    }
}
