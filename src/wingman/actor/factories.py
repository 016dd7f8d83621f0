"""What makes an actor: the check of a factory, and of what it has made."""

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import Parameter, isawaitable, iscoroutinefunction, signature
from types import FunctionType
from typing import Any

from wingman.actor.errors import NotAnActor
from wingman.foreign import shown

__all__ = ["receive_of", "wants_context"]

_NEW: Any = object.__new__
_INIT: Any = object.__init__
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def wants_context(factory: object, argument: str = "") -> bool:
    """Whether a factory is to be called with the actor's context: it has a parameter for it.

    `argument` says in words what the factory is called with before that, if with anything.

    Raises `TypeError` for what cannot make an actor; the text says what to give in its place.
    """
    if not callable(factory):
        name = type(factory).__name__
        given = "an actor" if hasattr(factory, "receive") else "an object"
        raise TypeError(
            f"{shown(factory)} is {given} that is made already, and a new one is needed at every "
            f"restart: give a factory, such as the class {name} itself, or a function that makes "
            f"one{f' for {argument}' if argument else ''}"
        )
    if iscoroutinefunction(factory):
        raise TypeError(
            f"{shown(factory)} is async, and the factory of an actor is not: let it make the "
            "object alone, and await in the object's __aenter__"
        )
    if isinstance(factory, type):
        _check(factory, factory.__name__)
    first = 1 if argument else 0
    needs = _required(factory)
    if needs > first + 1:
        takes = f"{argument} and the actor's context" if argument else "the actor's context"
        raise TypeError(
            f"{shown(factory)} needs {needs} arguments, and the factory of an actor is called with "
            f"{takes}, at most: give a function that makes the actor with all it needs, such as "
            "functools.partial"
        )
    return needs == first + 1


def receive_of(actor: Any) -> Callable[[Any], Awaitable[Any]]:
    """The `receive` of what a factory has made. Raises `NotAnActor`, now or at the first message,
    where it has none that is async."""
    name = type(actor).__name__
    _check(actor, name)
    receive: Callable[[Any], Awaitable[Any]] = actor.receive
    return receive if iscoroutinefunction(receive) else partial(_awaited, receive, name)


async def _awaited(receive: Callable[[Any], Any], name: str, message: Any) -> Any:
    """Call a `receive` that is not `async def`, but may return something to await."""
    result = receive(message)
    if not isawaitable(result):
        raise NotAnActor(
            f"{name}.receive is not async, and has returned {shown(result)}: "
            "write `async def receive(self, message)`"
        )
    return await result


def _check(actor: object, name: str) -> None:
    if not callable(getattr(actor, "receive", None)):
        raise NotAnActor(f"{name} is no actor: it needs `async def receive(self, message)`")


def _required(factory: Callable[..., Any]) -> int:
    """How many positional arguments a factory cannot do without; 0 where that is not known."""
    function: Any = factory
    itself = 0
    if type(factory) is type and getattr(factory, "__new__", None) is _NEW:
        function, itself = getattr(factory, "__init__", None), 1
        if function is _INIT:
            return 0
    if type(function) is FunctionType and not hasattr(function, "__wrapped__"):
        # The usual cases, without the 20 µs of `signature`.
        return max(0, function.__code__.co_argcount - itself - len(function.__defaults__ or ()))
    try:
        parameters = signature(factory).parameters.values()
    except (TypeError, ValueError):  # made in C, and its author has written no signature
        return 0
    return sum(p.kind in _POSITIONAL and p.default is Parameter.empty for p in parameters)
