"""Which database a URL means: the driver's parameters, and a name of it without a password."""

import os
import re
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import attrs
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from wingman.errors import StoreError

__all__ = ["Address"]

_SECRET: Final = ("password", "sslpassword")

_DEFAULTS: Final = {
    "connect_timeout": "5",
    # A connection that is cut without a word is noticed within 20 s, and within 10 s where
    # something is being sent.
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


@attrs.frozen
class Address:
    """A database of a server. `parameters` are libpq's, and what they leave out is in its
    environment: PGHOST, PGPASSWORD, a service file, a password file."""

    name: str
    parameters: Mapping[str, str] = attrs.field(repr=False)

    @classmethod
    def of(cls, url: str) -> "Address":
        """The database of `postgresql://user:password@host:port/database?option=value`.

        Raises `StoreError`, which does not repeat the URL: there may be a password in it.
        """
        try:
            given = {key: str(value) for key, value in conninfo_to_dict(url).items()}
        except psycopg.Error:
            raise StoreError(
                "The database's URL is not one: it looks like postgresql://user@host/database, and "
                "special characters in it are percent-encoded."
            ) from None
        ports = given.get("port", "").split(",")
        if not all(port.isdigit() or not port for port in ports):
            raise StoreError("The port in the database's URL is not a number.")
        return cls(_name(given), given)

    def connection(self) -> psycopg.Connection:
        """A new connection; raises the driver's errors."""
        defaults = dict(_DEFAULTS)
        if "PGCONNECT_TIMEOUT" in os.environ:
            del defaults["connect_timeout"]
        program = f"wingman {os.getpid()} on {socket.gethostname()}"
        parameters = {
            "fallback_application_name": program,
            **defaults,
            **self.parameters,
            "client_encoding": "UTF8",
        }
        return psycopg.connect(make_conninfo(**parameters), autocommit=True)

    def hide(self, text: str) -> str:
        """The text without the passwords."""
        secrets = [self.parameters.get(name) for name in _SECRET]
        for secret in (*secrets, os.environ.get("PGPASSWORD")):
            if secret:
                text = re.sub(re.escape(secret), "…", text)
        return text


def _name(given: Mapping[str, str]) -> str:
    host = given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST", "")
    port = given.get("port") or os.environ.get("PGPORT", "")
    hosts = [quote(each, safe=":[]") for each in host.split(",")]
    ports = port.split(",") if "," in port else [port] * len(hosts)
    places = ",".join(
        f"{each}:{number}" if number else each for each, number in zip(hosts, ports, strict=False)
    )
    database = given.get("dbname") or os.environ.get("PGDATABASE", "")
    service = f"?service={given['service']}" if "service" in given else ""
    return f"postgresql://{places}/{quote(database)}{service}"
