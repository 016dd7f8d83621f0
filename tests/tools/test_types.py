"""The types of a tool's parameters and results: each by its own schema, or an error that helps."""

import collections
import contextlib
import dataclasses
import enum
import functools
import json
import subprocess
import sys
import threading
import typing
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Required,
    TypedDict,
    TypeVar,
)

import attrs
import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings, strategies

from wingman.errors import ToolError
from wingman.schemas import Mismatch, Typed, fitted
from wingman.tools import BUILTIN, Tool, ToolContext, tool

pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")

T = TypeVar("T")
UserId = NewType("UserId", int)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Unit(enum.StrEnum):
    KM = "km"


class Odd(enum.Enum):
    HALF = 0.5
    ONE = 1
    NAME = "name"
    NONE = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    low: int
    high: int = 10
    at: datetime | None = None
    path: Path = Path()

    def __post_init__(self) -> None:
        if self.high < self.low:
            raise ValueError("high must not be below low")


@dataclasses.dataclass
class Circle:
    radius: float
    scale: dataclasses.InitVar[int] = 1
    area: float = dataclasses.field(init=False, default=0.0)

    def __post_init__(self, scale: int) -> None:
        self.area = 3 * self.radius**2 * scale


@attrs.frozen
class Person:
    name: str = attrs.field(converter=str.strip)
    age: int = attrs.field(default=7, validator=attrs.validators.ge(0))
    role: str = attrs.field(default="dev", validator=attrs.validators.in_(["dev", "ops"]))
    tags: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    _secret: int = 3
    born: int = attrs.field(init=False, default=1999)


@attrs.define
class Plain:
    name: str
    age: int = attrs.field(default=7, validator=attrs.validators.instance_of(int))
    ids: list[int] = attrs.field(factory=list)


@attrs.define
class Node:
    name: str = attrs.field(converter=str.upper)
    children: "list[Node]" = attrs.field(factory=list)


class Trip(TypedDict, total=False):
    to: Required[str]
    days: int


class Strict(TypedDict):
    to: str
    days: NotRequired[int]


class Journey(TypedDict):
    first: "Stop"
    more: "NotRequired[list[Stop]]"


class Point(NamedTuple):
    x: int
    y: int = 0


class Box(msgspec.Struct, Generic[T]):
    value: T


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    age: int


class Holder(msgspec.Struct):
    person: Person
    path: Path
    plan: "Plan | None" = None


class Stop(pydantic.BaseModel):
    """A place to stop at."""

    city: str = pydantic.Field(min_length=1, description="Where.")
    nights: int = pydantic.Field(1, ge=1, alias="numberOfNights")


