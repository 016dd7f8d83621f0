"""The HTTP face of a runtime: `await serve(runtime, port=2323)`.

    serve.py        from the bind to the last frame
    connections.py  the sockets that we accept ourselves, and their end
    crowd.py        which connections are open, and which gives way where there are too many
    descriptors.py  how many of the process's descriptors connections may take
    http1.py        Hypercorn's HTTP/1.1 on one of them
    asgi.py         one request of it, and the app that is called with it
    guard.py        who may talk to us: Host, Origin, token
    app.py          the Quart-Trio app
    paths.py        which route a request goes to
    bodies.py       what requests send, bounded in total
    handlers.py     the functions behind the contract's routes
    console/        the page at /, and who is logged in to it
    routes/         one module a section of the HTTP contract; /metrics too
    exchange.py     requests into values, values into responses
    mcp/            the MCP server face
    decoding.py     JSON into typed values, and errors with a path
    history.py      a session with its history as the body of a response, in pieces
    sse.py          a channel's reader as the body of a response
    relay.py        a request that another node is to answer
    callers.py      who sends a request: a client, or a tool's command
    errors.py       from an error's code to its status

It knows the runtime, and nothing of providers' wires, of SQL, or of how a run goes.
"""

from wingman.server.app import create_app
from wingman.server.connections import open_listeners
from wingman.server.console import Logins
from wingman.server.serve import DEFAULT_PORT, ServerConfig, serve

__all__ = ["DEFAULT_PORT", "Logins", "ServerConfig", "create_app", "open_listeners", "serve"]
