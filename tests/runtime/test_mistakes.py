"""A program's mistakes: each is a sentence, where it is made, that says what to give instead."""

from collections.abc import Callable
from typing import Any

import pytest
import trio

from wingman import Agent, ImageBlock, Limits, Runtime, Session, Tool, ToolOutput
from wingman.errors import InvalidRequest
from wingman.providers import Fallback, Keyless
from wingman.server import serve
from wingman.tools import bash

AGENT = Agent("assistant", provider=Keyless())
IMAGE = ImageBlock("image/png", "")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Agent("a", provider=Keyless), "write Keyless\\(…\\)"),
        (lambda: Fallback(Keyless), "write Keyless\\(…\\)"),
        (lambda: Fallback(Keyless(), Keyless), "write Keyless\\(…\\)"),
        (lambda: Agent("a", provider="anthropic"), "is not a provider: take one"),
        (lambda: Agent("a", provider=lambda: Keyless()), "is not a provider: take one"),
        (lambda: Agent("a", provider=Keyless(), tools=bash), r"tools=\[bash\]"),
        (lambda: Agent("a", provider=Keyless(), tools=None), r"tools=\[bash\]"),
        (lambda: Agent("a", provider=Keyless(), tools="bash"), r"tools=\[bash\]"),
        (lambda: Agent("a", provider=Keyless(), tools=[Tool]), "decorate the function with @tool"),
        (lambda: Agent(5, provider=Keyless()), "name must be str, not 5"),
        (lambda: Agent("a", instructions=None, provider=Keyless()), "instructions must be str"),
        (lambda: Agent("a", provider=Keyless(), max_steps="3"), "max_steps must be int, not '3'"),
        (lambda: Session(Agent), "a session needs an Agent"),
        (lambda: Session(AGENT, limits={"steps": 3}), "limits must be Limits or None"),
        (lambda: Session(AGENT, work_dir=5), "work_dir must be str or Path, not 5"),
        (lambda: Runtime(AGENT), r"write agents=\[agent\]"),
        (lambda: Runtime(5), 'a store is "memory", a path'),
        (lambda: Runtime(agents=AGENT), "agents must be a list of Agent"),
        (lambda: Runtime(agents=[Agent]), r"agents\[0\] must be Agent"),
        (lambda: Runtime(agents="assistant"), "agents must be a list of Agent"),
        (lambda: Runtime(tools=bash), "tools must be a list of Tool"),
        (lambda: Runtime(tools=["bash"]), r"tools\[0\] must be Tool, not 'bash'"),
        (lambda: Runtime(limits=5), "limits must be Limits, not 5"),
        (lambda: Runtime(prices=[3]), "prices must be Mapping"),
        (lambda: Runtime(prices={"a/b": 3}), r"prices\['a/b'\] must be Price, not 3"),
        (lambda: Runtime(providers={}), "providers must be ProviderRegistry"),
        (lambda: ToolOutput(b"text"), "text must be str"),
        (lambda: ToolOutput("text", IMAGE), "images must be a list of ImageBlock"),
        (lambda: ToolOutput("text", [b"\x89PNG"]), r"images\[0\] must be ImageBlock"),
    ],
)
def test_what_is_given_wrongly_is_refused_where_it_is_given(
    make: Callable[[], object], sentence: str
) -> None:
    with pytest.raises(TypeError, match=sentence):
        make()


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        ({"images": "a.png"}, TypeError, "images must be a list of ImageBlock"),
        ({"images": IMAGE}, TypeError, "images must be a list of ImageBlock"),
        ({"images": None}, TypeError, "images must be a list of ImageBlock"),
        ({"images": [b"\x89PNG"]}, TypeError, r"images\[0\] must be ImageBlock"),
        ({"max_steps": "3"}, InvalidRequest, r"got `str` - at `\$\.max_steps`"),
        ({"max_steps": 2.5}, InvalidRequest, r"got `float` - at `\$\.max_steps`"),
        ({"max_steps": True}, InvalidRequest, r"got `bool` - at `\$\.max_steps`"),
        ({"request_id": 5}, InvalidRequest, r"got `int` - at `\$\.request_id`"),
    ],
)
async def test_a_message_that_is_given_wrongly_is_refused_and_the_session_goes_on(
    given: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    async with Session(AGENT) as session:
        with pytest.raises(error, match=sentence):
            await session.submit("Hello.", **given)
        assert (await session.run("Hello.")).stop_reason == "end_turn"


async def test_a_session_is_made_of_what_it_can_be_made_of() -> None:
    async with Runtime(agents=[AGENT]) as runtime:
        for name, given in {"agent": 5, "title": 5, "work_dir": 5}.items():
            with pytest.raises(TypeError, match=f"{name} must be"):
                await runtime.create_session(**{name: given})
        with pytest.raises(TypeError, match="runtime must be Runtime"):
            await serve(AGENT)


def test_limits_are_numbers_that_bound_something() -> None:
    with pytest.raises(ValueError, match="steps"):
        Limits(steps=0)


async def test_a_stream_is_entered_before_it_is_read() -> None:
    async with Session(AGENT) as session:
        with pytest.raises(RuntimeError, match="use it with `async with`"):
            async for _ in session.run_stream("Hello."):
                pass


def test_what_is_right_is_let_through() -> None:
    async def main() -> None:
        tools = (each for each in [bash])
        agent = Agent("assistant", provider=Keyless(), tools=tools, max_steps=3)
        assert agent.tools == (bash,)
        async with Runtime(agents=iter([agent]), limits=Limits(), prices={}) as runtime:
            await runtime.create_session(agent, title="A title.")
            await runtime.create_session("assistant")
        assert ToolOutput("text", iter([IMAGE])).images == (IMAGE,)

    trio.run(main)
