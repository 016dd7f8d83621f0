"""What `parse` says of a line, held against what bash does with it.

Lines are made of a harmless vocabulary by a grammar, and then of mutations of these. Those that
`parse` calls complete are run by a bash that finds no program at all, in an empty directory: what
it would have run is recorded, and has to be among the commands that `parse` told.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from wingman.permissions.patterns import HOLE
from wingman.permissions.shell import CommandLine, parse
from wingman.permissions.words import quoted

BASH = shutil.which("bash")
# Programs that do not exist: bash calls this for each. It ends what goes on for too long.
RECORD = r"""() {
  (( ${EPOCHREALTIME/[.,]/} < UNTIL )) || kill -KILL 0
  local IFS=$'\x1f'
  local call="$*"
  printf '%s\n' "${call//$'\n'/$'\x1e'}" >&LOG
  case $call in (*[13579]) return 0;; esac
  return 1
}"""

WORDS = [
    *("p1", "p2", "q3", "rm", "-rf", "--", "x", "a1", "'a b'", '"a b"', "''", '""', "a''b", "$v"),
    *(
        '"$v"',
        "${v}",
        '"a${w}b"',
        "$w",
        "*",
        "f*",
        "[fg]1",
        "?1",
        "~",
        "a~",
        "a#b",
        "'#'",
        "#",
        "!",
    ),
    *("{}", "\\ ", "\\;", "a\\ b", '"\\$v"', '"\\a"', "=", "a=b", "-o=x", "]", "[", "2", "1", "if"),
    *(
        "then",
        "do",
        "in",
        "done",
        "'$v'",
        '"\'"',
        "'\"'",
        "a,b",
        "@",
        "%",
        "+",
        ":",
        "^",
        "é",
        "'é'",
    ),
    *('"`"', '"\\`"', '"$"', "$", "'\n'", '"\n"', "\\\\", '"\\\\"', "$?", "$#", '"$@"', "{", "}"),
    *("time", "fi", "case", "esac", "for", "function", "select", "coproc", "[[", "]]", "$1", "a!b"),
]
PROGRAMS = ["p1", "p2", "q3", "rm", "'p1'", 'p"2"', "\\rm", "r''m", "!", "time", "p1=x", "q3 -rf"]
REDIRECTIONS = [
    *(
        ">o",
        "> o",
        ">>o",
        "2>o",
        "2>&1",
        ">&2",
        "<f1",
        "&>o",
        "&>>o",
        ">|o",
        "> o x",
        "2>&-",
        "<>o",
    ),
    *("<<<x", "1>o2", "a2>o", ">&o", "> 'a b'", ">$v", "<<E", "{fd}>o", ">&1x", "2>& 1", "> #o"),
]
JOINTS = [
    "; ",
    "\n",
    " && ",
    " || ",
    " | ",
    " |& ",
    " & ",
    ";",
    "&&",
    "|",
    "&",
    " ;\n",
    " |\n",
    ";;",
]
NOISE = " \t\n;&|<>(){}[]!#$'\"`\\=*?~@^%,+-:1aé\r\x0b\u00a0\u2028"


def simple(rng: random.Random) -> str:
    parts = [rng.choice(PROGRAMS), *rng.choices(WORDS, k=rng.choice((0, 1, 1, 2, 3)))]
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(REDIRECTIONS))
    return " ".join(parts)


def line(rng: random.Random, depth: int = 2) -> str:
    return "".join(
        part
        for _ in range(rng.choice((1, 1, 2, 3)))
        for part in (statement(rng, depth), rng.choice(JOINTS))
    )


def statement(rng: random.Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.6:
        return simple(rng)
    a, b, c = (line(rng, depth - 1) for _ in range(3))
    name, words = rng.choice(("v", "w", "i")), " ".join(rng.choices(WORDS, k=2))
    return rng.choice(
        (
            f"({a})",
            f"( {a} ) >o",
            f"{{ {a} }}",
            f"{{ {a}}} 2>&1",
            f"if {a} then {b} fi",
            f"if {a} then {b} else {c} fi",
            f"if {a} then {b} elif {c} then p1; fi >o",
            f"while p1 1; do {b}break; done",
            f"until p1; do {b}\nbreak; done",
            f"for {name} in {words}; do {a} done",
            f"for {name} in {words}\ndo {a} done",
            f"! {a}",
            f"# {a}",
            f"{a} # {b}",
            f"p1 $({a})",
            f"case x in a) {a} ;; esac",
            f"f() {{ {a} }}",
            f"coproc {a}",
            f"[[ {a} ]]",
            f"p1 `{a}`",
            f'p1 "{a}"',
            f"p1 '{a}'",
            f"p1 <({a})",
        )
    )


def mutated(rng: random.Random, text: str) -> str:
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at = rng.randrange(len(text) + 1)
        match rng.randrange(4):
            case 0:
                text = text[:at] + text[at + 1 :]
            case 1:
                text = text[:at] + rng.choice(NOISE) + text[at:]
            case 2:
                end = at + rng.randrange(6)
                text = text[:end] + text[at:end] + text[end:]
            case _:
                text = text[:at] + rng.choice(NOISE) + text[at + 1 :]
    return text


def run_by(line: str, directory: Path) -> list[list[str]]:
    """The commands that bash would run."""
    read, write = os.pipe()
    environment = {
        "PATH": str(directory / "none"),
        "HOME": str(directory),
        "LC_ALL": "C.UTF-8",
        "v": "f1 -x  'y",
        "w": "w w",
        "UNTIL": str(time.time_ns() // 1000 + 200_000),
        "BASH_FUNC_command_not_found_handle%%": RECORD.replace("LOG", str(write)),
    }

    process = subprocess.Popen(
        [BASH or "bash", "--norc", "--noprofile", "-c", line],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(write,),
        start_new_session=True,
    )
    os.close(write)
    end = threading.Timer(2, os.killpg, (process.pid, signal.SIGKILL))  # a loop of builtins
    end.start()
    try:
        with os.fdopen(read, "rb") as log:
            calls = log.read().decode(errors="replace").split("\n")[:-1]
    finally:
        end.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return [call.replace("\x1e", "\n").split("\x1f") for call in calls]


def tells(parsed: CommandLine, call: list[str]) -> bool:
    text = " ".join(map(quoted, call))
    for command in parsed.commands:
        if HOLE not in command.text:
            if command.text == text:
                return True
            continue
        # What fills a hole may need quotes around what is known: they are left out of both.
        bare = re.sub("['\"]", "", command.text)
        pattern = ".*".join(map(re.escape, bare.replace(f" {HOLE}", HOLE).split(HOLE)))
        if re.fullmatch(pattern, re.sub("['\"]", "", text), re.DOTALL):
            return True
    return False


def disagreements(seed: int, count: int, directory: Path) -> tuple[list[str], int]:
    """Lines of which bash does more than `parse` says, and how many lines were run."""
    for name in ("f1", "g1", "f2", "f 3", "-rf"):
        (directory / name).write_text("")
    rng = random.Random(seed)
    wrong, ran = [], 0
    while ran < count:
        text = mutated(rng, line(rng)) if rng.random() < 0.6 else line(rng)
        if re.search(r"[/]|\.\.", text):
            continue
        parsed = parse(text)
        if not parsed.complete:
            continue
        ran += 1
        wrong += [
            f"{text!r} runs {call}, and is told as {parsed.commands}"
            for call in run_by(text, directory)
            if not tells(parsed, call)
        ]
    return wrong, ran


@pytest.mark.skipif(BASH is None, reason="there is no bash on this machine")
@pytest.mark.parametrize("seed", range(4))
def test_of_a_line_that_is_complete_bash_runs_nothing_but_what_is_told(
    seed: int, tmp_path: Path
) -> None:
    wrong, ran = disagreements(seed, 100, tmp_path)
    assert ran == 100
    assert not wrong, "\n".join(wrong)
