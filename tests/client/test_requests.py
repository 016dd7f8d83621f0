"""Requests are tried again where that is safe; answers are values, or errors with their class."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
import trio.testing

from client.stand_in_server import StandIn, exchange, json_reply, refusal
from wingman import errors
from wingman.api import CODES, AgentRecord, Deleted, ProviderConfig, RunView, SessionView
from wingman.client import Agents, Client, Patience
from wingman.client.address import Address, check_token
from wingman.client.answers import decode, error_of
from wingman.client.exchange import Broken, Reply, Request
from wingman.client.lenient import convert
from wingman.client.pages import Pages
from wingman.errors import (
    BadAnswer,
    InvalidRequest,
    MailboxFull,
    NotFound,
    ShuttingDown,
    Unavailable,
    Unreachable,
    WingmanError,
)

GET = Request.to("GET", "/sessions/{session_id}", session_id="s-1")
POST = Request.to("POST", "/sessions", body={})
DELETE = Request.to("DELETE", "/sessions/{session_id}", session_id="s-1")


def run(function: Callable[[], Any]) -> Any:
    return trio.run(function, clock=trio.testing.MockClock(autojump_threshold=0))


class Script:
    """Answers in turn; what is an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def __call__(self, request: Request) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


GOOD = json_reply({"status": "deleted"})
UNSENT, SENT = Broken("refused", sent=False), Broken("cut", sent=True)


def ask(request: Request, *answers: Any, again: Any = "always", **more: Any) -> tuple[Any, int]:
    """The value, or the error, and how often the request was sent."""
    stand_in = StandIn(Script(*answers))

    async def main() -> Any:
        try:
            return await exchange(stand_in, **more).ask(request, Deleted, again)
        except WingmanError as error:
            return error

    return run(main), len(stand_in.requests)


def test_what_is_refused_for_now_is_sent_again_when_the_server_says() -> None:
    delays = []
    value, times = ask(
        POST,
        refusal("mailbox_full", 429, 3),
        refusal("shutting_down", 503, 7),
        GOOD,
        again="if unseen",
        on_retry=lambda one: delays.append(one.delay),
    )
    assert value == Deleted()
    assert times == 3
    assert delays == [3, 7]


def test_a_refusal_that_is_final_is_raised_at_once() -> None:
    error, times = ask(GET, refusal("mailbox_full", 429))
    assert isinstance(error, MailboxFull)
    assert times == 1


def test_a_longer_wait_than_patience_is_not_begun() -> None:
    error, times = ask(GET, refusal("session_quarantined", 503, 61))
    assert isinstance(error, errors.SessionQuarantined)
    assert (error.retry_after, times) == (61, 1)


def test_patience_is_bounded_by_number_and_by_time() -> None:
    error, times = ask(GET, refusal("overloaded", 503, 1), patience=Patience(seconds=1000, tries=4))
    assert isinstance(error, Unavailable)
    assert times == 5
    _, times = ask(GET, refusal("overloaded", 503, 1), patience=Patience(seconds=10, tries=10**6))
    assert 8 <= times <= 12


@pytest.mark.parametrize(
    ("request_", "again", "answers", "times"),
    [
        (GET, "always", (SENT, UNSENT, GOOD), 3),
        (POST, "if unseen", (UNSENT, UNSENT, GOOD), 3),
        (POST, "if unseen", (SENT, GOOD), 1),
        (POST, "if unseen", (Reply(502, {"content-type": "text/html"}, b"<p>"), GOOD), 1),
        (GET, "always", (Reply(502, {"content-type": "text/html"}, b"<p>"), GOOD), 2),
        (GET, "always", (Reply(200, {}, b"<html>"), GOOD), 1),
    ],
)
def test_what_may_be_obeyed_twice_alone_is_sent_again_after_a_break(
    request_: Request, again: str, answers: Any, times: int
) -> None:
    found, sent = ask(request_, *answers, again=again)
    assert sent == times
    assert isinstance(found, Deleted if times == len(answers) else WingmanError)


def test_a_server_that_never_answered_is_given_up_soon() -> None:
    error, times = ask(GET, UNSENT, patience=Patience(seconds=1000, tries=10**6))
    assert isinstance(error, Unreachable)
    assert "wingman serve" in error.message
    assert times < 30


