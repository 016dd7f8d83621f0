"""Schemas: Python types as JSON. The schema of a type, values read by it, and values written.

    typed.py      Typed: the JSON Schema of a type, and JSON values read into it
    readers.py    what reads the types that msgspec does not know, or not by all their rules
    constructors.py  what the constructor of a dataclass or an attrs class takes
    pydantics.py  which types are pydantic's, and how pydantic reads and writes them
    fitting.py    what JSON Schema lets pass and a strict reader does not: `3.0`, a needless null
    writing.py    any value as JSON text
    check.py      whether a JSON value fits a JSON Schema that somebody else has written
    advice.py     what to write instead of a type that JSON does not have

msgspec reads and writes; pydantic does where a type is its own. pydantic is never imported here:
who has such a type has imported it. This package knows nothing of tools, agents or requests.
"""

from wingman.schemas.advice import shown_type
from wingman.schemas.check import BadSchema, SchemaCheck
from wingman.schemas.fitting import fitted
from wingman.schemas.pydantics import pydantic_field
from wingman.schemas.readers import Mismatch
from wingman.schemas.typed import Typed, description_of, schema_of
from wingman.schemas.writing import json_text, json_value

__all__ = [
    "BadSchema",
    "Mismatch",
    "SchemaCheck",
    "Typed",
    "description_of",
    "fitted",
    "json_text",
    "json_value",
    "pydantic_field",
    "schema_of",
    "shown_type",
]
