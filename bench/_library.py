"""A program that takes turns with one agent library; it runs where that library is installed.

It knows nothing of Wingman. `python -P _library.py NAME` reads lines of JSON, such as
`{"case": "text", "turns": 40, "at_once": 1, "create": false}`, and answers each with what a turn
took: `{"seconds": …, "cpu": …}`. Each turn is the first of a new conversation. What a library makes
for a conversation before its turn is made before the clock starts, unless `create` asks for it;
what it makes within the turn belongs to the turn. The model is a stand-in in this process, and
costs nothing.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

Turn = Callable[[], Awaitable[Any]]
New = Callable[[], Awaitable[Turn]]
"""Makes a new conversation, and gives its turn."""

Calls = dict[str, list[tuple[str, dict[str, Any]]]]

CALLS: Calls = {"text": [], "tool": [("add", {"a": 1, "b": 2})], "naps": [("nap", {})] * 8}


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def nap() -> str:
    """Sleep for 50 ms."""
    await asyncio.sleep(0.05)
    return "slept"


def always(turn: Turn) -> New:
    """For a library in which nothing is made for a conversation before its turn."""

    async def new() -> Turn:
        return turn

    return new


def strands(case: str) -> New:
    """strands-agents: its own `Model`."""
    from strands import Agent, tool
    from strands.models.model import Model

    class StandIn(Model):
        def update_config(self, **model_config: Any) -> None: ...
        def get_config(self) -> Any:
            return {}

        def structured_output(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

        async def stream(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            answered = any("toolResult" in block for block in messages[-1]["content"])
            calls = [] if answered else CALLS[case]
            yield {"messageStart": {"role": "assistant"}}
            for number, (name, given) in enumerate(calls):
                use = {"toolUse": {"name": name, "toolUseId": f"call_{number}"}}
                yield {"contentBlockStart": {"start": use}}
                yield {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(given)}}}}
                yield {"contentBlockStop": {}}
            if not calls:
                yield {"contentBlockStart": {"start": {}}}
                yield {"contentBlockDelta": {"delta": {"text": "A short answer."}}}
                yield {"contentBlockStop": {}}
            yield {"messageStop": {"stopReason": "tool_use" if calls else "end_turn"}}

    model, tools = StandIn(), [tool(add), tool(nap)]

    async def new() -> Turn:
        agent = Agent(model=model, tools=tools, callback_handler=None)  # it holds the history
        return lambda: agent.invoke_async("go")

    return new


def pydantic_ai(case: str) -> New:
    """pydantic-ai: its `FunctionModel`."""
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import FunctionModel

    def answer(messages: Any, info: Any) -> Any:
        answered = any(isinstance(part, ToolReturnPart) for part in messages[-1].parts)
        if answered or not CALLS[case]:
            return ModelResponse(parts=[TextPart("A short answer.")])
        return ModelResponse(parts=[ToolCallPart(name, given) for name, given in CALLS[case]])

    agent = Agent(FunctionModel(answer), tools=[add, nap])
    return always(lambda: agent.run("go"))


def langgraph(case: str) -> New:
    """langgraph: its prebuilt agent, with a chat model of langchain-core's."""
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, ToolMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langgraph.prebuilt import create_react_agent

    class StandIn(BaseChatModel):
        @property
        def _llm_type(self) -> str:
            return "stand-in"

        def bind_tools(self, *args: Any, **kwargs: Any) -> Any:
            return self

        def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            calls = [] if isinstance(messages[-1], ToolMessage) else CALLS[case]
            uses = [
                {"name": name, "args": given, "id": f"call_{number}"}
                for number, (name, given) in enumerate(calls)
            ]
            said = AIMessage("" if uses else "A short answer.", tool_calls=uses)
            return ChatResult(generations=[ChatGeneration(message=said)])

        async def _agenerate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            return self._generate(messages)

    agent = create_react_agent(StandIn(), [add, nap])
    return always(lambda: agent.ainvoke({"messages": [("user", "go")]}))


