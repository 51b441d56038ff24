"""The metrics by name."""

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

    def __str__(self) -> str:
        return self.value


Metric.__module__ = "nearwood"
