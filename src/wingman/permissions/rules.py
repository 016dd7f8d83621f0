"""Rules: what they say of a call. Several sets in order, the last match wins, and a server's deny
is final."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, Self

import attrs
import msgspec

from wingman.api import Effect, PermissionForm, PermissionRule
from wingman.permissions.patterns import Match, match_path, match_text

__all__ = ["NO_RULES", "Policy", "Resource", "Rules"]

_MOST_RULES: Final = 1000
_SEVERITY: Final[Mapping[Effect, int]] = {"allow": 0, "ask": 1, "deny": 2}


@attrs.frozen
class Resource:
    """One thing that a call is about. `text` is what rules are held against, with a hole for what
    is not known of it, and `also` are other texts for the same thing: what is denied or asked
    about under one of its names is so under all. `shown` is what a person reads, and what an answer
    `always` grants.

    `within` are things that come with it, each with its action: a file that a command's output is
    redirected to.
    """

    shown: str
    text: str
    also: tuple[str, ...] = ()
    is_path: bool = False
    within: tuple[tuple[str, "Resource"], ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All its names."""
        return (self.text, *self.also)


@attrs.frozen
class Rules:
    """A set of rules, in order. `Rules.of` makes one of the short forms."""

    rules: tuple[PermissionRule, ...] = ()

    @classmethod
    def of(cls, given: "PermissionForm | Rules | None") -> Self:
        """The rules of `"ask"`, of `{"bash": "ask"}`, of `{"bash": {"git *": "allow"}}`, or of a
        list of rules; None has none. Raises `ValueError`, with the place of the mistake."""
        if isinstance(given, cls):
            return given
        if given is None:
            return cls()
        try:
            form: Any = msgspec.convert(msgspec.to_builtins(given), PermissionForm)
        except (msgspec.ValidationError, TypeError) as error:
            raise ValueError(
                f'permissions are "allow", "ask" or "deny", an object of these by action, as '
                f'{{"bash": {{"*": "ask", "git status*": "allow"}}}}, or a list of rules: {error}'
            ) from error
        rules = tuple(_rules(form))
        if len(rules) > _MOST_RULES:
            raise ValueError(f"there are {len(rules)} rules, and {_MOST_RULES} is the limit")
        return cls(rules)

    def __bool__(self) -> bool:
        return bool(self.rules)

    def concern(self, actions: Collection[str]) -> bool:
        """Whether any of them speaks of one of these actions."""
        return any(_names(rule, actions) for rule in self.rules)

    def effect(self, actions: Collection[str], resource: Resource) -> Effect | None:
        """What the rules say of a thing that is called by these actions; None: nothing at all.

        Where a part of it is not known, it is the strictest of what they may come to say: but where
        that may or may not be `deny`, it is `ask`.
        """
        found = [self._of_text(actions, text, resource.is_path) for text in resource.texts]
        found += [self.effect((action,), thing) for action, thing in resource.within]
        return _strictest(found)

    def _of_text(self, actions: Collection[str], text: str, is_path: bool) -> Effect | None:
        found: list[Effect | None] = []
        allows = False
        for rule in reversed(self.rules):
            if not _names(rule, actions):
                continue
            allows = allows or rule.effect == "allow"
            match: Match = (match_path if is_path else match_text)(rule.resource, text)
            if match == "no":
                continue
            found.append("ask" if match == "maybe" and rule.effect == "deny" else rule.effect)
            if match == "yes":
                return _strictest(found)
        # Who allows a part of an action does not allow the rest of it.
        return _strictest([*found, "ask" if allows else None])


def _names(rule: PermissionRule, actions: Collection[str]) -> bool:
    return any(match_text(rule.action, action) == "yes" for action in actions)


def _strictest(effects: Iterable[Effect | None]) -> Effect | None:
    said = [effect for effect in effects if effect is not None]
    return max(said, key=_SEVERITY.__getitem__, default=None)


def _rules(form: Any) -> Iterator[PermissionRule]:
    if isinstance(form, str):
        yield PermissionRule("*", form)  # type: ignore[arg-type]
    elif isinstance(form, Mapping):
        for action, value in form.items():
            if isinstance(value, str):
                yield PermissionRule(action, value)  # type: ignore[arg-type]
            else:
                for resource, effect in value.items():
                    yield PermissionRule(action, effect, resource)
    else:
        yield from form


NO_RULES: Final = Rules()


@attrs.frozen
class Policy:
    """The rules that hold for one message. `rules` are the server's, and after them the agent's,
    the session's and the message's own; `server` are the server's alone, whose denial is final.

    `granted` are the actions and resources that were answered with `always` in the session.
    """

    server: Rules
    rules: Rules
    granted: Collection[tuple[str, str]] = ()

    @classmethod
    def of(cls, server: Rules, *sets: Rules, granted: Collection[tuple[str, str]] = ()) -> Self:
        """The policy of the server's rules and of these sets, in their order."""
        rules = (*server.rules, *(rule for each in sets for rule in each.rules))
        return cls(server, Rules(rules), granted)

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return bool(self.rules)

    def concerns(self, actions: Collection[str]) -> bool:
        """Whether any rule speaks of one of these actions."""
        return self.rules.concern(actions)

    def effect(
        self, actions: Collection[str], resource: Resource, usual: Effect = "allow"
    ) -> Effect:
        """What holds for this thing: `usual` where no rule speaks of it. An answer `always` turns
        `ask` into `allow`, never `deny`."""
        if self.server.effect(actions, resource) == "deny":
            return "deny"
        effect = self.rules.effect(actions, resource) or usual
        if effect == "ask" and any((action, resource.shown) in self.granted for action in actions):
            return "allow"
        return effect
