"""Everything that can go wrong, ordered by what the bridge does next.

    BridgeError
    ├── SettingsInvalid          the process does not start; every mistake is named at once     [mistakes]
    ├── DeliveryRefused          ingress answers 4xx and keeps it, if authentic, as rejected  [status, title, kept]
    ├── RuleError                a person must mend the rule                                    [rule]
    │   ├── RuleInvalid          the rule files cannot be used; the last good set stays         [mistakes]
    │   ├── PayloadInvalid       the payload does not fit the rule's Payload: dead, replayable  [fields]
    │   └── HandlerFailed        the handler raised or gave back nonsense: backoff, then dead
    ├── ActionError              a call of a handler did not happen; a handler may catch it     [verb, target]
    │   ├── ActionRefused        the scope forbids it: the delivery ends dead
    │   └── ActionFailed         the site said no for good: the delivery ends dead              [status, detail]
    ├── NotSent                  the site certainly did not act: wait, then try again           [until]
    ├── InDoubt                  sent, and no answer that can be trusted: settle, then look up
    ├── AccountRejected          401: pause the account, burn no delivery                       [account, missing]
    ├── StoreUnavailable         the database is away: nothing is accepted, nothing is sent
    ├── StoreUnfit               the database is of another version or unguarded: the process does not start
    └── QueueUnavailable         Redis is away: deliveries wait in the database

    Stop (BaseException)         the attempt is over; nothing of it may run on                  [state, why]
    └── Fenced                   another attempt took over, or the delivery ended

``Stop`` is no ``Exception``, so that a handler's ``except Exception`` cannot swallow it. No error carries a body,
a token or a signature, because errors travel into logs.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class BridgeError(Exception):
    """Anything the bridge reports; its text is for people, code decides by class and attributes."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing to mend in a file or setting: where it is and what to do about it.

    ``where`` is a file or variable name; ``line`` counts from 1 and is None where the reader cannot tell; ``key`` is a
    dotted path such as ``scope.jira.OPS`` and may be empty.
    """

    where: str
    text: str
    key: str = ""
    line: int | None = None

    def __str__(self) -> str:
        """Say it on one line, the way compilers do, so that editors can jump to it."""
        place = self.where if self.line is None else f"{self.where}:{self.line}"
        return f"{place}: {self.key}: {self.text}" if self.key else f"{place}: {self.text}"


class _Mistaken(BridgeError):
    """What SettingsInvalid and RuleInvalid share: a list of mistakes, all of them, not only the first."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class SettingsInvalid(_Mistaken):
    """The environment or bridge.toml cannot be used: the process does not start."""


class DeliveryRefused(BridgeError):
    """Ingress answers with ``status`` and a problem document; ``kept`` says whether a rejected row is stored."""

    def __init__(self, status: int, title: str, detail: str, *, kept: bool) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.kept = kept
        super().__init__(f"{status} {title}: {detail}")


class RuleError(BridgeError):
    """A rule is at fault; ``rule`` is its name."""

    def __init__(self, rule: str, text: str) -> None:
        self.rule = rule
        super().__init__(text)


class RuleInvalid(_Mistaken):
    """Rule files cannot be used as they stand: the last good set stays in force."""


class PayloadInvalid(RuleError):
    """An authentic payload is not what the rule's Payload declares: dead, and replayable once the rule is mended.

    ``fields`` maps a dotted field path to what is wrong with it.
    """

    def __init__(self, rule: str, fields: dict[str, str]) -> None:
        self.fields = fields
        super().__init__(rule, "; ".join(f"{field}: {text}" for field, text in sorted(fields.items())))


class HandlerFailed(RuleError):
    """The handler raised, ran out of time or returned what JSON cannot hold: tried again after a backoff, then dead."""


class ActionError(BridgeError):
    """A call of a handler did not have its effect; ``verb`` and ``target`` tell which call it was."""

    def __init__(self, verb: str, target: str, text: str) -> None:
        self.verb = verb
        self.target = target
        super().__init__(text)


class ActionRefused(ActionError):
    """The rule's scope does not allow it; nothing was sent and the log says so."""


class ActionFailed(ActionError):
    """The site refused for good (400, 403, 404, 409, 413, 422): ``status`` and the site's own ``detail``."""

    def __init__(self, verb: str, target: str, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
        super().__init__(verb, target, f"{verb} {target}: the site answered {status}: {detail}")


class NotSent(BridgeError):
    """The site certainly did not act (connection refused, 429): wait ``delay`` seconds, then try again."""

    def __init__(self, text: str, *, delay: float) -> None:
        self.delay = delay
        super().__init__(text)


class InDoubt(BridgeError):
    """The request left and no trustworthy answer came (timeout, reset, 5xx): look it up before anything is repeated."""


class AccountRejected(BridgeError):
    """The site answered 401: ``account`` is paused for a person; ``missing`` names lacking OAuth scopes where known."""

    def __init__(self, account: str, text: str, missing: Sequence[str] = ()) -> None:
        self.account = account
        self.missing = tuple(missing)
        super().__init__(text)


class StoreUnavailable(BridgeError):
    """The database cannot be reached or written: nothing is accepted and nothing is sent until it can."""


class StoreUnfit(BridgeError):
    """The database is there and must not be used as it stands: another revision, or a journal that could be changed."""


class QueueUnavailable(BridgeError):
    """Redis cannot be reached: accepted deliveries wait in the database and are offered later."""


class Stop(BaseException):
    """The attempt is over: ``state`` is waiting, parked, fenced or lost, ``why`` one sentence."""

    def __init__(self, state: str, why: str) -> None:
        self.state = state
        self.why = why
        super().__init__(f"{state}: {why}")


class Fenced(Stop):
    """Another attempt holds the delivery, or it ended: this attempt may write nothing any more."""

    def __init__(self, why: str) -> None:
        super().__init__("fenced", why)
