"""A program's answer to a request for a permission, in a word or in more."""

import msgspec

from wingman.api import Decision, PermissionAnswer
from wingman.errors import InvalidRequest

__all__ = ["answered"]


def answered(given: PermissionAnswer | Decision) -> PermissionAnswer:
    """The answer. Raises `InvalidRequest` for what is none."""
    try:
        value = {"decision": given} if isinstance(given, str) else msgspec.to_builtins(given)
        return msgspec.convert(value, PermissionAnswer)
    except (msgspec.ValidationError, TypeError) as error:
        raise InvalidRequest(
            f'An answer is "once", "always", "reject", or a PermissionAnswer: {error}'
        ) from error
