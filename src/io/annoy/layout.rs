//! Where the fields of a node lie, for every metric and version of Annoy that wrote files.

use std::fmt;
use std::str::FromStr;

use crate::error::BuildError;
use crate::metric::Metric;

/// The metrics of Annoy. Its files name none: who wrote one knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnnoyMetric {
    /// Returned as sqrt(2 - 2 cos).
    Angular,
    /// L2 distance.
    Euclidean,
    /// L1 distance.
    Manhattan,
    /// Components above 0.5 are ones; the number of components that differ.
    Hamming,
    /// Inner product, largest first.
    Dot,
}

impl AnnoyMetric {
    /// Every metric.
    pub const ALL: [AnnoyMetric; 5] = [
        AnnoyMetric::Angular,
        AnnoyMetric::Euclidean,
        AnnoyMetric::Manhattan,
        AnnoyMetric::Hamming,
        AnnoyMetric::Dot,
    ];

    /// The name that Annoy's users type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AnnoyMetric::Angular => "angular",
            AnnoyMetric::Euclidean => "euclidean",
            AnnoyMetric::Manhattan => "manhattan",
            AnnoyMetric::Hamming => "hamming",
            AnnoyMetric::Dot => "dot",
        }
    }

    /// The metric of this crate that ranks alike.
    ///
    /// # Errors
    /// If this crate does not serve it yet.
    pub fn metric(self) -> Result<Metric, BuildError> {
        self.name().parse()
    }

    /// The layouts in which this metric was written, the newest first.
    #[must_use]
    pub fn layouts(self) -> &'static [AnnoyLayout] {
        match self {
            AnnoyMetric::Angular => &[AnnoyLayout::Angular],
            AnnoyMetric::Euclidean | AnnoyMetric::Manhattan => &[AnnoyLayout::Offset],
            AnnoyMetric::Dot => &[AnnoyLayout::DotMain, AnnoyLayout::Dot117],
            AnnoyMetric::Hamming => &[AnnoyLayout::Hamming117, AnnoyLayout::Hamming116],
        }
    }
}

impl fmt::Display for AnnoyMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AnnoyMetric {
    type Err = BuildError;

    fn from_str(name: &str) -> Result<AnnoyMetric, BuildError> {
        AnnoyMetric::ALL.into_iter().find(|m| m.name() == name).ok_or_else(|| {
            BuildError::Parameter {
                name: "metric",
                got: format!("{name:?}"),
                expected: "\"angular\", \"euclidean\", \"manhattan\", \"hamming\" or \"dot\"",
            }
        })
    }
}

/// What a node looks like in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnnoyLayout {
    /// Angular, all versions.
    Angular,
    /// Euclidean and Manhattan, all versions.
    Offset,
    /// Dot up to release 1.17.3.
    Dot117,
    /// Dot as the main branch has written it since.
    DotMain,
    /// Hamming up to release 1.16.3: words packed behind the children.
    Hamming116,
    /// Hamming from release 1.17.0 on: words at a multiple of eight.
    Hamming117,
}

impl AnnoyLayout {
    /// Every layout.
    pub const ALL: [AnnoyLayout; 6] = [
        AnnoyLayout::Angular,
        AnnoyLayout::Offset,
        AnnoyLayout::Dot117,
        AnnoyLayout::DotMain,
        AnnoyLayout::Hamming116,
        AnnoyLayout::Hamming117,
    ];

    /// The name that users type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AnnoyLayout::Angular => "angular",
            AnnoyLayout::Offset => "offset",
            AnnoyLayout::Dot117 => "dot-1.17",
            AnnoyLayout::DotMain => "dot-main",
            AnnoyLayout::Hamming116 => "hamming-1.16",
            AnnoyLayout::Hamming117 => "hamming-1.17",
        }
    }

    /// The places in a node that holds vectors of `dim`.
    pub(super) fn shape(self, dim: usize) -> Shape {
        let words = dim.div_ceil(64);
        let (children, vector, len) = match self {
            AnnoyLayout::Angular => (4, 12, 4 * dim),
            AnnoyLayout::Offset => (8, 16, 4 * dim),
            AnnoyLayout::Dot117 => (4, 16, 4 * dim),
            AnnoyLayout::DotMain => (4, 24, 4 * dim),
            AnnoyLayout::Hamming116 => (4, 12, 8 * words),
            AnnoyLayout::Hamming117 => (4, 16, 8 * words),
        };
        Shape { size: vector + len, children, vector }
    }
}

impl fmt::Display for AnnoyLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AnnoyLayout {
    type Err = BuildError;

    fn from_str(name: &str) -> Result<AnnoyLayout, BuildError> {
        AnnoyLayout::ALL.into_iter().find(|l| l.name() == name).ok_or_else(|| {
            BuildError::Parameter {
                name: "layout",
                got: format!("{name:?}"),
                expected: "\"angular\", \"offset\", \"dot-1.17\", \"dot-main\", \
                           \"hamming-1.16\" or \"hamming-1.17\"",
            }
        })
    }
}

/// Places in a node, in bytes. `n_descendants`, an int32, is always the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// A whole node.
    pub size: usize,
    /// Where the children of a split, or the items of a bucket, begin.
    pub children: usize,
    /// Where an item's vector begins; it runs to the end of the node.
    pub vector: usize,
}

impl Shape {
    /// The most items that a bucket holds: they run over the vector.
    pub fn bucket(self) -> usize {
        (self.size - self.children) / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_the_versions_of_annoy_put_in_them() {
        let dim = 40;
        let bucket = |layout: AnnoyLayout| layout.shape(dim).bucket();
        let expected = [dim + 2, dim + 2, dim + 3, dim + 5, 2 + 2, 3 + 2];
        assert_eq!(AnnoyLayout::ALL.map(bucket), expected);
        assert_eq!(AnnoyLayout::Hamming117.shape(65).size, 16 + 16);
    }

    #[test]
    fn names_lead_back() {
        for layout in AnnoyLayout::ALL {
            assert_eq!(layout.name().parse::<AnnoyLayout>().unwrap(), layout);
        }
        for metric in AnnoyMetric::ALL {
            assert_eq!(metric.name().parse::<AnnoyMetric>().unwrap(), metric);
        }
        assert!("cosine".parse::<AnnoyMetric>().unwrap_err().to_string().contains("\"cosine\""));
        assert!("dot".parse::<AnnoyLayout>().unwrap_err().to_string().contains("dot-main"));
    }
}
