"""Which types are pydantic's, and how pydantic reads and writes them: by their own rules.

Without importing pydantic: a program that has such a type has imported it.
"""

import sys
import typing
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from wingman.schemas.advice import NoJson, shown_type

__all__ = [
    "PydanticField",
    "PydanticReader",
    "has_conditions",
    "has_pydantic",
    "is_pydantic",
    "pydantic_field",
    "written_by_pydantic",
]

_HOUSES: Final = {"pydantic", "pydantic_core", "annotated_types"}
_MARKS: Final = (
    "__get_pydantic_core_schema__",
    "__pydantic_core_schema__",
    "__get_pydantic_json_schema__",
)


def is_pydantic(kind: Any) -> bool:
    """Whether a class, or what stands in an `Annotated`, is pydantic's or made for it."""
    if "pydantic" not in sys.modules:
        return False
    own = kind if isinstance(kind, type) else type(kind)
    return own.__module__.split(".")[0] in _HOUSES or any(hasattr(own, mark) for mark in _MARKS)


def has_pydantic(hint: Any) -> bool:
    """Whether pydantic has a part in a type: a class of its, or a condition."""
    if "pydantic" not in sys.modules:
        return False
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return False
    if any(isinstance(kind, type) and is_pydantic(kind) for kind in (hint, origin)):
        return True
    if typing.is_typeddict(hint) or hasattr(hint, "_field_defaults"):  # a NamedTuple
        return has_conditions(hint)
    return _is_conditioned(hint) or any(map(has_pydantic, parts))


def has_conditions(kind: Any) -> bool:
    """Whether a field of a class has a condition of pydantic's, which msgspec would pass over."""
    if "pydantic" not in sys.modules:
        return False
    fields = typing.get_type_hints(kind, include_extras=True).values()
    return any(_within(field, _is_conditioned) for field in fields)


def _is_conditioned(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Annotated and any(
        is_pydantic(condition) for condition in hint.__metadata__
    )


def _within(hint: Any, test: Callable[[Any], bool]) -> bool:
    return test(hint) or any(_within(part, test) for part in typing.get_args(hint))


class PydanticReader:
    """Reads a type as pydantic does. Raises `TypeError` where pydantic does not know it either."""

    def __init__(self, hint: Any) -> None:
        pydantic = sys.modules["pydantic"]
        if not hasattr(pydantic, "TypeAdapter"):
            raise NoJson(f"{shown_type(hint)} is a type of pydantic 1: use pydantic 2")
        self._mismatch: type[Exception] = pydantic.ValidationError
        try:
            self._adapter = pydantic.TypeAdapter(hint)
            self.schema: dict[str, Any] = self._adapter.json_schema(ref_template="#/$defs/{model}")
        except Exception as error:  # pydantic's, and those of the classes' own hooks
            said = str(error).partition("\n")[0]
            raise NoJson(
                f"pydantic cannot make a JSON Schema of {shown_type(hint)}: {said}"
            ) from error

    def read(self, text: bytes) -> Any:
        """A JSON text, by the type's own rules. Raises what `problems` takes apart."""
        return self._adapter.validate_json(text)

    def problems(self, error: Exception) -> list[tuple[str, tuple[str | int, ...]]] | None:
        """What is wrong and where; None where that is no finding of pydantic's."""
        if not isinstance(error, self._mismatch):
            return None
        details: list[dict[str, Any]] = error.errors(  # type: ignore[attr-defined]
            include_url=False, include_input=False, include_context=False
        )
        return [(detail["msg"], detail["loc"]) for detail in details]


class PydanticField(NamedTuple):
    """What `= Field(…)` says of a parameter. `make_default` is None where it must be given."""

    make_default: Callable[[], Any] | None


def pydantic_field(default: object) -> PydanticField | None:
    """What a parameter's default says, if it is pydantic's description of one."""
    if not is_pydantic(default) or not hasattr(default, "is_required"):
        return None
    if default.is_required():
        return PydanticField(None)
    return PydanticField(lambda: default.get_default(call_default_factory=True))  # type: ignore[attr-defined]


def written_by_pydantic(value: object) -> Any:
    """A value of pydantic's as what JSON has. What it hides (`SecretStr`) stays hidden."""
    serializer = getattr(type(value), "__pydantic_serializer__", None)
    if serializer is not None:
        return serializer.to_python(value, mode="json", by_alias=True)
    return sys.modules["pydantic_core"].to_jsonable_python(value, by_alias=True)
