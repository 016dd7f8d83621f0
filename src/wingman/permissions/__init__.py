"""Permissions: what the rules say of a tool call, before it runs.

    rules.py      a set of rules, and several in order: what they say of a resource
    patterns.py   which texts and paths a rule's pattern matches
    resources.py  what a call is about: commands, paths or other texts
    apart.py      a command line is parsed in a process of its own
    shell_program.py  the program of that process
    command_line.py   what is told of a command line
    shell.py      the simple commands of a bash command line, on tree.py and words.py
    tree.py       those in the tree that a grammar makes of it, where the words agree
    words.py      words and operators of which every character is understood
    programs.py   the programs that run what they are given
    particular.py those of them that are told one by one: find, git, sed, awk, …
    tables.py     what is known of single programs

It knows no tool, no run, and nobody who might be asked.
"""

from wingman.permissions.apart import parse_apart
from wingman.permissions.patterns import HOLE
from wingman.permissions.resources import resources_of
from wingman.permissions.rules import NO_RULES, Policy, Resource, Rules

__all__ = ["HOLE", "NO_RULES", "Policy", "Resource", "Rules", "parse_apart", "resources_of"]
