"""Exported automations, read in any dialect: what can be read of a file is, and what cannot gets one line.

A file holds one automation or a whole site. Each automation is read by itself, so that a broken one keeps none of the
others from being read. The dialects were learned from real exports; there is no schema of them by Atlassian but for the
management API: https://developer.atlassian.com/cloud/automation/swagger.v3.json.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bridge.migrate.automation import ROBOT, Actor, Automation, Dialect, Node, Path

LARGEST = 64 * 1024 * 1024  # Automation itself imports at most 5 MB; a file beyond this was made by something else.
DEEPEST = 40
LONGEST_NAME = 80
_ARI = re.compile(r"ari:cloud:(?P<product>[a-z-]+):(?P<cloud>[^:]*):(?P<kind>project|space|site)/(?P<id>.+)")
_MASK = re.compile(r"\*{3,}|\[?redacted\]?|<hidden>", re.IGNORECASE)


class Unreadable(ValueError):
    """What was found is no automation; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that could not be read; ``where`` names the file and, if it can be told, the automation."""

    where: str
    text: str

    def __str__(self) -> str:
        """Return it as one line that gives no orders to a terminal."""
        return _printable(f"{self.where}: {self.text}")


@dataclass(slots=True)
class Reading:
    """What was read of some files."""

    automations: list[Automation] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, other: "Reading") -> None:
        """Take in what was read of another file."""
        self.automations += other.automations
        self.problems += other.problems


def read(content: bytes, where: str) -> Reading:
    """Read a file's content; never raises for what stands in it."""
    reading = Reading()
    try:
        data = _json(content)
        found = list(_candidates(data))
    except Unreadable as error:
        reading.problems.append(Problem(where, str(error)))
        return reading
    for number, (raw, connections) in enumerate(found, start=1):
        place = where if len(found) == 1 else f"{where}, automation {number}"
        try:
            reading.automations.append(_automation(raw, connections, where))
        except Unreadable as error:
            reading.problems.append(Problem(f"{place}{_called(raw)}", str(error)))
    return reading


def masked(automation: Automation) -> bool:
    """Tell whether hidden headers were replaced by a mask when it was read: writing it back would store the mask."""
    for node in (automation.trigger, *automation.walk()):
        value = node.value if isinstance(node.value, Mapping) else {}
        if value.get("urlSecure") is True and _MASK.fullmatch(str(value.get("url", "")).strip()):
            return True
        for header in value.get("headers") or ():
            hidden = isinstance(header, Mapping) and header.get("headerSecure") is True
            text = str(header.get("value") or "").strip() if hidden else "shown"
            if not text or _MASK.search(text):
                return True
    return False


def _json(content: bytes) -> Any:
    if len(content) > LARGEST:
        raise Unreadable(f"is larger than {LARGEST // 1024**2} MB, which no export is")
    if not content.strip():
        raise Unreadable("is empty")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Unreadable("is no text in UTF-8") from None
    except RecursionError:
        raise Unreadable("is nested too deeply to be an export") from None
    except json.JSONDecodeError as error:
        ended = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")
        why = "ends in the middle: it was cut off" if ended else f"is no JSON from line {error.lineno} on"
        raise Unreadable(f"{why} ({error.msg})") from None


def _candidates(data: Any) -> Iterator[tuple[Any, Any]]:
    """Give what may be automations, with the connections beside them."""
    if isinstance(data, list):
        if not data:
            raise Unreadable("is an empty list: no automation stands in it")
        for each in data:
            yield from _candidates(each)
    elif not isinstance(data, Mapping):
        raise Unreadable("is JSON, but no automation")
    elif isinstance(data.get("rules"), list):
        if not data["rules"]:
            raise Unreadable("is an export without any automation")
        yield from ((each, None) for each in data["rules"])
    elif isinstance(data.get("rule"), Mapping):
        yield data["rule"], data.get("connections")
    elif "trigger" in data or "components" in data:
        yield data, data.get("connections")
    elif isinstance(data.get("data"), list) and "links" in data:
        raise Unreadable("is a list of summaries, which say nothing of what automations do: `bridge migrate pull`")
    else:
        raise Unreadable("is JSON, but no automation: it has neither rules, nor rule, nor trigger and components")


def _called(raw: Any) -> str:
    name = raw.get("name") if isinstance(raw, Mapping) else None
    return f" ({_printable(name)[:LONGEST_NAME]})" if isinstance(name, str) and name.strip() else ""


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "·" for letter in text)


