"""Reading a body: what every JSON reader understands alike is taken, everything else is refused with its place."""

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge.errors import DeliveryRefused
from bridge.ingress.body import DEPTH, parse

# The machine may be busy with other tests; how long it takes to think up input says nothing about the product.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def refused(raw: bytes) -> str:
    with pytest.raises(DeliveryRefused) as caught:
        parse(raw)
    assert caught.value.status == 400
    assert caught.value.kept, "an authentic body that is no JSON is kept and shown"
    return caught.value.detail


def test_an_ordinary_payload_is_read_as_it_stands() -> None:
    raw = '{"v": 1, "issue": {"key": "OPS-1", "ünï": "😀 \\ud83d\\ude00"}, "n": [1.5, -0, 1e3, true, null]}'
    assert parse(raw.encode()) == json.loads(raw)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "The body is empty (line 1, column 1)."),
        (b" \r\n\t", "The body is empty (line 1, column 1)."),
        (b'{"a": 1,\n "b": }', "The body is not JSON: expecting value (line 2, column 7)."),
        (b'{"a": 1} x', "The body is not JSON: extra data (line 1, column 10)."),
        (b'{"a": 01}', "The body is not JSON: expecting ',' delimiter (line 1, column 8)."),
        (b'{"a": "\x01"}', "The body is not JSON: invalid control character at (line 1, column 8)."),
        (b'{"a": "b', "The body is not JSON: unterminated string starting at (line 1, column 7)."),
        (b"issue=OPS-1", "The body is not JSON: expecting value (line 1, column 1)."),
        (b"\n [1]", "The body must be a JSON object, {…} (line 2, column 2)."),
        (b'"text"', "The body must be a JSON object, {…} (line 1, column 1)."),
        (b"null", "The body must be a JSON object, {…} (line 1, column 1)."),
        (b'{"a": 1, "a": 1}', "The body has an object with the same name twice (line 1, column 10)."),
        (b'{"a": {"b": 1,\n"\\u0062": 2}}', "The body has an object with the same name twice (line 2, column 1)."),
        (b'{"a": NaN}', "The body has NaN or Infinity, which JSON does not know (line 1, column 7)."),
        (b'{"NaN": "Infinity", "b": [-Infinity]}',
         "The body has NaN or Infinity, which JSON does not know (line 1, column 27)."),
        (b'{"a": 1e999}', "The body has a number too large for any reader (line 1, column 7)."),
        (b'{"a": -1e+0999}', "The body has a number too large for any reader (line 1, column 7)."),
        (b'{"a": ' + b"9" * 309 + b"}", "The body has a number too large for any reader (line 1, column 7)."),
        (b'{"a": ' + b"9" * 5000 + b"}", "The body has a number of more than 400 letters (line 1, column 7)."),
        (b'{"a": "\\ud83d"}', "The body has a surrogate without its partner, which is no text (line 1, column 7)."),
        (b'{"\\uDE00": 1}', "The body has a surrogate without its partner, which is no text (line 1, column 2)."),
        (b"\xef\xbb\xbf{}", "The body starts with a byte order mark, which JSON does not allow (line 1, column 1)."),
        (b'{"a":\n"\xc3\xa9\xff"}', "The body is not UTF-8 (line 2, column 3)."),
        ('{"a": 1}'.encode("utf-16"), "The body is not UTF-8 (line 1, column 1)."),
        ('{"a": 1}'.encode("utf-16-be"), "The body is not JSON: expecting value (line 1, column 1)."),
    ],
)  # fmt: skip
def test_a_body_is_refused_with_what_is_wrong_and_where(raw: bytes, what: str) -> None:
    assert refused(raw) == what


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_allowed_to_64_and_refused_beyond(opening: bytes, closing: bytes) -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"

    assert parse(nested(DEPTH))
    assert "The body nests deeper than 64 lists or objects (line 1, column" in refused(nested(DEPTH + 1))
    assert "The body nests deeper than 64 lists or objects (line 1, column" in refused(opening * 200_000)


def test_brackets_digits_and_escapes_inside_of_text_are_only_text() -> None:
    text = "[{" * 500 + "9" * 5000 + " NaN 1e999 \\ud83d"
    assert parse(json.dumps({"a": text}).encode()) == {"a": text}
    assert parse(json.dumps({"a": [[], {}] * 500}).encode()) == {"a": [[], {}] * 500}


def test_the_same_name_in_different_objects_is_no_duplicate() -> None:
    raw = b'{"a": {"a": [{"a": 1}, {"a": "a"}]}, "b": "\\ud83d\\ude00"}'
    assert parse(raw) == json.loads(raw)


def test_the_largest_double_passes() -> None:
    assert parse(b'{"a": 1.7976931348623157e308}') == {"a": 1.7976931348623157e308}
    assert parse(b'{"a": ' + b"1" * 309 + b"}") == {"a": int("1" * 309)}


def test_a_refusal_quotes_nothing_of_the_body() -> None:
    for raw in (b'{"secretname": 1, "secretname": 2}', b'{"a": secretword}', b'{"a": "secret\\q"}', b"secret"):
        assert "secret" not in refused(raw)


@pytest.mark.parametrize("raw", [b'"' + b'\\"' * 500_000, b'{"a":"' + b"\\" * 1_000_001, b'["' * 300_000, b"]" * 10**6])
def test_a_hostile_megabyte_is_refused_in_linear_time(raw: bytes) -> None:
    """A search that began anew at each quote would take hours here; the suite's time limit is the assertion."""
    assert refused(raw)


def is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(is_plain(name) and is_plain(inner) for name, inner in value.items())
    if isinstance(value, list):
        return all(is_plain(inner) for inner in value)
    if isinstance(value, str):
        return value.encode("utf-8", "ignore").decode() == value
    return not isinstance(value, float) or math.isfinite(value)


FRAGMENTS = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b'"a"', b"1", b"-", b"e9999", b"NaN", b"-Infinity", b"null",
     b"\n", b"\\ud83d", b"\\u0061", b"\xff", b"\xef\xbb\xbf", b"9" * 310, b'{"a":', b"[" * 70, b'"a":1,"a":2']
)  # fmt: skip


@UNHURRIED
@given(st.one_of(st.binary(), st.lists(FRAGMENTS, max_size=20).map(b"".join)))
@example(b'{"a":' * 70 + b'"')
@example(b'{"a":1,"a":NaN')
def test_any_bytes_are_either_read_unambiguously_or_refused(raw: bytes) -> None:
    try:
        value = parse(raw)
    except DeliveryRefused as error:
        refusal = error
    else:
        assert value == json.loads(raw)
        assert is_plain(value)
        return
    assert refusal.status == 400
    assert "(line " in refusal.detail


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@UNHURRIED
@given(st.dictionaries(TEXTS, VALUES, max_size=5), st.booleans())
def test_every_json_object_in_utf_8_is_read(value: dict[str, Any], escaped: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=escaped).encode()) == value
