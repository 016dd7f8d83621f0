"""What belongs to a file stays when its content is replaced, and there is never half a file."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wingman.errors import ToolError
from wingman.tools import ToolContext, edit, read, replacing, write

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def put(context: ToolContext, name: str, content: bytes = b"old\n") -> Path:
    path = context.work_dir / name
    path.write_bytes(content)
    return path


def left_over(context: ToolContext) -> list[str]:
    return [path.name for path in context.work_dir.rglob("*.tmp")]


@pytest.fixture(params=["write", "edit"])
def change(request: pytest.FixtureRequest, context: ToolContext) -> Callable[[str], Any]:
    """Make a file's content `new`, by either tool."""

    async def by_write(name: str) -> None:
        await write.call({"path": name, "content": "new\n"}, context)

    async def by_edit(name: str) -> None:
        await edit.call({"path": name, "old": "old", "new": "new"}, context)

    return by_write if request.param == "write" else by_edit


async def test_all_names_of_a_file_have_the_new_content(
    change: Callable[[str], Any], context: ToolContext
) -> None:
    path = put(context, "a.txt")
    (context.work_dir / "b.txt").hardlink_to(path)
    inode = path.stat().st_ino
    await change("a.txt")
    assert (context.work_dir / "b.txt").read_text() == path.read_text() == "new\n"
    assert path.stat().st_ino == inode
    assert left_over(context) == []


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="needs extended attributes")
async def test_extended_attributes_are_kept(
    change: Callable[[str], Any], context: ToolContext
) -> None:
    path = put(context, "a.txt")
    try:
        os.setxattr(path, "user.origin", b"here")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    await change("a.txt")
    assert path.read_text() == "new\n"
    assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == {
        "user.origin": b"here"
    }


# A POSIX ACL as Linux keeps it: u::rw-, u:65534:rw-, g::r--, m::rw-, o::---.
# https://man7.org/linux/man-pages/man5/acl.5.html; version 2, then tag, permissions and id of each.
NOBODY = 65534
NO_ID = 0xFFFFFFFF
ENTRIES = [(1, 6, NO_ID), (2, 6, NOBODY), (4, 4, NO_ID), (16, 6, NO_ID), (32, 0, NO_ID)]
ACL = (2).to_bytes(4, "little") + b"".join(
    tag.to_bytes(2, "little") + may.to_bytes(2, "little") + who.to_bytes(4, "little")
    for tag, may, who in ENTRIES
)


def set_acl(path: Path, name: str) -> None:
    try:
        os.setxattr(path, name, ACL)
    except (OSError, AttributeError):
        pytest.skip("this file system has no ACLs")


async def test_an_acl_is_kept(change: Callable[[str], Any], context: ToolContext) -> None:
    path = put(context, "a.txt")
    set_acl(path, "system.posix_acl_access")
    mode = path.stat().st_mode
    await change("a.txt")
    assert os.getxattr(path, "system.posix_acl_access") == ACL
    assert path.stat().st_mode == mode


async def test_a_file_without_an_acl_gets_none_from_its_directory(
    change: Callable[[str], Any], context: ToolContext
) -> None:
    path = put(context, "a.txt")
    path.chmod(0o640)
    set_acl(context.work_dir, "system.posix_acl_default")
    await change("a.txt")
    assert os.listxattr(path) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_a_new_file_gets_the_acl_of_its_directory(context: ToolContext) -> None:
    set_acl(context.work_dir, "system.posix_acl_default")
    await write.call({"path": "a.txt", "content": ""}, context)
    put(context, "plain.txt")
    new, plain = (context.work_dir / name for name in ("a.txt", "plain.txt"))
    acl = "system.posix_acl_access"
    assert os.getxattr(new, acl) == os.getxattr(plain, acl)


