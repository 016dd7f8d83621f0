"""`@tool`: the schema, the validation, the rendering of results, and sync functions in threads."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import attrs
import msgspec
import pytest
import trio
import trio.testing

from wingman.errors import ToolError
from wingman.foreign import ForeignFailure, contained, reason
from wingman.tools import Tool, ToolContext, threads, tool
from wingman.tools.decorator import FunctionTool


class Place(msgspec.Struct):
    """A place on the map."""

    name: str
    height: int = 0


@dataclass
class Range:
    low: int
    high: int


@attrs.define
class Person:
    name: str


@tool
async def forecast(
    city: str, days: Annotated[int, msgspec.Meta(ge=1, le=7)] = 1, unit: Literal["C", "F"] = "C"
) -> str:
    """Weather forecast for a city.

    It knows the weather of Bern best.

    Args:
        city: Name of the city,
            in English.
        days (int): Days ahead: 1 to 7.

    Returns:
        A sentence.
    """
    return f"{city} {days} {unit}"


def test_the_schema_is_a_self_contained_object_described_by_the_docstring() -> None:
    assert forecast.name == "forecast"
    assert forecast.description == (
        "Weather forecast for a city.\n\nIt knows the weather of Bern best."
    )
    assert forecast.input_schema == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Name of the city, in English."},
            "days": {
                "type": "integer",
                "minimum": 1,
                "maximum": 7,
                "default": 1,
                "description": "Days ahead: 1 to 7.",
            },
            "unit": {"enum": ["C", "F"], "default": "C"},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


def test_name_and_description_can_be_given() -> None:
    @tool(name="weather-report", description="What comes down.")
    async def forecast() -> None: ...

    assert (forecast.name, forecast.description) == ("weather-report", "What comes down.")
    assert isinstance(forecast, Tool)


def test_nested_types_are_defined_within_the_schema() -> None:
    @tool
    async def travel(places: list[Place], home: Place | None = None) -> None: ...

    assert travel.input_schema["properties"]["places"]["items"] == {"$ref": "#/$defs/Place"}
    assert list(travel.input_schema["$defs"]) == ["Place"]


async def test_nested_values_arrive_in_the_types_of_their_annotations(context: ToolContext) -> None:
    seen: list[Any] = []

    @tool
    async def take(place: Place, range: Range, person: Person, counts: dict[str, int]) -> None:
        seen.extend([place, range, person, counts])

    await take.call(
        {
            "place": {"name": "Bern"},
            "range": {"low": 1, "high": 2},
            "person": {"name": "Ada"},
            "counts": {"a": 1},
        },
        context,
    )
    assert seen == [Place("Bern"), Range(1, 2), Person("Ada"), {"a": 1}]


@pytest.mark.parametrize(
    ("input", "problem"),
    [
        ({"city": "Bern", "days": "3"}, "Expected `int`, got `str` - at `$.days`"),
        ({"city": "Bern", "days": 8}, "Expected `int` <= 7 - at `$.days`"),
        ({"city": "Bern", "days": True}, "Expected `int`, got `bool` - at `$.days`"),
        ({"city": "Bern", "unit": "K"}, "Invalid enum value 'K' - at `$.unit`"),
        ({}, "Object missing required field `city`"),
        ({"city": "Bern", "when": 1}, "Object contains unknown field `when`"),
    ],
)
async def test_an_input_that_does_not_fit_is_an_error_that_names_the_field(
    input: dict[str, Any], problem: str, context: ToolContext
) -> None:
    with pytest.raises(ToolError) as caught:
        await forecast.call(input, context)
    assert caught.value.message == f"Invalid input: {problem}"


async def test_what_the_input_leaves_out_is_the_functions_own_default(context: ToolContext) -> None:
    nothing = object()

    @tool
    async def check(a: int = None, b: Any = nothing, c: list[int] = [1]) -> list[bool]:  # type: ignore[assignment]  # noqa: B006, RUF013
        return [a is None, b is nothing, c == [1]]

    assert await check.call({}, context) == "[true,true,true]"
    assert check.input_schema["properties"]["c"]["default"] == [1]
    assert "default" not in check.input_schema["properties"]["b"]


async def test_the_context_is_given_to_the_function_and_hidden_from_the_model(
    context: ToolContext,
) -> None:
    @tool
    async def where(here: ToolContext, suffix: str) -> str:
        return str(here.work_dir) + suffix

    assert list(where.input_schema["properties"]) == ["suffix"]
    assert await where.call({"suffix": "!"}, context) == f"{context.work_dir}!"


@pytest.mark.parametrize(
    ("result", "text"),
    [("as it is", "as it is"), (None, ""), ({"a": [1]}, '{"a":[1]}'), (Place("B"), None), (3, "3")],
)
async def test_a_result_becomes_text(
    result: object, text: str | None, context: ToolContext
) -> None:
    @tool
    async def give() -> object:
        return result

    assert await give.call({}, context) == (text if text is not None else '{"name":"B","height":0}')


async def test_a_tool_is_still_the_function_it_was_made_from(context: ToolContext) -> None:
    @tool
    def double(number: int) -> int:
        return 2 * number

    assert double(4) == double.function(4) == 8
    assert await forecast("Bern") == "Bern 1 C"
    assert await double.call({"number": 4}, context) == "8"


def spread(*args: int) -> None: ...
def keywords(**kwargs: int) -> None: ...
def unannotated(x) -> None: ...  # type: ignore[no-untyped-def]
def positional(x: int, /) -> None: ...
def no_json(x: threading.Lock) -> None: ...
def unresolvable(x: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (spread, r"\*args or \*\*kwargs"),
        (keywords, r"\*args or \*\*kwargs"),
        (unannotated, "annotate the parameter 'x'"),
        (positional, "positional-only"),
        (no_json, "is no JSON"),
        (unresolvable, "Nowhere"),
    ],
)
def test_a_signature_that_no_model_could_fill_is_refused_at_once(
    function: Any, problem: str
) -> None:
    with pytest.raises(TypeError, match=problem) as caught:
        tool(function)
    assert function.__name__ in str(caught.value)


@pytest.mark.parametrize("name", ["", "two words", "x" * 65, "größe", "line\n"])
def test_a_name_that_a_provider_would_refuse_is_refused_at_once(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        tool(name=name)(spread_nothing)


def spread_nothing() -> None: ...


async def test_partials_methods_and_callable_objects_are_functions_too(
    context: ToolContext,
) -> None:
    class Greeter:
        async def greet(self, name: str) -> str:
            return f"Hello {name}"

        async def __call__(self, name: str) -> str:
            return f"Hi {name}"

    async def add(a: int, b: int) -> int:
        return a + b

    made: list[tuple[FunctionTool[..., Any], dict[str, Any], str]] = [
        (tool(Greeter().greet), {"name": "Ada"}, "Hello Ada"),
        (tool(name="hi")(Greeter()), {"name": "Ada"}, "Hi Ada"),
        (tool(name="add")(functools.partial(add, b=1)), {"a": 2}, "3"),
    ]
    for each, input, output in made:
        assert await each.call(input, context) == output


async def test_a_sync_function_does_not_block_the_loop(context: ToolContext) -> None:
    release = threading.Event()

    @tool
    def wait() -> bool:
        return release.wait(10)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait.call, {}, context)
        await trio.testing.wait_all_tasks_blocked()  # the loop goes on meanwhile
        release.set()


async def test_a_cancelled_thread_that_returns_in_time_is_waited_for(
    context: ToolContext, heard: Any
) -> None:
    begun, returned = trio.Event(), threading.Event()

    @tool
    def obedient() -> None:
        trio.from_thread.run_sync(begun.set)
        try:
            while True:
                trio.from_thread.check_cancelled()
        finally:
            returned.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(obedient.call, {}, context)
        await begun.wait()
        nursery.cancel_scope.cancel()
    assert returned.is_set()
    assert heard.still_running == []


async def test_a_thread_that_does_not_return_is_abandoned_and_reported(
    context: ToolContext, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_PATIENCE", 0.05)
    begun, release = trio.Event(), threading.Event()

    @tool
    def stubborn() -> bool:
        trio.from_thread.run_sync(begun.set)
        return release.wait(10)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stubborn.call, {}, context)
        await begun.wait()
        nursery.cancel_scope.cancel()
    assert heard.still_running == ["the thread of the tool stubborn"]
    release.set()


async def test_a_thread_cancelled_while_it_waits_for_room_never_begins(
    context: ToolContext, heard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_THREADS", 1)
    begun, release = trio.Event(), threading.Event()
    ran: list[str] = []

    @tool
    def first() -> bool:
        trio.from_thread.run_sync(begun.set)
        return release.wait(10)

    @tool
    def second() -> None:
        ran.append("second")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(first.call, {}, context)
        await begun.wait()
        with trio.CancelScope() as scope:
            nursery.start_soon(cancel_when_blocked, scope)
            await second.call({}, context)
        release.set()
    assert scope.cancelled_caught
    assert ran == []
    assert heard.still_running == []


async def cancel_when_blocked(scope: trio.CancelScope) -> None:
    await trio.testing.wait_all_tasks_blocked()
    scope.cancel()


async def test_what_a_sync_function_raises_comes_out_as_it_is(context: ToolContext) -> None:
    @tool
    def fail() -> None:
        raise ToolError("Try the other one.")

    with pytest.raises(ToolError, match=r"Try the other one\."):
        await fail.call({}, context)


class Finding(BaseException):
    """What no library would think of."""


@pytest.mark.parametrize(
    "kind",
    [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, StopAsyncIteration, Finding],
)
async def test_what_a_sync_function_raises_that_is_no_exception_is_its_calls_failure(
    kind: type[BaseException], context: ToolContext, heard: Any
) -> None:
    @tool
    def fail() -> None:
        raise kind("two")

    for _ in range(2):
        with pytest.raises(ForeignFailure, match=rf"^{kind.__name__}: two$") as raised:
            await fail.call({}, context)
        assert type(raised.value.__cause__) is kind
    assert await add_one.call({"number": 1}, context) == "2"
    assert heard.still_running == []


@tool
def add_one(number: int) -> int:
    """Add one."""
    return number + 1


async def test_a_cancellation_that_a_sync_function_kept_is_a_failure_where_nothing_is_cancelled(
    context: ToolContext,
) -> None:
    kept: list[trio.Cancelled] = []

    @tool
    def keep_or_raise() -> None:
        if kept:
            raise kept[0]
        while True:
            try:
                trio.from_thread.check_cancelled()
            except trio.Cancelled as error:
                kept.append(error)
                raise

    with trio.move_on_after(0.05) as scope:
        await keep_or_raise.call({}, context)
    assert scope.cancelled_caught
    failures: list[Exception] = []
    try:
        await keep_or_raise.call({}, context)
    except BaseException as error:
        failures.append(contained(error))
    assert failures[0].__cause__ is kept[0]
    assert await add_one.call({"number": 1}, context) == "2"


async def fail_in_a_nursery(*errors: BaseException, depth: int = 1) -> None:
    async def fail(error: BaseException) -> None:
        raise error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        if depth > 1:
            nursery.start_soon(functools.partial(fail_in_a_nursery, *errors, depth=depth - 1))
            return
        for error in errors:
            nursery.start_soon(fail, error)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("sync", [False, True])
async def test_a_tool_error_out_of_the_functions_own_nursery_is_that_tool_error(
    sync: bool, depth: int, context: ToolContext
) -> None:
    error = ToolError("Try the other one.")
    act = functools.partial(fail_in_a_nursery, error, depth=depth)

    @tool
    async def fail() -> None:
        await act()

    @tool
    def fail_in_a_thread() -> None:
        trio.from_thread.run(act)

    for _ in range(2):
        with pytest.raises(ToolError) as raised:
            await (fail_in_a_thread if sync else fail).call({}, context)
        assert raised.value is error
        assert error.__context__ is None


async def test_a_tool_error_that_does_not_come_alone_stays_in_its_group(
    context: ToolContext,
) -> None:
    @tool
    async def fail() -> None:
        await fail_in_a_nursery(ToolError("Try the other one."), SystemExit(2), ValueError("v"))

    with pytest.raises(BaseExceptionGroup) as raised:
        await fail.call({}, context)
    words = {"ToolError: Try the other one.", "SystemExit: 2", "ValueError: v"}
    assert set(reason(raised.value).split("; ")) == words


async def test_a_tool_error_beside_a_real_cancellation_does_not_hold_it(
    context: ToolContext,
) -> None:
    @tool
    async def fail() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ToolError("Try the other one.")

    failures: list[Exception] = []
    with trio.move_on_after(0.01) as scope:
        try:
            await fail.call({}, context)
        except BaseException as error:
            failures.append(contained(error))
    assert scope.cancelled_caught
    assert failures == []
