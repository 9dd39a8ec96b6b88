"""Redirects: followed for downloads only, by hand, over https, to Atlassian's hosts, and never with the credential."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from bridge.egress.upstream import Arrived, Outgoing, SiteAnswer, Upstream
from bridge.errors import InDoubt, NotSent

GATEWAY = "https://api.atlassian.com/ex/jira/cloud"
CONTENT = "/rest/api/3/attachment/content/10801"
MEDIA = "https://api.media.atlassian.com/file/8f2/binary?token=signed&name=a%20b.log"
Answers = dict[str, httpx.Response]


class Web(httpx.BaseTransport):
    """The hosts of the world: each address answers as the test says, all others with 404."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.requests.append(request)
        found = self._answers.get(str(request.url), httpx.Response(404))
        found.request = request
        return found

    @property
    def asked(self) -> list[str]:
        """The addresses that were asked, in order."""
        return [str(request.url) for request in self.requests]

    def download(self, base: str = GATEWAY) -> SiteAnswer:
        """Download the attachment through egress's connection."""
        outgoing = Outgoing("GET", base, CONTENT, {})
        return Upstream(5, self).download(outgoing, "a-token", 5, keep)


def keep(arrived: Arrived) -> SiteAnswer:
    """Take the file as text."""
    return SiteAnswer(200, b"".join(arrived.chunks).decode(), arrived.trace)


def to(location: str, status: int = 303, cookie: str = "") -> httpx.Response:
    """A redirect."""
    return httpx.Response(status, headers={"location": location, **({"set-cookie": cookie} if cookie else {})})


def words(answer: SiteAnswer) -> str:
    """Return what a refusal says."""
    assert answer.status == 421, answer
    return str(answer.body["errorMessages"][0])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_file_is_fetched_where_the_site_sends_for_it_and_without_the_credential(status: int) -> None:
    web = Web({GATEWAY + CONTENT: to(MEDIA, status), MEDIA: httpx.Response(200, text="the log")})
    assert web.download().body == "the log"
    first, second = web.requests
    assert first.headers["authorization"] == "Bearer a-token"
    assert "authorization" not in second.headers
    assert "cookie" not in second.headers
    assert str(second.url) == MEDIA, "signed, so letter by letter"
    assert "a-token" not in repr(second.headers) + str(second.url)


def test_a_file_that_comes_at_once_is_taken() -> None:
    web = Web({GATEWAY + CONTENT: httpx.Response(200, text="the log")})
    assert web.download().body == "the log"


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/file",
        "https://atlassian.com.evil.example/file",
        "https://evilatlassian.com/file",
        "https://atlassian.net.evil/file",
        "https://api.atlassian.com@evil.example/file",
        "https://evil.example#@api.atlassian.com/",
        "https://evil.example\\@api.atlassian.com/",
        "https://api.atlassian.com:8443/file",
        "https://user:pass@api.media.atlassian.com/file",
        "http://api.media.atlassian.com/file",
        "http://127.0.0.1/file",
        "https://127.0.0.1/file",
        "https://localhost/file",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/file",
        "//evil.example/file",
        "ftp://api.atlassian.com/file",
        "file:///etc/passwd",
        "https://",
        "https://[",
        "",
    ],
)
def test_nothing_is_asked_of_other_hosts_nor_in_clear_text(location: str) -> None:
    web = Web({GATEWAY + CONTENT: to(location)})
    assert "redirects" in words(web.download())
    assert web.asked == [GATEWAY + CONTENT]


def test_an_address_that_cannot_be_read_at_all_is_no_answer() -> None:
    web = Web({GATEWAY + CONTENT: to("javascript:alert(1)")})
    with pytest.raises(InDoubt, match="InvalidURL"):
        web.download()
    assert len(web.requests) == 1


@pytest.mark.parametrize(
    "where",
    ["https://api.media.atlassian.com/f", "https://acme.atlassian.net/f", "https://x.y.atl-paas.net/f",
     "https://API.MEDIA.ATLASSIAN.COM/f", "/media/f", "https://api.media.atlassian.com:443/f"],
)  # fmt: skip
def test_atlassians_own_hosts_are_followed(where: str) -> None:
    web = Web({GATEWAY + CONTENT: to(where)})
    final = httpx.URL(GATEWAY + CONTENT).join(where)
    web._answers[str(final)] = httpx.Response(200, text="the log")
    assert web.download().body == "the log"
    assert "authorization" not in web.requests[-1].headers


