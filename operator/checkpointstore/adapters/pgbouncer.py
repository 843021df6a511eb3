"""PgBouncer's console of one pod: which revision of its files it has loaded, and the call to reload."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from ..features.pooler import MARK
from ..kernel.errors import Unavailable

TIMEOUT = 3.0


async def revision(host: str, address: str, secret: Mapping[str, bytes]) -> str:
    """The MARK of what the pooler at `address`, whose certificate names `host`, runs with; "" when it does not answer.

    `secret` is a client certificate's (tls.crt, tls.key, ca.crt).
    """
    try:
        rows = await _ask(host, address, secret, "SHOW CONFIG")
    except Unavailable:
        return ""
    return next((str(row[1]) for row in rows if row[0] == MARK), "")


async def reload(host: str, address: str, secret: Mapping[str, bytes]) -> None:
    """Let it read its files again; clients stay. Raises Unavailable."""
    await _ask(host, address, secret, "RELOAD")


async def _ask(host: str, address: str, secret: Mapping[str, bytes], command: str) -> list[tuple[object, ...]]:
    try:
        async with asyncio.timeout(TIMEOUT):
            with _files(secret) as files:
                where = {"host": host, "hostaddr": address, "dbname": "pgbouncer", "user": "console"}
                options = psycopg.conninfo.make_conninfo(**where, sslmode="verify-full", **files)
                connection = await psycopg.AsyncConnection.connect(options, autocommit=True, prepare_threshold=None)
            async with connection:
                cursor = await connection.execute(command)
                return await cursor.fetchall() if cursor.description else []
    except (psycopg.Error, OSError, TimeoutError) as error:
        raise Unavailable(f"{host} at {address} does not answer to {command}: {type(error).__name__}") from None


@contextmanager
def _files(secret: Mapping[str, bytes]) -> Iterator[dict[str, str]]:
    """libpq takes certificates from files only; these are gone again once it has read them."""
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for option, key in (("sslcert", "tls.crt"), ("sslkey", "tls.key"), ("sslrootcert", "ca.crt")):
            path = Path(folder, key)
            path.touch(0o600)
            path.write_bytes(secret[key])
            files[option] = str(path)
        yield files
