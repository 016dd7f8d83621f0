"""The routes, thin: decode a typed request, ask the runtime, encode what it says.

    agents.py     /agents
    sessions.py   /sessions, and a session's events
    messages.py   a session's messages: blocking, streamed, or answered at once
    runs.py       runs, and cancelling them
    providers.py  /provider: models and credentials
    system.py     /health, /ready, /tools, /actors
    metrics.py    /metrics

One module a section of the HTTP contract; each makes a blueprint for one runtime.
"""
