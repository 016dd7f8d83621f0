"""`output_schema` is a type: the output is a value of it, and is stored and sent as JSON."""

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import attrs
import jsonschema_rs
import msgspec
import pytest

from session_kit import opened, requests_of
from wingman import Agent, Session
from wingman.errors import OutputInvalid
from wingman.events import Done
from wingman.providers import Scripted
from wingman.run import encode_event
from wingman.runtime import Runtime

pydantic = pytest.importorskip("pydantic", reason="pydantic is not installed")


class Sky(enum.Enum):
    CLEAR = "clear"
    GREY = "grey"


@dataclass
class Data:
    city: str
    days: int = 1
    sky: Sky = Sky.GREY
    path: Path = field(default_factory=Path)


@attrs.frozen
class Made:
    city: str = attrs.field(converter=str.title)
    days: int = attrs.field(default=1, validator=attrs.validators.ge(0))


class Record(msgspec.Struct):
    city: str
    days: int = 1


class Loose(TypedDict, total=False):
    city: str
    days: int


class Pair(NamedTuple):
    city: str
    days: int = 1


class Day(pydantic.BaseModel):
    when: date
    rain: bool = False


class Model(pydantic.BaseModel):
    city: str = pydantic.Field(min_length=1)
    days: int = pydantic.Field(1, alias="numberOfDays")
    each: list[Day] = pydantic.Field(default_factory=list)

    @pydantic.field_validator("city")
    @classmethod
    def _known(cls, value: str) -> str:
        if value == "Atlantis":
            raise ValueError("there is no such city")
        return value


class Numbers(pydantic.RootModel[list[int]]):
    pass


@pydantic.dataclasses.dataclass
class Size:
    width: pydantic.PositiveInt


CASES = [
    (Data, {"city": "Bern", "days": 2.0, "sky": "clear", "path": "a"},
     Data("Bern", 2, Sky.CLEAR, Path("a"))),
    (Data, {"city": "Bern", "days": None}, Data("Bern")),
    (Made, {"city": "bern", "days": 3}, Made("Bern", 3)),
    (Record, {"city": "Bern"}, Record("Bern")),
    (Loose, {"days": 2.0}, {"days": 2}),
    (Pair, ["Bern", 2], Pair("Bern", 2)),
    (Model, {"city": "Bern", "numberOfDays": 2, "each": [{"when": "2030-01-02"}]},
     Model(city="Bern", numberOfDays=2, each=[Day(when=date(2030, 1, 2))])),
    (Numbers, [1, 2], Numbers([1, 2])),
    (Size, {"width": 2}, Size(2)),
    (list[Model], [{"city": "Bern"}], [Model(city="Bern")]),
    (Model | None, None, None),
    (Model | Day, {"when": "2030-01-02"}, Day(when=date(2030, 1, 2))),
    (dict[str, Data], {"a": {"city": "B"}}, {"a": Data("B")}),
    (Literal["yes", "no"], "yes", "yes"),
    (Sky, "grey", Sky.GREY),
    (Path, "a/b", Path("a/b")),
    (int, 3.0, 3),
    (Annotated[int, msgspec.Meta(ge=1)], 2, 2),
]  # fmt: skip


NO_JSON = "rain, I think"


def forecaster(kind: Any, *answers: Any) -> Agent:
    script = [answer if answer == NO_JSON else json.dumps(answer) for answer in answers]
    return Agent("forecaster", provider=Scripted(script), output_schema=kind)


@pytest.mark.parametrize(("kind", "said", "value"), CASES, ids=lambda each: str(each)[:50])
async def test_the_output_is_a_value_of_the_type(kind: Any, said: Any, value: Any) -> None:
    agent = forecaster(kind, said, said)
    async with Session(agent) as session:
        result = await session.run("go")
        assert result.output == value
        assert type(result.output) is type(value)
        async with session.run_stream("go") as stream:
            events = [event async for event in stream]
        last = events[-1]
        assert isinstance(last, Done)
        assert last.result.output == stream.result.output == value
    assert agent.output_check is not None
    if said != {"city": "Bern", "days": None}:  # which is taken, and needs no null
        jsonschema_rs.validator_for(agent.output_check.schema).validate(said)


