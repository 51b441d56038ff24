"""The metrics by name."""

from __future__ import annotations

from enum import Enum


class Metric(str, Enum):
    """How near two vectors are. A member is its name: ``Metric.DOT == "dot"``."""

    #: L2 distance.
    EUCLIDEAN = "euclidean"
    #: 1 - cosine; a zero vector is at distance 1 from everything.
    ANGULAR = "angular"
    #: Inner product, largest first.
    DOT = "dot"
    #: L1 distance.
    MANHATTAN = "manhattan"
    #: How many components differ, each 1 above 0.5 and else 0.
    HAMMING = "hamming"

    @classmethod
    def _missing_(cls, value: object) -> Metric | None:
        """What other libraries call a metric, as the rest of nearwood takes it, in any case."""
        plain = str(value).strip().lower().replace("-", "_").replace(" ", "_")
        plain = _ALIASES.get(plain, plain)
        return next((metric for metric in cls if metric.value == plain), None)

    def __str__(self) -> str:
        return self.value


#: The same names as `src/metric.rs` has.
_ALIASES = {
    "l2": "euclidean",
    "euclid": "euclidean",
    "cosine": "angular",
    "cos": "angular",
    "ip": "dot",
    "inner": "dot",
    "inner_product": "dot",
    "innerproduct": "dot",
    "dot_product": "dot",
    "dotproduct": "dot",
    "l1": "manhattan",
    "cityblock": "manhattan",
    "taxicab": "manhattan",
}


Metric.__module__ = "nearwood"
