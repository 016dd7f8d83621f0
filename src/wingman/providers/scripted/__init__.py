"""Providers without a language model: for tests, and for a first look without a key.

    provider.py  Scripted: says what it is told to
    keyless.py   Keyless: does what the user's message says, word for word
    reply.py     what one step says: the items of a script, and their parts

Both keep the protocol of the real ones. The package knows no network and reads no key.
"""

from wingman.providers.scripted.keyless import Keyless
from wingman.providers.scripted.provider import Script, Scripted
from wingman.providers.scripted.reply import Delay, Fail, Item, Parts, ToolCalls

__all__ = [
    "Delay",
    "Fail",
    "Item",
    "Keyless",
    "Parts",
    "Script",
    "Scripted",
    "ToolCalls",
]
