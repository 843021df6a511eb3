"""Volumes that grow by themselves: when, how large, and what a person is told where they cannot."""

import math
from collections.abc import Iterable

from ...kernel.action import Manifest
from ...kernel.env import Env
from ...kernel.observed import Observed
from ...kernel.values import quantity
from ..spec import Storage
from .fullness import ADVICE, growing

BY = 1.5
_GIB = 1024**3
# A file system is somewhat smaller than its volume. One that is much smaller has not been resized yet.
_FILLED = 0.8


def wanted(spec: Storage, env: Env, observed: Observed, have: str) -> str:
    """The size for all volumes, where they were made with or grown to `have`, "" for no StatefulSet."""
    # Its next instance must hold what is there. With one, a growth that was refused can be taken back.
    if spec.autogrow is None:
        return str(spec.size) if have else _largest([spec.size, *_begun(observed)])
    # A growth that was begun is carried through, whatever has become of its cause; but not what others ask for.
    most = _largest([spec.size, spec.autogrow.limit])
    asked = _largest([spec.size, min(_largest([spec.size, *_begun(observed)]), most, key=quantity)])
    if not have or quantity(asked) > quantity(have) or not observed.expandable or not _due(env, observed):
        return asked
    larger = math.ceil(float(quantity(have)) * BY / _GIB) * _GIB
    if larger < quantity(most):
        return f"{larger // _GIB}Gi"
    return _largest([have, most])


def advice(spec: Storage, observed: Observed, have: str) -> str:
    """What helps against a volume that fills."""
    if spec.autogrow is None:
        return ADVICE
    if not observed.expandable:
        return f"its StorageClass does not allow expansion, so autogrow cannot help: {ADVICE}"
    if not room(spec, observed, have):
        return "it may not grow beyond autogrow.limit: raise that, or delete what is not needed"
    return "it is to grow by itself; where it does not, `kubectl describe pvc` says why"


def room(spec: Storage, observed: Observed, have: str) -> int:
    """Bytes that each volume may still grow by itself."""
    if spec.autogrow is None or not observed.expandable:
        return 0
    return max(0, int(quantity(spec.autogrow.limit) - quantity(have or spec.size)))


def _due(env: Env, observed: Observed) -> bool:
    """Whether a volume fills, and none is still on its way to an earlier growth."""
    claims = {claim["metadata"]["name"]: claim for claim in observed.all("PersistentVolumeClaim")}
    settled = True
    for pod, volume in observed.volumes.items():
        claim = claims.get(env.names.volume_of(pod))
        capacity = quantity((claim or {}).get("status", {}).get("capacity", {}).get("storage", "0"))
        settled &= claim is not None and capacity >= quantity(_requested(claim))
        settled &= volume.size >= _FILLED * float(capacity)
    return settled and any(growing(volume) for volume in observed.volumes.values())


def _requested(claim: Manifest) -> str:
    return str(claim["spec"]["resources"]["requests"]["storage"])


def _begun(observed: Observed) -> list[str]:
    return [_requested(claim) for claim in observed.all("PersistentVolumeClaim")]


def _largest(sizes: Iterable[str | int]) -> str:
    return str(max(sizes, key=quantity))
