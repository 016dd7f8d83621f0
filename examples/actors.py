"""The actor runtime alone: actors by key, a crash, a death watch. No language model in sight.

Run it: python examples/actors.py
"""

import logging

import trio

from wingman.actor import ActorSystem, Directory, Restart

logging.getLogger("wingman").setLevel(logging.CRITICAL)  # it logs the crash with its traceback


class Overdrawn(Exception):
    """An answer, and no crash: the account goes on as it is."""


class Account:
    """One account. It takes its messages one at a time, so it needs no lock."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.balance = 0

    async def receive(self, message: object) -> int:
        """Take a message; what this returns or raises is the reply."""
        match message:
            case ("deposit", int(amount)):
                self.balance += amount
            case ("withdraw", int(amount)):
                if amount > self.balance:
                    raise Overdrawn(f"{self.owner} has {self.balance}")
                self.balance -= amount
            case "balance":
                pass
            case _:
                raise ValueError(f"what is {message!r}?")  # a crash: it begins again, afresh
        return self.balance


async def main() -> None:
    """Ask accounts by their owners' names; each is made with its first message."""
    async with ActorSystem() as system:
        accounts = Directory(
            system, Account, idle_after=60, supervision=Restart(), expected=(Overdrawn,)
        )
        await accounts.ref("ann").tell(("deposit", 5))
        print("ann has", await accounts.ref("ann").ask("balance"))
        try:
            await accounts.ref("ann").ask(("withdraw", 7))
        except Overdrawn as answer:
            print("refused:", answer)
        delivery = accounts.ref("bob").submit("nonsense")  # a handle on one message
        print("bob's delivery has", (await delivery.wait()).value)
        print("bob has", await accounts.ref("bob").ask("balance"), "after a restart")
        for info in sorted(system.snapshot(), key=lambda info: info.name):
            print(info.name, "handled", info.handled, "restarts", info.restarts)
        await accounts.ref("ann").stop()
        print("live:", list(accounts))


if __name__ == "__main__":
    trio.run(main)
