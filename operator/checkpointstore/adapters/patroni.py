"""Patroni's REST API of one member: which certificate it serves, and its calls to reload and restart."""

import asyncio
import hashlib
import os
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from ..kernel.errors import Unavailable

PORT = 8008
TIMEOUT = 3.0
RESTART_TIMEOUT = 60.0
NOT_PENDING = 503


async def served(address: str) -> str:
    """SHA-256 fingerprint, in hex, of the certificate that the member serves; "" when it does not answer.

    Nothing is trusted or sent here, so nothing is verified.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(TIMEOUT):
            _, writer = await asyncio.open_connection(address, PORT, ssl=context)
    except (OSError, TimeoutError):
        return ""
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return hashlib.sha256(certificate or b"").hexdigest()


async def reload(host: str, address: str, secret: Mapping[str, bytes]) -> None:
    """Let the member at `address`, whose certificate names `host`, read its files again, PostgreSQL's included.

    `secret` is a client certificate's (tls.crt, tls.key, ca.crt). Raises Unavailable.
    """
    status = await _post(host, address, secret, "reload", {}, TIMEOUT)
    if status >= 300:
        raise Unavailable(f"{host} answers {status} to a reload")


async def restart(host: str, address: str, secret: Mapping[str, bytes]) -> bool:
    """Restart the member's server where it is, and return when it is back; False when no restart was pending.

    Raises Unavailable.
    """
    status = await _post(host, address, secret, "restart", {"restart_pending": True}, RESTART_TIMEOUT)
    if status >= 300 and status != NOT_PENDING:
        raise Unavailable(f"{host} answers {status} to a restart")
    return status < 300


async def _post(
    host: str, address: str, secret: Mapping[str, bytes], path: str, body: Mapping[str, bool], timeout: float
) -> int:
    try:
        async with asyncio.timeout(timeout), aiohttp.ClientSession() as session:
            url = f"https://{address}:{PORT}/{path}"
            async with session.post(url, json=body, ssl=_context(secret), server_hostname=host) as answer:
                return answer.status
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unavailable(f"{host} does not answer to a {path}: {type(error).__name__}") from None


def _context(secret: Mapping[str, bytes]) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=secret["ca.crt"].decode())
    # Python takes a client's key from files only; this one is gone again at once.
    handle, name = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secret["tls.crt"] + secret["tls.key"])
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
    return context
