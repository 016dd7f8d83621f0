"""The directory of a session."""

from pathlib import Path
from typing import Any

import pytest
import trio

from session_kit import echo, opened


async def test_a_session_is_made_with_one_look_at_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each hand-over to a thread costs more than a turn's whole share of the store."""
    hops: list[object] = []
    run_sync = trio.to_thread.run_sync

    async def counted(function: Any, *args: Any, **options: Any) -> Any:
        hops.append(function)
        return await run_sync(function, *args, **options)

    monkeypatch.setattr(trio.to_thread, "run_sync", counted)
    monkeypatch.setattr(trio._path, "run_sync", counted, raising=False)
    (tmp_path / "link").symlink_to(tmp_path)
    async with opened(echo()) as runtime:
        session = await runtime.create_session(work_dir=tmp_path / "link" / ".." / tmp_path.name)
        assert (await session.describe()).work_dir == str(tmp_path)
        assert len(hops) == 1
