"""The rule texts that entries name by digest, held against it: whoever reads a text must be able to trust it."""

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata


def digest(texts: Mapping[str, str], version: str) -> str:
    """Return the digest of a rule's files under a version of the bridge, as ``bridge.rule.registry`` makes it."""
    text = json.dumps({"bridge": version, "files": dict(texts)}, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode("ascii")).hexdigest()


def changed(named: str, texts: Mapping[str, str], version: str | None) -> bool | None:
    """Tell whether texts differ from what ``named`` says; None where the version they came with is not known."""
    if version is not None:
        return digest(texts, version) != named
    return False if digest(texts, installed()) == named else None


def installed() -> str:
    """Return the version of the bridge that runs."""
    try:
        return metadata.version("bridge")
    except metadata.PackageNotFoundError:
        return "not installed"
