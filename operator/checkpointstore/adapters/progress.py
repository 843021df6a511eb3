"""How far a recovery or a Job is, as the program in its pod tells."""

from typing import Final

from ..kernel.job import PROGRESS
from ..kernel.observed import Progress
from .exposition import page, samples

PREFIX: Final = "checkpointstore_restore_"
RUN: Final = "checkpointstore_run"


async def look(address: str) -> Progress | None:
    """The recovery in the pod at `address`; None when it does not tell."""
    return read(await page(address, PROGRESS))


async def run(address: str) -> dict[str, int]:
    """How far the Job in the pod at `address` is, by figure; {} when it does not tell."""
    found = samples(await page(address, PROGRESS), RUN)
    return {sample.labels["figure"]: int(sample.value) for sample in found if sample.labels.keys() == {"figure"}}


def read(text: str) -> Progress | None:
    """What a page of metrics says; None when it is not there."""
    found = samples(text, PREFIX)
    sizes = {sample.labels.get("state", ""): int(sample.value) for sample in found if sample.name == f"{PREFIX}bytes"}
    phases = (sample.labels.get("phase", "") for sample in found if sample.name == f"{PREFIX}phase" and sample.value)
    left = (sample.value for sample in found if sample.name == f"{PREFIX}left_seconds")
    if not sizes.keys() >= {"done", "total"}:
        return None
    return Progress(sizes["done"], sizes["total"], next(phases, ""), next(left, None))
