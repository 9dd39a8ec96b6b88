"""The command line: one module for each noun, and the only place beside ``bridge.testing`` that puts rooms together.

Exit status: 0 fine, 1 found wrong, 2 could not tell or bad usage.
"""

import os
import sys
from importlib import import_module

import click

from bridge.cli import envfile
from bridge.errors import BridgeError

# Command → where it stands and what it does: each command imports only what it needs, so that all of them start fast.
COMMANDS = {
    "demo": ("bridge.cli.demo:demo", "Run the whole bridge here, against a local site, and show what it does."),
    "init": ("bridge.cli.init:init", "Set the bridge up for a site: ask, write, check."),
    "run": ("bridge.cli.processes:run", "Run web, worker and clock together on this machine."),
    "web": ("bridge.cli.processes:web", "Receive webhooks."),
    "worker": ("bridge.cli.processes:worker", "Run rules on the deliveries received."),
    "clock": ("bridge.cli.processes:clock", "Offer deliveries to the workers and recover what was dropped."),
    "sandbox": ("bridge.cli.processes:sandbox", "Run a local Jira and Confluence to try rules against."),
    "doctor": ("bridge.cli.doctor:doctor", "Check settings, database, rules and every account's access."),
    "scopes": ("bridge.cli.scopes:scopes", "Say which OAuth scopes each account needs, and why."),
    "pause": ("bridge.cli.pause:pause", "Let a rule, an account or everything wait."),
    "resume": ("bridge.cli.pause:resume", "Let it go on."),
    "rules": ("bridge.cli.rules:rules", "List, check, write and try rules."),
    "token": ("bridge.cli.token:token", "Mint and show the secrets by which senders open a rule."),
    "deliveries": ("bridge.cli.deliveries:deliveries", "List, show, replay and cancel deliveries."),
    "audit": ("bridge.cli.audit:audit", "Read the audit log."),
    "migrate": ("bridge.cli.migrate:migrate", "Turn existing automations into rules."),
    "db": ("bridge.cli.db:db", "Make or upgrade the database."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        # Written from the table, so that --help need not import every command.
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from difflib import get_close_matches

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, 1)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bridge", message="bridge %(version)s")
def bridge() -> None:
    """Let Jira and Confluence automations act through a service account, within scope, exactly once, with a log."""
    envfile.load(os.environ)


def main() -> None:
    """Run the command line; what goes wrong is said in one line or one line each, never as a traceback."""
    try:
        bridge(prog_name="bridge")
    except BridgeError as error:
        print(f"bridge: {error}" if "\n" not in str(error) else f"bridge:\n{error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # The reader of a long list went away (head, less): that is no mistake.
        sys.stderr.close()
        sys.exit(0)
