"""The metrics by name."""

from enum import Enum

class Metric(str, Enum):
    """How near two vectors are. A member is its name: ``Metric.DOT == "dot"``."""

    def __new__(cls, value: object) -> Metric: ...

    EUCLIDEAN = "euclidean"
    ANGULAR = "angular"
    DOT = "dot"
    MANHATTAN = "manhattan"
    HAMMING = "hamming"
