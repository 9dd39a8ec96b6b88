"""Lines added to a TOML file that a person wrote: nothing else changes, or nothing at all."""

import tomllib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli import config_text
from bridge.cli.config_text import CannotEdit

MINE = """\
# Mine.
[site.acme]   # the only one
url = "https://acme.atlassian.net"

[account."ops bot".jira]
token = 'env:TOKEN'
scopes = [
  "read:jira-work",   # to look
  "[not.a.table]",
]
text = '''
[site.acme]
expires = 1
'''
"""


def test_a_table_goes_to_the_end_below_its_remark() -> None:
    text = config_text.with_table(MINE, ("web",), {"listen": "127.0.0.1:8080"}, "Where it listens.", "processes = 2")
    assert text == MINE + '\n# Where it listens.\n[web]\nlisten = "127.0.0.1:8080"\n# processes = 2\n'


def test_a_key_goes_into_its_table_and_everything_else_stays_where_it_is() -> None:
    text = config_text.with_key(MINE, ("site", "acme"), "cloud_id", "x-1")
    assert text == MINE.replace("[site.acme]   # the only one\n", '[site.acme]   # the only one\ncloud_id = "x-1"\n')
    text = config_text.with_key(MINE, ("account", "ops bot", "jira"), "expires", date(2027, 6, 30))
    assert text == MINE.replace('ops bot".jira]\n', 'ops bot".jira]\nexpires = 2027-06-30\n')


def test_a_value_takes_the_place_of_the_one_there_was_however_many_lines_that_had() -> None:
    text = config_text.with_key(MINE, ("account", "ops bot", "jira"), "scopes", ["a", "b"])
    begin, end = MINE.index("scopes"), MINE.index("text")
    assert text == MINE[:begin] + 'scopes = ["a", "b"]\n' + MINE[end:]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("site.acme = { url = 'x' }\n", r"write cloud_id = \"x\" under \[site.acme\] yourself"),
        ("[site]\nacme.url = 'x'\n", r"write cloud_id"),
        ("text = '''\n[site.acme]\n'''\n[site]\nacme = { url = 'x' }\n", r"lines cannot be added to"),
        ("[site.acme\n", r"it is not TOML"),
        ("site = 1\n", r"site is no table there"),
    ],
)
def test_what_it_cannot_do_it_leaves_to_people(text: str, sentence: str) -> None:
    with pytest.raises(CannotEdit, match=sentence):
        config_text.with_key(text, ("site", "acme"), "cloud_id", "x")


def test_a_table_that_is_there_in_another_form_is_not_added_twice() -> None:
    with pytest.raises(CannotEdit, match=r"write there yourself:\n\n\[web\]\nlisten"):
        config_text.with_table("web = { threads = 2 }\n", ("web",), {"listen": "127.0.0.1:8080"})


NAMES = st.text("abc-_. \"'äé", min_size=1, max_size=8)


@given(NAMES, NAMES, st.one_of(st.text(max_size=30), st.integers(-9, 9), st.lists(st.text(max_size=9), max_size=3)))
def test_whatever_is_added_is_read_again_as_it_was_given(site: str, key: str, value: object) -> None:
    text = config_text.with_table(MINE, ("more", site), {"first": "x"})
    keyed = "a" + "".join(letter for letter in key if letter.isascii() and letter.isalnum())
    text = config_text.with_key(text, ("more", site), keyed, value)
    assert tomllib.loads(text) == {**tomllib.loads(MINE), "more": {site: {"first": "x", keyed: value}}}
