"""How full an instance's volume is, as the node exporter in its pod tells."""

from typing import Final

from ..kernel.observed import Volume
from .exposition import page, samples

PORT: Final = 9100
SIZE, FREE = "node_filesystem_size_bytes", "node_filesystem_avail_bytes"


async def look(address: str, mountpoint: str) -> Volume | None:
    """The volume mounted there in the pod at `address`; None when it does not tell."""
    return read(await page(address, PORT), mountpoint)


def read(text: str, mountpoint: str) -> Volume | None:
    """The volume in a page of metrics; None when it is not there."""
    found = {
        sample.name: int(sample.value)
        for sample in samples(text, "node_filesystem_")
        if sample.name in (SIZE, FREE) and sample.labels.get("mountpoint") == mountpoint
    }
    return Volume(found[SIZE], found[FREE]) if len(found) == 2 else None
