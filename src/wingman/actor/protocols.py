"""What an actor takes and gives, in types.

A reference `ActorRef[M, R]` takes messages of type `M` and gives replies of type `R`: `spawn` reads
both from the actor's `receive`. A message that is a `Request[R]` carries the type of its own reply.
"""

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, final

if TYPE_CHECKING:
    # At run time Python 3.11's type variables have no defaults, and none is needed there.
    from typing_extensions import TypeVar as TypeVarWithDefault

    from wingman.actor.ref import ActorRef

    M_contra = TypeVarWithDefault("M_contra", contravariant=True, default=Any)
    R_co = TypeVarWithDefault("R_co", covariant=True, default=Any)
else:
    M_contra = TypeVar("M_contra", contravariant=True)
    R_co = TypeVar("R_co", covariant=True)

__all__ = ["Actor", "Asked", "M_contra", "R_co", "Request", "with_defaults"]

M_co = TypeVar("M_co", covariant=True)


class Actor(Protocol[M_contra, R_co]):
    """Any object with an async `receive`. If it is an async context manager, so much the better."""

    def receive(self, message: M_contra, /) -> Coroutine[Any, Any, R_co]:
        """Process one message; what it returns is the reply."""


class Request(Generic[R_co]):
    """The base of a message that carries the type of its reply.

        @attrs.frozen
        class Balance(Request[int]):
            account: str

        balance = await bank.ask(Balance("savings"))  # an `int`, for mypy and for pyright

    It adds nothing at run time: whether `receive` gives such a reply is for its author to see to.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @final
        def _reply_of(self, to: "ActorRef[Self, Any]", /) -> R_co:
            """Ties the reply's type, and the message's own, to the references that take it."""
            raise NotImplementedError


class Asked(Protocol[M_co, R_co]):
    """A `Request` for references that take `M`, with a reply of type `R`. For type checkers."""

    def _reply_of(self, to: "ActorRef[M_co, Any]", /) -> R_co:
        """As in `Request`."""


def with_defaults(parameters: int) -> Any:
    """A `__class_getitem__` for a class with so many parameters, the last of which may be left out.

    Type variables have no defaults at run time before Python 3.13. Type checkers know theirs.
    """

    def class_getitem(cls: Any, given: Any) -> Any:
        all_given = given if isinstance(given, tuple) else (given,)
        missing = parameters - len(all_given)
        return super(cls, cls).__class_getitem__((*all_given, *[Any] * missing))

    return classmethod(class_getitem)
