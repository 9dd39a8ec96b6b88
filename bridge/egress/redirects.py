"""Where a download may be fetched when a site sends for it elsewhere: Atlassian's own hosts, over https.

Jira answers ``GET /rest/api/3/attachment/content/{id}`` with 303 and Confluence its downloads with 302, to an address
of the media service that is signed by itself (https://developer.atlassian.com/cloud/jira/platform/rest/v3/
api-group-issue-attachments/). Whatever is followed is asked without the credential.
"""

import httpx

from bridge.config import LOOPBACK

MOST = 3
STATUSES = frozenset({301, 302, 303, 307, 308})  # RFC 9110 section 15.4
HOSTS = ("atlassian.com", "atlassian.net", "atl-paas.net")


class Astray(Exception):
    """The address is none that egress follows; the text says why, and does not repeat what may be signed in it."""


def followed(start: httpx.URL, response: httpx.Response) -> httpx.URL:
    """Return the address that an answer sends to; ``start`` is where the first request went.

    Raises ``Astray`` unless it is https on one of Atlassian's hosts. From the sandbox on loopback, and from there only,
    plain http on loopback will do.
    """
    status = response.status_code
    location = response.headers.get("location", "")
    if status not in STATUSES or not location:
        raise Astray(f"the site redirects ({status}) without saying where")
    try:
        # What is judged here is what httpx made of the text and what it will connect to.
        said, url = httpx.URL(location), response.request.url.join(location)
    except (httpx.InvalidURL, ValueError):
        raise Astray(f"the site redirects ({status}) to what is no address") from None
    if said.is_absolute_url != bool(said.scheme):
        raise Astray(f"the site redirects ({status}) to an address without a host")
    where = f"{url.scheme}://{url.host}"
    if url.userinfo:
        raise Astray(f"the site redirects ({status}) to an address with a user's name in it")
    if start.host in LOOPBACK and url.host in LOOPBACK and url.scheme in {"http", "https"}:
        return url
    if url.scheme != "https" or url.port not in {None, 443}:
        raise Astray(f"the site redirects elsewhere ({status}), to {where}, which egress does not follow: not https")
    if not any(url.host == host or url.host.endswith(f".{host}") for host in HOSTS):
        raise Astray(f"the site redirects elsewhere ({status}), to {where}, which egress does not follow")
    return url
