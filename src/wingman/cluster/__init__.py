"""The cluster: many processes over one store, each session live on one of them.

    decisions.py   what a node concludes from what it sees: who is stopped, who takes what
    owners.py      which sessions are this node's: claimed, released
    member.py      the node's part in the cluster: looks at the others, and at itself
    lives.py       which processes are still there to answer what was sent to them
    connections.py the connections to other nodes
    sending.py     a request for a session of another node is sent there

The store says which nodes there are, and who owns a session (`wingman.store.Nodes`). What a node
remembers of that may be old: the store refuses what a node writes to a session that is not its own.
"""

from wingman.cluster.member import Member
from wingman.cluster.owners import ClusterOwners
from wingman.cluster.sending import OTHER_NODE, Answer, Sender, Unsent

__all__ = ["OTHER_NODE", "Answer", "ClusterOwners", "Member", "Sender", "Unsent"]
