"""What must hold of a database after a kill: by itself, against the clients' book, against the log
of what really ran, and against the snapshot before it.
"""

from collections import Counter
from itertools import pairwise

from crash.book import Book, Findings, Sent
from crash.snapshot import Row, Rows, Snapshot, invalid, texts, tool_results, tool_uses

__all__ = ["check_book", "check_database", "check_executions", "check_passage"]


# --- by itself ------------------------------------------------------------------------------------


def check_database(snapshot: Snapshot, findings: Findings) -> None:
    """Each session is whole, in order, and its history valid."""
    findings.check(snapshot.integrity == "ok", f"integrity_check: {snapshot.integrity}")
    findings.check(not snapshot.strays, f"rows of no session: {snapshot.strays[:5]}")
    for rows in snapshot.sessions.values():
        reason = invalid(message for _, message in rows.history)
        findings.check(reason is None, f"session {rows.id}: {reason}")
        _check_order(rows, findings)
        _check_counters(rows, findings)
        for run in rows.runs:
            _check_run(run, findings)


def _check_order(rows: Rows, findings: Findings) -> None:
    started = [run for run in rows.runs if run.started_at is not None]
    where = f"session {rows.id}"
    moments = [str(run.started_at) for run in started]
    findings.check(moments == sorted(moments), f"{where}: runs started in another order")
    order = [run.id for run in started]
    blocks = [run_id for run_id, _ in rows.history]
    joined = [a for a, b in pairwise([*blocks, ""]) if a != b]
    findings.check(joined == order, f"{where}: history has runs {joined}, started were {order}")
    running = [run.id for run in rows.runs if run.status == "running"]
    findings.check(len(running) <= 1, f"{where}: {running} run at once")
    first_queued = next((run.seq for run in rows.runs if run.status == "queued"), None)
    if first_queued is not None:
        overtook = [run.id for run in started if run.seq > first_queued]
        findings.check(not overtook, f"{where}: {overtook} overtook a queued run")


def _check_counters(rows: Rows, findings: Findings) -> None:
    where = f"session {rows.id}"
    low = rows.last_event_id <= rows.event_ceiling
    findings.check(low, f"{where}: last event {rows.last_event_id} above {rows.event_ceiling}")
    total: Counter[str] = Counter()
    for run in rows.runs:
        if run.over:
            total.update(run.usage)
    same = all(total[name] == tokens for name, tokens in rows.usage.items())
    findings.check(same, f"{where}: usage {rows.usage}, its runs' sum to {dict(total)}")


def _check_run(run: Row, findings: Findings) -> None:
    where = f"run {run.id} of session {run.session_id} ({run.status})"
    one = (run.result is None) != (run.error is None)
    findings.check(one == run.over, f"{where}: result {run.result}, error {run.error}")
    cut_off = run.error is None or run.error["code"] == "store_unavailable"
    findings.check(cut_off, f"{where} failed: {run.error}")
    begun = run.started_at is not None
    findings.check(begun == bool(run.added), f"{where}: started {begun}, {len(run.added)} messages")
    findings.check(run.status == "running" or not run.pending, f"{where} has a step pending")
    if run.added:
        first = texts(run.added[0])
        findings.check(first == [run.text], f"{where}: its history begins with {first}")
        others = [
            text
            for message in run.added[1:]
            if message["role"] == "user"
            for text in texts(message)
        ]
        findings.check(not others, f"{where}: its history has {others} besides")
    if run.status == "completed" and run.result is not None and run.added:
        response = "".join(texts(run.added[-1]))
        findings.check(run.result["response"] == response, f"{where}: its response is not stored")


# --- against the book -----------------------------------------------------------------------------


def check_book(snapshot: Snapshot, book: Book) -> None:
    """What was acknowledged is there; what was refused is not; nothing is there twice."""
    findings = book.findings
    for known in book.sessions.values():
        rows = snapshot.sessions.get(known.id)
        if known.deleted:
            findings.check(rows is None, f"session {known.id} was deleted, and is there")
        elif rows is None or rows.deleting:
            findings.check(known.deleting, f"session {known.id} was acknowledged, and is not there")
        else:
            titled = rows.title in known.titles
            findings.check(titled, f"session {known.id}: title {rows.title}, not {known.titles}")
            _check_messages(rows, known.sent, findings)
            # Whatever else was asked for went down with the server.
            known.titles[:] = [rows.title]
            known.deleting = False


def _check_messages(rows: Rows, sent: list[Sent], findings: Findings) -> None:
    of_text = Counter(run.text for run in rows.runs)
    runs = {run.text: run for run in rows.runs}
    for each in sent:
        text = each.body["message"]
        run = runs.get(text)
        once = of_text[text] <= 1
        findings.check(once, f"{each} is there {of_text[text]} times, sent {each.sends} times")
        each.lost = run is None
        if run is None:
            findings.check(each.run_id is None, f"{each} was acknowledged, and is not there")
            continue
        findings.check(not each.refused, f"{each} was refused, and is there as run {run.id}")
        findings.check(each.run_id in (None, run.id), f"{each} is there as another run, {run.id}")
        findings.check(run.request_id == each.request_id, f"{each} has another request id")
        findings.check(run.over or not each.over, f"{each} had ended, and is {run.status}")
        each.over = run.over
        if each.answer is not None:
            findings.check(
                run.result == each.answer, f"{each} was answered otherwise: {run.result}"
            )
        overtaken = [
            other.number
            for other in sent
            if other.number in each.after
            and (before := runs.get(other.body["message"]))
            and before.seq > run.seq
        ]
        findings.check(not overtaken, f"{each} comes before {overtaken}, acknowledged earlier")


