"""What can be made a tool: any callable, in its own words; or an error that says what to do."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import msgspec
import pytest

from wingman import ToolError as ExportedToolError
from wingman.errors import ToolError
from wingman.tools import Tool, ToolContext, tool

if TYPE_CHECKING:
    from decimal import Context

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Later:
    """It is defined after its name is written below, at run time."""

    earlier: Earlier | None = None


@dataclass
class Earlier:
    n: int


def logged(function: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    return wrapper


def logged_async(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    @functools.wraps(function)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return await function(*args, **kwargs)

    return wrapper


class Greeter:
    """Greets."""

    def __init__(self, word: str) -> None:
        self.word = word

    def greet(self, name: str, times: int = 1) -> str:
        """Greet somebody.

        Args:
            name: Who is greeted.
        """
        return f"{self.word} {name}" * times

    async def greet_async(self, name: str) -> str:
        """Greet somebody."""
        return f"{self.word} {name}"

    @classmethod
    def greet_by_class(cls, name: str) -> str:
        """Greet somebody."""
        return f"{cls.__name__} {name}"

    @staticmethod
    def greet_by_nobody(name: str) -> str:
        """Greet somebody."""
        return f"Nobody {name}"

    @staticmethod
    @tool
    def greet_as_a_tool(name: str) -> str:
        """Greet somebody."""
        return f"Tool {name}"

    def __call__(self, name: str) -> str:
        """Greet by a call."""
        return f"{self.word}, {name}"


class AsyncGreeter:
    async def __call__(self, name: str) -> str:
        """Greet by a call."""
        return f"Hi {name}"


async def add(a: int, b: int, c: int = 0) -> int:
    """Add them."""
    return a + b + c


def add_later(a: int, b: int) -> Awaitable[int]:
    """Add them."""
    return add(a, b)


MADE: list[tuple[Any, dict[str, Any], str]] = [
    (Greeter("Hello").greet, {"name": "Ada", "times": 2.0}, "Hello AdaHello Ada"),
    (Greeter("Hello").greet_async, {"name": "Ada"}, "Hello Ada"),
    (Greeter.greet_by_class, {"name": "Ada"}, "Greeter Ada"),
    (Greeter("Hello").greet_by_class, {"name": "Ada"}, "Greeter Ada"),
    (Greeter.greet_by_nobody, {"name": "Ada"}, "Nobody Ada"),
    (Greeter.__dict__["greet_by_nobody"], {"name": "Ada"}, "Nobody Ada"),
    (Greeter("Hello"), {"name": "Ada"}, "Hello, Ada"),
    (AsyncGreeter(), {"name": "Ada"}, "Hi Ada"),
    (functools.partial(AsyncGreeter()), {"name": "Ada"}, "Hi Ada"),
    (functools.partial(add, b=1), {"a": 2}, "3"),
    (functools.partial(functools.partial(add, b=1), c=4), {"a": 2, "b": None}, "7"),
    (functools.partial(add, 5), {"b": 1}, "6"),
    (add_later, {"a": 2, "b": 3}, "5"),
    (logged(add), {"a": 2, "b": 3}, "5"),
    (logged_async(add), {"a": 2, "b": 3}, "5"),
    (logged(Greeter("Hello").greet), {"name": "Ada"}, "Hello Ada"),
]


@pytest.mark.parametrize(("function", "input", "output"), MADE, ids=lambda each: None)
async def test_any_callable_is_a_tool(
    function: Any, input: dict[str, Any], output: str, context: ToolContext
) -> None:
    made = tool(function)
    assert set(input) <= set(made.input_schema["properties"])
    assert "self" not in made.input_schema["properties"]
    assert await made.call(input, context) == output
    assert made.description


async def test_a_partial_and_a_method_have_the_functions_own_words(context: ToolContext) -> None:
    made = tool(functools.partial(Greeter("Hello").greet, times=2))
    assert (made.name, made.description) == ("greet", "Greet somebody.")
    properties = made.input_schema["properties"]
    assert properties["name"]["description"] == "Who is greeted."
    assert properties["times"]["default"] == 2
    assert await made.call({"name": "A"}, context) == "Hello AHello A"
    assert await Greeter.greet_as_a_tool.call({"name": "Ada"}, context) == "Tool Ada"


async def test_types_that_are_local_to_a_function_are_found(context: ToolContext) -> None:
    class Local(msgspec.Struct):
        n: int

    Short = Annotated[str, msgspec.Meta(max_length=3)]  # noqa: N806

    @tool
    async def take(
        local: Local, short: Short, later: Later, more: list[Local] | None = None
    ) -> Local:
        """Take it."""
        assert isinstance(later.earlier, Earlier)
        return Local(local.n + len(more or ()))

    @tool(name="again")
    def take_again(local: Local) -> Local:
        """Take it."""
        return local

    given = {"local": {"n": 1}, "short": "abc", "later": {"earlier": {"n": 2}}, "more": [{"n": 3}]}
    assert await take.call(given, context) == '{"n":2}'
    assert await take_again.call({"local": {"n": 1}}, context) == '{"n":1}'
    assert await tool(take_again.function).call({"local": {"n": 1}}, context) == '{"n":1}'


async def test_what_a_function_returns_need_not_be_known(context: ToolContext) -> None:
    @tool
    async def give() -> Context:
        """Give it."""
        return "given"  # type: ignore[return-value]

    assert await give.call({}, context) == "given"


async def test_the_context_may_be_optional(context: ToolContext) -> None:
    @tool
    async def where(a: ToolContext | None = None, suffix: str = "!") -> str:
        """Say where."""
        assert a is not None
        return f"{a.work_dir}{suffix}"

    @tool
    async def where_annotated(a: Annotated[ToolContext, "the call's"]) -> str:
        """Say where."""
        return str(a.work_dir)

    assert list(where.input_schema["properties"]) == ["suffix"]
    assert await where.call({}, context) == f"{context.work_dir}!"
    assert where_annotated.input_schema["properties"] == {}
    assert await where_annotated.call({}, context) == str(context.work_dir)


def takes_unknown(x: Context) -> None:
    """Take it."""


def generator(x: int) -> Iterator[int]:
    """Give them."""
    yield x


async def async_generator(x: int) -> AsyncIterator[int]:
    """Give them."""
    yield x


class Unbound:
    def method(self, x: int) -> None:
        """Do it."""

    @classmethod
    def of_class(cls, x: int) -> None:
        """Do it."""

    def __call__(self, x: int) -> Iterator[int]:
        yield x


def spread(x: int, *args: int) -> None:
    """Do it."""


def keywords(x: int, **kwargs: int) -> None:
    """Do it."""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (takes_unknown, ["'takes_unknown'", "'x'", "Context", "TYPE_CHECKING"]),
        (generator, ["'generator'", "return the whole result", "progress"]),
        (async_generator, ["'async_generator'", "return the whole result"]),
        (Unbound(), ["'Unbound'", "return the whole result"]),
        (Unbound.method, ["'method'", "annotate", "'self'", "tool(the_object.method)"]),
        (Unbound.__dict__["of_class"], ["'of_class'", "tool(Class.method)"]),
        (Unbound.__dict__["of_class"].__func__, ["'of_class'", "'cls'", "tool(the_object."]),
        (spread, ["'spread'", "*args or **kwargs", "'args'", "a list"]),
        (keywords, ["'keywords'", "*args or **kwargs", "'kwargs'", "a dict"]),
        (max, ["'max'", "write a function around it"]),
        (len, ["'len'", "positional-only"]),
        (3, ["cannot be called", "3"]),
        ("add", ["cannot be called", "add"]),
        (tool(add), ["'add'", "a tool already"]),
    ],
    ids=lambda each: None,
)
def test_what_cannot_be_a_tool_is_refused_with_what_to_do(function: Any, said: list[str]) -> None:
    with pytest.raises(TypeError) as caught:
        tool(function)
    for words in said:
        assert words in str(caught.value)


def test_a_function_without_a_name_is_asked_for_one() -> None:
    with pytest.raises(ValueError, match=r"not '<lambda>': give it one, @tool\(name=\.\.\.\)"):
        tool(lambda: 3)


def test_a_method_is_refused_in_its_class_with_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"tool\(the_object\.greet\)"):

        class Decorated:
            @tool
            def greet(self, name: str) -> str:
                """Greet."""
                return name


@pytest.mark.parametrize("description", [None, "", "  "])
def test_a_tool_without_a_description_is_a_warning(description: str | None) -> None:
    with pytest.warns(UserWarning, match="'nameless' has no description.*docstring") as seen:

        @tool(description=description)
        async def nameless() -> None: ...

    assert seen[0].filename == __file__


def test_so_is_one_that_is_made_by_hand_and_others_are_none() -> None:
    async def call(input: object, context: ToolContext) -> str:
        return ""

    with pytest.warns(UserWarning, match="'made' has no description") as seen:
        Tool("made", "", {"type": "object"}, call)
    assert seen[0].filename == __file__
    Tool("made", "Make it.", {"type": "object"}, call)

    @tool(description="Do it.")
    async def described() -> None: ...

    @tool
    async def documented() -> None:
        """Do it."""

    with pytest.raises(TypeError, match="description"):
        Tool("made", None, {"type": "object"}, call)  # type: ignore[arg-type]


def test_the_warning_is_seen_by_whoever_runs_the_program() -> None:
    code = "import wingman\n@wingman.tool\ndef f(): ...\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'f' has no description" in done.stderr


def test_the_tool_error_is_at_the_front_door() -> None:
    assert ExportedToolError is ToolError
