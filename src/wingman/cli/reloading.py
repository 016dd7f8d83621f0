"""Reloading: `wingman serve` reads its configuration again, while it runs."""

import logging
from collections.abc import Collection
from typing import Final

import attrs
import trio

from wingman.api import Reloaded
from wingman.cli.configuration import ConfigFile
from wingman.config import ConfigError, Loaded, changed, needing_restart
from wingman.errors import InvalidRequest, NotReloaded
from wingman.runtime import Runtime, Settings
from wingman.telemetry import log_event

__all__ = ["Reloader"]

logger = logging.getLogger("wingman.cli")

# How long the tools' modules may take to be imported.
_SECONDS: Final = 60.0


@attrs.define(eq=False)
class Reloader:
    """Gives a runtime the settings of a file: at the start, and each time it is read again.

    `overridden` are the options that the command line or the environment says: for them the file
    says nothing.
    """

    _file: ConfigFile
    _overridden: Collection[str]
    _now: Loaded = attrs.field(init=False)
    _alone: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _thread: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1), init=False)

    @_now.default
    def _at_the_start(self) -> Loaded:
        return self._file.content

    @property
    def settings(self) -> Settings:
        """What the runtime is given at its start."""
        return self._settings(self._now)

    async def reload(self, runtime: Runtime) -> Reloaded:
        """Read the file again, and give what it says to the runtime. Raises `NotReloaded`."""
        async with self._alone:
            try:
                loaded = await self._load()
                runtime.configure(self._settings(loaded))
            except (NotReloaded, InvalidRequest) as error:
                for line in error.message.splitlines():
                    logger.error("the configuration stays as it was: %s", line)
                raise NotReloaded(error.message) from error
            before, self._now = self._now, loaded
        started, now = self._file.content.configuration, loaded.configuration
        reloaded = Reloaded(
            f"{self._file.path}",
            tuple(key for key in changed(before, loaded) if not self._is_overridden(key)),
            tuple(needing_restart(started, now, self._overridden)),
        )
        log_event(
            logger,
            logging.INFO,
            "the configuration was read again",
            file=reloaded.file,
            changed=", ".join(reloaded.changed),
            needs_restart=", ".join(reloaded.needs_restart),
        )
        return reloaded

    async def _load(self) -> Loaded:
        """What the file says now. Modules are imported in a thread: others do not wait for that."""
        load = self._file.loader.load
        try:
            with trio.fail_after(_SECONDS):
                return await trio.to_thread.run_sync(
                    load, abandon_on_cancel=True, limiter=self._thread
                )
        except FileNotFoundError as error:
            raise NotReloaded(f"{self._file.path}: There is no such file.") from error
        except ConfigError as error:
            raise NotReloaded(f"{error}") from error
        except RuntimeError as error:  # the system gives no thread
            raise NotReloaded(f"{self._file.path}: It cannot be read: {error}.") from error
        except trio.TooSlowError as error:
            text = f"{self._file.path}: Its tools took more than {_SECONDS:g} s to be imported."
            raise NotReloaded(text) from error

    def _is_overridden(self, key: str) -> bool:
        return key.partition(".")[0] in self._overridden

    def _settings(self, loaded: Loaded) -> Settings:
        """What a file says, without what the command line or the environment says as well."""
        settings = loaded.settings
        if "permissions" in self._overridden:
            settings = attrs.evolve(settings, permissions=None)
        if "prices" in self._overridden:
            settings = attrs.evolve(settings, prices=None)
        return settings
