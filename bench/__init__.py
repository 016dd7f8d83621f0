"""Benchmarks: `python -m bench [NAME]…` measures, and sets the figures beside the goals.

What counts are ratios. Contenders do the same work in rounds in which they take turns, a yardstick
before and after each; each round has new sessions; the model costs nothing; processes that serve
are set as `wingman serve` sets them. The figure is the median of the rounds, with its quartiles.

    actors.py     ask and tell, against queues
    store.py      group commits
    turns.py      turns in process
    http.py       turns over HTTP, against a bare server
    client.py     the client, against bare httpx

    _rounds.py    contenders that take turns, and what they took
    _machine.py   the machine: what it is, how busy others keep it, what a process takes of it
    _models.py    models that cost nothing, and agents that have them
    _servers.py   the servers, in processes of their own
    _clients.py   a client that costs little
    _report.py    rows, tables, JSON

    contract.py   not of speed: the contract, against whatever can be asked
    crash.py      not of speed: the server killed, its disk filled
"""
