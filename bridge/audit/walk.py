"""The walk through a log from its first leaf: everything is recomputed, and whatever does not fit is named.

The same walk serves a live store and an export; it is given leaves in order, with their entries where they are at hand,
and the notes of checkpoints. It holds the tree's peaks, a number for each rule and the notes that matter, so that a log
of millions of entries needs little memory.

Which keys are believed: those that were given, and those that a believed key handed over to or took over from. A
handover is an entry whose checkpoint both keys signed; an entry alone hands over nothing, because whoever can write to
the database can write entries.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from bridge.audit import leaf as leaf_room
from bridge.audit.findings import SHOWN, Findings, Handover, Row
from bridge.audit.leaf import LeafInvalid
from bridge.audit.note import Checkpoint, KeyId, Note, NoteInvalid, Verifier
from bridge.audit.tree import Frontier
from bridge.store.journal import Kind, as_text

_OPENS = (Kind.INTENT, Kind.RESENT)
_CLOSES = (Kind.OUTCOME, Kind.UNSENT, Kind.DECIDED)
_HANDS_OVER = (Kind.LOG_BEGUN, Kind.KEY_ROTATED, Kind.LOG_RESTORED)
_TELLING = frozenset(str(kind) for kind in (*_OPENS, *_CLOSES, *_HANDS_OVER, Kind.RULE_LOADED))
# Past what json.loads does besides, which is as much again; this loop is most of the time that verify takes.
_decoded = json.JSONDecoder().raw_decode


class Walk:
    """One walk; ``given`` are the keys to believe, ``wanted`` the sizes at which roots are kept for outside copies."""

    def __init__(
        self,
        given: Mapping[KeyId, Verifier],
        wanted: Iterable[int],
        expected: Callable[[Row], bool] = lambda _row: True,
    ) -> None:
        """``expected`` tells of a leaf whether its entry should be at hand."""
        self._expected = expected
        self.found = Findings(believed=dict(given))
        self._tree = Frontier()
        self._whole = True  # no leaf is missing so far, so that roots can be compared
        self._wanted = sorted(set(wanted), reverse=True)
        self._handovers: list[Handover] = []
        self._open: list[Handover] = []
        self._holder: KeyId | None = None
        self._later: list[tuple[int, Note]] = []
        self._agreed: list[tuple[Verifier, Verifier]] = []
        self._good = 0

    def go(self, rows: Iterable[Row], notes: Iterable[tuple[int, str]]) -> Findings:
        """Go through leaves and notes, both by size."""
        stops = iter(notes)
        stop = next(stops, None)
        for row in rows:
            stop = self._stop(stop, stops)
            self._leaf(row)
        stop = self._stop(stop, stops)
        while stop is not None:
            self.found.problem(f"checkpoint {stop[0]}: there are only {self._tree.size} leaves: the tail was cut")
            self.found.checkpoints += 1
            stop = next(stops, None)
        self._end()
        return self.found

    def _stop(self, stop: tuple[int, str] | None, stops: Iterator[tuple[int, str]]) -> tuple[int, str] | None:
        """Look at what stands at the present size."""
        while self._wanted and self._wanted[-1] <= self._tree.size:
            if self._wanted.pop() == self._tree.size and self._whole:
                self.found.roots[self._tree.size] = self._tree.root()
        while stop is not None and stop[0] <= self._tree.size:
            self._checkpoint(*stop)
            stop = next(stops, None)
        return stop

    # ------------------------------------------------------------------------------------------------------- leaves

    def _leaf(self, row: Row) -> None:
        found = self.found
        if row.seq != self._tree.size:
            many = f"leaves {self._tree.size} to {row.seq - 1} are" if row.seq > self._tree.size + 1 else ""
            found.problem(f"{many or f'leaf {self._tree.size} is'} missing: the log has a gap before {row}")
            self._whole = False
            self._tree = _at(row.seq)
        expected = found.rules.get(row.rule, 0) + 1
        if row.rule_seq != expected:
            name = f"rule {row.rule}" if row.rule else "entries without rule"
            found.problem(f"{name}: #{expected} is missing before {row}")
        found.rules[row.rule] = row.rule_seq
        found.entries += 1
        if row.entry is None:
            if self._expected(row):
                found.problem(f"{row}: the entry is gone")
        else:
            self._entry(row, row.entry)
        self._tree.append(row.text.encode())

    def _entry(self, row: Row, entry: str) -> None:
        self.found.with_text += 1
        if leaf_room.text(row.seq, row.id, leaf_room.digest(entry), row.rule, row.rule_seq) != row.text:
            self.found.problem(f"{row}: {_difference(row, entry)}")
        try:
            said, end = _decoded(entry)
        except ValueError:
            said, end = None, 0
        if not isinstance(said, dict) or end != len(entry):
            self.found.problem(f"{row}: the entry is no JSON object")
            return
        if row.columns is not None:
            self._columns(row, said, row.columns)
        at = said.get("at")
        self.found.first_at = self.found.first_at or at
        self.found.last_at = at
        kind = said.get("kind")
        if kind in _TELLING:
            self._told(row, str(kind), said)

    def _told(self, row: Row, kind: str, said: Mapping[str, Any]) -> None:
        """Take in what matters beyond the entry itself."""
        step = (said.get("delivery"), said.get("run"), said.get("step"))
        if kind in _OPENS:
            self.found.in_doubt.add(step)
        elif kind in _CLOSES:
            self.found.in_doubt.discard(step)
        elif kind in _HANDS_OVER:
            self._handover(row, said)
        elif "bridge" in said:
            self.found.versions[str(said.get("rule_digest"))] = str(said["bridge"])

    def _columns(self, row: Row, said: Mapping[str, Any], columns: tuple[Any, ...]) -> None:
        if columns == tuple(map(said.get, SHOWN)):
            return
        for name, value in zip(SHOWN, columns, strict=True):
            member = said.get(name)
            if value != (as_text(member) if isinstance(member, str) else member):
                self.found.problem(f"{row}: column {name} was changed: it is {value!r}, the entry says {member!r}")

    def _handover(self, row: Row, said: Mapping[str, Any]) -> None:
        try:
            key = Verifier.read(str(said.get("vkey")))
            previous = None if said.get("previous") is None else Verifier.read(str(said["previous"]))
        except NoteInvalid:
            self.found.problem(f"{row}: it names a key that is none")
            return
        restored = said.get("kind") == Kind.LOG_RESTORED
        made = Handover(
            row.seq, key, previous, str(said.get("origin")) if restored else None,
            int(said.get("size") or 0) if restored else None,
        )  # fmt: skip
        if said.get("kind") != Kind.LOG_BEGUN:
            self._open.append(made)

    # -------------------------------------------------------------------------------------------------- checkpoints

    def _checkpoint(self, size: int, text: str) -> None:
        found = self.found
        found.checkpoints += 1
        try:
            note = Note.read(text)
            said = Checkpoint.read(note.text)
        except NoteInvalid as error:
            found.problem(f"checkpoint {size}: {error}")
            return
        if said.size != size:
            found.problem(f"checkpoint {size}: its note says {said.size}")
            return
        if self._whole and self._tree.size == size and said.root != self._tree.root():
            found.problem(
                f"checkpoint {size}: the root differs: a leaf among {self._good} to {size - 1} was changed, swapped or "
                "put in"
            )
            # What follows is judged by the leaves as they are, or every later checkpoint would say the same.
            self._whole = False
            return
        self._good = size
        handovers, self._open = self._open, []
        restored = [each for each in handovers if each.origin is not None]
        self._origin(said.origin, size, restored)
        for each in handovers:
            self._hand_over(size, note, each)
        names = [key for key, _ in note.signatures]
        if self._holder is not None and self._holder not in names and not any(h.previous is None for h in handovers):
            found.problem(
                f"checkpoint {size}: it is signed with {names[-1]}, not with {self._holder}, the key in force"
            )
        self._holder = names[-1]
        found.last_size = size
        self._later.append((size, note))

    def _origin(self, origin: str, size: int, restored: list[Handover]) -> None:
        origins = self.found.origins
        if not origins:
            origins.append((origin, -1))
        elif origins[-1][0] != origin:
            fitting = [each for each in restored if each.origin == origin]
            if not fitting:
                self.found.problem(f"checkpoint {size}: its origin is {origin}, and no entry begins that log")
            ended = fitting[-1].former_size if fitting else size
            origins[-1] = (origins[-1][0], ended or 0)
            origins.append((origin, -1))

    def _hand_over(self, size: int, note: Note, handover: Handover) -> None:
        previous = handover.previous
        pair = {verifier.key: verifier for verifier in (handover.key, previous) if verifier is not None}
        try:
            signed = set(note.signers(pair))
        except NoteInvalid as error:
            self.found.problem(f"checkpoint {size}: {error}")
            return
        if signed != set(pair):
            self.found.problem(
                f"checkpoint {size}: leaf {handover.seq} hands the log over to {handover.key.key}, and not both keys "
                "signed it"
            )
        elif previous is not None:
            self._agreed.append((previous, handover.key))

    def _end(self) -> None:
        self._believe()
        found = self.found
        for size, note in self._later:
            try:
                signers = note.signers(found.believed)
            except NoteInvalid as error:
                found.problem(f"checkpoint {size}: {error}")
                continue
            if signers:
                found.valid += 1
            else:
                found.unchecked += 1
        if self._later and found.believed:
            size, note = self._later[-1]
            if not any(key in found.believed for key, _ in note.signatures):
                names = ", ".join(str(key) for key, _ in note.signatures)
                found.problem(f"checkpoint {size}: it is signed with {names}, which no key that was given vouches for")
        if self._whole and found.last_size != self._tree.size and (found.last_size or found.entries):
            found.problem(
                f"leaves {found.last_size} to {self._tree.size - 1} have no checkpoint: each is sealed with one"
            )

    def _believe(self) -> None:
        """Take up every key that a believed one handed over to, or took over from."""
        grew = True
        while grew:
            grew = False
            for pair in self._agreed:
                if any(verifier.key in self.found.believed for verifier in pair):
                    fresh = {each.key: each for each in pair if each.key not in self.found.believed}
                    self.found.believed.update(fresh)
                    grew = grew or bool(fresh)


def _at(size: int) -> Frontier:
    """Return a tree of this size whose hashes mean nothing: after a gap only the counting goes on."""
    return Frontier(size, [bytes(32)] * size.bit_count())


def _difference(row: Row, entry: str) -> str:
    """Say what of a leaf and its entry does not fit."""
    try:
        said = leaf_room.read(row.text)
    except LeafInvalid:
        return "the leaf's text was edited"
    if (said.seq, said.rule, said.rule_seq) != (row.seq, row.rule, row.rule_seq):
        return f"the leaf was moved or its columns changed: its text says leaf {said.seq}, {said.rule} #{said.rule_seq}"
    if said.id != row.id:
        return f"it is entry {said.id}, and the leaf is put beside entry {row.id}"
    return "entry text edited" if said.entry != leaf_room.digest(entry) else "the leaf's text was edited"
