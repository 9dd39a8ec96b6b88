"""The catalogue: what Atlassian's REST APIs offer, and the verbs by which a rule's scope grants it.

``operations.csv`` holds facts and ``vocabulary/*.toml`` decisions; everything here is a pure question to the two. A
request goes ``match`` (which operation is this?), then ``infer`` (which verbs does it need, or why can none allow it?).
All files are read once, when first asked for.
"""

from bridge.catalogue.infer import Inference, infer
from bridge.catalogue.match import Match, PathRefused, match
from bridge.catalogue.operations import Operation, ScopeSet, locate, operation, operations
from bridge.catalogue.verbs import Part, Read, Verb, verb, verbs

__all__ = [
    "Inference",
    "Match",
    "Operation",
    "Part",
    "PathRefused",
    "Read",
    "ScopeSet",
    "Verb",
    "infer",
    "locate",
    "match",
    "operation",
    "operations",
    "verb",
    "verbs",
]
