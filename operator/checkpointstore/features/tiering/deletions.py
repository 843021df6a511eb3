"""After a recovery: threads that had been deleted are deleted again, before an application is let in."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ...kernel.action import Delete, Emit, Manifest, Ref
from ...kernel.condition import READY, Condition, broken, waiting
from ...kernel.contribution import Contribution, Database
from ...kernel.env import Env
from ...kernel.job import finished, of_operator, outcome
from ...kernel.object_store import missing
from ...kernel.observed import Observed
from ...kernel.values import digest
from .request import Repeat
from .slice import LOOK_SOON, folder, place, secrets
from .spec import Tiering

COMPONENT = "deletions"
TRIES = 6
RETRY_AFTER = timedelta(minutes=2)


def contribute(
    spec: Tiering,
    env: Env,
    observed: Observed,
    database: Database,
    origin: str,
    previous: Mapping[str, Any],
    now: datetime,
    rests: bool,
) -> tuple[Contribution, bool]:
    """The contribution, and whether it is done.

    `origin` is the store that the data came from, NAMESPACE/NAME/UID, or "" for one that began empty; `previous` is the
    store's status as it was; one that `rests` begins nothing.
    """
    if not origin or "deletedAgain" in (previous.get("tiering") or {}):
        return Contribution(), True
    if lacking := missing(spec.object_store.needs(), observed):
        return _told(env, observed, broken(READY, "DeletionsNotRepeated", lacking[1]), again=LOOK_SOON), False
    if rests or not database.serving:
        return Contribution(), False
    there = place(spec, env, database).model_dump()
    text = Repeat(**there, origin=folder(spec, origin)).model_dump_json(by_alias=True, exclude_defaults=True)
    name = f"{env.names.deletions}-{digest(text)[:10]}"
    job = of_operator(env, name, COMPONENT, text, secrets(spec, database), TRIES)
    return _stood(env, observed, job, now)


def _stood(env: Env, observed: Observed, job: Manifest, now: datetime) -> tuple[Contribution, bool]:
    name = job["metadata"]["name"]
    live, said = observed.get("Job", name), outcome(observed, COMPONENT, name)
    if finished(live, "Complete"):
        deleted = int(said.get("deleted", 0))
        left = f"; {unclear} were left, as their ids tell no time" if (unclear := said.get("unclear")) else ""
        told = f"{deleted} threads that the recovery had brought back were deleted again{left}"
        status = {"tiering": {"deletedAgain": deleted}}
        return Contribution(actions=(Emit("Normal", "DeletionsRepeated", told),), status=status), True
    failed = finished(live, "Failed")
    if failed is None:
        why = f"; last try: {said['message']}" if said.get("message") else ""
        doing = f"Threads that were deleted since the backup are being deleted again{why}"
        return _told(env, observed, waiting(READY, "RepeatingDeletions", doing), job), False
    stopped = broken(READY, "DeletionsNotRepeated", str(said.get("message") or f"Job {name} failed: see its pod's log"))
    due = failed + RETRY_AFTER - now
    if due > timedelta():
        return _told(env, observed, stopped, job, again=due), False
    # The next pass makes it anew.
    gone = _told(env, observed, stopped, again=timedelta(seconds=1))
    return Contribution(gone.desired, (Delete(Ref("Job", name)),), gone.conditions, again=gone.again), False


def _told(
    env: Env, observed: Observed, condition: Condition, *desired: Manifest, again: timedelta | None = None
) -> Contribution:
    """Where applications were let in before tiering was, they stay."""
    open_already = env.names.binding in observed.secrets
    return Contribution(desired=desired, conditions=() if open_already else (condition,), again=again)
