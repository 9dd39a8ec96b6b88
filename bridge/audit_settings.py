"""``[audit]`` and ``[retention]`` of bridge.toml: where the log is told of outside, and how long bodies are kept.

[audit]
keys            = "/etc/bridge/audit"                     # default: audit in BRIDGE_HOME
entries         = true                                    # each sealed entry on the clock's standard output
checkpoint_file = "/mnt/elsewhere/checkpoints.log"        # each checkpoint is appended here
checkpoint_url  = "https://witness.example.com/bridge"    # and posted here
syslog          = "tls://logs.example.com:6514"           # entries and checkpoints: tls, tcp, udp or unix:/dev/log
collector       = "https://logs.example.com/ingest"       # entries and checkpoints, posted as JSON lines
collector_token = "env:LOGS_TOKEN"                        # sent as Authorization: Bearer …
[retention]
days = 30                                                 # then payloads, requests and answers are removed
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from marshmallow import RAISE, Schema, ValidationError, fields, validate

LOOPBACK = ("127.0.0.1", "::1", "localhost")
DAYS = 30
_SYSLOG = re.compile(r"(tls|tcp|udp)://[^/@?#\s]+:\d{1,5}|unix:/\S+")


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """What an installation says of its log; ``collector_token`` is a reference such as ``env:NAME``."""

    keys: Path | None = None
    entries: bool = True
    checkpoint_file: Path | None = None
    checkpoint_url: str | None = None
    syslog: str | None = None
    collector: str | None = None
    collector_token: str | None = None
    days: int = DAYS

    def has_outside(self) -> bool:
        """Tell whether checkpoints go anywhere but to standard output."""
        return any((self.checkpoint_file, self.checkpoint_url, self.syslog, self.collector))


def _is_address(value: str) -> None:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValidationError("is not a URL") from error
    if not host or parts.username or parts.fragment:
        raise ValidationError("wants https://host/path without user or fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise ValidationError("wants https, or http on 127.0.0.1: the log must not cross a network in clear text")


def _is_path(value: str) -> None:
    if not value.startswith("/"):
        raise ValidationError("wants an absolute path: processes may start in different directories")


class AuditTable(Schema):
    """The table ``[audit]``."""

    class Meta:
        unknown = RAISE

    keys = fields.Str(validate=_is_path)
    entries = fields.Bool(truthy={True}, falsy={False})
    checkpoint_file = fields.Str(validate=_is_path)
    checkpoint_url = fields.Str(validate=_is_address)
    syslog = fields.Str(
        validate=validate.Regexp(
            _SYSLOG.pattern + r"\Z", error="wants tls://host:port, tcp://host:port, udp://host:port or unix:/path"
        )
    )
    collector = fields.Str(validate=_is_address)
    collector_token = fields.Str(
        validate=validate.Regexp(r"(env:\w+|file:/.+)\Z", error="a secret is referred to as env:NAME or file:/path")
    )


class RetentionTable(Schema):
    """The table ``[retention]``."""

    class Meta:
        unknown = RAISE

    days = fields.Int(strict=True, validate=validate.Range(min=1, max=3650))


def chosen(audit: Mapping[str, Any], retention: Mapping[str, Any]) -> AuditSettings:
    """Return the settings that the two tables, already checked, make."""
    said = dict(audit)
    for name in ("keys", "checkpoint_file"):
        if name in said:
            said[name] = Path(said[name])
    return AuditSettings(**said, **retention)
