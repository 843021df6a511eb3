"""`reclaimPolicy.backups: Delete`: the repository goes with the store, unless that would take too long."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...kernel.action import Apply, Delete, Emit, Ref
from ...kernel.contribution import PATIENCE, Farewell
from ...kernel.env import Env
from ...kernel.job import finished
from ...kernel.observed import Observed
from .pod import SMALL, Work, image, job
from .record import KIND, records
from .repository import COMPONENT


def contribute(
    base: str, env: Env, observed: Observed, previous: Mapping[str, Any], since: datetime, now: datetime
) -> Farewell:
    """`since` is when the store was deleted."""
    place = str((previous.get("backup") or {}).get("repository", ""))
    if not place or env.names.repository not in observed.secrets:
        return Farewell(end=())
    name = f"{env.names.backup}-erase"
    live = observed.get("Job", name)
    if finished(live, "Complete"):
        kept = [record for record in records(observed) if record.repository == place]
        done = Emit("Normal", "BackupsDeleted", f"Nothing is left in {place}")
        return Farewell(end=(*(Delete(Ref(KIND, record.name)) for record in kept), done))
    if now - since > PATIENCE:
        told = f"The backups in {place} are left: they could not be deleted within {PATIENCE.seconds // 60} minutes"
        return Farewell(end=(Emit("Warning", "BackupsLeft", told),))
    if observed.all("Pod", "postgres"):
        # Whoever archives would make again what is deleted.
        gone = observed.get("StatefulSet", env.names.postgres)
        return Farewell(actions=(Delete(Ref("StatefulSet", env.names.postgres)),) if gone else ())
    if live:
        return Farewell()
    work = Work(
        program="erase",
        component=COMPONENT,
        request={"base": base, "uid": env.uid},
        repository=env.names.repository,
        image=image(env, observed),
        resources=SMALL,
        seconds=PATIENCE.seconds,
        tries=6,
    )
    return Farewell(actions=(Apply(job(env, name, work), new=True),))
