"""`reclaimPolicy.coldData: Delete`: what is in the bucket goes with the store, unless that would take too long."""

from datetime import datetime

from ...kernel.action import Apply, Delete, Emit, Manifest, Ref
from ...kernel.contribution import PATIENCE, Farewell
from ...kernel.env import Env
from ...kernel.job import finished, of_operator
from ...kernel.observed import Observed
from . import slice as tiering
from .request import Erase
from .spec import Tiering

COMPONENT = "erasure"
TRIES = 6


def contribute(spec: Tiering, env: Env, observed: Observed, since: datetime, now: datetime) -> Farewell:
    """`since` is when the store was deleted."""
    folder = tiering.folder(spec, f"{env.namespace}/{env.name}/{env.uid}")
    name = f"{env.names.tiering}-erase"
    live = observed.get("Job", name)
    if finished(live, "Complete"):
        return Farewell(end=(Emit("Normal", "ColdDataDeleted", f"Nothing is left in {folder}"),))
    if now - since > PATIENCE:
        told = f"The cold data in {folder} is left: it could not be deleted within {PATIENCE.seconds // 60} minutes"
        return Farewell(end=(Emit("Warning", "ColdDataLeft", told),))
    movers = observed.all("Job", tiering.COMPONENT)
    if movers or observed.all("Pod", tiering.COMPONENT):
        # Whoever moves threads would make again what is deleted.
        return Farewell(actions=tuple(Delete(Ref("Job", job["metadata"]["name"])) for job in movers))
    if live:
        return Farewell()
    return Farewell(actions=(Apply(_job(spec, env, name, folder), new=True),))


def _job(spec: Tiering, env: Env, name: str, folder: str) -> Manifest:
    text = Erase(**tiering.where(spec), folder=folder).model_dump_json(by_alias=True, exclude_defaults=True)
    secrets = tiering.secrets_of_bucket(spec)
    return of_operator(env, name, COMPONENT, text, secrets, TRIES)
