"""The program that starts the commands, and holds on to all that descends from them. Linux.

    __main__.py   the process as it must be before it serves
    spawner.py    Spawner: one beside each Wingman process; it forks a keeper for each call
    keeper.py     Keeper: starts the call's command, reports its end, ends its descendants
    descent.py    who descends from this process, signals to all of them, and their ends

A keeper is a child subreaper: whatever loses its parent, a daemon that forked twice and called
`setsid` too, becomes the keeper's child. So nothing leaves its tree, and to have no child is the
proof that nothing is left of it. (A command that has another service start something, cron or
docker say, has not started it.)

The spawner is the keepers' subreaper in turn: if a command kills its keeper, the spawner ends the
orphans. When Wingman dies, keepers and spawner hear of it from the kernel (their sockets close, its
pidfd is ready), and SIGKILL goes to all at once. Only a command that kills both its keeper and the
spawner gets away: this keeps order, it is no prison.

Nothing in here imports more than the standard library, or the rest of Wingman.
"""
