"""The program behind `glob` and `grep`: it looks through a tree and prints what it finds.

    __main__.py   the program: a request in, lines out, one by one, as they are found
    tree.py       walks a tree, however deep it is, and opens what is in it
    patterns.py   a glob pattern as a regular expression
    finding.py    glob: the files whose path matches, the last modified first
    matching.py   grep: which files are searched, and with what
    lines.py      the lines of a text file that match, by Python's `re`
    ripgrep.py    the same by ripgrep, where there is one

Python's `re` says what a pattern means. Ripgrep is given the files that `tree` has found, and only
patterns that mean the same to it, so that a search finds the same with and without it.

It is run by path, on its own. Nothing in here imports more than the standard library, or the rest
of Wingman.
"""