@needs_root
@pytest.mark.parametrize("mode", [0o644, 0o4755, 0o2755, 0o6711, 0o1644, 0o600])
async def test_owner_group_and_mode_are_kept(
    mode: int, change: Callable[[str], Any], context: ToolContext
) -> None:
    path = put(context, "a.txt")
    os.chown(path, 1234, 4321)
    path.chmod(mode)
    await change("a.txt")
    after = path.stat()
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (1234, 4321, mode)
    assert path.read_text() == "new\n"


# --- as another user, in a process of its own ---------------------------------------------------

AS_A_USER = """
import os, sys
from pathlib import Path
from wingman.errors import ToolError
from wingman.tools import ToolContext, write
os.setgid(1234); os.setgroups([1234, 4321]); os.setuid(1234)
try:
    print(write(sys.argv[2], "new", ToolContext(Path(sys.argv[1]))))
except ToolError as error:
    print(error)
"""


def write_as_a_user(work_dir: Path, name: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", AS_A_USER, work_dir, name],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.strip()


@needs_root
@pytest.mark.parametrize(
    ("owner", "mode", "directory_owner", "directory_mode", "said", "owner_after", "mode_after"),
    [
        # The directory may not be written: only the file itself can be.
        (1234, 0o644, 0, 0o755, "Wrote 3 bytes", 1234, 0o644),
        # The file is another's, who lets its group write: it stays that user's.
        (0, 0o664, 1234, 0o755, "Wrote 3 bytes", 0, 0o664),
        # In a sticky directory nobody may replace another's file, but may write into it.
        (0, 0o666, 0, 0o1777, "Wrote 3 bytes", 0, 0o666),
        # What a plain write could not do is not done by the back door.
        (0, 0o644, 1234, 0o755, "belongs to another user", 0, 0o644),
        # A write by anybody but root takes setuid away, and setgid from what its group runs.
        (1234, 0o6755, 1234, 0o755, "Wrote 3 bytes", 1234, 0o755),
        (1234, 0o2644, 1234, 0o755, "Wrote 3 bytes", 1234, 0o2644),
    ],
)
def test_another_user_may_do_what_a_plain_write_may(
    owner: int,
    mode: int,
    directory_owner: int,
    directory_mode: int,
    said: str,
    owner_after: int,
    mode_after: int,
) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own is nobody else's to enter
        path = Path(name, "a.txt")
        path.write_text("older")
        os.chown(path, owner, 4321)
        path.chmod(mode)
        os.chown(name, directory_owner, 0)
        Path(name).chmod(directory_mode)
        assert said in write_as_a_user(Path(name), "a.txt")
        after = path.stat()
        assert (after.st_uid, after.st_gid) == (owner_after, 4321)
        assert stat.S_IMODE(after.st_mode) == mode_after
        assert path.read_text() == ("new" if "Wrote" in said else "older")


# --- mounts, full disks -------------------------------------------------------------------------

IN_A_NAMESPACE = """
set -e
mount -t tmpfs -o size=200k none "$1"
cd "$1"; mkdir work outside
printf 'old\\n' > outside/mounted; : > work/a.txt
mount --bind outside/mounted work/a.txt
exec "$2" -c "$3" "$1/work"
"""

WRITES = """
import os, sys
from pathlib import Path
from wingman.errors import ToolError
from wingman.tools import ToolContext, edit, write
work = Path(sys.argv[1])
context = ToolContext(work)
print(edit("a.txt", "old", "new", context))
assert Path(work, "../outside/mounted").read_text() == "new\\n"
for name in ("a.txt", "b.txt", "c.txt"):  # a mount point, a file with two names, and a plain one
    if name != "a.txt":
        Path(work, name).write_text("as it was")
    if name == "b.txt":
        Path(work, "b2.txt").hardlink_to(Path(work, name))
    before = Path(work, name).read_bytes()
    try:
        print(write(name, "x" * 1_000_000, context))
    except ToolError as error:
        print(error)
    assert Path(work, name).read_bytes() == before, name
    print(write(name, "short", context))
assert not list(work.glob("*.tmp"))
"""


def test_a_mount_point_is_written_and_a_full_disk_leaves_all_as_it_was(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    argv = ["unshare", "-rm", "sh", "-c"]
    if subprocess.run([*argv, "mount -t tmpfs none /mnt"], capture_output=True).returncode:
        pytest.skip("mounts are not allowed here")
    done = subprocess.run(
        [*argv, IN_A_NAMESPACE, "sh", tmp_path, sys.executable, WRITES],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    full = "cannot be written: No space left on device."
    assert done.stdout.splitlines() == [
        "Replaced 1 occurrence, at line 1, in a.txt.",
        f"a.txt {full}",
        "Wrote 5 bytes to a.txt.",
        f"b.txt {full}",
        "Wrote 5 bytes to b.txt.",
        f"c.txt {full}",
        "Wrote 5 bytes to c.txt.",
    ]


@pytest.mark.parametrize("links", [1, 2])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
async def test_a_write_that_fails_half_way_leaves_the_old_file(
    links: int, number: int, context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(context, "a.txt", b"the old content, which is long")
    if links == 2:
        (context.work_dir / "b.txt").hardlink_to(path)
    monkeypatch.setattr(replacing.os, "ftruncate", lambda *_: fail(number))
    monkeypatch.setattr(Path, "replace", lambda *_: fail(number))

    def fail(number: int) -> None:
        monkeypatch.undo()  # to put it back works
        raise OSError(number, os.strerror(number))

    with pytest.raises(ToolError, match=f"cannot be written: {os.strerror(number)}"):
        await write.call({"path": "a.txt", "content": "new"}, context)
    assert path.read_bytes() == b"the old content, which is long"
    assert left_over(context) == []


@pytest.mark.parametrize("size", [0, 3, 50_000])
async def test_a_file_that_is_written_into_becomes_longer_or_shorter(
    size: int, context: ToolContext
) -> None:
    path = put(context, "a.txt", b"x" * 1_000)
    (context.work_dir / "b.txt").hardlink_to(path)
    await write.call({"path": "a.txt", "content": "y" * size}, context)
    assert path.read_bytes() == b"y" * size


# --- what is no file ----------------------------------------------------------------------------


async def test_what_is_no_regular_file_is_refused_at_once(context: ToolContext) -> None:
    os.mkfifo(context.work_dir / "fifo")
    (context.work_dir / "link").symlink_to("fifo")
    for name in ("fifo", "link"):
        for call in (
            read.call({"path": name}, context),
            write.call({"path": name, "content": "x"}, context),
            edit.call({"path": name, "old": "a", "new": "b"}, context),
        ):
            with pytest.raises(ToolError, match="device, pipe or socket"):
                await call
    assert stat.S_ISFIFO((context.work_dir / "fifo").stat().st_mode)


async def test_a_symlink_is_written_through(
    change: Callable[[str], Any], context: ToolContext
) -> None:
    path = put(context, "a.txt")
    (context.work_dir / "link").symlink_to("a.txt")
    await change("link")
    assert (context.work_dir / "link").is_symlink()
    assert path.read_text() == "new\n"


async def test_a_read_only_file_says_how_to_change_it(
    change: Callable[[str], Any], context: ToolContext
) -> None:
    put(context, "a.txt").chmod(0o444)
    with pytest.raises(ToolError, match="read-only; if you may change it, `chmod"):
        await change("a.txt")


async def test_a_path_that_is_none_is_told_without_numbers_and_at_no_length(
    context: ToolContext,
) -> None:
    for path in ("x" * 5_000, "a/" * 3_000, "a\0b", "\ud800"):
        with pytest.raises(ToolError) as caught:
            await read.call({"path": path}, context)
        assert "Errno" not in caught.value.message
        assert len(caught.value.message) < 1_000
