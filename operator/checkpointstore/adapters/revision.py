"""Which parameters an instance's server has loaded, as the postgres exporter in its pod tells."""

from .archiver import PORT
from .exposition import page, samples

METRIC = "checkpointstore_configuration"
SOUND = {"pg_up": 1.0, "pg_exporter_last_scrape_error": 0.0}


async def look(address: str) -> str | None:
    """The revision of the instance at `address`; None when it does not tell."""
    return read(await page(address, PORT))


def read(text: str) -> str | None:
    """What a page of metrics says: "" where all is well and the exporter was not told to ask for it; None where nothing
    is sure."""
    found = {sample.name: sample for sample in samples(text, "")}
    if METRIC in found:
        return found[METRIC].labels.get("revision", "")
    return "" if {name: found[name].value for name in SOUND if name in found} == SOUND else None
