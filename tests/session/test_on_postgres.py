"""Sessions whose store is in PostgreSQL: what they are promised holds there, too."""

import random
import signal
from pathlib import Path

import pytest
import trio

from cli.terminal import wingman
from cli.test_serve import appears, post, send, url_of
from postgres_kit import Cluster, Proxy
from session_kit import assert_valid, last_text, opened, say
from wingman import Agent, Message, Run, Runtime, Session
from wingman.errors import StoreUnavailable, WingmanError
from wingman.providers import Request, Scripted, ToolCalls


def calls_and_answers(request: Request) -> str | ToolCalls:
    """One tool call, and then what it gave."""
    message = last_text(request.messages)
    return ToolCalls(("say", {"text": message})) if message else "Done."


def caller() -> Agent:
    return Agent("caller", provider=Scripted(calls_and_answers), tools=[say])


async def stored_history(runtime: Runtime, session_id: str) -> list[Message]:
    found = await runtime.store.session_with_history(session_id)
    assert found is not None
    return list(found[1])


async def test_a_session_goes_on_after_a_restart(cluster: Cluster, clean_database: str) -> None:
    url = cluster.url(clean_database)
    async with opened(caller(), store=url) as runtime:
        session = await runtime.create_session("caller")
        assert (await session.run("one\0")).response == "Done."
        before = await stored_history(runtime, session.id)
    async with opened(caller(), store=url) as runtime:
        session = await runtime.session(session.id)
        assert await stored_history(runtime, session.id) == before
        assert (await session.run("two")).response == "Done."
        history = await stored_history(runtime, session.id)
        assert_valid(history)
        assert len(history) == 8
        assert [run.status for run in await runtime.store.runs()] == ["completed"] * 2


@pytest.mark.parametrize("seed", [1, 2])
async def test_runs_go_on_while_the_network_loses_what_it_carries(
    cluster: Cluster, clean_database: str, seed: int
) -> None:
    """Commits and answers are lost at random: what was told is what is stored, and once."""
    chance = random.Random(seed)
    told: dict[str, dict[str, bool]] = {}

    async def talk(runtime: Runtime, session: Session) -> None:
        for number in range(3):
            message = f"{session.id} {number}"
            try:
                told[session.id][message] = (await session.run(message)).response == "Done."
            except StoreUnavailable:
                told[session.id][message] = False
                await runtime.store.wait_until_well()

    async def lose(proxy: Proxy) -> None:
        for _ in range(12):
            await trio.sleep(chance.random() * 0.2)
            proxy.lose = chance.choice(["requests", "answers"])  # type: ignore[assignment]

    async with Proxy(cluster) as proxy:
        async with opened(caller(), store=proxy.url(clean_database)) as runtime:
            sessions = [await runtime.create_session("caller") for _ in range(6)]
            told.update({session.id: {} for session in sessions})
            with trio.fail_after(60):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(lose, proxy)
                    for session in sessions:
                        nursery.start_soon(talk, runtime, session)
            proxy.lose = None
        async with opened(caller(), store=cluster.url(clean_database)) as runtime:
            for session_id, messages in told.items():
                history = await stored_history(runtime, session_id)
                assert_valid(history)
                runs = await runtime.store.runs(session_id)
                completed = [run.message for run in runs if run.status == "completed"]
                assert completed == [message for message, done in messages.items() if done]
                assert {run.status for run in runs} <= {"completed", "failed"}
                said = [each.text for each in history if each.role == "user" and each.text]
                assert len(said) == len(set(said))
                assert set(completed) <= set(said)


async def test_what_cannot_be_recorded_is_told_while_the_server_is_away_and_goes_on_after(
    cluster: Cluster, clean_database: str
) -> None:
    async with (
        Proxy(cluster) as proxy,
        opened(caller(), store=proxy.url(clean_database)) as runtime,
    ):
        session = await runtime.create_session("caller")
        await session.run("one")
        proxy.shut, proxy.lose = True, "requests"
        handles: list[Run] = []

        async def ask() -> None:
            handles.append(await session.submit("in doubt"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            with trio.fail_after(20):
                while runtime.store.failure is None:  # noqa: ASYNC110
                    await trio.sleep(0.01)
            with pytest.raises(WingmanError, match="Look whether PostgreSQL runs"):
                await session.submit("refused")
            assert handles == []
            proxy.shut = False
        assert (await handles[0].result()).response == "Done."
        history = await stored_history(runtime, session.id)
        assert [each.text for each in history if each.role == "user" and each.text] == (
            ["one", "in doubt"]
        )


async def test_a_server_says_where_its_database_is_without_the_password(
    cluster: Cluster, fresh_database: str, tmp_path: Path
) -> None:
    """And one that is killed finds its runs in the fresh_database, as cut off."""
    cluster.run("CREATE ROLE wing LOGIN PASSWORD 'hunter2'")
    cluster.run(f"ALTER DATABASE {fresh_database} OWNER TO wing")
    url = cluster.tcp_url(fresh_database, "wing:hunter2")
    serve = ("serve", "--port", "0", "--db", url)
    async with wingman(*serve, home=tmp_path) as command:
        here = await url_of(command)
        place = f"(database postgresql://127.0.0.1:{cluster.port}/{fresh_database})"
        assert place in command.err
        await send(here, tmp_path, "touch begun; sleep 600")
        await appears(tmp_path / "begun")
        async with wingman(*serve, home=tmp_path) as second:
            await url_of(second)
        command.process.send_signal(signal.SIGKILL)
        await command.ended()
    async with wingman(*serve, home=tmp_path, WINGMAN_LOG_LEVEL="debug") as command:
        here = await url_of(command)
        await post(here, "/sessions", {"work_dir": str(tmp_path)})
        command.process.send_signal(signal.SIGTERM)
        await command.ended()
        said = command.err + second.err
    assert "hunter2" not in said
    async with opened(store=url) as runtime:
        with trio.fail_after(20):
            while [run.status for run in await runtime.store.runs()] != ["interrupted"]:  # noqa: ASYNC110
                await trio.sleep(0.05)
