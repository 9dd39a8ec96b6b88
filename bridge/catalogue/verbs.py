"""The verbs: what a rule's scope grants, each one an operation and the body paths and query names it may use.

``vocabulary/*.toml`` beside this file hold them as data, a file for each family, checked here when they are loaded: a
mistake stops every process at the start and is named with its file, table and key. What a given request amounts to is
found in ``infer.py``; where its target is and whether the scope allows it is for the policy to judge.

The keys of a verb:

``title``, ``what``   its name in Automation, and one sentence for the administrator who grants it
``operations``        operationIds that the verb does by itself (none: it has ``parts`` of others' bodies only);
                      ``product:operationId`` where two products share one, ``GET /path`` where one product has two.
                      jira means the platform, then boards, then the service desk; confluence means v2, then v1
``container``         how the policy finds the project or space (``CONTAINERS``)
``body``, ``query``   what a request of these operations may carry: ``fields.*`` is any field and all below it, ``[]``
                      an element, ``.`` the whole body, whatever JSON it is
``fixed``             body paths that must be there with this very value
``same``              body keys that must repeat the path's parameter of that name
``references``        body paths, or path parameters in braces, that name further issues or pages, whose containers must
                      be in the scope too
``parts``             what the verb owns in the body of another verb's operation; alone = the other is not needed then
``reads``             what a rule may read for the sake of this verb without ``read``; given = must be there, so
``bulk``              operations that do the same to many targets at once: refused, with this verb's name
``when_in_doubt``     what happens when nobody knows whether a write was made, as a sentence; ``in_doubt``, ``marker``,
                      ``resolver`` and ``settle`` (seconds) say the same to egress

``[[apart]]`` names what Atlassian lets ride in the body of another operation. Done there it would pass unseen by the
scope and could not be looked up when in doubt, so it is refused: with the verb or operation to use, or with why not.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from bridge.catalogue.operations import SITES, Operation, locate
from bridge.errors import Mistake, SettingsInvalid

FOLDER = Path(__file__).with_name("vocabulary")
# Each word says where the project or space of a request is to be found: ``egress/policy.py`` has the table.
CONTAINERS = (
    "issue", "issue-in-query", "issue-link", "project", "project-in-body", "project-id-in-body", "version",
    "service-desk", "service-desk-in-body", "page", "page-in-body", "page-in-query", "space", "space-key",
    "space-in-body", "space-in-query", "comment-on-page", "task", "template", "references", "hits", "anywhere", "site",
)  # fmt: skip
IN_DOUBT = ("marker", "repeat", "natural-key", "version", "state", "none")
MARKERS = (
    "comment-property", "issue-property", "worklog-property", "history-metadata", "version-message", "upload-comment",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """What a verb owns in the body of another verb's operation, for instance the assignee within an edit.

    ``alone``: a body of nothing but such paths needs only this verb, and not the one whose operation it is.
    """

    operation: str
    body: tuple[str, ...]
    alone: bool


@dataclass(frozen=True, slots=True)
class Read:
    """A supporting read: what a rule that holds the verb may read for its sake, even without ``read``.

    ``query`` may be there; each name in ``given`` must be, once, with that value (``*``: with any). ``container`` is
    None where the path tells it.
    """

    operation: str
    query: tuple[str, ...]
    given: tuple[tuple[str, str], ...]
    container: str | None


@dataclass(frozen=True, slots=True)
class Apart:
    """What would ride in another operation's body: ``use`` names the verb or operation to use, else ``why`` not."""

    product: str
    operations: tuple[str, ...]
    paths: tuple[str, ...]
    use: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing a scope can grant.

    ``container`` says how the policy finds the project or space. ``issue``, ``project``, ``version``, ``issue-link``,
    ``service-desk``, ``page``, ``space``, ``space-key``, ``comment-on-page``, ``task`` and ``template`` are named by
    the path; ``project-in-body`` (``fields.project``), ``project-id-in-body`` (``projectId``), ``page-in-body``
    (``pageId``), ``space-in-body`` (``spaceId``) and ``service-desk-in-body`` (``serviceDeskId``) by the body;
    ``space-in-query`` (``keys`` or ``spaceKey``), ``page-in-query`` (``page-id``) and ``issue-in-query`` (``issue``,
    which is for egress and not sent) by the query.
    ``references``: only those count; ``hits``: every hit of a search; ``anywhere``: granted in any project or space
    will do; ``site``: it is granted under ``@site``.

    ``in_doubt`` says how a write is looked up of which nobody knows whether it was made: by the ``marker`` it carries,
    by a natural key, by the version or by the state it leaves; ``repeat`` means that doing it again is harmless.
    ``resolver`` names the look-up in egress, None parks, and ``settle`` is the wait before it, in seconds.

    ``body`` and ``query`` are what requests of ``operations`` may carry, ``parts`` what the verb owns in the bodies of
    others, ``supporting`` the reads it brings along. The rest: the head of this file.
    """

    name: str
    product: str
    title: str
    what: str
    operations: tuple[str, ...]
    write: bool
    container: str
    in_doubt: str
    when_in_doubt: str
    marker: str | None
    resolver: str | None
    settle: float
    body: tuple[str, ...]
    query: tuple[str, ...]
    parts: tuple[Part, ...]
    supporting: tuple[Read, ...]
    references: tuple[str, ...]
    same: tuple[str, ...]
    fixed: tuple[tuple[str, str], ...]
    bulk: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """The name with its product: ``jira.comment``."""
        return f"{self.product}.{self.name}"

    @property
    def reads(self) -> tuple[str, ...]:
        """The operationIds of the supporting reads."""
        return tuple(read.operation for read in self.supporting)


_NAME = r"[a-z][a-z-]*\Z"
_ID = r"(([a-z0-9-]+:)?[A-Za-z][A-Za-z0-9_.]*|[A-Z]+ /\S+)\Z"
_REFERENCE = r"(\{[A-Za-z-]+\}|(\[\]|[A-Za-z0-9_-]+)(\.(\[\]|[A-Za-z0-9_-]+))*)\Z"
_BODY = r"(\.|(\[\]|\*|[A-Za-z0-9_-]+)(\.(\[\]|\*|[A-Za-z0-9_-]+))*)\Z"


def _words(pattern: str, **options: Any) -> fields.List[str]:
    """Describe a list of words that all match the pattern."""
    return fields.List(fields.String(validate=validate.Regexp(pattern)), **options)


def _flag(**options: Any) -> fields.Boolean:
    """Describe a true or false that is nothing but that, for marshmallow would also take "yes" and "off"."""
    return fields.Boolean(truthy={True}, falsy={False}, **options)


_SOME = validate.Length(min=1)
_SENTENCE = validate.Regexp(r"[A-Z][^\n]+\.\Z", error="must be a sentence with a full stop")


class _Part(Schema):
    body = _words(_BODY, required=True, validate=_SOME)
    alone = _flag(load_default=False)


class _Read(Schema):
    query = _words(r"\S+\Z", load_default=list)
    given = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict)
    container = fields.String(load_default=None, validate=validate.OneOf(CONTAINERS))


class _Apart(Schema):
    product = fields.String(required=True, validate=validate.OneOf(SITES))
    operations = _words(_ID, required=True, validate=_SOME)
    paths = _words(_BODY, required=True, validate=_SOME)
    use = fields.String(load_default=None, validate=_SOME)
    why = fields.String(load_default=None, validate=_SOME)

    @validates_schema
    def _one_reason(self, data: Mapping[str, Any], **_: Any) -> None:
        if (data.get("use") is None) == (data.get("why") is None):
            raise ValidationError("either use or why", "use")


class _Verb(Schema):
    title = fields.String(required=True, validate=_SOME)
    what = fields.String(required=True, validate=_SENTENCE)
    operations = _words(_ID, load_default=list)
    write = _flag(required=True)
    container = fields.String(required=True, validate=validate.OneOf(CONTAINERS))
    in_doubt = fields.String(required=True, validate=validate.OneOf(IN_DOUBT))
    when_in_doubt = fields.String(required=True, validate=_SENTENCE)
    marker = fields.String(load_default=None, validate=validate.OneOf(MARKERS))
    resolver = fields.String(load_default=None, validate=validate.Regexp(_NAME))
    settle = fields.Float(load_default=0.0, validate=validate.Range(min=0, max=3600))
    body = _words(_BODY, load_default=list)
    query = _words(r"\S+\Z", load_default=list)
    parts = fields.Dict(keys=fields.String(), values=fields.Nested(_Part), load_default=dict)
    reads = fields.Dict(keys=fields.String(), values=fields.Nested(_Read), load_default=dict)
    references = _words(_REFERENCE, load_default=list)
    same = _words(_BODY, load_default=list)
    fixed = fields.Dict(keys=fields.String(validate=validate.Regexp(_BODY)), values=fields.String(), load_default=dict)
    bulk = _words(_ID, load_default=list)

    @validates_schema
    def _does_something(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data.get("operations") and not data.get("parts"):
            raise ValidationError("a verb needs operations of its own or parts of others' bodies", "operations")

    @validates_schema
    def _doubt_fits(self, data: Mapping[str, Any], **_: Any) -> None:
        """A read is never in doubt; a write always may be, and is waited for before it is looked up."""
        if data.get("write") and (data.get("in_doubt") == "none" or not data.get("settle")):
            raise ValidationError("a write needs in_doubt and settle", "in_doubt")
        if data.get("write") is False and (data.get("in_doubt") != "none" or data.get("settle") or data.get("marker")):
            raise ValidationError("a read is never in doubt", "in_doubt")
        if data.get("in_doubt") == "marker" and not data.get("marker"):
            raise ValidationError("in_doubt is marker, so the marker must be named", "marker")


class _File(Schema):
    jira = fields.Dict(
        keys=fields.String(validate=validate.Regexp(_NAME)), values=fields.Nested(_Verb), load_default=dict
    )
    confluence = fields.Dict(
        keys=fields.String(validate=validate.Regexp(_NAME)), values=fields.Nested(_Verb), load_default=dict
    )
    apart = fields.List(fields.Nested(_Apart), load_default=list)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All verbs by full name, in the order of the files, and what rides in another's body."""

    verbs: Mapping[str, Verb]
    apart: tuple[Apart, ...]


