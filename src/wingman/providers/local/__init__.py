"""A model in a GGUF file, run by llama.cpp on this machine. No key, no network.

    provider.py       Local: which file, and one inference of it
    llama_servers.py  the processes that run the models
    llama_program.py  what runs in such a process; it imports nothing of Wingman

llama.cpp is loaded in those processes alone. The package does not know the wire format: it asks in
chat completions, as `openai/` speaks them.
"""

from wingman.providers.local.llama_servers import LlamaServers, servers
from wingman.providers.local.provider import DEFAULT, Local, model_file

__all__ = ["DEFAULT", "LlamaServers", "Local", "model_file", "servers"]
