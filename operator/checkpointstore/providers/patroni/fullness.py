"""Instances whose volumes are full, or soon will be, and what to tell of them."""

from collections.abc import Sequence
from enum import Enum

from ...kernel.condition import POSTGRES_AVAILABLE, Condition, broken, true
from ...kernel.observed import Observed, Volume

# Two segments of WAL. A server that cannot make the next one panics, and again at the end of each recovery.
LEFT = 32 * 1024 * 1024
TENTH = 10
# Before WAL is dropped that waits for an object store: of that a fifth of the volume is kept free.
QUARTER = 4
ADVICE = "raise spec.postgres.storage.size, or delete what is not needed"


class Level(Enum):
    ROOMY = 0
    FILLING = 1
    NEARLY_FULL = 2
    FULL = 3


_WARNED = (Level.NEARLY_FULL, Level.FULL)


def level(volume: Volume) -> Level:
    if volume.free < LEFT:
        return Level.FULL
    if volume.free * TENTH < volume.size:
        return Level.NEARLY_FULL
    return Level.FILLING if volume.free * QUARTER < volume.size else Level.ROOMY


def growing(volume: Volume) -> bool:
    """Whether a volume that may grow should."""
    return level(volume) is not Level.ROOMY


def full(observed: Observed) -> tuple[str, ...]:
    """The instances that cannot write."""
    return tuple(sorted(name for name, volume in observed.volumes.items() if level(volume) is Level.FULL))


def filling(observed: Observed) -> tuple[str, ...]:
    """The instances that cannot write, or soon cannot."""
    return tuple(sorted(name for name, volume in observed.volumes.items() if level(volume) in _WARNED))


def spare(observed: Observed, names: Sequence[str]) -> int:
    """Bytes that each of these instances can take without filling; 0 where one of them does not tell."""
    if not all(name in observed.volumes for name in names):
        return 0
    volumes = [observed.volumes[name] for name in names]
    return max(0, min(volume.free - volume.size // QUARTER for volume in volumes))


def stopped(names: tuple[str, ...], advice: str) -> Condition:
    told = f"The volume of {', '.join(names)} is full and nothing can be written: {advice}"
    return broken(POSTGRES_AVAILABLE, "VolumeFull", told)


def warned(names: tuple[str, ...], advice: str) -> Condition:
    """All is well but that; without figures, which would make another message each time."""
    told = f"Less than a tenth of the volume of {', '.join(names)} is free: {advice}"
    return true(POSTGRES_AVAILABLE, "VolumeNearlyFull", told)
