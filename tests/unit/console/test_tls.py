"""The console's certificate: one of its own without files, and files that are renewed beneath a running server."""

import asyncio
import ssl
from pathlib import Path

import pytest

from checkpointstore.adapters import certificate
from checkpointstore.console import tls
from checkpointstore.console.tls import Certificate

NAME = "console.example"


def renew(folder: Path, ca: tuple[bytes, bytes], name: str = NAME) -> None:
    chain, key = certificate.leaf(*ca, name, (name,))
    (folder / "tls.crt").write_bytes(chain)
    (folder / "tls.key").write_bytes(key)


def served(context: ssl.SSLContext) -> str:
    """The common name of what a client is shown."""
    shown = asyncio.run(_handshake(context))
    facts = certificate.facts(ssl.DER_cert_to_PEM_cert(shown).encode())
    assert facts
    return facts.common_name


async def _handshake(context: ssl.SSLContext) -> bytes:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
        writer.close()
    return shown


def test_without_files_it_makes_one_of_its_own() -> None:
    own = Certificate(None)
    assert served(own.context) == "localhost"
    assert own.context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_renewed_certificate_is_taken_up_and_a_broken_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = certificate.authority("authority")
    renew(tmp_path, ca)
    kept = Certificate(tmp_path)
    assert served(kept.context) == NAME
    assert not kept.look()
    (tmp_path / "tls.key").write_bytes(b"half a key")
    with pytest.raises(OSError, match="PEM"):
        kept.look()
    monkeypatch.setattr(tls, "LOOK_SECONDS", 0.01)

    async def meanwhile() -> None:
        keeping = asyncio.create_task(kept.keep())
        await asyncio.sleep(0.05)
        renew(tmp_path, ca, "renewed.example")
        await asyncio.sleep(0.2)
        assert not keeping.done()
        keeping.cancel()

    asyncio.run(meanwhile())
    assert served(kept.context) == "renewed.example"


def test_without_a_usable_certificate_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Certificate(tmp_path)
