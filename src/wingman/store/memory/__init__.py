"""The store in memory: for tests, and for programs that need nothing to last.

    store.py     MemoryStore: its face
    ledger.py    what it keeps, in dicts, and what each change does to it
    kept.py      a session, and a run and a permission request in it
    order.py     the order in which pages show runs and permission requests

It knows no file and no thread.
"""

from wingman.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
