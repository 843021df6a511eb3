"""The console's certificate: from mounted files, read anew when they change, or one of its own, kept in memory."""

import asyncio
import logging
import ssl
from pathlib import Path

from ..adapters import certificate
from ..kernel.pki import LEAF_LIFETIME

LOOK_SECONDS = 30
NAMES = ("localhost",)
logger = logging.getLogger(__name__)


class Certificate:
    """One context for as long as the server lives; what it serves changes beneath it."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._served: tuple[bytes, bytes] | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load(self._files() if folder else _own())

    async def keep(self) -> None:
        """Take a renewed certificate up; one's own is made anew at half its life."""
        loop = asyncio.get_running_loop()
        made = loop.time()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if self._folder:
                    self.look()
                elif loop.time() - made > LEAF_LIFETIME.total_seconds() / 2:
                    self._load(_own())
                    made = loop.time()
            except (OSError, ValueError) as error:
                # What is served goes on: files that are being replaced may not belong together yet.
                logger.warning("the certificate cannot be read: %s", type(error).__name__)

    def look(self) -> bool:
        """Whether the files had changed. Raises OSError, ssl.SSLError among them, when they are no pair."""
        found = self._files()
        if found == self._served:
            return False
        self._load(found)
        return True

    def _files(self) -> tuple[bytes, bytes]:
        assert self._folder
        return (self._folder / "tls.crt").read_bytes(), (self._folder / "tls.key").read_bytes()

    def _load(self, pair: tuple[bytes, bytes]) -> None:
        with certificate.files({"tls.crt": pair[0], "tls.key": pair[1], "ca.crt": b""}) as folder:
            self.context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        self._served = pair


def _own() -> tuple[bytes, bytes]:
    """Signed by an authority that nobody knows and that is forgotten at once: browsers warn of it."""
    chain, key = certificate.authority("checkpointstore-console")
    leaf, leaf_key = certificate.leaf(chain, key, NAMES[0], NAMES)
    return leaf + chain, leaf_key
