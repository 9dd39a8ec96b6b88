"""One step of an attempt: recalled, or judged, journalled, sent and journalled again."""

import functools
import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from bridge import catalogue
from bridge.egress import files, hits, policy, recall, resolve
from bridge.egress.accounts import Accounts
from bridge.egress.answered import Broken, jitter, trace_of
from bridge.egress.attempts import Attempts, Held
from bridge.egress.doubt import Doubt, Found, Unknown
from bridge.egress.handle import handle
from bridge.egress.places import Places, Unseen
from bridge.egress.policy import Ruling
from bridge.egress.spool import FileGone, Spool
from bridge.egress.targets import Asked, Bounds
from bridge.egress.upstream import Attached, Keep, SiteAnswer
from bridge.errors import AccountRejected, BridgeError, Fenced, InDoubt, NotSent
from bridge.rule.answers import NOTHING, words
from bridge.rule.event import issue_of, page_of
from bridge.store import Store, answers, journal, registers
from bridge.store.answers import ANSWER, REQUEST, Step
from bridge.store.journal import CLOSED, Kind

log = logging.getLogger(__name__)

# An intent older than this is not sent any more: the process may have been frozen since it was written.
SEND_DEADLINE = 5.0
# What makes a page or a comment, to which observe mode gives a place though it was not made.
_MAKES = frozenset({"confluence.create-page", "confluence.copy-page", "confluence.comment"})
NOT_FOUND, CONFLICT = 404, 409
# Jira answers 409 to these when another change was just being made (https://developer.atlassian.com/cloud/jira/platform/
# rest/v3/api-group-issues/); it passes within moments, so it is waited for on the spot, in seconds.
CONFLICTING = frozenset({"editIssue", "doTransition"})
CONFLICT_PAUSES = (0.1, 0.3, 0.9)


@dataclass(frozen=True, slots=True)
class Call:
    """A step as a worker asks for it."""

    step: int
    label: str | None
    asked: Asked


@dataclass(frozen=True, slots=True)
class Done:
    """A step's definite answer, the site's or a recorded one; ``refused`` is the scope's sentence instead."""

    status: int = 200
    body: Any = None
    observed: bool = False
    recalled: bool = False
    dropped: int = 0
    refused: str | None = None
    verb: str | None = None
    target: str | None = None


class AnsweredLate(BridgeError):
    """The answer to a step in doubt came to the attempt that had sent it, while this one looked it up."""

    def __init__(self, step: int) -> None:
        super().__init__(f"step {step} was answered late, to an attempt that had been given up")


