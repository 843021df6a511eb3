"""How full an instance's volume is, as the node exporter in its pod tells."""

import asyncio
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from ..kernel.observed import Volume

PORT: Final = 9100
TIMEOUT = 3.0
SIZE, FREE = "node_filesystem_size_bytes", "node_filesystem_avail_bytes"


async def look(address: str, mountpoint: str) -> Volume | None:
    """The volume mounted there in the pod at `address`; None when it does not tell."""
    try:
        async with (
            asyncio.timeout(TIMEOUT),
            aiohttp.ClientSession() as session,
            session.get(f"http://{address}:{PORT}/metrics") as answer,
        ):
            return read(await answer.text(), mountpoint)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None


def read(page: str, mountpoint: str) -> Volume | None:
    """The volume in a page of metrics; None when it is not there. Raises ValueError where it is no such page."""
    found = {
        sample.name: int(sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name in (SIZE, FREE) and sample.labels.get("mountpoint") == mountpoint
    }
    return Volume(found[SIZE], found[FREE]) if len(found) == 2 else None
