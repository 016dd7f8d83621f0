"""Other people's generators make clients from the document, without a warning, and these work."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from server_kit import Gate, call, serving
from wingman.api import document

TYPESCRIPT: Final = Path(__file__).with_name("typescript")
NODE: Final = shutil.which("node")

needs_node = pytest.mark.skipif(
    NODE is None or not (TYPESCRIPT / "node_modules" / "typescript").is_dir(),
    reason="needs node, and: npm install --prefix tests/api/typescript --no-package-lock",
)


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    """The document in a file."""
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document("1.2.3")))
    return file


def run(*argv: str | Path, cwd: Path) -> str:
    """What a command prints, on both streams; it must succeed."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def generate_client(contract: Path, name: str) -> None:
    """A package of this name beside the document, by openapi-python-client."""
    config = contract.with_name("config.yml")
    config.write_text("post_hooks: []\n")
    argv = ["openapi_python_client", "generate", "--path", str(contract), "--config", str(config)]
    argv += ["--output-path", str(contract.with_name(name)), "--meta", "none", "--fail-on-warning"]
    said = run(sys.executable, "-W", "error", "-m", *argv, cwd=contract.parent)
    assert "arning" not in said, said


async def test_a_generated_client_in_python_talks_to_the_server(
    contract: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openapi_python_client")
    generate_client(contract, "generated_client")
    monkeypatch.syspath_prepend(str(contract.parent))
    package = importlib.import_module("generated_client")
    models = importlib.import_module("generated_client.models")

    async def ask(operation: str, *arguments: Any, **named: Any) -> Any:
        module = importlib.import_module(f"generated_client.api.{operation}")
        return await module.asyncio_detailed(*arguments, client=client, **named)

    async with serving(token="secret") as server, AsyncExitStack() as opened:
        client = await opened.enter_async_context(package.AuthenticatedClient(server.url, "secret"))
        fields = models.NewAgent(name="Actor", provider=models.ProviderConfig(id="stage"))
        agent = (await ask("agents.create_agent", body=fields)).parsed
        assert agent.created_at.tzinfo is not None
        body = models.NewSession(agent_id=agent.id)
        session = (await ask("sessions.create_session", body=body)).parsed
        assert session.status is models.SessionViewStatus.IDLE

        server.stage.play(call("bash", command="echo hi"))
        for text in ("one", "two", "three"):
            answer = await ask(
                "messages.send_message", session.id, body=models.MessageBody(message=text)
            )
            assert isinstance(answer.parsed, models.Result)
            assert answer.parsed.response == "Hello."
        seen = []
        query: dict[str, Any] = {"limit": 2}
        while True:
            page = await ask("runs.list_session_runs", session.id, **query)
            seen += [run.message for run in page.parsed]
            following = re.search(r"cursor=(\d+)", page.headers.get("Link", ""))
            if following is None:
                break
            query["cursor"] = int(following[1])
        assert sorted(seen) == ["one", "three", "two"]
        history = (await ask("sessions.read_session", session.id)).parsed.history
        assert [type(message.content[0]).__name__ for message in history[:3]] == [
            "TextBlock",
            "ToolUseBlock",
            "ToolResultBlock",
        ]

        missing = await ask("runs.read_run", session.id, "nothing")
        assert isinstance(missing.parsed, models.ErrorAnswer)
        assert (missing.status_code, missing.parsed.error.code) == (404, "run_not_found")

        gate = Gate()
        server.stage.play("…", gate)
        accepted = await ask(
            "messages.send_message",
            session.id,
            body=models.MessageBody(message="long"),
            prefer="respond-async",
        )
        await gate.reached.wait()
        receipt = await ask("runs.cancel_session", session.id, body=models.CancelBody(queued=True))
        [cancelled] = receipt.parsed.cancelled
        assert cancelled.run_id == accepted.parsed.run_id


@pytest.mark.parametrize("kind", ["pydantic_v2.BaseModel", "msgspec.Struct"])
def test_generated_models_in_python_read_what_the_server_writes(
    contract: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    pytest.importorskip("datamodel_code_generator")
    name = f"generated_{kind.partition('.')[0]}"
    argv = ["--input", str(contract), "--output", str(contract.with_name(f"{name}.py"))]
    argv += ["--input-file-type", "openapi", "--output-model-type", kind, "--use-annotated"]
    argv += ["--formatters", "builtin", "--enum-field-as-literal", "all"]
    argv += ["--use-msgspec-tagged-unions"] if kind == "msgspec.Struct" else []
    program = [sys.executable, "-W", "error", "-m", "datamodel_code_generator"]
    assert run(*program, *argv, cwd=contract.parent) == ""
    monkeypatch.syspath_prepend(str(contract.parent))
    models = importlib.import_module(name)
    example = {"event": "text", "id": 3, "data": {"text": "Hi", "run_id": "r"}}
    if kind == "msgspec.Struct":
        frame = importlib.import_module("msgspec").convert(example, models.TextSessionFrame)
    else:
        frame = models.TextSessionFrame.model_validate(example)
        union = models.SessionFrame.model_validate(example)
        assert union.root == frame
    assert (frame.id, frame.data.text, frame.data.run_id) == (3, "Hi", "r")


@needs_node
def test_a_typed_program_in_typescript_compiles(contract: Path) -> None:
    folder = contract.parent
    (folder / "node_modules").symlink_to(TYPESCRIPT / "node_modules")
    shutil.copy(TYPESCRIPT / "program.ts", folder)
    modules = TYPESCRIPT / "node_modules"
    command = modules / "openapi-typescript" / "bin" / "cli.js"
    said = run(str(NODE), command, contract, "-o", folder / "contract.ts", cwd=folder)
    assert "warn" not in said.lower(), said
    argv = "--strict --noEmit --target es2022 --module esnext --moduleResolution bundler"
    compiler = modules / "typescript" / "bin" / "tsc"
    run(str(NODE), compiler, *argv.split(), "program.ts", "contract.ts", cwd=folder)


# What Redocly finds and is so: `/provider/auth/{name}` has DELETE alone, and a plain path comes
# before a parameter; and it does not follow `x-frames`.
KNOWN: Final = {
    "Paths should resolve unambiguously. Found two ambiguous paths: `/provider/auth/{name}` and "
    "`/provider/{name}/models`.",
    'Component: "RunFrame" is never used.',
    'Component: "SessionFrame" is never used.',
}


@needs_node
def test_a_linter_finds_nothing_in_the_document(contract: Path) -> None:
    said = run(str(NODE), TYPESCRIPT / "lint.mjs", contract, cwd=TYPESCRIPT)
    problems = json.loads(said.strip().splitlines()[-1])
    assert {problem["message"] for problem in problems} == KNOWN, problems
