//! The measures, and what one user adds to each.

use std::fmt;
use std::str::FromStr;

use crate::error::QueryError;

/// A measure of ranked lists, each cut after k items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Hits over the user's test items, as in the tables of LightGCN.
    Recall,
    /// Hits over the smaller of k and the user's test items, as in the tables of the variational
    /// autoencoders (Liang et al. 2018): a perfect list has 1.
    CappedRecall,
    /// Hits over k, however long the list is.
    Precision,
    /// Discounted gain of hits, 1 / log2(place + 1) each, over that of a list whose first items are
    /// all hits (as many as fit: the smaller of k and the user's test items).
    Ndcg,
    /// The precision at the place of each hit, summed, over the smaller of k and the user's test
    /// items.
    Map,
    /// One over the place of the first hit; 0 without any.
    Mrr,
    /// 1 with a hit, 0 without.
    HitRate,
    /// The share of the catalogue that is recommended to somebody.
    Coverage,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Measure; 8] = [
        Measure::Recall,
        Measure::CappedRecall,
        Measure::Precision,
        Measure::Ndcg,
        Measure::Map,
        Measure::Mrr,
        Measure::HitRate,
        Measure::Coverage,
    ];
    /// How many of them are means over users; they come first.
    pub(super) const PER_USER: usize = 7;

    /// The name that users type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Measure::Recall => "recall",
            Measure::CappedRecall => "capped_recall",
            Measure::Precision => "precision",
            Measure::Ndcg => "ndcg",
            Measure::Map => "map",
            Measure::Mrr => "mrr",
            Measure::HitRate => "hit_rate",
            Measure::Coverage => "coverage",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A measure and where lists are cut, written `ndcg@20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// What is measured.
    pub measure: Measure,
    /// Of how many items, at least 1.
    pub k: usize,
}

impl Default for Target {
    /// `ndcg@20`.
    fn default() -> Target {
        Target { measure: Measure::Ndcg, k: 20 }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.measure, self.k)
    }
}

impl FromStr for Target {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Target, QueryError> {
        let parsed = text.split_once('@').and_then(|(name, k)| {
            let measure = Measure::ALL.into_iter().find(|m| m.name() == name)?;
            Some(Target { measure, k: k.parse().ok().filter(|&k| k > 0)? })
        });
        parsed.ok_or_else(|| QueryError::Parameter {
            name: "metric",
            got: format!("{text:?}"),
            expected: format!(
                "a measure and a length such as \"ndcg@20\"; measures are {}",
                Measure::ALL.map(Measure::name).join(", ")
            ),
        })
    }
}

/// The figures of lists cut after k items.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AtK {
    /// Where the lists were cut.
    pub k: usize,
    pub(super) values: [f64; Measure::ALL.len()],
}

impl AtK {
    /// One figure; 0 where nobody was measured.
    #[must_use]
    pub fn get(&self, measure: Measure) -> f64 {
        self.values[measure as usize]
    }
}

/// What one user adds to each measure but coverage.
pub(super) type UserFigures = [f64; Measure::PER_USER];

/// Measures lists, one user at a time.
pub(super) struct Ruler {
    ks: Vec<usize>,
    /// 1 / log2(place + 1) for places from 1.
    discounts: Vec<f64>,
    /// Their sums: `ideal[n]` is that of the first n.
    ideal: Vec<f64>,
}

impl Ruler {
    /// For lists that are no longer than `longest`, whatever `ks` say.
    pub fn new(ks: &[usize], longest: usize) -> Ruler {
        let discounts: Vec<f64> = (0..longest).map(|at| 1.0 / (at as f64 + 2.0).log2()).collect();
        let mut ideal = vec![0.0];
        let mut sum = 0.0;
        ideal.extend(discounts.iter().map(|discount| {
            sum += discount;
            sum
        }));
        Ruler { ks: ks.to_vec(), discounts, ideal }
    }

    /// The figures of one user for each k. `relevant` ascends and is not empty. An item that stands
    /// in a list twice is a hit once.
    pub fn measure(&self, list: &[u32], relevant: &[u32]) -> Vec<UserFigures> {
        let is_hit = |&at: &usize| {
            relevant.binary_search(&list[at]).is_ok() && !list[..at].contains(&list[at])
        };
        let hits: Vec<usize> = (0..list.len()).filter(is_hit).collect();
        self.ks.iter().map(|&k| self.at(k, &hits, relevant.len())).collect()
    }

    /// `hits` are places from 0.
    fn at(&self, k: usize, hits: &[usize], relevant: usize) -> UserFigures {
        let hits = &hits[..hits.partition_point(|&at| at < k)];
        let (n, possible) = (hits.len() as f64, relevant.min(k));
        let gain: f64 = hits.iter().map(|&at| self.discounts[at]).sum();
        let ideal = self.ideal[possible.min(self.discounts.len())];
        let precisions = hits.iter().zip(1u32..).map(|(&at, nth)| f64::from(nth) / (at + 1) as f64);
        [
            n / relevant as f64,
            n / possible as f64,
            n / k as f64,
            gain / ideal,
            precisions.sum::<f64>() / possible as f64,
            hits.first().map_or(0.0, |&at| 1.0 / (at + 1) as f64),
            f64::from(u8::from(!hits.is_empty())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for measure in Measure::ALL {
            let target = Target { measure, k: 7 };
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        assert_eq!(Target::default().to_string(), "ndcg@20");
        for wrong in ["ndcg", "ndcg@0", "ndcg@x", "auc@5", "@5", ""] {
            let text = wrong.parse::<Target>().unwrap_err().to_string();
            assert!(text.contains("such as \"ndcg@20\"; measures are recall,"), "{text}");
        }
    }

    #[test]
    fn figures_by_hand() {
        let ruler = Ruler::new(&[2, 4], 4);
        // Hits at places 1 and 3 of five wanted.
        let got = ruler.measure(&[10, 7, 30, 8], &[10, 20, 30, 40, 50]);
        let (second, third) = (1.0 / 3f64.log2(), 0.5);
        assert_eq!(got[0], [0.2, 0.5, 0.5, 1.0 / (1.0 + second), 0.5, 1.0, 1.0]);
        let ideal = 1.0 + second + third + 1.0 / 5f64.log2();
        let map = (1.0 + 2.0 / 3.0) / 4.0;
        assert_eq!(got[1], [0.4, 0.5, 0.5, (1.0 + third) / ideal, map, 1.0, 1.0]);
        assert_eq!(ruler.measure(&[1, 2], &[3])[1], [0.0; 7]);
        // A doubled item is a hit once, and its second place is lost.
        assert_eq!(ruler.measure(&[3, 3], &[3])[0], [1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 1.0]);
    }
}
