"""``bridge.env``: the environment of an installation, in a file beside bridge.toml where every command finds it.

One ``NAME=value`` a line, which systemd's ``EnvironmentFile=``, ``docker run --env-file`` and a shell take as well.
What the environment has already is left as it is, so that a service manager or a shell has the last word.
"""

import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path

from bridge.errors import Mistake, SettingsInvalid

NAME = "bridge.env"
HEAD = """\
# What this installation is told, kept where only its user can read it. Every bridge command reads this file when it
# stands beside bridge.toml; systemd (EnvironmentFile=) and docker (--env-file) take it too, and in a shell it is
#   set -a; . ./bridge.env; set +a
"""
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.ASCII)
# Quoted text, or text without anything that a shell would take for an order; then perhaps a comment.
_VALUE = re.compile(r"""(?:'([^']*)'|"([^"\\$`]*)"|([^\s'"\\$`#][^\s'"\\$`]*)?)(?:\s+\#.*)?\s*""", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9_:/.,@%+=~^-]*", re.ASCII)
GROUP_WRITES, OTHERS = 0o020, 0o007


def place(environ: Mapping[str, str]) -> Path:
    """Return where the file of this installation is, whether or not there is one."""
    return Path(environ.get("BRIDGE_CONFIG") or "bridge.toml").absolute().with_name(NAME)


def load(environ: MutableMapping[str, str]) -> None:
    """Take over what the file says and ``environ`` does not have; do nothing when there is no file.

    Raises ``SettingsInvalid`` with every line that cannot be read, and for a file that others could read or have
    written: it holds secrets, and says where everything is.
    """
    path = place(environ)
    try:
        stat = path.stat()
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except PermissionError:
        # The file is another user's, as where workers run as a user without secrets: theirs is told to them otherwise.
        return
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid([Mistake(str(path), f"cannot be read: {error}")]) from error
    if stat.st_uid not in {0, os.getuid()}:
        raise SettingsInvalid([Mistake(str(path), "belongs to another user, who could say anything in it")])
    if stat.st_mode & (GROUP_WRITES | OTHERS):
        raise SettingsInvalid([Mistake(str(path), f"is open to other users of this machine: chmod 600 {path}")])
    mistakes: list[Mistake] = []
    for name, value in parse(text, environ, mistakes):
        environ.setdefault(name, value)
    if mistakes:
        raise SettingsInvalid(mistakes)


def parse(text: str, known: Mapping[str, str], mistakes: list[Mistake]) -> Iterator[tuple[str, str]]:
    """Read the lines of such a file; what cannot be read is added to ``mistakes``, unless ``known`` has it anyway.

    No message repeats a value.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            mistakes.append(Mistake(NAME, "wants NAME=value", line=number))
            continue
        value = _VALUE.fullmatch(found[2])
        if value is not None:
            yield found[1], value[1] or value[2] or value[3] or ""
        elif found[1] not in known:
            text = "wants a plain value, in '…' if it has blanks; what a shell would fill in cannot be known here"
            mistakes.append(Mistake(NAME, text, found[1], number))


def line(name: str, value: str) -> str:
    """Write one line of the file. Raises ``ValueError`` for a value that none of its readers would take."""
    if _PLAIN.fullmatch(value):
        return f"{name}={value}"
    if "'" in value or not value.isprintable():
        raise ValueError(f"{name} has quotes or control characters")
    return f"{name}='{value}'"
