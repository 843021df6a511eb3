"""`reclaimPolicy.backups: Delete`: the repository goes with the store, unless that would take too long."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ...kernel.action import Action, Apply, Delete, Emit, Mark, Ref
from ...kernel.env import Env
from ...kernel.job import finished
from ...kernel.naming import FINALIZER
from ...kernel.observed import Observed
from .pod import SMALL, Work, image, job
from .record import KIND, records
from .repository import COMPONENT

PATIENCE = timedelta(minutes=10)
AGAIN = timedelta(seconds=5)


def contribute(
    wanted: bool, base: str, env: Env, observed: Observed, previous: Mapping[str, Any], since: datetime, now: datetime
) -> tuple[Action, ...]:
    """`wanted` says that the backups shall go, `since` is when the store was deleted."""
    leave = Mark(FINALIZER, present=False)
    place = str((previous.get("backup") or {}).get("repository", ""))
    if not wanted or not place or env.names.repository not in observed.secrets:
        return (leave,)
    if now - since > PATIENCE:
        told = f"The backups in {place} are left: they could not be deleted within {PATIENCE.seconds // 60} minutes"
        return Emit("Warning", "BackupsLeft", told), leave
    if observed.all("Pod", "postgres"):
        # Whoever archives would make again what is deleted.
        gone = observed.get("StatefulSet", env.names.postgres)
        return (Delete(Ref("StatefulSet", env.names.postgres)),) if gone else ()
    name = f"{env.names.backup}-erase"
    live = observed.get("Job", name)
    if finished(live, "Complete"):
        kept = [record for record in records(observed) if record.repository == place]
        done = Emit("Normal", "BackupsDeleted", f"Nothing is left in {place}")
        return (*(Delete(Ref(KIND, record.name)) for record in kept), done, leave)
    if live:
        return ()
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
    return (Apply(job(env, name, work), new=True),)
