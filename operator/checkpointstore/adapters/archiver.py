"""How an instance's archiving is, as the postgres exporter in its pod tells."""

from datetime import UTC, datetime
from typing import Final

from ..kernel.observed import Archiver
from .exposition import page, samples

PORT: Final = 9187
PREFIX: Final = "checkpointstore_archive_"


async def look(address: str) -> Archiver | None:
    """The archiving of the instance at `address`; None when it does not tell."""
    return read(await page(address, PORT))


def read(text: str) -> Archiver | None:
    """What a page of metrics says; None when it is not there."""
    found = samples(text, PREFIX)
    values = {sample.name.removeprefix(PREFIX): sample.value for sample in found}
    if "waiting" not in values:
        return None
    dropped = values.get("dropped_timestamp_seconds", 0)
    return Archiver(
        waiting=int(values["waiting"]),
        waiting_seconds=values.get("waiting_seconds", 0),
        failing=values.get("failing", 0) > 0,
        cause=found[0].labels.get("cause", ""),
        rate=values.get("rate", 0),
        dropped=datetime.fromtimestamp(dropped, UTC) if dropped > 0 else None,
    )
