"""Pages: what a server of the web sent, made text for a model. Runs in a worker's process.

    program.py    the work: bytes and what the headers say of them → text and notes
    inflate.py    compressed bodies, with a bound while they are inflated
    kinds.py      whether a body is HTML or text, by its media type or by a look at it
    charsets.py   its characters, by the web's rules
    markdown.py   HTML to Markdown, and what a page without text may be

All of it works on foreign data, and so none of it is imported by the server: `webfetch` has
`wingman.processes` run `program.py` within limits of time and memory. Of Wingman it knows no more
than how to refuse data; of the network, nothing.
"""