class Plan(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    name: str
    stops: list[Stop] = pydantic.Field(default_factory=list)
    budget: Decimal | None = None
    start: date = date(2030, 1, 1)

    @pydantic.field_validator("name")
    @classmethod
    def _capital(cls, value: str) -> str:
        if not value[:1].isupper():
            raise ValueError("a name begins with a capital letter")
        return value


class Tree(pydantic.BaseModel):
    name: str
    children: list["Tree"] = pydantic.Field(default_factory=list)


class Numbers(pydantic.RootModel[list[int]]):
    pass


class Car(pydantic.BaseModel):
    kind: Literal["car"]
    wheels: int = 4


class Boat(pydantic.BaseModel):
    kind: Literal["boat"]
    sails: int = 1


Vehicle = Annotated[Car | Boat, pydantic.Field(discriminator="kind")]


@pydantic.dataclasses.dataclass
class Size:
    width: pydantic.PositiveInt
    height: int = 1


DAY = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


def takes(hint: Any, default: Any = ...) -> tuple[Tool, list[Any]]:
    """A tool with one parameter, `x`, of this type, and what it was called with."""
    seen: list[Any] = []

    def take(**given: Any) -> None:
        seen.append(given.get("x", "left out"))

    def function(x: Any) -> None:
        """Take it."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        take(**kwargs)

    function.__annotations__["x"] = hint
    wrapped.__annotations__ = {"x": hint, "return": None}
    if default is not ...:
        function.__defaults__ = (default,)
    return tool(wrapped), seen


async def read(hint: Any, value: Any, context: ToolContext) -> Any:
    """What a parameter of this type is given; its schema takes the same value."""
    made, seen = takes(hint)
    jsonschema_rs.validator_for(made.input_schema).validate({"x": value})
    await made.call({"x": value}, context)
    return seen[0]


READ = [
    (Path, "a/b", Path("a/b")),
    (PurePosixPath, "a", PurePosixPath("a")),
    (Path | None, None, None),
    (list[Path], ["a"], [Path("a")]),
    (dict[str, Path], {"a": "b"}, {"a": Path("b")}),
    (uuid.UUID, str(ID), ID),
    (datetime, "2030-01-02T03:04:00Z", DAY),
    (date, "2030-01-02", date(2030, 1, 2)),
    (time, "03:04:00", time(3, 4)),
    (timedelta, "PT90S", timedelta(seconds=90)),
    (Decimal, "1.50", Decimal("1.50")),
    (bytes, "aGk=", b"hi"),
    (Color, "red", Color.RED),
    (Level, 2, Level.HIGH),
    (Unit, "km", Unit.KM),
    (Odd, 0.5, Odd.HALF),
    (Odd, 1, Odd.ONE),
    (Odd, "name", Odd.NAME),
    (Odd, None, Odd.NONE),
    (Literal["a", 1] | None, 1, 1),
    (UserId, 4, 4),
    (Any, {"a": [1.0, None]}, {"a": [1.0, None]}),
    (int | str, "3", "3"),
    (Sequence[int], [1], [1]),
    (Mapping[str, int], {"a": 1}, {"a": 1}),
    (dict[int, str], {"1": "a"}, {1: "a"}),
    (set[int], [1, 2], {1, 2}),
    (frozenset[Color], ["red"], frozenset({Color.RED})),
    (tuple[int, str], [1, "a"], (1, "a")),
    (tuple[Path, ...], ["a"], (Path("a"),)),
    (Range, {"low": 1, "path": "p"}, Range(low=1, path=Path("p"))),
    (list[Range] | None, [{"low": 1}], [Range(low=1)]),
    (Person, {"name": " Ada ", "tags": ["a"]}, Person("Ada", tags=("a",))),
    (Person, {"name": "A", "secret": 5}, Person("A", secret=5)),
    (dict[str, Person], {"a": {"name": " A"}}, {"a": Person("A")}),
    (Plain, {"name": " A"}, Plain(" A")),
    (Node, {"name": "a", "children": [{"name": "b"}]}, Node("A", [Node("B")])),
    (Trip, {"to": "Bern"}, {"to": "Bern"}),
    (Strict, {"to": "Bern", "days": 2}, {"to": "Bern", "days": 2}),
    (Journey, {"first": {"city": "B"}}, {"first": Stop(city="B")}),
    (
        Journey,
        {"first": {"city": "B"}, "more": [{"city": "C"}]},
        {"first": Stop(city="B"), "more": [Stop(city="C")]},
    ),
    (Point, [1], Point(1)),
    (Box[int], {"value": 1}, Box(1)),
    (Cat | Dog, {"type": "Dog", "age": 3}, Dog(3)),
    (Stop, {"city": "Bern", "numberOfNights": 2}, Stop(city="Bern", numberOfNights=2)),
    (Plan, {"name": "A", "stops": [{"city": "B"}]}, Plan(name="A", stops=[Stop(city="B")])),
    (Plan | None, None, None),
    (list[Stop], [{"city": "B"}], [Stop(city="B")]),
    (dict[str, Stop] | str, {"a": {"city": "B"}}, {"a": Stop(city="B")}),
    (Car | Boat, {"kind": "boat"}, Boat(kind="boat")),
    (Vehicle, {"kind": "car", "wheels": 3}, Car(kind="car", wheels=3)),
    (Numbers, [1, 2], Numbers([1, 2])),
    (Tree, {"name": "a", "children": [{"name": "b"}]}, Tree(name="a", children=[Tree(name="b")])),
    (Size, {"width": 2}, Size(2)),
    (pydantic.PositiveInt, 2, 2),
    (Annotated[int, pydantic.Field(ge=1, le=3)], 3, 3),
    (Annotated[list[int], pydantic.Field(max_length=2)], [1], [1]),
    (Annotated[int, msgspec.Meta(ge=1)], 1, 1),
]


@pytest.mark.parametrize(("hint", "value", "read_as"), READ, ids=lambda each: str(each)[:60])
async def test_a_parameter_arrives_in_the_type_of_its_annotation(
    hint: Any, value: Any, read_as: Any, context: ToolContext
) -> None:
    result = await read(hint, value, context)
    assert result == read_as
    assert type(result) is type(read_as)


async def test_a_class_is_made_by_its_own_constructor(context: ToolContext) -> None:
    circle = await read(Circle, {"radius": 2, "scale": 3}, context)
    assert (circle.radius, circle.area) == (2.0, 36.0)
    assert (await read(Person, {"name": "A"}, context)).born == 1999
    holder = await read(
        Holder, {"person": {"name": "A"}, "path": "p", "plan": {"name": "P"}}, context
    )
    assert (holder.path, holder.plan) == (Path("p"), Plan(name="P"))
    made, _ = takes(Person)
    assert made.input_schema["$defs"]["Person"]["properties"]["age"]["default"] == 7
    for hint, hidden in ((Circle, "area"), (Person, "born"), (Person, "_secret")):
        made, _ = takes(hint)
        assert f'"{hidden}"' not in json.dumps(made.input_schema)


UNFIT = [
    (Path, 3, "Expected `str`, got `int` - at `$.x`"),
    (list[Path], ["a", None], "Expected `str`, got `null` - at `$.x[1]`"),
    (int, "3", "Expected `int`, got `str` - at `$.x`"),
    (Color, "green", "Invalid enum value 'green' - at `$.x`"),
    (Odd, True, "Invalid enum value True - at `$.x`"),
    (Odd, [1], "Invalid enum value [1] - at `$.x`"),
    (Range, {"low": 11}, "high must not be below low - at `$.x`"),
    (Range, {"low": "1"}, "Expected `int`, got `str` - at `$.x.low`"),
    (Person, {"name": "A", "age": -1}, "'age' must be >= 0: -1 - at `$.x`"),
    (Person, {"name": "A", "role": "x"}, "'role' must be in ['dev', 'ops'] (got 'x') - at `$.x`"),
    (Plain, {"name": "A", "age": "x"}, "Expected `int`, got `str` - at `$.x.age`"),
    (list[Person], [{"name": 3}], "Expected `str`, got `int` - at `$.x[0].name`"),
    (list[Person], [{}], "Object missing required field `name` - at `$.x[0]`"),
    (Trip, {"days": 1}, "Object missing required field `to` - at `$.x`"),
    (Stop, {"city": ""}, "String should have at least 1 character - at `$.x.city`"),
    (Stop, {"numberOfNights": 1}, "Field required - at `$.x.city`"),
    (list[Stop], [{"city": "B", "numberOfNights": 0}], "greater than or equal to 1"),
    (Plan, {"name": "a"}, "a name begins with a capital letter - at `$.x.name`"),
    (Plan, {"name": "A", "more": 1}, "Extra inputs are not permitted - at `$.x.more`"),
    (Plan, {"name": "A", "stops": [{"city": 3}]}, "at `$.x.stops[0].city`"),
    (Vehicle, {"kind": "bus"}, "'car', 'boat' - at `$.x`"),
    (pydantic.PositiveInt, 0, "Input should be greater than 0 - at `$.x`"),
    (Holder, {"person": {"name": "A"}, "path": "p", "plan": {"name": "b"}}, "at `$.x.plan.name`"),
    (Size, {"width": 0}, "Input should be greater than 0 - at `$.x.width`"),
]


@pytest.mark.parametrize(("hint", "value", "problem"), UNFIT, ids=lambda each: str(each)[:60])
async def test_what_does_not_fit_is_a_sentence_with_the_path_and_without_the_validator(
    hint: Any, value: Any, problem: str, context: ToolContext
) -> None:
    made, seen = takes(hint)
    with pytest.raises(ToolError) as caught:
        await made.call({"x": value}, context)
    assert caught.value.message.startswith("Invalid input: ")
    assert problem in caught.value.message
    for noise in ("Attribute(", "validation error for", "errors.pydantic.dev", "input_value"):
        assert noise not in caught.value.message
    assert seen == []


async def test_all_that_pydantic_finds_is_said_in_lines(context: ToolContext) -> None:
    made, _ = takes(Plan)
    with pytest.raises(ToolError) as caught:
        await made.call({"x": {"name": "a", "stops": [{"city": ""}]}}, context)
    assert len(caught.value.message.splitlines()) == 2


DESCRIBED = {"type": "integer", "minimum": 1, "description": "d"}


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (Path, {"type": "string", "format": "path"}),
        (Annotated[str, "The city."], {"type": "string", "description": "The city."}),
        (Annotated[Path, "p"], {"type": "string", "format": "path", "description": "p"}),
        (Annotated[int, msgspec.Meta(description="d", ge=1)], DESCRIBED),
        (Annotated[int, pydantic.Field(description="d", ge=1)], DESCRIBED),
        (Odd, {"title": "Odd", "enum": [0.5, 1, "name", None]}),
    ],
    ids=str,
)  # fmt: skip
def test_the_schema_is_the_types_own(hint: Any, schema: dict[str, Any]) -> None:
    made, _ = takes(hint)
    assert made.input_schema["properties"]["x"] == schema


def test_the_schema_of_a_model_is_pydantics_and_refers_within_the_tools() -> None:
    made, _ = takes(Plan)
    described = made.input_schema["properties"]["x"]
    assert described["properties"]["stops"]["items"] == {"$ref": "#/$defs/Stop"}
    assert made.input_schema["$defs"]["Stop"]["properties"]["numberOfNights"]["minimum"] == 1
    jsonschema_rs.validator_for(made.input_schema)


async def test_a_parameter_may_be_described_by_a_field_as_its_default(
    context: ToolContext,
) -> None:
    seen: list[Any] = []

    @tool
    async def book(
        city: str = pydantic.Field(min_length=2, description="Where."),
        nights: int = pydantic.Field(default=3, ge=1),
        tags: list[str] = pydantic.Field(default_factory=list),  # noqa: B008
    ) -> None:
        """Book it."""
        seen.append((city, nights, tags))

    assert book.input_schema["required"] == ["city"]
    assert book.input_schema["properties"]["city"]["description"] == "Where."
    assert book.input_schema["properties"]["nights"]["default"] == 3
    await book.call({"city": "Bern"}, context)
    await book.call({"city": "Bern", "nights": 5.0, "tags": ["a"]}, context)
    assert seen == [("Bern", 3, []), ("Bern", 5, ["a"])]
    with pytest.raises(ToolError, match=r"at least 2 characters - at `\$.city`"):
        await book.call({"city": "B"}, context)


async def test_defaults_of_these_types_are_shown_as_json(context: ToolContext) -> None:
    @tool
    async def find(
        path: Path = Path("src"), color: Color = Color.RED, plan: Plan | None = None, at: date = DAY
    ) -> str:
        """Find it."""
        return f"{path!r} {color} {plan} {at == DAY}"

    shown = {name: each["default"] for name, each in find.input_schema["properties"].items()}
    assert shown == {
        "path": "src",
        "color": "red",
        "plan": None,
        "at": "2030-01-02T03:04:00Z",
    }
    assert await find.call({}, context) == f"{Path('src')!r} Color.RED None True"


ANYTHING = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(max_size=3)
    | strategies.sampled_from(["\ud83d", "2030-01-01", "red", "Dog", "car", "PT1S", 3.0, 1e300]),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(
            strategies.sampled_from(
                ["name", "low", "city", "stops", "type", "kind", "to", "\udc00"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
TYPED = [Typed(hint) for hint, *_ in READ]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(ANYTHING, strategies.sampled_from(TYPED))
def test_whatever_a_model_sends_is_read_or_is_a_mismatch_in_words(value: Any, typed: Typed) -> None:
    with contextlib.suppress(Mismatch):
        typed.read(value)
    once = fitted(value, typed.schema, drop_nulls=True)
    assert repr(fitted(once, typed.schema, drop_nulls=True)) == repr(once)


async def test_the_built_in_tools_take_whole_numbers_and_nulls_too(context: ToolContext) -> None:
    (context.work_dir / "a.txt").write_text("one\ntwo\nthree\n")
    part = await BUILTIN["read"].call({"path": "a.txt", "offset": 2.0, "limit": 1.0}, context)
    assert "two" in str(part)
    assert "three" not in str(part).splitlines()[0]
    whole = await BUILTIN["read"].call({"path": "a.txt", "offset": None, "limit": None}, context)
    assert "three" in str(whole)


# --- numbers that are whole, and nulls ------------------------------------------------------------


class Nested(msgspec.Struct):
    n: int
    m: int = 5


@dataclasses.dataclass
class NestedData:
    n: int = 4
    deep: list[Nested] = dataclasses.field(default_factory=list)


class Loose(TypedDict, total=False):
    n: int
    text: str | None


WHOLE = [
    (int, 3.0, 3),
    (int, 1e3, 1000),
    (int, -0.0, 0),
    (int, 1e20, 10**20),
    (int | None, 3.0, 3),
    (int | str, 3.0, 3),
    (list[int], [1.0, 2], [1, 2]),
    (tuple[int, float], [1.0, 2.0], (1, 2.0)),
    (dict[str, int], {"a": 1.0}, {"a": 1}),
    (Literal[1, 2], 2.0, 2),
    (Literal[1, "a"], 1.0, 1),
    (Level, 2.0, Level.HIGH),
    (Annotated[int, msgspec.Meta(ge=1, le=7)], 7.0, 7),
    (Nested, {"n": 1.0, "m": 2.0}, Nested(1, 2)),
    (NestedData, {"deep": [{"n": 2.0}]}, NestedData(4, [Nested(2)])),
    (Person, {"name": "A", "age": 3.0}, Person("A", 3)),
    (Loose, {"n": 3.0}, {"n": 3}),
    (Point, [1.0, 2.0], Point(1, 2)),
    (Cat | Dog, {"type": "Dog", "age": 3.0}, Dog(3)),
    (list[Cat | Dog] | None, [{"type": "Cat", "lives": 9.0}], [Cat(9)]),
    (Node, {"name": "a", "children": []}, Node("A")),
    (Stop, {"city": "B", "numberOfNights": 2.0}, Stop(city="B", numberOfNights=2)),
    (Car | Boat, {"kind": "boat", "sails": 2.0}, Boat(kind="boat", sails=2)),
]


@pytest.mark.parametrize(("hint", "value", "read_as"), WHOLE, ids=lambda each: str(each)[:60])
async def test_a_number_without_a_fraction_is_an_integer(
    hint: Any, value: Any, read_as: Any, context: ToolContext
) -> None:
    result = await read(hint, value, context)
    assert result == read_as
    assert repr(result) == repr(read_as)  # 3, not 3.0


@pytest.mark.parametrize(
    ("hint", "value"),
    [(float, 3.0), (int | float, 3.0), (Any, [3.0]), (dict[str, Any], {"a": 3.0})],
)
async def test_where_any_number_may_stand_it_stays_what_it_was(
    hint: Any, value: Any, context: ToolContext
) -> None:
    assert repr(await read(hint, value, context)) == repr(value)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, 3.5),
        (int, True),
        (int, "3"),
        (int, "3.0"),
        (int, float("inf")),
        (int, float("nan")),
        (list[int], [1.0, 2.5]),
        (Literal[1, 2], 3.0),
        (Level, 1.5),
        (bool, 1.0),
        (str, 3.0),
        (Annotated[int, msgspec.Meta(le=7)], 8.0),
        (Nested, {"n": 1.5}),
        (Nested, {"n": 1.0, "m": "2"}),
    ],
)
async def test_what_is_no_integer_stays_an_error(
    hint: Any, value: Any, context: ToolContext
) -> None:
    made, seen = takes(hint)
    with pytest.raises(ToolError, match=r"at `\$\.x"):
        await made.call({"x": value}, context)
    assert seen == []


async def test_a_null_for_what_has_a_default_is_its_default(context: ToolContext) -> None:
    seen: list[Any] = []

    @tool
    async def take(
        n: int = 5,
        text: str = "t",
        items: list[int] = [1],  # noqa: B006
        color: Color = Color.RED,
        path: Path = Path("p"),
        person: Person = Person("A"),
        plan: Plan = Plan(name="P"),  # noqa: B008
        maybe: int | None = 7,
        anything: Any = "x",
    ) -> None:
        """Take it."""
        seen.append([n, text, items, color, path, person, plan, maybe, anything])

    await take.call(dict.fromkeys(take.input_schema["properties"]), context)
    assert seen == [[5, "t", [1], Color.RED, Path("p"), Person("A"), Plan(name="P"), None, None]]


@pytest.mark.parametrize(
    ("hint", "value", "read_as"),
    [
        (Nested, {"n": 1, "m": None}, Nested(1)),
        (NestedData, {"n": None, "deep": None}, NestedData()),
        (NestedData, {"deep": [{"n": 1, "m": None}]}, NestedData(4, [Nested(1)])),
        (Loose, {"n": None, "text": None}, {"text": None}),
        (Person, {"name": "A", "age": None, "secret": None}, Person("A")),
        (Stop, {"city": "B", "numberOfNights": None}, Stop(city="B")),
        (Plan, {"name": "A", "stops": None, "budget": None, "start": None}, Plan(name="A")),
        (list[Plan], [{"name": "A", "stops": [{"city": "B", "numberOfNights": None}]}],
         [Plan(name="A", stops=[Stop(city="B")])]),
    ],
    ids=lambda each: str(each)[:60],
)  # fmt: skip
async def test_so_is_one_within_a_value(
    hint: Any, value: Any, read_as: Any, context: ToolContext
) -> None:
    made, seen = takes(hint)
    await made.call({"x": value}, context)
    assert seen == [read_as]


@pytest.mark.parametrize(
    ("hint", "value"),
    [(int, None), (Nested, {"n": None}), (list[int], [None]), (Stop, {"city": None})],
)
async def test_a_null_for_what_must_be_given_is_an_error(
    hint: Any, value: Any, context: ToolContext
) -> None:
    made, _ = takes(hint)
    with pytest.raises(ToolError, match=r"at `\$\.x"):
        await made.call({"x": value}, context)


# --- results --------------------------------------------------------------------------------------


RESULTS = [
    (Path("a/b"), '"a/b"'),
    ([Path("a")], '["a"]'),
    (Color.RED, '"red"'),
    (Unit.KM, "km"),
    (Level.HIGH, "2"),
    (DAY, '"2030-01-02T03:04:00Z"'),
    (timedelta(seconds=90), '"PT90S"'),
    (Decimal("1.50"), '"1.50"'),
    (ID, f'"{ID}"'),
    ({1, 2}, "[1,2]"),
    (frozenset({"a"}), '["a"]'),
    ((1, "a"), '[1,"a"]'),
    (b"hi", '"aGk="'),
    (True, "true"),
    (float("nan"), "null"),
    (2**70, str(2**70)),
    ({Color.RED: Path("a"), 3: None}, '{"red":"a","3":null}'),
    (Range(low=1), '{"low":1,"high":10,"at":null,"path":"."}'),
    (Plain("A"), '{"name":"A","age":7,"ids":[]}'),
    (Point(1), "[1,0]"),
    (Box(Path("a")), '{"value":"a"}'),
    (Stop(city="B"), '{"city":"B","numberOfNights":1}'),
    ({"a": [Stop(city="B")]}, '{"a":[{"city":"B","numberOfNights":1}]}'),
    (Numbers([1]), "[1]"),
    (Size(2), '{"width":2,"height":1}'),
    (pydantic.SecretStr("key"), '"**********"'),
    (pydantic.TypeAdapter(pydantic.HttpUrl).validate_python("http://a/"), '"http://a/"'),
    (collections.deque([1]), "[1]"),
    (collections.OrderedDict(a=1), '{"a":1}'),
    (MappingProxyType({"a": 1}), '{"a":1}'),
    ({"a": 1}.keys(), '["a"]'),
    (range(3), "[0,1,2]"),
    ({"name": "\udcff"}, '{"name":"\udcff"}'),
    (Path("\udcff"), '"\udcff"'),
]


@pytest.mark.parametrize(("result", "text"), RESULTS, ids=lambda each: ascii(each)[:60])
@pytest.mark.parametrize("sync", [False, True])
async def test_a_result_is_json_by_its_type(
    result: Any, text: str, sync: bool, context: ToolContext
) -> None:
    async def give_async() -> Any:
        """Give it."""
        return result

    def give() -> Any:
        """Give it."""
        return result

    given = await tool(give if sync else give_async).call({}, context)
    if isinstance(result, Plain):  # whose fields msgspec writes in an order of its own
        assert json.loads(str(given)) == json.loads(text)
    else:
        assert given == text


class Opaque:
    pass


@pytest.mark.parametrize(
    "result", [Opaque(), [Opaque()], threading.Lock(), (n for n in "ab"), 1j, {(1, 2): 3}, len]
)
async def test_a_result_that_is_no_json_is_the_tools_failure_in_a_sentence(
    result: Any, context: ToolContext
) -> None:
    @tool
    async def give() -> Any:
        """Give it."""
        return result

    with pytest.raises(TypeError, match=r"form in JSON: give text") as caught:
        await give.call({}, context)
    assert "give" in str(caught.value)


# --- what cannot be -------------------------------------------------------------------------------


class Unmarked:
    name: str


class StrChild(str):
    __slots__ = ()


class Bad(enum.Enum):
    PAIR = (1, 2)


class WithLock(msgspec.Struct):
    lock: threading.Thread


class Conditioned(msgspec.Struct):
    n: Annotated[int, pydantic.Field(ge=1)]


class HasOpaque(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    it: Opaque


@pytest.mark.parametrize(
    ("hint", "type_named", "advice"),
    [
        (threading.Lock, "allocate_lock", "dataclass"),
        (threading.Thread, "threading.Thread", "dataclass"),
        (list[threading.Thread], "threading.Thread", "dataclass"),
        (WithLock, "threading.Thread", "dataclass"),
        (object, "object", "Write Any"),
        (complex, "complex", "floats"),
        (Callable[[int], int], "Callable", "a str that names"),
        (Iterable[int], "Iterable", "Write list"),
        (Iterator[int], "Iterator", "Write list"),
        (collections.deque, "deque", "Write list"),
        (collections.defaultdict, "defaultdict", "Write dict"),
        (type, "type", "a str that names"),
        (Unmarked, "Unmarked", "@dataclass"),
        (StrChild, "StrChild", "Write str"),
        (Bad, "Bad", "texts or numbers"),
        (Literal[1.5], "Literal", "JSON"),  # type: ignore[valid-type]
        (Path | str, "Path", "Write one of them"),
        (Range | Plain, "Range", "pydantic models"),
        (datetime | str, "datetime", "Write one of them"),
        (dict[Path, int], "Path", "Write str"),
        (dict[str, HasOpaque], "HasOpaque", "pydantic cannot"),
        (Stop | Cat, "Cat", "pydantic cannot"),
        (list[Conditioned], "Conditioned", "msgspec.Meta"),
        (typing.Never, "Never", "JSON"),
        ("int or or", "'x'", "no type"),
        ("Nowhere", "Nowhere", "run time"),
    ],
    ids=lambda each: str(each)[:50],
)
def test_a_type_that_cannot_be_is_refused_by_name_with_what_to_write_instead(
    hint: Any, type_named: str, advice: str
) -> None:
    with pytest.raises(TypeError) as caught:
        takes(hint)
    said = str(caught.value)
    assert "tool 'function'" in said
    assert "parameter 'x'" in said
    assert type_named in said
    assert advice in said


def test_two_types_of_one_name_are_told_apart_or_refused() -> None:
    first = attrs.make_class("Same", {"a": attrs.field(type=int, converter=int)})
    second = attrs.make_class("Same", {"b": attrs.field(type=int, converter=int)})

    def take(a: first, b: second) -> None:  # type: ignore[valid-type]
        """Take them."""

    with pytest.raises(TypeError, match=r"tool 'take'.*both named 'Same'"):
        tool(take)


def test_pydantic_is_not_imported_for_those_who_do_not_use_it() -> None:
    code = (
        "import sys, dataclasses, pathlib, wingman\n"
        "@dataclasses.dataclass\n"
        "class A: n: int\n"
        "@wingman.tool\n"
        "def f(a: A, p: pathlib.Path) -> A:\n"
        "    'Do it.'\n"
        "    return a\n"
        "import wingman.server\n"
        "sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
