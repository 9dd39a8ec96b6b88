"""What ``bridge doctor`` says of the log's seal: whether there is a key, the sealer keeps up, and copies go outside."""

from collections.abc import Iterator

from bridge.audit import keys as keys_room
from bridge.audit import seal
from bridge.audit.keys import KeyProblem
from bridge.audit.note import NoteInvalid
from bridge.audit.verify import age
from bridge.cli.audit_verify import LATE_SECONDS, number
from bridge.cli.check import FAIL, OK, WARN, Check
from bridge.settings import Settings
from bridge.store import Store

ABOUT = "seal"


def checks(known: Settings, store: Store) -> Iterator[Check]:
    """Check the seal of a database that is well. Raises ``StoreUnavailable``."""
    place = keys_room.of(known)
    try:
        said = seal.state(store, place)
    except NoteInvalid as error:
        yield Check(FAIL, ABOUT, f"the last checkpoint was changed ({error})", "run `bridge audit verify`")
        return
    if not said.has_key and not said.size:
        text = f"there is no sealing key, so the entries of the log ({number(said.waiting)}) wait to be sealed"
        yield Check(WARN, ABOUT, text, "run `bridge audit init`; until then a change of the log cannot be shown")
        return
    try:
        place.read()
    except KeyProblem as error:
        yield Check(FAIL, ABOUT, str(error), "nothing is sealed until then; `bridge audit restart` where it was lost")
        return
    late = age(said.oldest) if said.oldest else 0
    if late > LATE_SECONDS:
        text = f"{number(said.waiting)} entries wait to be sealed, the first for {int(late)} s"
        yield Check(FAIL, ABOUT, text, "does `bridge clock` run? its log says what keeps it from sealing")
    else:
        yield Check(OK, ABOUT, f"{said.origin or place.read().key.name}: {number(said.size)} entries are sealed")
    if not known.audit.has_outside():
        text = "checkpoints are kept nowhere outside but in the clock's output"
        yield Check(WARN, ABOUT, text, "name a place in [audit] of bridge.toml, or collect that output elsewhere")