def agno(case: str) -> New:
    """agno: its own `Model`."""
    from agno.agent import Agent
    from agno.models.base import Model
    from agno.models.response import ModelResponse

    class StandIn(Model):
        def invoke(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

        invoke_stream = ainvoke_stream = invoke
        _parse_provider_response = _parse_provider_response_delta = invoke

        async def ainvoke(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            calls = [] if messages[-1].role == "tool" else CALLS[case]
            if not calls:
                return ModelResponse(role="assistant", content="A short answer.")
            uses = [
                {
                    "id": f"call_{number}",
                    "type": "function",
                    "function": {"name": name, "arguments": json.dumps(given)},
                }
                for number, (name, given) in enumerate(calls)
            ]
            return ModelResponse(role="assistant", tool_calls=uses)

    agent = Agent(model=StandIn(id="stand-in"), tools=[add, nap], telemetry=False)
    return always(lambda: agent.arun("go"))


def openai_agents(case: str) -> New:
    """openai-agents: its own `Model`."""
    from agents import Agent, Runner, function_tool, set_tracing_disabled
    from agents.items import ModelResponse
    from agents.models.interface import Model
    from agents.usage import Usage
    from openai.types.responses import (
        ResponseFunctionToolCall,
        ResponseOutputMessage,
        ResponseOutputText,
    )

    set_tracing_disabled(True)

    class StandIn(Model):
        async def get_response(
            self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any
        ) -> Any:
            answered = isinstance(input, list) and any(
                item.get("type") == "function_call_output" for item in input
            )
            calls = [] if answered else CALLS[case]
            output: list[Any] = [
                ResponseFunctionToolCall(
                    type="function_call",
                    name=name,
                    call_id=f"call_{number}",
                    arguments=json.dumps(given),
                )
                for number, (name, given) in enumerate(calls)
            ]
            if not calls:
                said = ResponseOutputText(
                    type="output_text", text="A short answer.", annotations=[]
                )
                output = [
                    ResponseOutputMessage(
                        id="m",
                        type="message",
                        role="assistant",
                        status="completed",
                        content=[said],
                    )
                ]
            return ModelResponse(output=output, usage=Usage(), response_id=None)

        def stream_response(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

    agent = Agent("agent", model=StandIn(), tools=[function_tool(add), function_tool(nap)])
    return always(lambda: Runner.run(agent, "go"))


def adk(case: str) -> New:
    """google-adk: its own `BaseLlm`, and sessions in memory."""
    from google.adk.agents import LlmAgent
    from google.adk.models.base_llm import BaseLlm
    from google.adk.models.llm_response import LlmResponse
    from google.adk.runners import Runner
    from google.adk.sessions import InMemorySessionService
    from google.genai.types import Content, FunctionCall, GenerateContentResponseUsageMetadata, Part

    used = GenerateContentResponseUsageMetadata(prompt_token_count=7, total_token_count=10)

    class StandIn(BaseLlm):
        async def generate_content_async(self, llm_request: Any, stream: bool = False) -> Any:
            answered = any(part.function_response for part in llm_request.contents[-1].parts)
            calls = [] if answered else CALLS[case]
            parts = [
                Part(function_call=FunctionCall(id=f"call_{number}", name=name, args=given))
                for number, (name, given) in enumerate(calls)
            ]
            said = parts or [Part(text="A short answer.")]
            content = Content(role="model", parts=said)
            yield LlmResponse(content=content, usage_metadata=used)

    agent = LlmAgent(name="agent", model=StandIn(model="stand-in"), tools=[add, nap])
    sessions = InMemorySessionService()
    runner = Runner(app_name="bench", agent=agent, session_service=sessions)
    message = Content(role="user", parts=[Part(text="go")])

    async def new() -> Turn:
        session = await sessions.create_session(app_name="bench", user_id="user")

        async def turn() -> None:
            events = runner.run_async(user_id="user", session_id=session.id, new_message=message)
            async for _ in events:
                pass

        return turn

    return new


async def take(new: New, turns: int, at_once: int, create: bool) -> dict[str, float]:
    """Take so many turns, so many at once; what one took."""
    ready = [] if create else [await new() for _ in range(turns)]
    left = iter(range(turns))

    async def work() -> None:
        for _ in left:
            turn = await new() if create else ready.pop()
            await turn()

    await (await new())()
    gc.collect()
    cpu, begin = time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    taken, spent = time.perf_counter() - begin, time.process_time() - cpu
    return {"seconds": taken / turns, "cpu": spent / turns}


async def main(name: str) -> None:
    """Obey the lines."""
    make = {
        "strands": strands,
        "agno": agno,
        "openai-agents": openai_agents,
        "langgraph": langgraph,
        "pydantic-ai": pydantic_ai,
        "adk": adk,
    }[name]
    answers, sys.stdout = sys.stdout, sys.stderr  # a library may print
    gc.set_threshold(50_000, 50, 1_000)  # as Wingman's process has it
    made = {case: make(case) for case in CALLS}
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        new = made[asked.pop("case")]
        took = await take(new, **asked)
        print(json.dumps(took), file=answers, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
