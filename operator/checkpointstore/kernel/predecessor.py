"""What an earlier store of the same name left: volumes that stay, and what is still on its way out."""

from collections.abc import Iterable
from datetime import datetime

from .action import Manifest, Ref
from .condition import INITIALIZED, Condition, waiting
from .manifest import named, ref
from .observed import Observed


def volumes(observed: Observed, created: datetime) -> list[str]:
    """Names of volumes that are older than the store. A younger one is its own, though its StatefulSet may be gone."""
    return [claim["metadata"]["name"] for claim in _claims(observed, created)]


def leaving(observed: Observed, created: datetime) -> Condition | None:
    """That such volumes are being deleted: they can neither be taken over nor be in the way for long."""
    going = [ref(claim) for claim in _claims(observed, created) if _goes(claim)]
    return terminating(INITIALIZED, going) if going else None


def terminating(type_: str, targets: Iterable[Ref]) -> Condition:
    """The condition of a store that waits for its predecessor's objects to be gone."""
    message = f"What a deleted store of this name left is still being removed: {named(targets)}"
    return waiting(type_, "PredecessorTerminating", message)


def _goes(claim: Manifest) -> bool:
    """Whether a volume goes away by itself: it is being deleted, or under `reclaimPolicy.volumes: Delete` will be.

    Then its StatefulSet owns it, and the garbage collector deletes it some time after that is gone.
    """
    meta = claim["metadata"]
    return "deletionTimestamp" in meta or any(
        owner["kind"] == "StatefulSet" for owner in meta.get("ownerReferences", ())
    )


def _claims(observed: Observed, created: datetime) -> list[Manifest]:
    claims = observed.all("PersistentVolumeClaim")
    return [claim for claim in claims if datetime.fromisoformat(claim["metadata"]["creationTimestamp"]) < created]