def parse(texts: Mapping[str, str]) -> Vocabulary:
    """Read the texts of one or more files of the vocabulary, each under the name that mistakes call it by.

    Raises SettingsInvalid with every mistake: table and key, wrong kind of value, an operationId that does not exist.
    """
    verbs: dict[str, Verb] = {}
    files: dict[str, str] = {}
    apart: list[tuple[str, Apart]] = []
    mistakes: list[Mistake] = []
    for name, text in texts.items():
        try:
            data: dict[str, Any] = _File().load(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            mistakes.append(Mistake(name, f"is not TOML: {error}"))
            continue
        except ValidationError as error:
            mistakes += _mistakes(name, error.messages, ())
            continue
        for verb in (_verb(product, word, entry) for product in SITES for word, entry in data[product].items()):
            if verb.full_name in verbs:
                mistakes.append(Mistake(name, f"{files[verb.full_name]} has this verb too", verb.full_name))
            verbs[verb.full_name] = verb
            files[verb.full_name] = name
        apart += [(name, Apart(**_tuples(entry))) for entry in data["apart"]]
    mistakes += [] if mistakes else _unknown(verbs, files, apart)
    if mistakes:
        raise SettingsInvalid(mistakes)
    return Vocabulary(MappingProxyType(verbs), tuple(entry for _, entry in apart))


def _mistakes(name: str, messages: Any, trail: tuple[str, ...]) -> Iterator[Mistake]:
    """Flatten marshmallow's nested messages; its own levels ``key`` and ``value`` of a table are in nobody's file."""
    if isinstance(messages, dict):
        for key, below in messages.items():
            yield from _mistakes(name, below, trail if key in {"key", "value"} else (*trail, str(key)))
    else:
        for text in messages:
            yield Mistake(name, str(text).removesuffix("."), ".".join(trail).removesuffix("._schema"))


def _verb(product: str, name: str, entry: dict[str, Any]) -> Verb:
    """Make a Verb of a checked table."""
    parts = tuple(Part(operation, **_tuples(part)) for operation, part in entry.pop("parts").items())
    reads = tuple(Read(operation, **_tuples(read)) for operation, read in entry.pop("reads").items())
    return Verb(name=name, product=product, parts=parts, supporting=reads, **_tuples(entry))


def _tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Make lists and tables constant, for verbs are shared by all threads and used as keys."""
    frozen: dict[str, Any] = {}
    for key, value in entry.items():
        items = value.items() if isinstance(value, dict) else value
        frozen[key] = tuple(items) if isinstance(value, list | dict) else value
    return frozen


def _unknown(
    verbs: Mapping[str, Verb], files: Mapping[str, str], apart: Sequence[tuple[str, Apart]]
) -> Iterator[Mistake]:
    """Name every operation that Atlassian's files do not have, and every verb to use instead that is none."""
    owner: dict[Operation, str] = {}
    for verb in verbs.values():
        name = files[verb.full_name]
        others = (part.operation for part in verb.parts)
        for operation_id in (*verb.operations, *others, *verb.reads, *verb.bulk):
            if not _exists(verb.product, operation_id):
                yield Mistake(name, f"{verb.product} has no operation {operation_id}", verb.full_name)
        for operation_id in verb.operations:
            if _exists(verb.product, operation_id):
                first = owner.setdefault(locate(verb.product, operation_id), verb.full_name)
                if first != verb.full_name:
                    yield Mistake(
                        name, f"{operation_id} is {first}'s; take a part of it", f"{verb.full_name}.operations"
                    )
    for number, (name, entry) in enumerate(apart):
        for operation_id in entry.operations:
            if not _exists(entry.product, operation_id):
                yield Mistake(name, f"{entry.product} has no operation {operation_id}", f"apart.{number}")
        if entry.use is not None and entry.use not in verbs and not _exists(entry.product, entry.use):
            yield Mistake(name, f"{entry.use} is neither a verb nor an operation", f"apart.{number}.use")


def _exists(site_product: str, operation_id: str) -> bool:
    """Tell whether the id means one operation of that product."""
    try:
        locate(site_product, operation_id)
    except KeyError:
        return False
    return True


@cache
def vocabulary() -> Vocabulary:
    """Give the whole vocabulary, read and checked once."""
    return parse({path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.toml"))})


def verbs() -> Mapping[str, Verb]:
    """Give all verbs by full name, such as ``jira.comment``, in the order of the files."""
    return vocabulary().verbs


def verb(name: str) -> Verb:
    """Give one verb by its full name; raises KeyError with the names that are nearest."""
    try:
        return verbs()[name]
    except KeyError:
        near = get_close_matches(name, verbs(), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(verbs())}"
        raise KeyError(f"no verb {name!r}; {hint}") from None
