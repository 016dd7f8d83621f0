"""The routes, thin: decode a typed request, ask the runtime, encode what it says.

One module a section of the HTTP contract; each makes a blueprint for one runtime.
"""
