"""When Python looks for garbage: seldom, in a process that is Wingman's own."""

import gc

__all__ = ["collect_seldom"]


def collect_seldom() -> None:
    """Set the garbage collector for a process of ours: it looks for cycles seldom.

    What is imported stays, and thousands of small objects live long in a server: Python's own
    thresholds would look through all of them over and over, which is a fifth of the time that a
    start takes. That is the process's matter: no import and no `Runtime` does it.
    """
    gc.set_threshold(50_000, 50, 1000)