def test_a_refusal_of_a_redirect_does_not_repeat_what_is_signed_in_it() -> None:
    answer = Web({GATEWAY + CONTENT: to("https://evil.example/f?token=signed")}).download()
    assert words(answer) == "the site redirects elsewhere (303), to https://evil.example, which egress does not follow"


def test_three_redirects_are_followed_and_no_fourth() -> None:
    chain = [f"https://media{n}.atlassian.com/f" for n in range(4)]
    answers = {GATEWAY + CONTENT: to(chain[0]), **{chain[n]: to(chain[n + 1]) for n in range(3)}}
    web = Web({**answers, chain[2]: httpx.Response(200, text="the log")})
    assert web.download().body == "the log"
    web = Web({**answers, chain[3]: httpx.Response(200, text="the log")})
    assert "redirects" in words(web.download())
    assert web.asked[-1] == chain[2]


def test_each_hop_is_judged() -> None:
    web = Web({GATEWAY + CONTENT: to(MEDIA), MEDIA: to("https://evil.example/f")})
    assert "evil.example" in words(web.download())
    assert web.asked == [GATEWAY + CONTENT, MEDIA]


def test_loopback_is_for_the_sandbox_only() -> None:
    base = "http://127.0.0.1:8090/ex/jira/cloud"
    file = "http://localhost:8091/media/f"
    web = Web({base + CONTENT: to(file), file: httpx.Response(200, text="the log")})
    assert web.download(base).body == "the log"
    assert "authorization" not in web.requests[-1].headers
    web = Web({base + CONTENT: to("http://10.0.0.1/f")})
    assert "redirects" in words(web.download(base))


def test_cookies_are_neither_kept_nor_shown() -> None:
    cookie = "session=of-one-account; Domain=atlassian.com; Path=/"
    given = httpx.Response(200, text="x", headers={"set-cookie": cookie})
    web = Web({GATEWAY + CONTENT: to(MEDIA, cookie=cookie), MEDIA: given})
    upstream = Upstream(5, web)
    for _ in range(2):
        upstream.download(Outgoing("GET", GATEWAY, CONTENT, {}), "a-token", 5, keep)
        upstream.send(Outgoing("GET", GATEWAY, "/rest/api/3/myself", {}), "another-token", 5)
    assert all("cookie" not in request.headers for request in web.requests)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_files_host_that_refuses_says_nothing_about_the_account(status: int) -> None:
    web = Web({GATEWAY + CONTENT: to(MEDIA), MEDIA: httpx.Response(status, text="ended")})
    answer = web.download()
    assert (answer.status, answer.done) == (status, False)
    assert answer.body["errorMessages"] == [f"the host of the file, api.media.atlassian.com, answered {status}"]


def test_a_refusal_of_the_site_itself_is_sorted_as_ever() -> None:
    missing = httpx.Response(404, json={"errorMessages": ["gone"], "errors": {}}, headers={"atl-traceid": "abc"})
    answer = Web({GATEWAY + CONTENT: missing}).download()
    assert (answer.status, answer.trace) == (404, "abc")
    with pytest.raises(NotSent, match="limits the rate"):
        Web({GATEWAY + CONTENT: httpx.Response(429)}).download()
    with pytest.raises(InDoubt, match="503"):
        Web({GATEWAY + CONTENT: httpx.Response(503)}).download()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_files_host_that_is_down_says_nothing_about_the_site(status: int) -> None:
    with pytest.raises(NotSent, match=r"the host of the file, api\.media\.atlassian\.com, does not give it") as raised:
        Web({GATEWAY + CONTENT: to(MEDIA), MEDIA: httpx.Response(status)}).download()
    assert type(raised.value) is NotSent, "neither a limit of the site nor a failure of it"


def test_other_requests_follow_no_redirect_at_all() -> None:
    web = Web({GATEWAY + "/rest/api/3/myself": to(MEDIA), MEDIA: httpx.Response(200, json={})})
    send: Callable[[], Any] = lambda: Upstream(5, web).send(Outgoing("GET", GATEWAY, "/rest/api/3/myself", {}), "t", 5)  # noqa: E731 - read once
    assert "redirects elsewhere (303)" in words(send())
    assert len(web.requests) == 1
