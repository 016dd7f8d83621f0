"""For tests of one's own: what a provider owes the run loop, checked.

    async def test_my_provider_keeps_the_protocol() -> None:
        await check_provider(MyProvider, tools=[ToolSpec("forecast", "Weather.", SCHEMA)])

    provider.py  the checks that ask a provider
    parts.py     the rules of what one inference yields
    traces.py    what code leaves behind, and how to strike at each of its awaits

It knows no test framework: what is wrong is an `AssertionError` that says so in a sentence. A model
that says what a test tells it to, for tests of agents, is `wingman.providers.Scripted`.
"""

from wingman.testing.parts import check_parts
from wingman.testing.provider import check_provider

__all__ = ["check_parts", "check_provider"]
