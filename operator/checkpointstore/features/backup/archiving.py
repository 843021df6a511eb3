"""ContinuousArchiving: whether what is written is in the repository within a minute, and what is lost if it is not."""

from collections.abc import Mapping
from datetime import datetime

from ...kernel.condition import CONTINUOUS_ARCHIVING, Condition, Status, true
from ...kernel.observed import Archiver
from ...kernel.values import bytes_text

SEGMENT = 16 * 1024 * 1024
BEHIND = 60.0
# Estimates are told in these steps, in minutes: a message that changes each time would be written each time.
STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 240, 480, 1440)
CAUSES: Mapping[str, str] = {
    "denied": "the object store refuses the credentials: correct the Secret that spec.backup.objectStore names",
    "bucket": "the bucket does not exist: make it, or correct spec.backup.objectStore.url",
    "certificate": "the object store's certificate is not signed by the authority that is expected: see "
    "spec.backup.objectStore.ca",
    "unreachable": "the object store does not answer",
    "foreign": "another database's archive is at this place: nothing is written over it",
    "key": "the passphrase is not the one that the repository was made with",
}

# Told before the repository stands, as what a try to make it ended with is; else it is still being made.
REFUSALS = CAUSES.keys() - {"unreachable"}


def level(archiver: Archiver) -> tuple[bool, bool, str, object]:
    """What of it is worth another look."""
    return archiver.failing, archiver.waiting_seconds > BEHIND, archiver.cause, archiver.dropped


def condition(archiver: Archiver | None, queue: int, lost: bool, stands: bool, tried: str = "") -> Condition:
    """`queue` is how many bytes may wait, `lost` says that WAL was dropped and no full backup has followed yet.

    `tried` is what the last try to make the repository ended with, where it does not stand.
    """
    refused = archiver is not None and archiver.failing and bool(archiver.cause in REFUSALS or tried)
    if archiver is None or not (stands or refused):
        told = "The repository is being made" if not stands else "The primary does not tell how its archiving is"
        return Condition(CONTINUOUS_ARCHIVING, Status.UNKNOWN, "Pending", told)
    why = CAUSES.get(archiver.cause, tried or "see the log of the primary's container postgres")
    if lost:
        told = (
            "WAL was dropped, as more than the volume can hold waited: the time since then cannot be recovered until a "
            "full backup has followed"
        )
        tail = f"; archiving still fails, {why}" if archiver.failing else ", which is being made"
        return Condition(CONTINUOUS_ARCHIVING, Status.FALSE, "WALDropped", told + tail)
    if archiver.failing:
        told = f"WAL is kept on the volume and not archived: {why}; {_left(archiver, queue)}"
        return Condition(CONTINUOUS_ARCHIVING, Status.FALSE, "ArchivingFails", told)
    if archiver.waiting_seconds > BEHIND:
        told = f"WAL is written faster than it is archived; {_left(archiver, queue)}"
        return Condition(CONTINUOUS_ARCHIVING, Status.FALSE, "FallingBehind", told)
    return true(CONTINUOUS_ARCHIVING, "Archiving", "What is written is in the repository within a minute")


def _left(archiver: Archiver, queue: int) -> str:
    """How long until WAL is dropped, at the rate of late."""
    room = f"{bytes_text(queue)} of it may wait before it is dropped"
    minutes = max(0, queue - archiver.waiting * SEGMENT) / archiver.rate / 60 if archiver.rate > 0 else float("inf")
    step = max((step for step in STEPS if step <= minutes), default=0)
    if minutes > STEPS[-1]:
        return f"{room}, in more than a day"
    return f"{room}, in {step} minutes or more" if step else f"{room}, in less than a minute"


def dropped_since(archiver: Archiver | None, full: datetime | None) -> bool:
    """Whether WAL was dropped after the newest full backup began, so that nothing later can be recovered."""
    return archiver is not None and archiver.dropped is not None and full is not None and archiver.dropped > full
