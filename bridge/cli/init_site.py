"""A site as people name it, made an address and asked for its cloudId."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from bridge.egress.upstream import Outgoing, Unauthorized, Upstream
from bridge.errors import BridgeError, InDoubt, NotSent
from bridge.settings import CLOUD_ID, LOOPBACK

PATIENCE = 10.0  # seconds
NOT_FOUND = 404
CLOUD = ".atlassian.net"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]+", re.ASCII)


class NoSite(BridgeError):
    """The site cannot be had; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class SiteFound:
    """A site's address and cloudId."""

    url: str
    cloud_id: str


def address(given: str) -> str:
    """Return ``https://acme.atlassian.net`` for ``acme``, its host name or any of its pages; http on loopback only.

    Raises ``ValueError`` with a sentence for what can be no site.
    """
    text = given.strip()
    label = text.rstrip("/").lower()
    if _LABEL.fullmatch(label) and label not in LOOPBACK:
        return f"https://{label}{CLOUD}"
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise ValueError(f"{given!r} is no site: {error}") from error
    if parts.username is not None or not (_HOST.fullmatch(host) or host in LOOPBACK):
        raise ValueError(f"{given!r} is no site; write acme, acme{CLOUD} or https://acme{CLOUD}")
    if host == "api.atlassian.com":
        raise ValueError(f"{host} is the gateway to all sites; write your own site, such as acme{CLOUD}")
    scheme = parts.scheme if host in LOOPBACK else "https"
    if scheme not in {"http", "https"}:
        raise ValueError(f"{given!r} is no site; write https://acme{CLOUD}")
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}{'' if port is None else f':{port}'}"


def name_of(url: str) -> str:
    """Return what to call a site in bridge.toml: ``acme`` for https://acme.atlassian.net."""
    host = urlsplit(url).hostname or ""
    return "local" if host in LOOPBACK else _FORBIDDEN.sub("-", host.partition(".")[0])


def discover(url: str, given: str | None, upstream: Upstream) -> SiteFound:
    """Ask a site for its cloudId at ``/_edge/tenant_info``, or take the one that is ``given``.

    https://support.atlassian.com/jira/kb/retrieve-my-atlassian-sites-cloud-id/ names the address. Raises ``NoSite``.
    """
    if given is not None:
        if not CLOUD_ID.fullmatch(given):
            raise NoSite(f"{given!r} is no cloudId: it has letters, digits and hyphens")
        return SiteFound(url, given)
    by_hand = (
        f"If the site is there and only this machine does not reach it, open {url}/_edge/tenant_info in a browser and "
        "give what it says with --cloud-id"
    )
    try:
        answer = upstream.send(Outgoing("GET", url, "/_edge/tenant_info", {}), None, PATIENCE)
    except NotSent as error:
        proxy = "Is it spelled right? May this machine reach it (a proxy goes into HTTPS_PROXY)?"
        raise NoSite(f"{url}: {error}. {proxy} {by_hand}") from error
    except (InDoubt, Unauthorized) as error:
        raise NoSite(f"{url} does not tell its cloudId ({error}). Is it an Atlassian Cloud site? {by_hand}") from error
    told = answer.body.get("cloudId") if isinstance(answer.body, dict) else None
    if answer.status == NOT_FOUND:
        raise NoSite(f"there is no Atlassian site at {url} (it answered 404). Is it spelled right? {by_hand}")
    if not answer.done or not isinstance(told, str) or not CLOUD_ID.fullmatch(told):
        raise NoSite(f"{url} answers {answer.status} and tells no cloudId: is it an Atlassian Cloud site? {by_hand}")
    return SiteFound(url, told)
