"""Asks a PostgreSQL by psql: the script through standard input, the way in through the environment."""

import os
from collections.abc import Mapping
from pathlib import Path

from . import command
from .failure import refused, transient


def ask(way: Mapping[str, str], database: str, script: str) -> str:
    """What the script prints, without headers and alignment."""
    done = attempt(way, database, script)
    if done.code:
        place = f"{way['PGHOST']}, database {database}"
        raise transient("InstanceUnreachable", f"{place}: {_complaint(done.err)}")
    return done.out.strip()


def attempt(way: Mapping[str, str], database: str, script: str) -> command.Done:
    environ = {**way, "PGDATABASE": database, "PGCONNECT_TIMEOUT": "10", "PGAPPNAME": "checkpointstore repository"}
    argv = ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password"]
    return command.run([*argv, "--set=ON_ERROR_STOP=1", "--file=-"], environ, script)


def certificate(host: str, port: int) -> dict[str, str]:
    """Into a store's server as its superuser."""
    folder = Path(os.environ.get("CHECKPOINTSTORE_ADMIN_DIR", "/etc/checkpointstore/admin"))
    return {
        "PGHOST": host,
        "PGPORT": str(port),
        "PGUSER": "postgres",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": existing(folder / "ca.crt"),
        "PGSSLCERT": existing(folder / "tls.crt"),
        "PGSSLKEY": existing(folder / "tls.key"),
    }


def existing(path: Path) -> str:
    if not path.is_file():
        raise refused("SecretIncomplete", f"{path} is missing")
    return str(path)


def literal(text: str) -> str:
    """As a constant in SQL."""
    return "'" + text.replace("'", "''") + "'"


def _complaint(text: str) -> str:
    """The first line, which never holds data: PostgreSQL puts rows into DETAIL."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[0][:400] if lines else "no answer"