# --- against what really ran ----------------------------------------------------------------------


def check_executions(snapshot: Snapshot, book: Book, moved: bool = False) -> None:
    """No call ran twice, none unseen, none that ended well did not run, and all in order.

    Where sessions may have `moved`, a run that was interrupted may have had its last marks made by
    a node that did not know it yet, beside those of the session's next run.
    """
    for known in book.sessions.values():
        rows = snapshot.sessions.get(known.id)
        ran = known.log.read_text().splitlines() if known.log.exists() else []
        twice = [mark for mark, times in Counter(ran).items() if times > 1]
        book.findings.check(not twice, f"session {known.id}: {twice} ran more than once")
        if rows is not None and not rows.deleting:
            _check_log(rows, ran, book, moved)


def _check_log(rows: Rows, ran: list[str], book: Book, moved: bool) -> None:
    findings = book.findings
    recorded: set[str] = set()
    succeeded: set[str] = set()
    for run in rows.runs:
        messages = [*run.added, *(value["message"] for value in run.pending if "message" in value)]
        results = {
            each["tool_use_id"]: each
            for each in [result for message in run.added for result in tool_results(message)]
        }
        for use in [use for message in messages for use in tool_uses(message)]:
            for mark in _marks(use):
                recorded.add(mark)
                result = results.get(use["id"])
                if result is not None and not result["is_error"]:
                    succeeded.add(mark)
    unseen = [mark for mark in ran if mark not in recorded]
    findings.check(not unseen, f"session {rows.id}: {unseen} ran, and no row tells of it")
    missing = sorted(succeeded.difference(ran))
    findings.check(not missing, f"session {rows.id}: {missing} are told to have run, and did not")
    place = {sent.number: run.seq for run in rows.runs if (sent := book.by_text.get(run.text))}
    numbers = [int(mark[1:].partition(".")[0]) for mark in ran]
    if moved:
        cut_off = {run.seq for run in rows.runs if run.status == "interrupted"}
        numbers = [number for number in numbers if place.get(number) not in cut_off]
    order = [place.get(number, -1) for number in numbers]
    findings.check(order == sorted(order), f"session {rows.id}: its log is out of order: {ran}")
    steps = [tuple(map(int, mark[1:].split(".")[:2])) for mark in ran]
    by_message = {number: [s for n, s in steps if n == number] for number, _ in steps}
    mixed = [number for number, each in by_message.items() if each != sorted(each)]
    findings.check(not mixed, f"session {rows.id}: the steps of messages {mixed} overlap")


def _marks(use: dict[str, object]) -> list[str]:
    """The marks that a call makes: what it echoes to the log."""
    given = use["input"]
    assert isinstance(given, dict)
    words = str(given.get("command", "")).split()
    return [word for before, word in pairwise(words) if before == "echo"]


# --- against the snapshot before ------------------------------------------------------------------


def check_passage(before: Snapshot, after: Snapshot, findings: Findings, recovered: bool) -> None:
    """Nothing that was committed has changed, but by what a server may do with it.

    `recovered`: a server has listened in between, so that what was running has been ended.
    """
    for rows in before.sessions.values():
        later = after.sessions.get(rows.id)
        if rows.deleting:
            left = later is not None and (recovered or not later.deleting)
            findings.check(not left, f"session {rows.id} was being deleted, and is still there")
        elif later is not None:
            same = later.history[: len(rows.history)] == rows.history
            findings.check(same, f"session {rows.id}: its history was rewritten")
            runs = {run.id: run for run in later.runs}
            for run in rows.runs:
                _check_run_passage(run, runs.get(run.id), findings, recovered)


def _check_run_passage(run: Row, later: Row | None, findings: Findings, recovered: bool) -> None:
    where = f"run {run.id} of session {run.session_id}"
    if later is None:
        findings.check(False, f"{where} was {run.status}, and is gone")
    elif run.over:
        findings.check(later == run, f"{where} had ended, and has changed: {run} to {later}")
    elif run.status == "running":
        ended = later.status == "interrupted" or (later == run and not recovered)
        findings.check(ended, f"{where} was running when the server died, and is {later.status}")
        findings.check(later.started_at == run.started_at, f"{where} was started again")
        if later.status == "interrupted":
            _check_completed(run, later, findings)


def _check_completed(run: Row, later: Row, findings: Findings) -> None:
    """The step that was pending is in the history, with the results that had come."""
    tail = later.added[len(run.added) :]
    steps = [value for value in run.pending if "message" in value]
    kept = [step["message"] for step in steps] == list(tail[:1])
    findings.check(kept, f"run {run.id}: its pending step was not kept: {steps} is {tail}")
    given = {r["tool_use_id"]: r for message in tail for r in tool_results(message)}
    lost = [v for v in run.pending if "tool_use_id" in v and given.get(v["tool_use_id"]) != v]
    findings.check(not lost, f"run {run.id}: results {lost} were committed, and are lost")