def test_the_model_is_given_the_types_schema_an_object_at_its_root() -> None:
    for kind in (Data, Made, Record, Loose, Model, Size):
        check = forecaster(kind).output_check
        assert check is not None
        assert check.schema["type"] == "object"
        assert "city" in check.schema["properties"] or kind is Size


async def test_the_provider_is_asked_with_that_schema() -> None:
    agent = forecaster(Model, {"city": "Bern"})
    async with Session(agent) as session:
        await session.run("go")
    provider = agent.provider
    assert isinstance(provider, Scripted)
    assert agent.output_check is not None
    assert provider.requests[0].output_schema == agent.output_check.schema


@pytest.mark.parametrize(
    ("kind", "wrong", "told"),
    [
        (Data, {"days": 1}, "Object missing required field `city` - at `$`"),
        (Data, {"city": "B", "days": "2"}, "Expected `int`, got `str` - at `$.days`"),
        (Data, {"city": "B", "sky": "blue"}, "Invalid enum value 'blue' - at `$.sky`"),
        (Made, {"city": "b", "days": -1}, "'days' must be >= 0: -1 - at `$`"),
        (Model, {"city": "Atlantis"}, "there is no such city - at `$.city`"),
        (Model, {"city": "B", "each": [{"when": "soon"}]}, "at `$.each[0].when`"),
        (Model, NO_JSON, "It is not JSON"),
        (list[Model], [{"city": ""}], "at `$[0].city`"),
    ],
    ids=str,
)
async def test_what_does_not_fit_is_corrected_once_and_then_fails_the_run(
    kind: Any, wrong: Any, told: str
) -> None:
    right = [{"city": "Bern"}] if kind == list[Model] else {"city": "Bern"}
    agent = forecaster(kind, wrong, right, wrong, wrong)
    async with Session(agent) as session:
        result = await session.run("go")
        assert (result.steps, result.output is not None) == (2, True)
        assert told in requests_of(agent)[1][-1].text
        with pytest.raises(OutputInvalid) as caught:
            await session.run("go")
        assert told in caught.value.message
        assert "errors.pydantic.dev" not in caught.value.message


async def test_in_the_store_and_on_the_wire_the_output_is_what_the_model_said(
    tmp_path: Path,
) -> None:
    said = {"city": "Bern", "numberOfDays": 2}
    store = f"sqlite:///{tmp_path / 'wingman.db'}"
    agent = forecaster(Model, said)
    async with Runtime(store=store, agents=[agent]) as runtime:
        session = await runtime.create_session(agent)
        run = await session.submit("go")
        result = await run.result()
        assert isinstance(result.output, Model)
        assert run.record.result is not None
        assert run.record.result.output == said
        assert run.recorded_outcome().output == said
        assert b'"output":{"city":"Bern","numberOfDays":2}' in encode_event(
            Done(run.recorded_outcome())
        )
        view = await runtime.describe_run(session.id, run.id)
        assert view.result is not None
        assert view.result.output == said
        assert runtime.agents.get("forecaster").output_schema == agent.output_check.schema  # type: ignore[union-attr]
    async with Runtime(store=store, agents=[forecaster(Model)]) as runtime:
        again = await runtime.run(session.id, run.id)
        assert (await again.result()).output == said  # read again: JSON


async def test_a_run_that_is_cut_has_no_output() -> None:
    agent = forecaster(Model, NO_JSON)
    async with opened(agent) as runtime:
        session = await runtime.create_session(agent)
        result = await session.run("go", max_steps=1)
        assert (result.stop_reason, result.output) == ("step_limit", None)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (object, "Write Any"),
        (Callable[[], int], "a str that names"),
        ('{"type": "object"}', "a JSON Schema .a dict. or a type"),
        (Model(city="Bern"), "a JSON Schema .a dict. or a type"),
        (Data("Bern"), "a JSON Schema .a dict. or a type"),
        ([Model], "a JSON Schema .a dict. or a type"),
        (3, "a JSON Schema .a dict. or a type"),
        (len, "a JSON Schema .a dict. or a type"),
        (Data | Made, "pydantic models"),
        (Path | str, "Write one of them"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_what_is_no_type_is_refused_when_the_agent_is_made(kind: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said) as caught:
        forecaster(kind)
    assert "output_schema" in str(caught.value)
