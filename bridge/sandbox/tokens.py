"""API tokens as they are told to the sandbox: ``BRIDGE_SANDBOX_TOKENS`` and ``POST /sandbox/tokens``.

The variable holds JSON, token text to what it may do::

    {"a-secret-text": {"account": "ops-bot", "products": ["jira"], "scopes": ["read:jira-work"],
                       "expires": "2027-06-30"}}

No message repeats a token's text, because messages travel into logs.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.errors import Mistake, SettingsInvalid
from bridge.sandbox.records import Token

VARIABLE = "BRIDGE_SANDBOX_TOKENS"
PRODUCTS = frozenset({"jira", "confluence"})
_MEMBERS = frozenset({"account", "products", "scopes", "expires"})


def read_token(given: Any) -> tuple[Token | None, list[str]]:
    """The token that an object describes, or None and everything that is wrong with it."""
    if not isinstance(given, Mapping):
        return None, ["must be an object with account, products and scopes"]
    wrong = [f"unknown member {name!r}" for name in sorted(set(given) - _MEMBERS)]
    if not isinstance(given.get("account"), str) or not given["account"]:
        wrong.append("'account' is required and names an account")
    products, scopes = _texts(given.get("products")), _texts(given.get("scopes"))
    if not products or not products <= PRODUCTS:
        wrong.append(f"'products' is a list out of {', '.join(sorted(PRODUCTS))}")
    if scopes is None:
        wrong.append("'scopes' is a list of OAuth scopes")
    expires = None
    if given.get("expires") is not None:
        try:
            expires = datetime.fromisoformat(given["expires"])
        except (TypeError, ValueError):
            wrong.append("'expires' is a date or a date and time: 2027-06-30")
    if wrong or products is None or scopes is None:
        return None, wrong
    if expires is not None and expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    return Token(given["account"], products, scopes, expires), []


def _texts(given: Any) -> frozenset[str] | None:
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        return None
    return frozenset(given)


def read_variable(text: str) -> dict[str, Token]:
    """The tokens in the variable; an empty text holds none. Raises SettingsInvalid with every mistake."""
    if not text.strip():
        return {}
    try:
        given = json.loads(text)
    except ValueError as error:
        raise SettingsInvalid([Mistake(VARIABLE, f"is not JSON: {_where(error)}")]) from None
    if not isinstance(given, dict):
        raise SettingsInvalid([Mistake(VARIABLE, "must be a JSON object: token text to account, products and scopes")])
    tokens, mistakes = {}, []
    for number, (name, described) in enumerate(given.items(), 1):
        token, wrong = read_token(described)
        mistakes += [Mistake(VARIABLE, each, key=f"token {number}") for each in wrong]
        if not name:
            mistakes.append(Mistake(VARIABLE, "a token must not be empty", key=f"token {number}"))
        if token is not None:
            tokens[name] = token
    if mistakes:
        raise SettingsInvalid(mistakes)
    return tokens


def _where(error: ValueError) -> str:
    # The decoder's own message may quote what it read, and that may be a token.
    return f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "not readable"
