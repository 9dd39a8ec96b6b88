"""From method and path to the operation: every operation is found, and no path means two things."""

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from urllib.parse import unquote, unquote_plus, urlsplit

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge import catalogue
from bridge.catalogue import Operation, PathRefused
from bridge.catalogue.match import LONGEST_PATH

METHODS = ("GET", "PUT", "POST", "DELETE")
ISSUE = "/rest/api/3/issue"

# ------------------------------------------------------------------------------------------------ what is found


def test_every_operation_is_found_by_its_own_path() -> None:
    for operation in catalogue.operations():
        names = re.findall(r"\{(.+?)\}", operation.path)
        values = {name: f"OPS-{number}" for number, name in enumerate(names)}
        path = operation.path
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", value, 1)
        found = catalogue.match(operation.method, path)
        assert found is not None, path
        assert found.operation == operation
        assert dict(found.params) == values


@pytest.mark.parametrize(
    ("method", "path", "operation_id"),
    [
        ("POST", f"{ISSUE}/bulk", "createIssues"),
        ("GET", f"{ISSUE}/picker", "getIssuePickerResource"),
        ("GET", f"{ISSUE}/OPS-1", "getIssue"),
        ("PUT", f"{ISSUE}/archive", "archiveIssues"),
        ("GET", "/rest/api/3/project/search", "searchProjects"),
    ],
)
def test_a_literal_segment_wins_over_a_parameter(method: str, path: str, operation_id: str) -> None:
    found = catalogue.match(method, path)
    assert found is not None
    assert found.operation.operation_id == operation_id


def test_a_literal_that_lacks_the_method_is_not_read_as_a_parameter() -> None:
    assert catalogue.match("GET", f"{ISSUE}/bulk") is None
    assert catalogue.match("PUT", f"{ISSUE}/picker") is None


@pytest.mark.parametrize("method", ["get", "Get", "GET ", "PATCH", "", "CONNECT", "G\u0415T"])
def test_only_the_methods_of_the_catalogue_in_upper_case_match(method: str) -> None:
    assert catalogue.match(method, f"{ISSUE}/OPS-1") is None


@pytest.mark.parametrize(
    "path", ["/rest", "/rest/api/2/issue/OPS-1", "/ex/jira/c/rest/api/3/myself", f"{ISSUE}/OPS-1/comment/1/x"]
)
def test_a_path_that_atlassian_does_not_document_matches_nothing(path: str) -> None:
    assert catalogue.match("GET", path) is None


def test_parameters_are_given_as_they_stand() -> None:
    found = catalogue.match("GET", f"{ISSUE}/OPS-1/properties/a%20b%3Ac")
    assert found is not None
    assert dict(found.params) == {"issueIdOrKey": "OPS-1", "propertyKey": "a%20b%3Ac"}
    with pytest.raises(TypeError):
        found.params["issueIdOrKey"] = "HR-1"  # type: ignore[index]


