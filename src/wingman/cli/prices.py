"""The file of `--prices`: what models' tokens cost."""

from pathlib import Path
from typing import Final

import click
import msgspec

from wingman.run import Price

__all__ = ["prices_from"]

_HELP: Final = '{"anthropic/claude-sonnet-4-5": {"input": 3, "output": 15, "cache_read": 0.3}}'


def prices_from(
    _context: click.Context, _option: click.Parameter, path: Path | None
) -> dict[str, Price]:
    """Read the file of an option; without one there are no prices."""
    if path is None:
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Price])
    except (OSError, msgspec.DecodeError) as error:
        raise click.BadParameter(f"{error}; expected {_HELP}") from error
