"""What a deleted store has in an object store goes with it, unless that would take too long."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from .action import Apply, Delete, Emit, Manifest, Ref
from .contribution import PATIENCE, Farewell
from .env import Env
from .job import finished, of_operator
from .object_store import ObjectStore, Where, mounts, where
from .observed import Observed
from .scheduled import Ending

COMPONENT = "erasure"
TRIES = 6


class Erase(Where):
    """What the Job is asked."""

    folder: str = Field(min_length=1)
    """All that is below it goes."""


class Erased(Ending):
    removed: int = 0
    """Objects."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """What goes."""

    what: str
    """For people."""
    store: ObjectStore
    folder: str
    """What its keys begin with, up to the last slash."""
    job: str
    """The erasure Job's name."""
    maker: str
    """The component whose Jobs would make again what is deleted."""


def contribute(doomed: Doomed, env: Env, observed: Observed, since: datetime, now: datetime) -> Farewell:
    """`since` is when the store was deleted."""
    live = observed.get("Job", doomed.job)
    if finished(live, "Complete"):
        return Farewell(end=(Emit("Normal", "ColdDataDeleted", f"Nothing is left in {doomed.folder}"),))
    if now - since > PATIENCE:
        why = f"it could not be deleted within {PATIENCE.seconds // 60} minutes"
        told = f"The {doomed.what} in {doomed.folder} is left: {why}"
        return Farewell(end=(Emit("Warning", "ColdDataLeft", told),))
    makers = observed.all("Job", doomed.maker)
    if makers or observed.all("Pod", doomed.maker):
        return Farewell(actions=tuple(Delete(Ref("Job", job["metadata"]["name"])) for job in makers))
    if live:
        return Farewell()
    return Farewell(actions=(Apply(_job(doomed, env), new=True),))


def _job(doomed: Doomed, env: Env) -> Manifest:
    text = Erase(**where(doomed.store), folder=doomed.folder).model_dump_json(by_alias=True, exclude_defaults=True)
    secrets: Mapping[str, str] = mounts(doomed.store)
    return of_operator(env, doomed.job, COMPONENT, text, secrets, TRIES)