# ---------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("https://evil.example/rest/api/3/myself", "an address with a host is refused"),
        ("//evil.example/rest/api/3/myself", "an empty segment"),
        ("rest/api/3/myself", "a path begins with '/'"),
        ("", "a path begins with '/'"),
        ("/", "an empty segment"),
        (f"{ISSUE}//OPS-1", "an empty segment"),
        (f"{ISSUE}/OPS-1/", "an empty segment"),
        (f"{ISSUE}/OPS-1/comment/../../HR-2/comment", "'..' lead to another path"),
        (f"{ISSUE}/./OPS-1", "'..' lead to another path"),
        (f"{ISSUE}/..", "'..' lead to another path"),
        (f"{ISSUE}/OPS-1..", "'..' lead to another path"),
        (f"{ISSUE}/..%00", "'..' lead to another path"),
        (f"{ISSUE}/OPS-1%2fcomment", "'%2f' hides '/'"),
        (f"{ISSUE}/OPS-1%2Fcomment", "'%2F' hides '/'"),
        (f"{ISSUE}/OPS-1%5ccomment", "hides '\\\\'"),
        (f"{ISSUE}/OPS-1%5Ccomment", "hides '\\\\'"),
        (f"{ISSUE}/%2e%2e/HR-2", "'%2e' hides '.'"),
        (f"{ISSUE}/%2E%2e/HR-2", "'%2E' hides '.'"),
        (f"{ISSUE}/OPS-1%00", "not printable ASCII"),
        (f"{ISSUE}/OPS-1%0a", "not printable ASCII"),
        (f"{ISSUE}/OPS-1%7f", "not printable ASCII"),
        (f"{ISSUE}/OPS-1%252fcomment", "'%25' hides '%'"),
        (f"{ISSUE}/OPS-1%25%32%66comment", "'%25' hides '%'"),
        (f"{ISSUE}/OPS-1%3bx", "hides ';'"),
        (f"{ISSUE}/OPS-1%3fx", "hides '?'"),
        (f"{ISSUE}/OPS-1%23x", "hides '#'"),
        (f"{ISSUE}/%62ulk", "'%62' hides 'b', which is never encoded"),
        (f"{ISSUE}/OPS%2D1", "'%2D' hides '-', which is never encoded"),
        (f"{ISSUE}/OPS-1%c0%af", "'%c0' stands for a character that is not printable ASCII"),
        (f"{ISSUE}/OPS-1%ef%bc%8fx", "not printable ASCII"),
        (f"{ISSUE}/OPS-1%u002f", "is no encoded character"),
        (f"{ISSUE}/OPS-1%", "is no encoded character"),
        (f"{ISSUE}/OPS-1%2", "is no encoded character"),
        (f"{ISSUE}/OPS-1%zz", "is no encoded character"),
        (f"{ISSUE}/OPS-1%\u0662\u0666", "is no encoded character"),
        (f"{ISSUE}/OPS-1\\comment", "the character '\\\\' does not belong"),
        (f"{ISSUE}/OPS-1;x=1", "the character ';' does not belong"),
        (f"{ISSUE}/OPS-1?expand=x", "the character '?' does not belong"),
        (f"{ISSUE}/OPS-1#x", "the character '#' does not belong"),
        (f"{ISSUE}/OPS 1", "the character ' ' does not belong"),
        (f"{ISSUE}/OPS-1\t", "does not belong"),
        (f"{ISSUE}/OPS-1\n", "does not belong"),
        (f"{ISSUE}/OPS-1\r\nX-Header: 1", "does not belong"),
        (f"{ISSUE}/OPS-1\x00", "does not belong"),
        (f"{ISSUE}/OPS-\uff11", "does not belong"),
        (f"{ISSUE}/OPS-1\u2028", "does not belong"),
        (f"{ISSUE}/\ud800", "does not belong"),
        (f"{ISSUE}/{{issueIdOrKey}}", "the character '{' does not belong"),
        (f"{ISSUE}/%20OPS-1", "a space or '+' at the beginning or end"),
        (f"{ISSUE}/OPS-1+", "a space or '+' at the beginning or end"),
        (f"{ISSUE}/Bulk", "too near to 'bulk'"),
        (f"{ISSUE}/archive.json", "too near to 'archive'"),
        (f"{ISSUE}/{'9' * LONGEST_PATH}", f"longer than {LONGEST_PATH} characters"),
        (None, "a path begins with '/'"),
        (b"/rest/api/3/myself", "a path begins with '/'"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_a_path_that_could_be_read_in_two_ways_is_refused(method: str, path: str, why: str) -> None:
    with pytest.raises(PathRefused) as refused:
        catalogue.match(method, path)
    assert why in str(refused.value)


def test_a_refusal_shows_only_the_beginning_of_a_long_path_and_no_control_characters() -> None:
    with pytest.raises(PathRefused) as refused:
        catalogue.match("GET", "/\x1b[31m" + "x" * 5000)
    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 200


# ------------------------------------------------------------------------- whatever reads the path after us

Reading = Callable[[str], str]
READINGS: dict[str, Reading] = {
    "decoded": unquote,
    "decoded twice": lambda path: unquote(unquote(path)),
    "decoded as a form": unquote_plus,
    "decoded as latin-1": lambda path: unquote(path, encoding="latin-1"),
    "dots resolved": posixpath.normpath,
    "decoded, dots resolved": lambda path: posixpath.normpath(unquote(path)),
    "compatibility characters folded": lambda path: unicodedata.normalize("NFKC", unquote(path)),
    "slashes turned": lambda path: unquote(path).replace("\\", "/"),
    "slashes merged": lambda path: re.sub(r"/+", "/", unquote(path)),
    "parameters of segments cut off": lambda path: re.sub(r";[^/]*", "", unquote(path)),
    "query cut off": lambda path: urlsplit(unquote(path)).path,
    "segments trimmed": lambda path: "/".join(segment.strip() for segment in unquote_plus(path).split("/")),
    "controls dropped": lambda path: re.sub(r"[\x00-\x20\x7f]", "", path),
    "as httpx sends it": lambda path: httpx.URL("https://api.example").join(path).raw_path.decode(),
    "in lower case": str.lower,
    "without an ending": lambda path: re.sub(r"\.(json|xml)\Z", "", path),
}


def _templates() -> dict[tuple[str, int], list[Operation]]:
    found: defaultdict[tuple[str, int], list[Operation]] = defaultdict(list)
    for operation in catalogue.operations():
        found[operation.method, operation.path.count("/")].append(operation)
    return found


def lenient(method: str, path: str) -> set[str]:
    """Find what a server might take the path for that knows the templates but has none of our scruples."""
    found: list[tuple[list[bool], str]] = []
    segments = path.split("/")
    for operation in TEMPLATES[method, len(segments) - 1]:
        pairs = [*zip(operation.path.split("/"), segments, strict=True)]
        if all(known.startswith("{") or known.lower() == segment.lower() for known, segment in pairs):
            found.append(([not known.startswith("{") for known, _ in pairs], operation.path))
    best = max((literals for literals, _ in found), default=[])
    return {template for literals, template in found if literals == best}


TEMPLATES = _templates()
MILD = [
    "OPS-1",
    "10001",
    "a",
    "B",
    "com.acme.key",
    "~ada",
    "x.json",
    "a%20b",
    "5:b",
    "%3a",
    "%7B",
    "a+b",
    "@",
    "=",
    "*",
]
TOKENS = [
    *("OPS-1", "bulk", "Bulk", "bulk.json", "BULK", "search", "type", "archive", "Archive", "com.acme.key"),
    *("%2f", "%2F", "%5c", "%2e", "%00", "%25", "%252f", "%62", "%20", "%3a", "%7B", "%c0%af", "%EF%BC%8F", "%"),
    *(".", "..", "/", "//", "\\", ";", "?", "#", " ", "+", ":", "@", "=", "&", ",", "*", "'", "\t", "\n", "\x00"),
    *("\u00e9", "\uff0f", "\u2024", "\u2025", "\u202e", "\ufb01"),
]
mild = st.lists(st.sampled_from(MILD), min_size=1, max_size=3).map("".join)
wild = st.lists(st.sampled_from(MILD + TOKENS), min_size=1, max_size=3).map("".join)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str]:
    """A method and a path that resembles a real one, with traps in its parameters and sometimes in its literals."""
    operation = draw(st.sampled_from(catalogue.operations()))
    value = mild | wild
    path = re.sub(r"\{.+?\}", lambda _: draw(value), operation.path)
    if draw(st.integers(0, 9)) == 9:
        at = draw(st.integers(0, len(path)))
        path = path[:at] + draw(st.sampled_from(TOKENS)) + path[at + draw(st.integers(0, 2)) :]
    return draw(st.sampled_from((operation.method, operation.method, operation.method, *METHODS))), path


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=200, deadline=None)
@given(request=requests())
@example(request=("GET", f"{ISSUE}/OPS-1/properties/a%3Ab%20c"))
@example(request=("GET", f"{ISSUE}/OPS-1/properties/com.acme.key.json"))
def test_a_path_that_matches_is_the_same_operation_to_everybody_who_reads_it(
    name: str, request: tuple[str, str]
) -> None:
    method, path = request
    try:
        found = catalogue.match(method, path)
    except PathRefused:
        return
    if found is None:
        return
    assert lenient(method, READINGS[name](path)) == {found.operation.path}
    assert lenient(method, path) == {found.operation.path}


@settings(max_examples=500, deadline=None)
@given(method=st.sampled_from(METHODS) | st.text(), path=st.text() | requests().map(lambda request: request[1]))
def test_whatever_the_path_is_it_matches_or_not_or_is_refused(method: str, path: str) -> None:
    found, said = None, ""
    try:
        found = catalogue.match(method, path)
    except PathRefused as refused:
        said = str(refused)
    assert said.isprintable()
    assert found is None or found.operation.method == method
