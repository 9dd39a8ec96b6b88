"""Whether Automation can reach the bridge under its public address, and whether it is this bridge that answers there.

The proof is a token for a rule that does not exist: who holds this installation's secrets answers 404 to it and anybody
else 401. Nothing is stored for such a question.
"""

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from bridge.cli.rules_setup import DEFAULT_PORTS, PORTS
from bridge.cli.words import listed
from bridge.ingress import signature
from bridge.settings import LOOPBACK, Settings
from bridge.store import Store
from bridge.store.engine import new_id

PATIENCE = 5.0  # seconds
NOBODY = "bridge_doctor"  # a rule of this name is not needed, only a name that a rule could have
OURS, NOT_OURS, OK = 404, 401, 200


@dataclass(frozen=True, slots=True)
class Reached:
    """What was found at the public address; ``well`` is None when nobody answers there."""

    well: bool | None
    text: str
    todo: str = ""


def problem(url: str) -> str | None:
    """Return the sentence that says why Automation cannot call an address, None if it may."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError as error:
        return f"{url} is not a URL: {error}"
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return f"{url!r} is not a URL; write https://bridge.example.com"
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        return f"{url} is not https: whoever is on the way could read the secret and the payload"
    if port not in PORTS and parts.hostname not in LOOPBACK:
        return f"Automation may not call port {port}, only {listed(sorted(PORTS))}"
    return None


def address(given: str) -> str:
    """Take the public address, without path. Raises ``ValueError`` if Automation cannot call it."""
    url = given.rstrip("/")
    wrong = problem(url if "://" in url else f"https://{url}")
    if wrong is not None:
        raise ValueError(wrong)
    return url if "://" in url else f"https://{url}"


def look(known: Settings, url: str) -> Reached:
    """Ask the bridge's public address who it is."""
    wrong = problem(url)
    if wrong is not None:
        return Reached(well=False, text=wrong, todo="correct [web] public_url in bridge.toml")
    try:
        health, proof = _asked(known, url)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        if "CERTIFICATE" in str(error):
            text = f"{url} has a certificate that is not trusted here, and hardly by Atlassian"
            return Reached(well=False, text=text, todo="give the proxy one of a public authority, whole with its chain")
        text = f"{url} does not answer ({type(error).__name__})"
        return Reached(None, text, f"start `bridge run`, and a proxy with TLS from there to {known.listen}")
    if health != OK or proof not in {OURS, NOT_OURS}:
        text = f"what answers at {url} is no bridge (it answered {health} to /healthz)"
        return Reached(well=False, text=text, todo=f"have the proxy pass everything on to {known.listen}")
    if proof == NOT_OURS:
        text = f"what answers at {url} is a bridge with other secrets"
        return Reached(well=False, text=text, todo="start it again if BRIDGE_SECRETS was changed, or correct the proxy")
    here = urlsplit(url).hostname in LOOPBACK
    beyond = "on this machine only: Atlassian's cloud cannot reach it" if here else "seen from here"
    return Reached(well=True, text=f"{url} is this bridge, {beyond}")


def _asked(known: Settings, url: str) -> tuple[int, int]:
    """Return what is answered to a question after its health, and to one that only this bridge answers with 404."""
    base = url.rstrip("/")
    token = signature.mint_token(known.secrets[0], NOBODY, 1) if known.secrets else ""
    # A proxy of the company's has nothing to do with what stays on this machine.
    outside = urlsplit(url).hostname not in LOOPBACK
    with httpx.Client(timeout=PATIENCE, follow_redirects=False, trust_env=outside) as client:
        health = client.get(f"{base}/healthz")
        proof = client.get(f"{base}/hooks/{NOBODY}/{new_id()}", headers={"Authorization": f"Bearer {token}"})
    return health.status_code, proof.status_code


@contextlib.contextmanager
def listening(known: Settings, store: Store) -> Iterator[bool]:
    """Answer on the address of ``[web] listen`` for a moment, unless somebody does already; tells whether it does.

    Before the first ``bridge run`` nobody answers, and a proxy could not be told from a broken one.
    """
    host, _, port = known.listen.rpartition(":")
    host = host.strip("[]")
    if known.listen.startswith("unix:") or not _is_free(host, int(port)):
        yield False
        return
    from werkzeug.serving import make_server

    from bridge.ingress.app import create_app
    from bridge.rule.registry import Registry

    noisy = logging.getLogger("werkzeug")
    before = noisy.level
    noisy.setLevel(logging.ERROR)
    server = make_server(host, int(port), create_app(known, store, Registry(known.rules, None)), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield True
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        noisy.setLevel(before)


def _is_free(host: str, port: int) -> bool:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError:
        return False
    return True
