"""What a request costs in counts that no machine changes; and who is told what its client sends."""

from collections import Counter
from typing import Any

import pytest
import trio
from quart import Quart
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from server_kit import Server
from wingman import Runtime
from wingman.server import create_app
from wingman.server.asgi import Inbox
from wingman.server.paths import Paths


class Steps(trio.abc.Instrument):
    """Counts the tasks that are begun, and the steps of all but the one that asks."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._asker = trio.lowlevel.current_task()

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.counts["tasks"] += 1

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is not self._asker:
            self.counts["steps"] += 1


@pytest.mark.parametrize(
    ("method", "target", "body", "steps"),
    [
        ("GET", "/health", None, 2),
        ("GET", "/nowhere", None, 2),
        ("POST", "/health", {"x": 1}, 2),
        ("OPTIONS", "/health", None, 2),
        ("POST", "/agents", {"x": 1}, 2),
        ("GET", "/sessions?limit=x", None, 2),
    ],
)
async def test_a_short_request_takes_one_task_and_few_steps(
    server: Server, method: str, target: str, body: Any, steps: int
) -> None:
    async with await server.wire() as wire:
        least: Counter[str] = Counter(steps=1000, tasks=1000)
        for _ in range(8):
            await trio.testing.wait_all_tasks_blocked()
            instrument = Steps()
            trio.lowlevel.add_instrument(instrument)
            try:
                await wire.ask(method, target, body)
                await trio.testing.wait_all_tasks_blocked()
            finally:
                trio.lowlevel.remove_instrument(instrument)
            least &= instrument.counts
    assert least["tasks"] == 1
    assert least["steps"] <= steps


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.said: list[bytes | str] = []

    def append(self, data: bytes) -> None:
        self.said.append(data)

    def set_complete(self) -> None:
        self.said.append("complete")

    def leave(self) -> None:
        self.said.append("left")


async def test_who_listens_late_is_told_all_that_came_before() -> None:
    inbox, heard = Inbox(), Heard()
    await inbox.put(b"a")
    await inbox.put(b"b")
    inbox.complete()
    inbox.leave()
    inbox.listen(heard, heard.leave)
    assert heard.said == [b"a", b"b", "complete", "left"]


async def test_who_listens_is_told_at_once() -> None:
    inbox, heard = Inbox(), Heard()
    inbox.listen(heard, heard.leave)
    await inbox.put(b"a")
    assert heard.said == [b"a"]
    inbox.leave()
    assert heard.said == [b"a", "left"]


@pytest.mark.parametrize("ends", ["listens", "leaves"])
async def test_a_body_that_nobody_listens_to_is_kept_up_to_a_bound(ends: str) -> None:
    inbox, heard = Inbox(), Heard()
    put = 0

    async def push() -> None:
        nonlocal put
        for _ in range(20):
            await inbox.put(b"x")
            put += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(push)
        await trio.testing.wait_all_tasks_blocked()
        assert put == 8
        if ends == "listens":
            inbox.listen(heard, heard.leave)
        else:
            inbox.leave()
    inbox.listen(heard, heard.leave) if ends == "leaves" else None
    assert heard.said.count(b"x") == (20 if ends == "listens" else 8)


def by_werkzeug(app: Quart, method: str, path: str) -> Any:
    adapter = MapAdapter(app.url_map, "", "/", None, "http", path, method)
    try:
        return adapter.match(return_rule=True)
    except HTTPException:
        return None


def test_paths_agree_with_werkzeug_on_all_that_they_find() -> None:
    app = create_app(Runtime())
    paths = Paths(app.url_map)
    found = 0
    words = ["a", "", "a b", "é", "%41", ".", "..", "wait", "<id>", "\n", "sessions", "events"]
    shapes = {rule.rule for rule in app.url_map.iter_rules()}
    asked = {"/", "//", "", "/health/", "//health", "/health//", "/Health"}
    for shape in shapes:
        for word in words:
            segments = [word if part.startswith("<") else part for part in shape.split("/")]
            asked |= {"/".join(segments), "/".join([*segments, word]), "/".join(segments[:-1])}
    for path in asked:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"):
            ours = paths.find(method, path)
            if ours is not None:
                found += 1
                assert ours == by_werkzeug(app, method, path), (method, path)
    assert found > 200


def test_paths_find_every_route_whose_parameters_have_no_slashes() -> None:
    app = create_app(Runtime())
    paths = Paths(app.url_map)
    for rule in app.url_map.iter_rules():
        if "<path:" not in rule.rule:
            for method in (rule.methods or set()) - {"OPTIONS"}:
                found = paths.find(method, rule.rule.replace("<", "").replace(">", ""))
                assert found is not None
                assert found[0] is rule