def test_what_was_deleted_by_a_request_whose_answer_was_lost_is_deleted() -> None:
    assert ask(DELETE, SENT, refusal("session_not_found", 404))[0] == Deleted()
    error, _ = ask(DELETE, UNSENT, refusal("session_not_found", 404))
    assert isinstance(error, NotFound)


def test_what_a_hook_raises_is_raised() -> None:
    def hook(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(GET, UNSENT, on_retry=hook)


def test_each_code_has_its_class_and_its_text() -> None:
    for code, entry in CODES.items():
        reply = refusal(code, entry.status, 5, run_id="r-1")
        error = error_of(entry.status, reply.headers, reply.body, "GET /", {"session": "s-1"})
        assert error.code == code
        assert error.message == str(error) == f"It is {code}."
        assert (error.run_id, error.request_id) == ("r-1", "01REQUEST")
        assert type(error) is not WingmanError or code == "internal_error", code
        repr(error)
    assert isinstance(ask(GET, refusal("a_later_code", 418))[0], errors.RequestError)
    later, _ = ask(GET, refusal("a_later_code", 500))
    assert type(later) is WingmanError
    assert later.code == "a_later_code"
    missing, _ = ask(GET, refusal("session_not_found", 404))
    assert (missing.kind, missing.id) == ("session", "s-1")
    draining, _ = ask(GET, refusal("shutting_down", 503, None, run_id="r"))
    assert isinstance(draining, ShuttingDown)
    assert draining.run_id == "r"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {"content-type": "text/html"}, b"<html>hello</html>"),
        Reply(200, {"content-type": "application/json"}, b"[1]"),
        Reply(200, {"content-type": "application/json"}, b'{"status": 3}'),
        Reply(200, {"content-type": "application/json"}, b"[" * 100_000),
        Reply(200, {"content-type": "application/json"}, b"\xff"),
        Reply(301, {"location": "http://elsewhere"}, b""),
        Reply(404, {"content-type": "text/plain"}, b"404 page not found"),
        Reply(500, {"content-type": "application/json"}, b'{"error": "no"}'),
    ],
)
def test_an_answer_that_is_not_wingmans_is_a_clear_error(reply: Reply) -> None:
    error, times = ask(GET, reply)
    assert isinstance(error, BadAnswer)
    assert "GET /sessions/s-1" in error.message
    assert times == 1


def test_a_later_server_may_say_more() -> None:
    time = "2026-11-22T10:00:00Z"
    usage = {"input_tokens": 1, "output_tokens": 2, "later": 3}
    agent = decode(
        Reply(200, {}, json_reply({
            "id": "a", "name": "A", "instructions": "", "tools": ["bash"],
            "provider": {"id": "x", "model": None, "later": True},
            "output_schema": None, "max_steps": None,
            "created_at": time, "updated_at": time, "later": {},
        }).body).body,
        AgentRecord,
        "GET /",
    )  # fmt: skip
    assert agent.provider.id == "x"
    assert agent.created_at.year == 2026
    session = convert(
        {
            "id": "s", "work_dir": "/", "title": None, "agent_id": None, "status": "paused",
            "last_event_id": 1, "created_at": time, "updated_at": time, "usage": usage,
            "history": [{"role": "user", "content": [
                {"type": "text", "text": "hi", "later": 1}, {"type": "video", "url": "x"}]}],
        },
        SessionView,
    )  # fmt: skip
    assert session.status == "paused"
    message = session.history[0]  # type: ignore[index]
    assert message.text == "hi"
    assert message.content[1] == {"type": "video", "url": "x"}
    assert session.usage.output_tokens == 2
    with pytest.raises(BadAnswer):
        decode(b'{"id": 3}', RunView, "GET /")


@pytest.mark.parametrize("id", ["", ".", "..", "..."])
def test_an_id_that_would_lead_to_another_path_is_not_found(id: str) -> None:
    with pytest.raises(NotFound):
        Request.to("GET", "/sessions/{session_id}/runs", session_id=id)


def test_an_id_stays_within_its_place() -> None:
    request = Request.to("GET", "/sessions/{session_id}", session_id="../agents?x#y z/\u2026")
    assert request.target == "/sessions/..%2Fagents%3Fx%23y%20z%2F%E2%80%A6"


