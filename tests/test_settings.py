"""Settings: all mistakes at once, where each is, and never a secret in any text."""

import base64
from pathlib import Path

import pytest

from bridge import settings
from bridge.errors import SettingsInvalid
from bridge.settings import Reference

KEY = base64.b64encode(b"k" * 32).decode()
TOKEN = "ATSTT3xFfGF0-literal-token"
GOOD = """
[site.acme]
url = "https://acme.atlassian.net"
[account.ops-bot]
site = "acme"
email = "ops-bot-x1@serviceaccount.atlassian.com"
ceiling = { jira = { OPS = ["read", "comment"] } }
[account.ops-bot.jira]
token = "env:OPS_BOT_TOKEN"
scopes = ["read:jira-work"]
expires = 2027-06-30
"""


def read(tmp_path: Path, config: str | None = None, **environ: str) -> settings.Settings:
    if config is not None:
        (tmp_path / "bridge.toml").write_text(config, encoding="utf-8")
    place = {"BRIDGE_HOME": str(tmp_path / "home"), "BRIDGE_CONFIG": str(tmp_path / "bridge.toml")}
    return settings.read({**(place if config is not None else {"BRIDGE_HOME": place["BRIDGE_HOME"]}), **environ})


def mistakes(tmp_path: Path, config: str | None = None, **environ: str) -> list[str]:
    with pytest.raises(SettingsInvalid) as raised:
        read(tmp_path, config, **environ)
    return [str(mistake) for mistake in raised.value.mistakes]


def test_without_any_settings_the_defaults_keep_everything_in_the_home(tmp_path: Path) -> None:
    known = read(tmp_path)
    assert known.database_url == f"sqlite:///{tmp_path / 'home' / 'bridge.db'}"
    assert known.redis_url is None
    assert known.secrets == ()
    assert known.atlassian_url == "https://api.atlassian.com"


def test_a_whole_configuration_is_read(tmp_path: Path) -> None:
    account = read(tmp_path, GOOD).accounts["ops-bot"]
    assert account.site == "acme"
    assert account.credentials["jira"].scopes == {"read:jira-work"}
    assert str(account.credentials["jira"].expires) == "2027-06-30"
    assert account.ceiling == {"jira": {"OPS": ["read", "comment"]}}