class Calls:
    """Does steps. Everything that ends the attempt is raised as ``Stop``, already journalled."""

    def __init__(
        self, store: Store, accounts: Accounts, attempts: Attempts, spool: Spool, settle_factor: float
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._attempts = attempts
        self._spool = spool
        self._settle_factor = settle_factor

    def call(self, held: Held, call: Call) -> Done:
        """Do one step of the attempt that ``held`` proves.

        Raises ``Stop`` (waiting, parked) or ``Fenced``, ``ValueError`` for a step out of order, ``StoreUnavailable``.
        """
        try:
            return self._call(held, call)
        except NotSent as error:
            self._attempts.wait(held, str(error), error.delay, downtime=True, trace=trace_of(error))
        except AccountRejected as error:
            self._attempts.reject_account(held, error)
        except AnsweredLate as error:
            self._attempts.wait(held, str(error), 0)
        raise Fenced("the attempt is over")

    def _call(self, held: Held, call: Call) -> Done:
        place = Step(held.delivery.id, held.delivery.run, held.delivery.round, call.step)
        with self._store.read() as connection:
            entries = journal.steps(connection, place.delivery, place.run, call.step)
            last = call.step if entries else journal.last_step(connection, place.delivery, place.run)
            before = [] if entries else journal.steps(connection, place.delivery, place.run, last)
            kept = answers.newest(connection, place, REQUEST) if entries else None
            given = answers.newest(connection, place, ANSWER) if entries else None
        if call.step > last + 1:
            raise ValueError(f"step {call.step} is out of order: the last one was {last}")
        if recall.weigh(before, held.delivery.round).sent is not None:
            raise ValueError(f"step {call.step} is out of order: what became of step {last} is not known yet")
        record, doubted = recall.weigh(entries, held.delivery.round), _ever_in_doubt(entries)
        if record.first is not None:
            differs = recall.difference(record.first, call.asked, call.label, kept)
            if differs:
                self._attempts.park(held, differs, step=call.step)
        if record.closed is not None:
            return self._recalled(held, record.closed, given)
        return self._decide(held, place, call, record, kept, doubted=doubted)

    def _decide(
        self, held: Held, place: Step, call: Call, record: recall.Record, kept: answers.Kept | None, *, doubted: bool
    ) -> Done:
        places = Places(lambda operation, path, query: self._look(held, operation, path, query))
        if record.sent is not None and kept is not None:
            # A label forgives another body, but it is the recorded one that would be sent, so that one is judged.
            recorded = json.loads(kept.body)
            file = None if recorded.get("file") is None else handle(recorded["file"])
            asked = replace(call.asked, query=recorded["query"], body=recorded["body"], file=file)
            call = replace(call, asked=asked)
        try:
            ruling = files.judged(policy.judge(call.asked, self._bounds(held, call.step), places), call.asked)
        except Unseen as error:
            if not record.in_doubt:
                return self._unseen(held, place, call, error)
            return self._unseen_in_doubt(held, place, call, record, error)
        if record.in_doubt and record.sent is not None:
            # First what was done, then what may be done: the scope may have been narrowed since it was sent.
            found = self._settled(held, call, ruling, record.sent, record.first or record.sent)
            if found is not None:
                return self._close(held, place, ruling, SiteAnswer(200, found.body), found=True)
            absent = not _repeats(ruling)
            self._attempts.give_up_if_overdue(held, call.step, absent=absent, **_about(ruling, held))
        if held.attempt > 1 and record.first is None and ruling.write and ruling.refusal is None:
            self._not_made_further_on(held, call)
        return self._do(held, place, call, ruling, again=record.sent is not None, doubted=doubted)

    def _not_made_further_on(self, held: Held, call: Call) -> None:
        """Park a write that a later step of this run is recorded to have made: the rule now makes fewer calls."""
        with self._store.read() as connection:
            run = journal.steps(connection, held.delivery.id, held.delivery.run)
            for step, record in recall.by_step(run, held.delivery.round).items():
                if step <= call.step or record.first is None or not (record.made or record.in_doubt):
                    continue
                place = Step(held.delivery.id, held.delivery.run, held.delivery.round, step)
                kept = answers.newest(connection, place, REQUEST)
                if recall.difference(record.first, call.asked, record.first.get("label"), kept) is None and (
                    kept is not None and kept.body == recall.envelope(call.asked)
                ):
                    why = f"step {call.step} diverged: it asks for what step {step} is recorded to have asked for"
                    break
            else:
                return
        self._attempts.park(held, why, step=call.step)

    def _do(self, held: Held, place: Step, call: Call, ruling: Ruling, *, again: bool, doubted: bool) -> Done:
        if ruling.refusal is not None or ruling.operation is None:
            return self._refuse(held, place, call, ruling)
        if not ruling.write:
            return self._read(held, place, call, ruling)
        if held.mode == "observe":
            return self._observe(held, place, call, ruling)
        self._accounts.introduce(held.account, held.seconds_left)
        return self._write(held, place, call, ruling, again=again, doubted=doubted)

    # ---------------------------------------------------------------------------------------------- given back

    def _recalled(self, held: Held, closed: Mapping[str, Any], given: answers.Kept | None) -> Done:
        if closed["outcome"] == "refused":
            return Done(refused=closed.get("why"), verb=closed.get("verb"), target=closed.get("target"), recalled=True)
        if given is None:
            self._attempts.park(held, f"step {closed['step']}: the recorded answer was removed", step=closed["step"])
        said = json.loads(given.body) if given else {}
        return Done(said["status"], said["body"], said["observed"], recalled=True, dropped=said["dropped"])

    # -------------------------------------------------------------------------------------------------- judged

    def _bounds(self, held: Held, step: int) -> Bounds:
        with self._store.read() as connection:
            made = journal.writes(connection, held.delivery.id, held.delivery.run, besides=step)
            steps = journal.steps(connection, held.delivery.id, held.delivery.run) if held.mode == "observe" else []
        issue, page = issue_of(held.payload), page_of(held.payload)
        names = {issue.key, issue.id} if issue else set()
        event = frozenset(name for name in names | ({page.id} if page else set()) if name)
        pages = [step.get("container") for step in steps if step.get("verb") in _MAKES]
        granted = held.rule.manifest.scope
        versions = [step.get("container") for step in steps if step.get("verb") == "jira.create-version"]
        return Bounds(
            held.scope,
            granted,
            event,
            made,
            held.mode == "observe",
            pages[-1] if pages else None,
            versions[-1] if versions else None,
        )

    def _refuse(self, held: Held, place: Step, call: Call, ruling: Ruling) -> Done:
        self._commit_closed(held, place, call, ruling, Kind.REFUSED, "refused", None, why=ruling.refusal)
        return Done(refused=ruling.refusal, verb=ruling.name, target=ruling.target)

    def _unseen_in_doubt(self, held: Held, place: Step, call: Call, record: recall.Record, error: Unseen) -> Done:
        """What was to be deleted and is not shown any more is what the write in doubt was for; all else is parked."""
        ruling = _ruling_unseen(call, error)
        found = None
        if record.sent is not None and ruling.verb is not None and ruling.verb.resolver == "gone":
            found = self._settled(held, call, ruling, record.sent, record.first or record.sent)
        if found is None:
            self._attempts.park(held, f"step {call.step} is in doubt, and {error}", step=call.step)
        return self._close(held, place, ruling, SiteAnswer(200, found.body), found=True)

    def _unseen(self, held: Held, place: Step, call: Call, error: Unseen) -> Done:
        """A target that the site does not show cannot be judged; the site's own answer is the answer."""
        ruling = _ruling_unseen(call, error)
        done = Done(error.answer.status if error.answer.status >= 400 else NOT_FOUND, error.answer.body)  # noqa: PLR2004
        self._commit_closed(
            held, place, call, ruling, Kind.REFUSED, "failed", done, why=str(error), trace=error.answer.trace
        )
        return done

    def _observe(self, held: Held, place: Step, call: Call, ruling: Ruling) -> Done:
        done = Done(observed=True)
        self._commit_closed(held, place, call, ruling, Kind.OBSERVED, "observed", done)
        return done

    # ---------------------------------------------------------------------------------------------------- sent

    def _look(
        self,
        held: Held,
        operation: catalogue.Operation,
        path: str,
        query: Mapping[str, Sequence[str]],
        body: Any = None,
        *,
        keep: Keep | None = None,
    ) -> SiteAnswer:
        """Ask the site something, also for egress itself: where a target is, or whether a write was made."""
        self._accounts.admit(held.account, operation, None, held.seconds_left)
        try:
            if keep is not None:
                left = held.seconds_left
                return self._accounts.download(held.account, operation, path, query, keep, seconds_left=left)
            return self._accounts.send(held.account, operation, path, query, body, seconds_left=held.seconds_left)
        except InDoubt as error:
            asked = error.delay if isinstance(error, Broken) and error.delay is not None else 0.0
            raise NotSent(f"the site does not answer: {error}", delay=max(held.backoff(), asked)) from error

    def _read(self, held: Held, place: Step, call: Call, ruling: Ruling) -> Done:
        assert ruling.operation is not None  # noqa: S101 - a ruling without refusal has one
        if ruling.imagined:
            done = Done(200, {"id": "0", "key": ruling.target, "fields": {}}, observed=True)
            self._commit_closed(held, place, call, ruling, Kind.READ, "observed", done)
            return done
        asked = hits.asking_for_container(call.asked, ruling)
        began = time.monotonic()
        query = ruling.sent(asked.query)
        keep = files.keeping(self._spool, held.delivery.id) if files.is_download(ruling.operation) else None
        answer = self._look(held, ruling.operation, asked.path, query, asked.body, keep=keep)
        body, dropped = hits.within(answer.body, ruling, call.asked) if answer.done else (answer.body, 0)
        done = Done(answer.status, body, dropped=dropped)
        self._commit_closed(
            held,
            place,
            call,
            ruling,
            Kind.READ,
            "read" if answer.done else "failed",
            done,
            trace=answer.trace,
            credential=answer.credential,
            status=answer.status,
            dropped=dropped or None,
            why=None if answer.done else _said(answer.body),
            ms=_ms(began),
        )
        return done

    def _write(self, held: Held, place: Step, call: Call, ruling: Ruling, *, again: bool, doubted: bool) -> Done:
        assert ruling.operation is not None  # noqa: S101 - a ruling without refusal has one
        mark = resolve.marker(place.delivery, place.run, place.step, held.delivery.rule)
        attached = self._attached(held, call)
        # What has to be fetched or to wait for the site's limits comes before the intent, so that nothing has to settle
        # afterwards.
        self._accounts.prepare(held.account, ruling.operation)
        self._accounts.admit(held.account, ruling.operation, ruling.target, held.seconds_left)
        journalled = time.monotonic()
        if again:
            self._commit_resent(held, call, ruling)
        else:
            self._commit_intent(held, place, call, ruling)
        began = time.monotonic()
        send = functools.partial(
            self._accounts.send,
            held.account,
            ruling.operation,
            call.asked.path,
            ruling.sent(call.asked.query),
            resolve.marked(ruling.verb, call.asked.body, mark),
            target=ruling.target,
            attached=attached,
            leave=functools.partial(_in_time, journalled),
        )
        try:
            answer = self._past_conflicts(held, ruling.operation, send)
        except (NotSent, AccountRejected) as error:
            self._commit_unsent(held, call, ruling, error)
            raise
        except InDoubt as error:
            why, trace = f"{error}: to be looked up", trace_of(error)
            self._attempts.wait(held, why, self._settle(ruling), step=call.step, trace=trace)
        if doubted and not answer.done and _repeats(ruling):
            # Nobody looked before it was sent again, and what is refused now may be refused because it is done.
            said = _said(answer.body)
            why = f"step {call.step} ({ruling.name}): the site refuses what is sent once more ({answer.status}"
            why += f": {said})" if said else ")"
            self._attempts.park(held, f"{why}, which does not tell whether the first was done", step=call.step)
        own = self._own_version(held, call, ruling) if again and answer.status == CONFLICT else None
        return self._close(held, place, ruling, own or answer, found=own is not None, ms=_ms(began))

    def _own_version(self, held: Held, call: Call, ruling: Ruling) -> SiteAnswer | None:
        """Look again where what is sent a second time meets a conflict: the first one may only have come late.

        The rule would take the conflict for somebody else's version, read that and write over it once more.
        """
        if ruling.verb is None or ruling.verb.marker != "version-message":
            return None
        doubt = Doubt(
            path=call.asked.path,
            body=call.asked.body,
            marker=resolve.marker(held.delivery.id, held.delivery.run, call.step, held.delivery.rule),
            since=datetime.now(UTC),
            own_id=None,
            get=lambda path, query: self._lookup(held, "GET", path, query, None),
            post=lambda path, query, sought: self._lookup(held, "POST", path, query, sought),
        )
        verdict = resolve.resolve(ruling.verb, doubt)
        if isinstance(verdict, Unknown):
            self._attempts.park(held, f"step {call.step} ({ruling.name}): {verdict.why}", step=call.step)
        return SiteAnswer(200, verdict.body) if isinstance(verdict, Found) else None

    def _past_conflicts(
        self, held: Held, operation: catalogue.Operation, send: Callable[..., SiteAnswer]
    ) -> SiteAnswer:
        """Send a write; where Jira says that another change came in between, and that it did nothing, send it again.

        Raises ``NotSent`` if the intent has become too old meanwhile, and ``InDoubt`` if the site answers with a
        redirect.
        """
        pauses = list(CONFLICT_PAUSES) if operation.operation_id in CONFLICTING else []
        while True:
            answer = send(seconds_left=held.seconds_left)
            if answer.elsewhere:
                # A redirect can as well lead to what was just made (RFC 9110 section 15.4.4).
                raise Broken(words(answer.body), trace=answer.trace)
            if answer.status != CONFLICT or not pauses:
                return answer
            time.sleep(jitter(pauses.pop(0)))

    def _size(self, held: Held, call: Call) -> int | None:
        """Return the size of the file of a step, None if it has none or that is no longer kept."""
        try:
            file = call.asked.file
            return None if file is None else len(self._spool.read(held.delivery.id, file.digest))
        except FileGone:
            return None

    def _attached(self, held: Held, call: Call) -> Attached | None:
        if call.asked.file is None:
            return None
        try:
            return files.attached(self._spool, held.delivery.id, call.asked.file)
        except FileGone:
            why = f"step {call.step}: the file {call.asked.file.name} is not in the spool, or no longer"
            self._attempts.park(held, why, step=call.step)

    def _close(
        self, held: Held, place: Step, ruling: Ruling, answer: SiteAnswer, *, found: bool = False, ms: int | None = None
    ) -> Done:
        """Journal the outcome of a write, also when another attempt took over meanwhile: an answer was seen."""
        done = Done(answer.status, answer.body)
        body = _record(done)
        members = {
            **_about(ruling, held),
            "outcome": "done" if answer.done else "failed",
            "status": answer.status,
            "trace": answer.trace,
            "credential": answer.credential,
            "ref": _reference(answer.body),
            "found": found or None,
            "why": None if answer.done else _said(answer.body),
            "ms": ms,
        }

        def work(connection: sa.Connection) -> bool:
            where = (place.delivery, place.run, place.step)
            if found and journal.has_outcome(connection, where, place.round):
                raise AnsweredLate(place.step)
            if (
                found
                and _without_mark(ruling)
                and journal.is_taken(connection, ruling.name, ruling.target, members["ref"], where)
            ):
                # Another step in doubt has found the same effect a moment ago: one of the two was not made.
                return False
            digest = answers.keep(connection, place, ANSWER, body)
            journal.append_fenced(
                connection,
                place.delivery,
                held.attempt,
                Kind.OUTCOME,
                step=place.step,
                answer=digest,
                **members,
            )
            return True

        def late(connection: sa.Connection) -> None:
            if journal.append_late_outcome(connection, place.delivery, held.attempt, place.step, **members):
                answers.keep(connection, place, ANSWER, body)

        try:
            kept = self._store.commit(work, key=place.delivery)
        except Fenced:
            self._store.commit(late, key=place.delivery)
            raise
        if not kept:
            why = f"step {place.step} ({ruling.name}): what was found is another step's, found at the same time"
            self._attempts.park(held, why, step=place.step)
        return done

    # ------------------------------------------------------------------------------------------------ in doubt

    def _settle(self, ruling: Ruling) -> float:
        return (ruling.verb.settle if ruling.verb else 60.0) * self._settle_factor

    def _settled(
        self,
        held: Held,
        call: Call,
        ruling: Ruling,
        sent: Mapping[str, Any],
        first: Mapping[str, Any],
    ) -> Found | None:
        """Wait until an answerless write has settled, then look it up; None means that it may be sent again."""
        settle = self._settle(ruling)
        with self._store.read() as connection:
            now = self._store.now(connection)
            known = registers.account_named(connection, held.account)
            since = journal.settling(connection, held.delivery.id, call.step, self._store.boot)
            where = (held.delivery.id, held.delivery.run, call.step)
            others = journal.references(connection, ruling.name, ruling.target, besides=where)
        if since is None:
            # The machine was started anew: its clock cannot say how long ago it was sent, so it settles once more.
            self._attempts.wait(held, "sent before a restart, of unknown fate: to be looked up", settle, step=call.step)
        left = (since or 0) + settle - now
        if left > 0:
            self._attempts.wait(held, "sent, of unknown fate: to be looked up", left, step=None)
        doubt = Doubt(
            path=str(sent["path"]),
            body=call.asked.body,
            marker=resolve.marker(held.delivery.id, held.delivery.run, call.step, held.delivery.rule),
            since=datetime.fromisoformat(str(first["at"])),
            own_id=known.account_id if known else None,
            get=lambda path, query: self._lookup(held, "GET", path, query, None),
            post=lambda path, query, sought: self._lookup(held, "POST", path, query, sought),
            others=others,
            query=call.asked.query,
            file=call.asked.file.name if call.asked.file else None,
            size=self._size(held, call),
        )
        verdict = resolve.resolve(ruling.verb, doubt)
        if isinstance(verdict, Unknown):
            nameless = None if known else self._accounts.nameless(held.account)
            also = f" ({nameless})" if nameless else ""
            self._attempts.park(held, f"step {call.step} ({ruling.name}): {verdict.why}{also}", step=call.step)
        return verdict if isinstance(verdict, Found) else None

    def _lookup(self, held: Held, method: str, path: str, query: Mapping[str, list[str]], body: Any) -> SiteAnswer:
        match = catalogue.match(method, path)
        if match is None:
            raise LookupError(f"{method} {path}")
        return self._look(held, match.operation, path, query, body)

    # --------------------------------------------------------------------------------------------- in the journal

    def _commit_intent(self, held: Held, place: Step, call: Call, ruling: Ruling) -> None:
        def work(connection: sa.Connection) -> None:
            digest = answers.keep(connection, place, REQUEST, recall.envelope(call.asked))
            clock = math.ceil(self._store.now(connection))
            members = {**_about(ruling, held), **_asked(call), "boot": self._store.boot, "clock": clock}
            journal.append_fenced(
                connection, place.delivery, held.attempt, Kind.INTENT, step=call.step, request=digest, **members
            )

        self._store.commit(work, key=place.delivery)

    def _commit_resent(self, held: Held, call: Call, ruling: Ruling) -> None:
        def work(connection: sa.Connection) -> None:
            clock = math.ceil(self._store.now(connection))
            members = {**_about(ruling, held), **_asked(call), "boot": self._store.boot, "clock": clock}
            journal.append_fenced(connection, held.delivery.id, held.attempt, Kind.RESENT, step=call.step, **members)
            where = (held.delivery.id, held.delivery.run, call.step)
            sent = journal.sendings(connection, *where, held.attempt)
            if sent > 1:
                # One attempt sends a step once; what asks again at the same time is a handler that forked.
                raise ValueError(f"step {call.step} is being sent by this attempt already")
            if journal.has_outcome(connection, where, held.delivery.round):
                # What was looked up was asked before that answer came, and may not have shown the effect yet.
                raise AnsweredLate(call.step)

        self._store.commit(work, key=held.delivery.id)

    def _commit_unsent(self, held: Held, call: Call, ruling: Ruling, error: BridgeError) -> None:
        members = {**_about(ruling, held), "step": call.step, "why": str(error), "trace": trace_of(error)}
        self._store.commit(
            lambda connection: journal.append_fenced(
                connection, held.delivery.id, held.attempt, Kind.UNSENT, **members
            ),
            key=held.delivery.id,
        )

    def _commit_closed(
        self,
        held: Held,
        place: Step,
        call: Call,
        ruling: Ruling,
        kind: Kind,
        outcome: str,
        done: Done | None,
        **members: object,
    ) -> None:
        """Journal a step that sent no write: question and answer in one entry."""

        def work(connection: sa.Connection) -> None:
            digest = answers.keep(connection, place, REQUEST, recall.envelope(call.asked))
            answer = answers.keep(connection, place, ANSWER, _record(done)) if done else None
            journal.append_fenced(
                connection,
                place.delivery,
                held.attempt,
                kind,
                **{**_about(ruling, held), **_asked(call), **members},
                step=call.step,
                outcome=outcome,
                request=digest,
                answer=answer,
            )

        self._store.commit(work, key=place.delivery)


def _ruling_unseen(call: Call, error: Unseen) -> Ruling:
    """Say what a request was whose target the site does not show."""
    target = error.what.rpartition(" ")[2]
    match = catalogue.match(call.asked.method, call.asked.path)
    if match is None:
        return Ruling(None, f"{call.asked.method} {call.asked.path}", True, target)
    inferred = catalogue.infer(match, call.asked.query, call.asked.body)
    verb = next(iter(inferred.verbs or inferred.alternatives), None)
    name = verb.full_name if verb else match.operation.operation_id
    serves = policy.served(inferred)
    return Ruling(match.operation, name, inferred.write, target, verb=verb, serves=serves)


def _in_time(journalled: float) -> None:
    """Keep what is about to leave if its intent, of ``journalled``, is too old by now. Raises ``NotSent``.

    It may have taken so long that another attempt has looked and found nothing: sending now would make two.
    """
    if time.monotonic() - journalled > SEND_DEADLINE:
        raise NotSent("the intent was written too long ago to be sent", delay=0)


def _ever_in_doubt(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a step was sent at some time of which neither the site nor a person has said what became of it."""
    doubted = sent = False
    for entry in entries:
        if entry["kind"] in {Kind.INTENT, Kind.RESENT}:
            doubted, sent = doubted or sent, True
        elif entry["kind"] == Kind.UNSENT:
            # This says that the last sending did nothing, and nothing of those before.
            sent = False
        elif entry["kind"] in CLOSED:
            doubted = sent = False
    return doubted or sent


def _repeats(ruling: Ruling) -> bool:
    """Tell whether the write is sent again without a look, because doing it twice does no harm."""
    return ruling.verb is not None and ruling.verb.resolver == "repeat"


def _without_mark(ruling: Ruling) -> bool:
    """Tell whether what is found is known by its looks only, so that two steps could find the same."""
    return ruling.verb is not None and ruling.verb.in_doubt in {"state", "natural-key"} and ruling.verb.marker is None


def _record(done: Done) -> bytes:
    content = {"status": done.status, "body": done.body, "observed": done.observed, "dropped": done.dropped}
    return json.dumps(content).encode()


def _about(ruling: Ruling, held: Held) -> dict[str, object]:
    """Return what makes an entry stand by itself: by whom, under which text of the rule, set off by whom."""
    return {
        "rule_digest": held.delivery.rule_digest,
        "initiator": held.delivery.initiator,
        "verb": ruling.name,
        "target": ruling.target,
        "targets": list(ruling.targets) if len(ruling.targets) > 1 else None,
        "container": ruling.container,
        "operation": ruling.operation.operation_id if ruling.operation else None,
        "serves": list(ruling.serves) or None,
        "account": held.account,
    }


def _asked(call: Call) -> dict[str, object]:
    said = {"method": call.asked.method, "path": call.asked.path, "label": call.label}
    return {**said, "file": files.in_entry(call.asked)}


def _ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _reference(body: Any) -> str | None:
    """Name what a write made, by its key or id; an upload answers with a list of what it made."""
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict):
        return None
    named = body.get("key") or body.get("issueKey") or body.get("id") or body.get("accountId")
    return None if named is None else str(named)


def _said(body: Any) -> str | None:
    """Keep the site's own words for a refusal, briefly; they name fields and states, not contents."""
    said = words(body)
    return None if said == NOTHING else said
