"""The parts: names, lines, what a server says in the log, the messages that wait to be sent."""

import logging

import anyio
import pytest
import trio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest
from trio.testing import MockClock

from wingman.api import McpServer
from wingman.errors import ToolError
from wingman.mcp import McpFailed, McpToolset
from wingman.mcp.diary import Diary
from wingman.mcp.inputs import InputCheck
from wingman.mcp.lines import Lines, LineTooLong
from wingman.mcp.names import tool_name, tool_names
from wingman.mcp.traffic import Outbox
from wingman.schemas import BadSchema

LONG = "x" * 100


def test_a_name_is_cleaned_and_a_long_one_ends_in_a_digest_of_the_whole() -> None:
    assert tool_name("git", "status") == "git_status"
    assert tool_name("a", "é.b/c d") == "a___b_c_d"
    long, other = tool_name("git", LONG), tool_name("git", f"{LONG}y")
    assert len(long) == len(other) == 64
    assert long != other
    assert long == tool_name("git", LONG)
    assert long.startswith("git_xxx")


def test_two_tools_of_one_name_are_both_named() -> None:
    with pytest.raises(McpFailed, match=r"'a\.b' and 'a b'"):
        tool_names("s", ["a.b", "c", "a b"])


def test_lines_are_made_of_pieces() -> None:
    lines = Lines(10)
    assert list(lines.add(b"ab")) == []
    assert list(lines.add(b"c\nd\n\ne")) == [b"abc", b"d", b""]
    assert list(lines.add(b"\n")) == [b"e"]
    with pytest.raises(LineTooLong):
        list(lines.add(b"x" * 11))


def test_what_a_server_writes_is_shown_as_one_line_without_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "wingman.mcp")

    async def main() -> str:
        diary = Diary("s", ["Bearer s3cr3t-k3y", "yes"])
        diary.stderr(b"key s3cr3t")
        diary.stderr("-k3y\x1b[2J \u202eyes\n\n".encode() + b"\xff\n" + b"y" * 100_000)
        diary.stderr(b"y\n")
        diary.end()
        return diary.last_words

    words = trio.run(main)
    assert words.startswith("key [hidden]\\x1b[2J \\u202eyes | \ufffd | yyy")
    assert len(words) < 500
    assert "s3cr3t" not in caplog.text
    assert max(map(len, caplog.text.splitlines())) < 700


def test_a_server_that_writes_very_much_is_cut_short_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "wingman.mcp")

    async def main() -> None:
        diary = Diary("s", [])
        for number in range(10_000):
            diary.note(logging.INFO, str(number))
        await trio.sleep(60)
        diary.note(logging.INFO, "the end")

    trio.run(main, clock=MockClock(autojump_threshold=0))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 52
    assert lines[-2:] == ["s: 9950 lines were left out here", "s: the end"]


def request(id: int) -> SessionMessage:
    return SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=id, method="tools/call"))


def cancel(id: int) -> SessionMessage:
    params = {"requestId": id}
    return SessionMessage(
        JSONRPCNotification(jsonrpc="2.0", method="notifications/cancelled", params=params)
    )


async def test_a_request_that_is_cancelled_before_it_is_sent_is_never_sent() -> None:
    outbox = Outbox()
    first, second = request(1), request(2)
    await outbox.send(first)
    await outbox.send(second)
    await outbox.send(cancel(1))
    assert await outbox.next() is second
    late = cancel(2)
    await outbox.send(late)
    assert await outbox.next() is late
    await outbox.aclose()
    assert await outbox.next() is None
    with pytest.raises(anyio.ClosedResourceError):
        await outbox.send(first)


def test_an_input_is_held_to_its_schema_and_nothing_is_fetched() -> None:
    check = InputCheck({"type": "object", "properties": {"a": {"items": {"type": "integer"}}}})
    check.check("t", {"a": [1, 2]})
    with pytest.raises(ToolError, match=r"\$\.a\[1\]"):
        check.check("t", {"a": [1, "two"]})
    with pytest.raises(BadSchema, match="nothing is fetched"):
        InputCheck({"$ref": "http://127.0.0.1:1/schema"})
    with pytest.raises(BadSchema):
        InputCheck({"type": "what"})


def test_toolsets_of_one_server_and_directory_are_equal() -> None:
    server = McpServer(command=("true",), env={"A": "b"})
    assert McpToolset("a", server) == McpToolset("a", server)
    assert hash(McpToolset("a", server)) == hash(McpToolset("a", server))
    assert McpToolset("a", server) != McpToolset("b", server)
    assert McpToolset("a", server) != McpToolset("a", McpServer(command=("true",)))


@pytest.mark.parametrize(
    "url", ["ftp://a/", "http://", "http://[", "a.b/c", "http://a:port/", "javascript:alert()"]
)
def test_a_url_that_is_none_is_refused_where_it_is_configured(url: str) -> None:
    with pytest.raises(ValueError, match="begins with http"):
        McpServer(url=url)