def test_every_mistake_of_environment_and_file_is_named_at_once(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
[site.acme]
url = "http://acme.atlassian.net"
[account.ops-bot]
site = "acmee"
email = "nobody"
[account.ops-bot.jira]
tokn = "env:X"
scopes = "read"
[web]
listen = 8080
""",
        BRIDGE_ATLASSIAN_URL="http://example.com",
        BRIDGE_DATABASE_URL="mysql://x",
        BRIDGE_SECRETS="k1:short,k1",
    )
    text = "\n".join(found)
    for part in (
        "BRIDGE_ATLASSIAN_URL: wants https",
        "BRIDGE_DATABASE_URL: wants sqlite:///",
        "BRIDGE_SECRETS: entry 1 (k1)",
        "BRIDGE_SECRETS: entry 2: wants <key id>:<base64>",
        "account.ops-bot.email: is not an e-mail address",
        "account.ops-bot.jira.tokn: is not a setting; did you mean token?",
        "account.ops-bot.jira.scopes: Not a valid list",
        "web.listen: Not a valid string",
    ):
        assert part in text


def test_references_between_tables_are_checked(tmp_path: Path) -> None:
    found = mistakes(tmp_path, GOOD.replace('site = "acme"', 'site = "acmee"').replace("https://acme", "http://acme"))
    assert found == [
        "bridge.toml: site.acme.url: wants https, or http on 127.0.0.1: a token must not cross a network in clear text",
        "bridge.toml: account.ops-bot.site: no [site.acmee] is defined; defined: acme",
    ]


def test_a_token_written_into_the_file_is_refused_without_repeating_it(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, GOOD.replace("env:OPS_BOT_TOKEN", TOKEN))
    assert "a secret must not stand in this file; write env:NAME or file:/path" in found
    assert TOKEN not in found


def test_no_secret_shows_when_settings_are_printed(tmp_path: Path) -> None:
    known = read(tmp_path, GOOD, BRIDGE_SECRETS=f"k1:{KEY}")
    assert KEY not in repr(known)
    assert "kkkk" not in repr(known)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"k1:{KEY},k1:{KEY}", "the key id k1 stands there twice"),
        ("k1:%%%", "entry 1 (k1): is not base64"),
        (f"k1:{base64.b64encode(b'k' * 31).decode()}", "has 31 bytes, wants 32"),
        (f"k-1:{KEY}", "entry 1: wants <key id>:<base64>"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_by_its_place(tmp_path: Path, text: str, said: str) -> None:
    (found,) = mistakes(tmp_path, BRIDGE_SECRETS=text)
    assert said in found
    assert KEY not in found


def test_without_a_secret_the_error_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="`bridge init` makes one"):
        read(tmp_path).key()


@pytest.mark.parametrize("url", ["http://127.0.0.1:8090", "http://localhost:1", "http://[::1]:1", "https://x.example"])
def test_clear_text_is_for_loopback_only(tmp_path: Path, url: str) -> None:
    assert read(tmp_path, BRIDGE_ATLASSIAN_URL=url).atlassian_url == url


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1", "http://localhost.example.com", "ftp://x", "https://u:p@x", "https://x?q=1", "nonsense"]
)
def test_other_addresses_are_refused(tmp_path: Path, url: str) -> None:
    (found,) = mistakes(tmp_path, BRIDGE_ATLASSIAN_URL=url)
    assert found.startswith("BRIDGE_ATLASSIAN_URL: wants https")


def test_a_configuration_that_was_named_must_exist(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, BRIDGE_CONFIG=str(tmp_path / "missing.toml"))
    assert "BRIDGE_CONFIG names this file, but it does not exist" in found


def test_toml_that_is_none_says_where(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, "[site.acme\n")
    assert "is not TOML" in found
    assert "line 1" in found


def test_egress_as_a_process_of_its_own_is_refused_rather_than_ignored(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, BRIDGE_EGRESS="unix:/run/egress.sock")
    assert "not there yet" in found


@pytest.mark.parametrize(
    ("text", "said"),
    [("env:BRIDGE_TEST_UNSET", "is not set"), ("file:/nonexistent/token", "cannot be read"), ("file:/", "cannot")],
)
def test_a_missing_credential_says_what_is_missing(text: str, said: str) -> None:
    with pytest.raises(SettingsInvalid, match=said):
        Reference(text).open()


def test_a_long_home_gets_a_short_socket_path(tmp_path: Path) -> None:
    known = settings.read({"BRIDGE_HOME": str(tmp_path / ("h" * 120))})
    assert len(str(known.redis_socket)) < 100
    assert known.redis_socket == settings.read({"BRIDGE_HOME": str(tmp_path / ("h" * 120))}).redis_socket


# ------------------------------------------------------------------------------------------------------- credentials

TOKEN_LINE = 'token = "env:OPS_BOT_TOKEN"'
CLIENT = 'client_id = "a1b2"\nclient_secret = "env:OPS_BOT_SECRET"'


def jira(tmp_path: Path, lines: str, after: str = "") -> settings.Credential:
    """Return Jira's credential of a configuration with other lines in the place of its token's."""
    return read(tmp_path, GOOD.replace(TOKEN_LINE, lines) + after).accounts["ops-bot"].credentials["jira"]


def test_an_oauth_client_may_stand_in_the_place_of_a_token(tmp_path: Path) -> None:
    found = jira(tmp_path, CLIENT)
    assert (found.client_id, found.secret, found.kind) == ("a1b2", Reference("env:OPS_BOT_SECRET"), "client secret")
    assert jira(tmp_path, TOKEN_LINE).client_id is None
    assert jira(tmp_path, CLIENT.replace("a1b2", "env:OPS_BOT_ID")).client_id == "env:OPS_BOT_ID"


@pytest.mark.parametrize(
    "lines",
    [
        "",
        'client_id = "a1b2"',
        'client_secret = "env:OPS_BOT_SECRET"',
        f"{TOKEN_LINE}\n{CLIENT}",
        f'{TOKEN_LINE}\nclient_id = "a1b2"',
    ],
)
def test_a_credential_is_either_a_token_or_a_client(tmp_path: Path, lines: str) -> None:
    (found,) = mistakes(tmp_path, GOOD.replace(TOKEN_LINE, lines))
    assert found == "bridge.toml: account.ops-bot.jira.token: wants either token, or client_id and client_secret"


def test_the_credential_before_has_its_own_end_and_by_default_the_same_scopes(tmp_path: Path) -> None:
    before = 'previous = { token = "env:OLD", expires = 2026-12-31 }'
    found = jira(tmp_path, TOKEN_LINE, before)
    assert [which for which, _ in found.both()] == ["current", "previous"]
    assert found.previous is not None
    assert (found.previous.secret, str(found.previous.expires)) == (Reference("env:OLD"), "2026-12-31")
    assert found.previous.scopes == {"read:jira-work"}
    other = jira(tmp_path, CLIENT, before.replace("expires = 2026-12-31", 'scopes = ["write:jira-work"]'))
    assert other.previous is not None
    assert (other.previous.kind, set(other.previous.scopes)) == ("token", {"write:jira-work"})


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ('previous = "env:OLD"', "account.ops-bot.jira.previous: wants a table"),
        ("previous = {}", "account.ops-bot.jira.previous.token: wants either token"),
        ('previous = { token = "env:OLD", expires = "soon" }', "previous.expires: wants a date without quotes"),
        ('previous = { tokn = "env:OLD" }', "previous.tokn: is not a setting; did you mean token?"),
        (
            'previous = { token = "env:OLD", previous = { token = "env:OLDER" } }',
            "previous.previous: is not a setting",
        ),
    ],
)
def test_a_mistake_in_the_credential_before_is_named_by_its_place(tmp_path: Path, before: str, said: str) -> None:
    assert said in "\n".join(mistakes(tmp_path, GOOD + before))


@pytest.mark.parametrize(
    ("config", "place"),
    [
        (GOOD.replace(TOKEN_LINE, f'client_id = "a1b2"\nclient_secret = "{TOKEN}"'), "jira.client_secret"),
        (GOOD + f'previous = {{ token = "{TOKEN}" }}', "jira.previous.token"),
        (GOOD + f'previous = {{ client_id = "a", client_secret = "{TOKEN}" }}', "jira.previous.client_secret"),
        (GOOD + f'wrong = 1\nprevious = {{ token = "{TOKEN}" }}', "jira.previous.token"),
    ],
)
def test_a_secret_in_clear_text_is_refused_wherever_it_stands(tmp_path: Path, config: str, place: str) -> None:
    found = "\n".join(mistakes(tmp_path, config))
    assert f"account.ops-bot.{place}: a secret must not stand in this file" in found
    assert TOKEN not in found


def test_a_secret_does_not_show_when_a_credential_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_BOT_SECRET", TOKEN)
    found = jira(tmp_path, CLIENT)
    assert found.secret.open() == TOKEN
    assert TOKEN not in repr(found)


def test_the_spool_is_as_large_as_it_is_told(tmp_path: Path) -> None:
    known = read(tmp_path, GOOD + "[egress]\nlargest_file = 1048576\nlargest_spool = 2097152\nspool_days = 7")
    assert (known.largest_file, known.largest_spool, known.spool_days) == (1048576, 2097152, 7)
    (found,) = mistakes(tmp_path, GOOD + "[egress]\nlargest_file = 10")
    assert "egress.largest_file" in found