def test_pages_are_taken_when_they_are_needed() -> None:
    first = json_reply([1, 2], link='</runs?limit=2&cursor=7>; rel="next"')
    stand_in = StandIn(Script(first, json_reply([]), json_reply([3])))
    stand_in.answer = Script(
        first, json_reply([], link='</runs?cursor=8>; rel="next"'), json_reply([3])
    )

    async def main() -> None:
        pages = Pages(exchange(stand_in), Request.to("GET", "/runs"), tuple[int, ...])
        assert [await anext(pages), await anext(pages)] == [1, 2]
        assert len(stand_in.requests) == 1
        assert [entry async for entry in pages] == [3]

    run(main)
    assert stand_in.requests[1:] == ["GET /runs?limit=2&cursor=7", "GET /runs?cursor=8"]


def test_a_run_is_found_with_one_request() -> None:
    stand_in = StandIn(Script(refusal("run_not_found", 404)))
    client = Client()
    client._exchange.connect(stand_in)  # type: ignore[arg-type]

    async def main() -> None:
        with pytest.raises(NotFound) as unknown:
            await client.find_run("r1")
        assert (unknown.value.kind, unknown.value.id) == ("run", "r1")
        with pytest.raises(NotFound):
            await client.describe_run(None, "r1", 30)
        with pytest.raises(NotFound):
            await client.find_run("..")

    run(main)
    assert stand_in.requests == ["GET /runs/r1", "GET /runs/r1?wait=30"]


def test_agents_are_listed_and_found_on_whichever_page_they_are() -> None:
    def agent(id: str, name: str) -> AgentRecord:
        moment = datetime(2025, 5, 17, tzinfo=UTC)
        return AgentRecord(id, name, "", (), ProviderConfig("scripted"), None, None, moment, moment)

    first, second = [agent("1", "one"), agent("2", "two")], [agent("3", "two"), agent("4", "four")]
    link = '</agents?limit=1000&cursor=code.a+b>; rel="next"'

    def answer(request: Request) -> Reply:
        if "cursor=code.a+b" in request.target:
            return json_reply(second)
        if request.target == "/agents":
            return json_reply(first, link=link)
        return refusal("agent_not_found", 404)

    async def main() -> None:
        agents = Agents(exchange(StandIn(answer)))
        assert await agents.list() == [*first, *second]
        assert await agents.find("four") == second[1]
        with pytest.raises(InvalidRequest, match="by its id: 2, 3"):
            await agents.find("two")
        with pytest.raises(NotFound):
            await agents.find("five")

    run(main)


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost", "localhost:2323", "ftp://localhost", "http://", "http://:80",
        "http://user:secret@localhost", "http://secret@localhost", "http://a b/",
        "http://127.0.0.1\\@8.8.8.8/", "http://h:99999", "http://h:x", "http://[::1", "http://[zz]/",
        "http://h/?q=1", "http://h/#f", "http://h/a//b", "http://h/\r\nX: y", "http://münchen/",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_and_no_secret_is_quoted(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Client(url)
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    ("url", "whole", "loopback"),
    [
        ("http://127.0.0.1:2323", "http://127.0.0.1:2323", True),
        ("http://LocalHost:1/", "http://localhost:1", True),
        ("https://[::1]:8/x/", "https://[::1]:8/x", True),
        ("https://wingman.example/api", "https://wingman.example/api", False),
        ("http://10.0.0.1", "http://10.0.0.1", False),
        ("http://localhost.example", "http://localhost.example", False),
    ],
)
def test_an_address_is_made_of_what_was_checked(url: str, whole: str, loopback: bool) -> None:
    assert Address.of(url) == Address(whole, loopback)


def test_a_token_is_shown_nowhere() -> None:
    client = Client(token="s3cret")
    assert "s3cret" not in repr(client) + repr(vars(client._exchange))
    for token in ("", "s3 cret", "s3cret\n", "s3crét"):
        with pytest.raises(InvalidRequest) as refused:
            check_token(token)
        assert "cr" not in refused.value.message.replace("characters", "")


def test_importing_the_client_loads_no_runtime_and_no_server() -> None:
    program = (
        "import sys; from wingman.client import Client, SyncClient;"
        "print(*sorted(name for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    heavy = {"trio", "asyncio", "httpx", "httpcore", "quart", "hypercorn", "sqlite3", "click"}
    assert not heavy & loaded
    ours = {name.split(".")[1] for name in loaded if name.startswith("wingman.")}
    assert ours == {"api", "client", "conversation", "errors", "events", "face", "lazy", "sse"}
