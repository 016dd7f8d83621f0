"""Read by type checkers, never run: `E` marks a line that is an error, `-> T` what is revealed."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar, reveal_type

import attrs

from wingman.actor import ActorRef, ActorSystem, Context, Directory, Request, Stopped, Topic

T = TypeVar("T")


@dataclass(frozen=True)
class Deposit(Request[None]):
    amount: int


@dataclass(frozen=True)
class Balance(Request[int]):
    pass


@attrs.frozen
class Owner(Request[str]):
    account: str


class Pair(NamedTuple):
    left: int
    right: int


class Colour(enum.Enum):
    RED = 1


class Account:
    async def receive(self, message: Deposit | Balance) -> int | None:
        return 3


class Upper:
    async def receive(self, message: str) -> str:
        return message.upper()


class Registry:
    async def receive(self, message: Owner) -> str:
        return message.account


class Pairs:
    async def receive(self, message: Pair | Colour) -> float:
        return 0.5


class Box(Generic[T]):
    def __init__(self, first: T) -> None:
        self.held = first

    async def receive(self, message: T) -> list[T]:
        return [message, self.held]


class AnyActor:
    async def receive(self, message: Any) -> Any:
        return message


class Watcher:
    def __init__(self, context: Context[Deposit | Stopped]) -> None:
        context.watch(context.ref)
        context.after(3, Deposit(3))
        context.after(3, Balance())  # E

    async def receive(self, message: Deposit | Stopped) -> None: ...


class NoWatcher:
    def __init__(self, context: Context[Deposit], topic: Topic[Deposit]) -> None:
        context.watch(context.ref)  # E
        context.subscribe(topic)

    async def receive(self, message: Deposit) -> None: ...


class Listener:
    def __init__(self, context: Context[str], topic: Topic[int]) -> None:
        context.subscribe(topic)  # E

    async def receive(self, message: str) -> None: ...


class Sync:
    def receive(self, message: bytes) -> int:
        return 3


def account_of(key: str) -> Account:
    return Account()


async def use(system: ActorSystem, make: Callable[[], Account]) -> None:
    account = system.spawn(Account)
    reveal_type(account)  # -> ActorRef[Deposit | Balance, int | None]
    reveal_type(await account.ask(Balance()))  # -> int
    reveal_type(await account.ask(Deposit(3)))  # -> None
    reveal_type(account.submit(Balance()))  # -> Delivery[int]
    reveal_type(account.from_thread.ask(Balance()))  # -> int
    await account.tell(Deposit(3))
    await account.tell("x")  # E
    account.tell_nowait("x")  # E
    account.submit("x")  # E
    account.from_thread.tell("x")  # E
    await account.ask(Owner("x"))  # E
    await account.ask("x")  # E

    upper = system.spawn(Upper)
    reveal_type(upper)  # -> ActorRef[str, str]
    reveal_type(await upper.ask("x"))  # -> str
    reveal_type(upper.submit("x"))  # -> Delivery[str]
    reveal_type(upper.from_thread.ask("x"))  # -> str
    await upper.ask(3)  # E

    reveal_type(await system.spawn(Registry).ask(Owner("x")))  # -> str
    reveal_type(await system.spawn(Pairs).ask(Pair(1, 2)))  # -> float
    reveal_type(await system.spawn(Pairs).ask(Colour.RED))  # -> float
    reveal_type(await system.spawn(AnyActor).ask("x"))  # -> Any
    reveal_type(system.spawn(Watcher))  # -> ActorRef[Deposit | Stopped, None]
    reveal_type(system.spawn(lambda: Account()))  # -> ActorRef[Deposit | Balance, int | None]
    spawned = system.spawn(partial(account_of, "x"))
    reveal_type(spawned)  # -> ActorRef[Deposit | Balance, int | None]
    reveal_type(system.spawn(make))  # -> ActorRef[Deposit | Balance, int | None]
    reveal_type(system.spawn(partial(Box[int], 3)))  # -> ActorRef[int, list[int]]
    reveal_type(system.spawn_pool(Upper, 3))  # -> ActorRef[str, str]
    system.spawn(Sync)  # E
    system.spawn(Account())  # E
    system.spawn(account_of)  # E

    narrower: ActorRef[Deposit] = account
    wider: ActorRef[Balance | Owner] = account  # E
    bare: ActorRef = account
    await bare.tell(wider)
    reveal_type(await narrower.ask(Deposit(3)))  # -> None


async def find(accounts: Directory[str, Deposit | Balance, int | None]) -> None:
    reveal_type(accounts.ref("x"))  # -> ActorRef[Deposit | Balance, int | None]
    reveal_type(await accounts.ref("x").ask(Balance()))  # -> int
    accounts.ref(3)  # E
    await accounts.ref("x").ask("x")  # E
