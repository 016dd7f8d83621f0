"""`@tool`: a plain typed function becomes a tool that a model can call."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

import attrs

from wingman.errors import ToolError
from wingman.foreign import let_on, shown
from wingman.schemas import json_text
from wingman.tools.base import Resources, Tool, ToolContext
from wingman.tools.docstrings import parse_docstring
from wingman.tools.output import ToolOutput
from wingman.tools.schema import Parameters, parameters_of
from wingman.tools.threads import run_in_thread
from wingman.under_trio import require_trio

__all__ = ["FunctionTool", "tool"]

_NOTHING: Mapping[str, str] = MappingProxyType({})

P = ParamSpec("P")
R = TypeVar("R")


@attrs.frozen
class FunctionTool(Tool, Generic[P, R]):
    """A tool made by `@tool`; called, it is the plain function again, so it can be tested as one.

    `await forecast("Bern")` runs the function itself: no validation, no thread, its own result.
    The run uses `call`.
    """

    function: Callable[P, R] = attrs.field(repr=False)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)


class _Decorator(Protocol):
    """What `@tool(…)` gives: still to be applied to the function."""

    def __call__(self, function: Callable[P, R], /) -> FunctionTool[P, R]: ...


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    permission: str | None = None,
    resources: Iterable[str] | Resources = (),
    leave_out_unknown: bool = False,
    instead: Mapping[str, str] = _NOTHING,
) -> _Decorator: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    permission: str | None = None,
    resources: Iterable[str] | Resources = (),
    leave_out_unknown: bool = False,
    instead: Mapping[str, str] = _NOTHING,
) -> Any:
    """Make a tool of a typed function, async or sync: `@tool`, or `@tool(name=…, description=…)`.

    The input's JSON Schema comes from the annotations (`Literal`, `Optional`, lists, dicts, nested
    classes, `Annotated[int, msgspec.Meta(ge=1)]`), the description from the docstring's text before
    its first section, the parameters' from its Google-style `Args:`. A parameter annotated
    `ToolContext` is filled in and not shown to the model.

    The model reads the result: a `str` as it is, nothing for `None`, a `ToolOutput` with its
    images, anything else as JSON. Raise `ToolError` to tell it what to do instead; one that comes
    alone out of the function's own nursery leaves its group. A sync function runs in a thread; when
    the call is cancelled it has 4 s to return (`trio.from_thread.check_cancelled()` tells it)
    before it is abandoned.

    `permission` and `resources` are what rules go by, as `Tool` says: `@tool(permission="edit",
    resources=("path",))` for one that changes the file at its parameter `path`.

    An argument that is no parameter is an error. With `leave_out_unknown` it is left out, and the
    model is told so below the result, unless it may have meant a parameter that is not given
    (`timeout_ms` for `timeout`). `instead` has names that are never left out, since the call would
    do something else without them, and what to send in their place:
    `instead={"append": "write replaces the file"}`.

    Raises `TypeError` for a signature that no model could fill.
    """
    make = functools.partial(
        _make,
        name=name,
        description=description,
        permission=permission,
        resources=resources,
        leave_out_unknown=leave_out_unknown,
        instead=instead,
    )
    return make if function is None else make(function)


def _make(
    function: Callable[..., Any],
    *,
    name: str | None,
    description: str | None,
    permission: str | None,
    resources: Iterable[str] | Resources,
    leave_out_unknown: bool,
    instead: Mapping[str, str],
) -> FunctionTool[..., Any]:
    name = name if name is not None else _name_of(function)
    _check_callable(function, name)
    documented = parse_docstring(_docstring(function))
    parameters = parameters_of(
        function,
        name,
        documented.parameters,
        leave_out_unknown=leave_out_unknown,
        instead=instead,
    )
    return FunctionTool(
        name=name,
        description=description if description is not None else documented.description,
        input_schema=parameters.schema,
        call=_caller(function, name, parameters),
        function=function,
        permission=permission,
        resources=resources,
        arguments=parameters.read,
        leaves_out_unknown=leave_out_unknown,
    )


def _name_of(function: Any) -> str:
    function = _within(function)
    return str(getattr(function, "__name__", type(function).__name__))


def _docstring(function: Any) -> str | None:
    """What tells of the function; of an object, what its class says, or its `__call__`."""
    function = _within(function)
    documented = inspect.getdoc(function)
    if documented or inspect.isroutine(function) or isinstance(function, type):
        return documented
    return inspect.getdoc(function.__call__)


def _within(function: Any) -> Any:
    """What a partial is of: its own name and docstring are those of `functools.partial`."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _check_callable(function: Any, name: str) -> None:
    if isinstance(function, Tool):
        raise TypeError(f"tool {function.name!r} is a tool already: take one @tool away")
    if isinstance(function, classmethod) or not callable(function):
        raise TypeError(
            f"tool {name!r}: {shown(function)} cannot be called. Make a tool of a function, or of "
            "the method of an object or a class, `tool(Class.method)`"
        )
    called = function if inspect.isroutine(function) else getattr(function, "__call__", None)  # noqa: B004
    if any(
        test(each)
        for test in (inspect.isgeneratorfunction, inspect.isasyncgenfunction)
        for each in (function, called)
    ):
        raise TypeError(
            f"tool {name!r} is a generator: return the whole result, as a list perhaps, and say "
            "with `ToolContext.progress` what comes on the way"
        )


def _caller(
    function: Callable[..., Any], name: str, parameters: Parameters
) -> Callable[[Mapping[str, Any], ToolContext], Any]:
    """How the run calls the function: the input validated first, the result as text."""

    async def call_async(input: Mapping[str, Any], context: ToolContext) -> str | ToolOutput:
        require_trio()
        arguments = parameters.bind(input, context)
        with _lone_tool_error_unwrapped():
            return _render(await function(**arguments))

    async def call_in_thread(input: Mapping[str, Any], context: ToolContext) -> str | ToolOutput:
        require_trio()
        arguments = parameters.bind(input, context)

        def call() -> list[Any]:  # in a list, since Trio lets no awaitable out of a thread
            return [function(**arguments)]

        with _lone_tool_error_unwrapped():
            (result,) = await run_in_thread(call, context, f"the thread of the tool {name}")
            if inspect.isawaitable(result):  # a plain function around an async one
                result = await result
            return _render(result)

    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object whose __call__ is async
    )
    return call_async if is_async else call_in_thread


@contextlib.contextmanager
def _lone_tool_error_unwrapped() -> Iterator[None]:
    """A `ToolError` out of the function's own nursery comes alone in its group, and leaves it."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        try:
            if not isinstance(error, ToolError):
                raise
            let_on(error)
        finally:
            del error  # the group's traceback refers to this frame


def _render(result: object) -> str | ToolOutput:
    if result is None:
        return ""
    if isinstance(result, str | ToolOutput):
        return result
    return json_text(result)
