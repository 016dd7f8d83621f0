"""Benchmarks: `python -m bench [NAME]…` measures, and sets the figures beside the goals.

What counts are ratios. Contenders do the same work in rounds in which they take turns, a yardstick
before and after each; each round has new sessions; the model costs nothing; processes that serve
are set as `wingman serve` sets them. The figure is the median of the rounds, with its quartiles.

    actors.py     ask and tell, against queues
    store.py      group commits
    turns.py      turns in process
    http.py       turns over HTTP, against a bare server
    client.py     the client, against bare httpx
    real.py       a provider over HTTP, by each adapter
    history.py    long histories
    memory.py     what is held after many turns
    streams.py    many streams, many readers, readers that stop
    scale.py      much stored, much live, much queued at the start
    cancel.py     from a cancel until the processes are gone
    start.py      the import, and the server's start
    peers.py      other agent libraries and servers, each in an environment of its own

    _rounds.py    contenders that take turns, and what they took
    _machine.py   the machine: what it is, how busy others keep it, what a process takes of it
    _models.py    models that cost nothing, and agents that have them
    _servers.py   the servers, in processes of their own
    _clients.py   a client that costs little
    _apis.py      a server that speaks models' APIs
    _stored.py    what stands in a store before a measurement
    _environments.py  what peers need, installed once
    _libraries.py     turns in process, by libraries and by Wingman
    _library.py       the program that takes turns with one such library
    _peer_servers.py  turns over HTTP, by servers and by Wingman
    _agno.py          the program that serves with agno
    _report.py    rows, tables, JSON
    _page.py      the figures on docs/performance.md, and their picture

    contract.py   not of speed: the contract, against whatever can be asked
    crash.py      not of speed: the server killed, its disk filled
"""
