"""``bridge migrate``: from existing automations to rules, and the way over without a gap."""

from importlib import import_module

import click

# Each command imports only what it needs; planning needs neither account nor set-up.
_COMMANDS = {
    "plan": ("bridge.cli.migrate_plan:plan", "Say what of automations the bridge can do, and what stays."),
    "write": ("bridge.cli.migrate_write:write", "Write rules, payloads and the rewritten automation."),
    "pull": ("bridge.cli.migrate_site:pull", "Fetch automations from the site, with your token."),
    "push": ("bridge.cli.migrate_site:push", "Put a rewritten automation on the site, with your token."),
    "cutover": ("bridge.cli.migrate_cutover:cutover", "Let a rule act in place of the automation's own actions."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_Lazy)
def migrate() -> None:
    """Turn existing automations into rules: plan, write, observe, cut over."""
