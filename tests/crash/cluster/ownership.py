"""Who owns what, by the database's own record: one owner at a time, and nobody else writes."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

import attrs

from crash.book import Findings
from crash.cluster.audit import Write

__all__ = ["Ownership"]


@attrs.define(eq=False)
class Ownership:
    """Replays the writes in the order of their commits.

    `owners` is whose each session is. A node from which another one has taken a session is dead for
    ever, since that moment: `dead` has it.
    """

    findings: Findings
    owners: dict[str, int | None] = attrs.field(factory=dict)
    dead: dict[int, datetime] = attrs.field(factory=dict)
    starts: Counter[str] = attrs.field(factory=Counter)

    def replay(self, writes: Sequence[Write]) -> None:
        """Take in what was written since the last time."""
        for _, rows in groupby(writes, lambda write: write.xid):
            self._commit(list(rows))
        self.findings.done["writes looked at"] += len(writes)

    def _commit(self, rows: list[Write]) -> None:
        node = rows[0].node
        whats = sorted({row.what for row in rows})
        said = f"a commit of node {node} ({', '.join(whats)})"
        if not self.findings.check(node is not None, f"{said}: its backend has no lock"):
            return
        assert node is not None
        if node in self.dead:
            times = f"{rows[0].committed} and {self.dead[node]}"
            self.findings.check(False, f"{said} came after its sessions were taken: {times}")
        # It may take a session, write to it, and let go of it, all at once.
        owners = {row.session_id: {self.owners.get(row.session_id)} for row in rows}
        for row in rows:
            if row.what.startswith("session "):
                self._session(row, node)
                owners[row.session_id].add(row.after)
        for row in rows:
            self._write(row, node, owners[row.session_id])

    def _session(self, row: Write, node: int) -> None:
        said = f"session {row.session_id}: node {node} {row.what}, {row.before} to {row.after}"
        if row.what == "session created":
            self.findings.check(row.after == node, f"{said}: it is not its own")
            self.owners[row.session_id] = row.after
        elif row.what == "session moved":
            owner = self.owners.get(row.session_id)
            self.findings.check(owner == row.before, f"{said}: the owner was {owner}")
            own = node in (row.before, row.after) and row.after in (None, node)
            self.findings.check(own, f"{said}: that is for others to do")
            self.owners[row.session_id] = row.after
            self.findings.done["sessions released" if row.after is None else "sessions taken"] += 1
            if row.before not in (None, node):
                assert row.before is not None
                self.findings.check(not row.held, f"{said}: that one's lock was held")
                self.dead.setdefault(row.before, row.committed)

    def _write(self, row: Write, node: int, owners: set[int | None]) -> None:
        said = f"session {row.session_id}: {row.what} by node {node}, and it is that of {owners}"
        self.findings.check(node in owners, said)
        if row.what == "session deleted":
            self.owners.pop(row.session_id, None)
        if row.what == "run started":
            assert row.run_id is not None
            self.starts[row.run_id] += 1
            self.findings.check(self.starts[row.run_id] == 1, f"run {row.run_id} was started twice")
