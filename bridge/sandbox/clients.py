"""OAuth clients as they are told to the sandbox, next to ``tokens``; no message repeats a secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.sandbox.records import Token
from bridge.sandbox.tokens import read_token

LIFETIME = 3600


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client: its secret, what its access tokens may do and how many seconds they last.

    ``accepts`` is ``json``, ``form`` or ``both``: in which form it lets itself be asked.
    """

    secret: str = field(repr=False)
    token: Token
    lifetime: int = LIFETIME
    accepts: str = "both"


def read_client(given: Mapping[str, Any]) -> tuple[tuple[str, Client] | None, list[str]]:
    """The client id and client that an object describes, or None and everything that is wrong with it."""
    rest = dict(given)
    name, secret = rest.pop("client_id", None), rest.pop("client_secret", None)
    lifetime, accepts = rest.pop("lifetime", LIFETIME), rest.pop("accepts", "both")
    token, wrong = read_token(rest)
    if not isinstance(name, str) or not name or not isinstance(secret, str) or not secret:
        wrong.append("'client_id' and 'client_secret' are required and are texts")
    if isinstance(lifetime, bool) or not isinstance(lifetime, int) or lifetime < 1:
        wrong.append("'lifetime' is a number of seconds")
    if accepts not in {"json", "form", "both"}:
        wrong.append("'accepts' is json, form or both")
    if wrong or token is None:
        return None, wrong
    return (str(name), Client(str(secret), token, lifetime, accepts)), []
