"""Times as people write them, as an option's value."""

import click

from bridge.audit import query


def moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Turn a date, a date and time or an age into RFC 3339 text in UTC."""
    if value is None:
        return None
    try:
        return query.moment(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