def _automation(raw: Any, connections: Any, where: str) -> Automation:
    if not isinstance(raw, Mapping):
        raise Unreadable("is no automation: an object is expected")
    if not isinstance(raw.get("trigger"), Mapping) or not isinstance(raw.get("components"), list):
        raise Unreadable("is no automation: it has no trigger or no list of components")
    trigger = _node(raw["trigger"], ("trigger",), (), "TRIGGER")
    components = tuple(
        _node(each, ("components", number), (), "ACTION") for number, each in enumerate(raw["components"])
    )
    _parents((trigger, *components))
    aris = [found for found in map(_ARI.fullmatch, _scope(raw)) if found]
    projects = [found["id"] for found in aris if found["kind"] != "site"]
    projects += [str(each["projectId"]) for each in raw.get("projects") or () if _has(each, "projectId")]
    name = raw.get("name")
    uuid = raw.get("uuid") or raw.get("idUuid")
    return Automation(
        where=where,
        dialect=_dialect(raw),
        name=" ".join(name.split()) if isinstance(name, str) and name.strip() else "without a name",
        uuid=uuid if isinstance(uuid, str) else None,
        enabled=raw.get("state") == "ENABLED",
        actor=_actor(raw),
        author=_text(raw.get("authorAccountId")) or _text(raw.get("authorKey")),
        owner_only=raw.get("writeAccessType") == "OWNER_ONLY",
        others_may_trigger=raw.get("canOtherRuleTrigger") is True,
        product=_product(trigger, aris),
        cloud_id=_cloud(aris),
        projects=tuple(dict.fromkeys(projects)),
        site_wide=not projects,
        trigger=trigger,
        components=components,
        raw=raw,
        connections=tuple(each for each in connections or () if isinstance(each, Mapping))
        if isinstance(connections, list)
        else (),
    )


def _has(value: Any, member: str) -> bool:
    return isinstance(value, Mapping) and value.get(member) is not None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _node(raw: Any, path: Path, above: tuple[Any, ...], usual: str) -> Node:
    if not isinstance(raw, Mapping):
        raise Unreadable(f"{_place(path)} is no component: an object is expected")
    if len(path) > 2 * DEEPEST:
        raise Unreadable(f"{_place(path[:4])} is nested more than {DEEPEST} levels deep")
    if not isinstance(raw.get("type"), str) or not raw["type"]:
        raise Unreadable(f"{_place(path)} has no type")
    own = raw.get("id")
    if own is not None and own in above:
        raise Unreadable(f"{_place(path)} stands within itself (component {_printable(str(own))[:40]})")
    over = above if own is None else (*above, own)
    inner: dict[str, tuple[Node, ...]] = {}
    for member in ("conditions", "children"):
        listed = raw.get(member)
        if listed is not None and not isinstance(listed, list):
            raise Unreadable(f"{_place(path)}: {member} is no list")
        kind = "CONDITION" if member == "conditions" else "ACTION"
        inner[member] = tuple(_node(each, (*path, member, at), over, kind) for at, each in enumerate(listed or ()))
    component = raw.get("component")
    return Node(
        component=component if isinstance(component, str) else usual,
        type=raw["type"],
        value=raw.get("value"),
        children=inner["children"],
        conditions=inner["conditions"],
        raw=raw,
        path=path,
    )


def _place(path: Path) -> str:
    """Say where a component is, counting from 1 as people do: ``components 2, children 1``."""
    words = [f"{path[at]} {int(path[at + 1]) + 1}" for at in range(0, len(path) - 1, 2)]
    return ", ".join(words) or str(path[0])


def _parents(roots: tuple[Node, ...]) -> None:
    """Raise ``Unreadable`` where following parentId from a component leads back to it."""
    above: dict[str, str] = {}
    for root in roots:
        for node in root.walk():
            own, parent = node.raw.get("id"), node.raw.get("parentId") or node.raw.get("conditionParentId")
            if own is not None and parent is not None:
                above[str(own)] = str(parent)
    settled: set[str] = set()
    for start in above:
        seen: set[str] = set()
        here: str | None = start
        while here is not None and here not in settled:
            if here in seen:
                raise Unreadable(f"its components are parents of one another (component {_printable(here)[:40]})")
            seen.add(here)
            here = above.get(here)
        settled |= seen


def _scope(raw: Mapping[str, Any]) -> list[str]:
    scope = raw.get("ruleScope")
    resources = scope.get("resources") if isinstance(scope, Mapping) else raw.get("ruleScopeARIs")
    return [each for each in resources if isinstance(each, str)] if isinstance(resources, list) else []


def _dialect(raw: Mapping[str, Any]) -> Dialect:
    actor = raw.get("actor")
    if "actorKey" in raw or "authorKey" in raw:
        return "cloud-2018"
    if "actorAccountId" in raw or raw.get("clientKey") == "com.codebarrel.tenant.global":
        return "data-center"
    if isinstance(actor, Mapping):
        return "cloud-export" if "idUuid" in raw or "ruleScope" in raw else "management-api"
    return "unknown"


def _actor(raw: Mapping[str, Any]) -> Actor:
    actor = raw.get("actor")
    if isinstance(actor, Mapping):
        kind, value = actor.get("type"), _text(actor.get("value")) or _text(actor.get("actor"))
        if kind == "EVENT_INITIATOR":
            return Actor("initiator")
        if kind == "SMART_VALUE":
            return Actor("smart-value", value)
    else:
        value = _text(raw.get("actorAccountId")) or _text(raw.get("actorKey"))
    if value is None:
        return Actor("unknown")
    return Actor("robot" if value == ROBOT or value.startswith("addon_") else "person", value)


def _product(trigger: Node, aris: list[re.Match[str]]) -> Literal["jira", "confluence"]:
    confluence = trigger.type.startswith("confluence") or any(found["product"] == "confluence" for found in aris)
    return "confluence" if confluence else "jira"


def _cloud(aris: list[re.Match[str]]) -> str | None:
    """Return the site's id: it stands in the middle of a project's ARI and at the end of the site's own."""
    ids = [found["id"] if found["kind"] == "site" else found["cloud"] for found in aris]
    return next((each for each in ids if each), None)
