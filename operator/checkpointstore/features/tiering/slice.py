"""`spec.tiering`: a Job at each time of the schedule moves threads out, a recaller stands to bring them back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...kernel.action import Action, Emit, Manifest
from ...kernel.condition import TIERING_SUCCEEDED, Condition, Status
from ...kernel.contribution import Contribution, Database
from ...kernel.duration import duration
from ...kernel.env import Env
from ...kernel.erasure import Doomed
from ...kernel.job import pod_of_operator
from ...kernel.naming import labels, selector
from ...kernel.object_store import missing, mounts, where
from ...kernel.observed import Observed
from ...kernel.scheduled import (
    LOOK,
    due,
    ended,
    following,
    job,
    progress,
    rounded,
    whose,
    with_figures,
    without_figures,
)
from ...kernel.values import bytes_text, digest, moment
from .expiry import Outside, erased_by
from .request import Holding, Outcome, Place, Request, Tier
from .spec import Tiering
from .totals import requests, totals

COMPONENT = "tiering"
RECALLER = "recaller"
FOLDER = "cold-data"
SECONDS = 1800
"""How long a Job may take."""
LOOK_SOON = timedelta(seconds=5)
MEMORY = "1Gi"
"""An object, a batch of rows, and the largest row that is moved, each more than once."""
GRACE = timedelta(days=1)
"""An object that nothing refers to stays as long at least."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What other parts of the spec say that bears on cold data."""

    delete_after: str | None
    """When whole threads go."""
    window: timedelta | None
    """The recovery window: a database that is recovered must find its objects."""
    backups: timedelta | None
    """How long a backup may hold what is deleted now; None where nobody knows."""
    outside: Outside | None = None
    """How large values are collected that nothing refers to; None where none are outside."""
    stray: bool = False
    """Such values may be where nobody removes them."""


def contribute(
    spec: Tiering,
    env: Env,
    observed: Observed,
    database: Database,
    beside: Beside,
    previous: Mapping[str, Any],
    now: datetime,
    rests: bool,
    sleeps: bool,
    asked: str,
) -> Contribution:
    """`previous` is the store's status as it was; one that `rests` begins nothing, one that `sleeps` has no pods;
    `asked` is the command by which a person asks for a run."""
    known: dict[str, Any] = dict(previous.get("tiering") or {})
    known.setdefault("since", moment(now))
    actions: tuple[Action, ...] = ()
    request = _request(spec, env, database, beside)
    lacking = missing(spec.object_store.needs(), observed)
    begun = str(known.get("begun") or "")
    name, empty = _name(env, request, begun), Outcome(dry_run=spec.dry_run)
    if begun and (done := ended(observed, COMPONENT, name, _figures, empty, SECONDS, now)):
        actions = _told(done)
        failed = (observed.get("Job", name) or {})["status"].get("failed", 0)
        sums = {"totals": totals(known, done, failed), "requests": requests(known, done, now)}
        known = {**known, "reason": None, "message": None, **done, **sums, "begun": None, "progress": None}
        known["erasedBy"] = _erased_by(spec, request, beside, known)
        begun = ""
    able = not rests and not lacking
    stands = not sleeps and not lacking
    if not begun and able and database.serving and (new := due(spec.schedule, known, asked, now)):
        begun = new["begun"]
        known = {**known, **new}
    going = bool(begun) and able
    if going:
        known["progress"] = progress(observed, COMPONENT, _name(env, request, begun), known, now)
    return Contribution(
        desired=(
            *((_job(spec, env, database, request, begun),) if going else ()),
            *((_recaller(spec, env, database, request),) if stands else ()),
        ),
        actions=actions,
        conditions=(Condition(TIERING_SUCCEEDED, Status.FALSE, *lacking) if lacking else _condition(known),),
        status={"tiering": known},
        quiet=frozenset({COMPONENT, RECALLER}),
        again=LOOK_SOON if lacking else LOOK if going else following(spec.schedule, now),
    )


def without(previous: Mapping[str, Any]) -> Contribution:
    """Tiering is not configured: what was told of it is taken back; what is cold stays where it is."""
    return Contribution(status={"tiering": None}) if previous.get("tiering") else Contribution()


def doomed(spec: Tiering, env: Env) -> Doomed:
    """What goes with a store whose cold data does."""
    there = folder(spec, f"{env.namespace}/{env.name}/{env.uid}")
    return Doomed("cold data", spec.object_store, there, f"{env.names.tiering}-erase", COMPONENT)


def _erased_by(spec: Tiering, request: Request, beside: Beside, known: Mapping[str, Any]) -> str | None:
    last, cold = known.get("lastDeletion"), known.get("cold") or {}
    # Nobody removes what is in another store's folder.
    if not last or cold.get("deletedElsewhere") or beside.stray:
        return None
    since, grace = datetime.fromisoformat(last), timedelta(seconds=request.grace)
    at = erased_by(since, spec.schedule, grace, beside.backups, beside.outside)
    return moment(at) if at else None


def _request(spec: Tiering, env: Env, database: Database, beside: Beside) -> Request:
    return Request(
        **place(spec, env, database).model_dump(),
        prefix=folder(spec, f"{env.namespace}/{env.name}/{env.uid}"),
        tiers=tuple(
            Tier(name=tier.name, after=duration(tier.after).total_seconds(), storage_class=tier.storage_class)
            for tier in spec.tiers
        ),
        keep_latest_hot=spec.keep_latest_hot,
        delete_after=duration(beside.delete_after).total_seconds() if beside.delete_after else None,
        dry_run=spec.dry_run,
        grace=max(GRACE, beside.window or GRACE).total_seconds(),
    )


def folder(spec: Tiering, store: str) -> str:
    """What the keys of a store's objects begin with; it is told as NAMESPACE/NAME/UID."""
    return f"{spec.object_store.folder}/{FOLDER}/{store}".lstrip("/")


def place(spec: Tiering, env: Env, database: Database) -> Place:
    """Whose database it is, and where the bucket is."""
    return Place(**where(spec.object_store), **whose(env, database))


def _figures(said: Outcome) -> dict[str, Any]:
    moved, cold = said.moved, said.cold
    return {
        **said.figures(),
        "moved": {
            "threads": rounded(moved.threads),
            "checkpoints": rounded(moved.checkpoints),
            "writes": rounded(moved.writes),
            "blobs": rounded(moved.blobs),
            "bytes": moved.bytes,
        },
        "cold": {
            "threads": rounded(cold.threads),
            "objects": rounded(cold.objects),
            "bytes": cold.bytes,
            "waiting": rounded(cold.waiting),
            "deleted": rounded(cold.deleted),
            "deletedElsewhere": rounded(cold.deleted_elsewhere),
        },
        "tiers": [_holding(tier) for tier in cold.tiers],
        "lastDeletion": moment(cold.last_deletion) if cold.last_deletion else None,
        "rewritten": rounded(said.rewritten),
        "collected": rounded(said.collected),
        "requests": {"writes": said.writes, "reads": said.reads},
    }


def _holding(tier: Holding) -> dict[str, Any]:
    return {
        "name": tier.name,
        **({"storageClass": tier.storage_class} if tier.storage_class else {}),
        "objects": rounded(tier.objects),
        "bytes": tier.bytes,
        "threads": rounded(tier.threads),
    }


def _told(done: Mapping[str, Any]) -> tuple[Action, ...]:
    """A run every few minutes is no news; one that fails is."""
    return (Emit("Warning", "TieringFailed", str(done["message"])),) if "reason" in done else ()


def _condition(known: Mapping[str, Any]) -> Condition:
    if said := without_figures(TIERING_SUCCEEDED, known):
        return said
    moved, cold = known["moved"], known["cold"]
    what = f"{moved['threads']} threads ({bytes_text(moved['bytes'])})"
    # A dry run does not look into the catalog.
    beside = "" if known["dryRun"] else f"; {cold['threads']} are cold ({bytes_text(cold['bytes'])})"
    return with_figures(TIERING_SUCCEEDED, known, COMPONENT, ("move", "moved"), what, beside)


def _name(env: Env, request: Request, begun: str) -> str:
    return f"{env.names.tiering}-{digest(begun, request.model_dump_json())[:10]}"


def secrets(spec: Tiering, database: Database) -> dict[str, str]:
    return {"admin": database.admin, **mounts(spec.object_store)}


def _job(spec: Tiering, env: Env, database: Database, request: Request, begun: str) -> Manifest:
    return job(env, _name(env, request, begun), COMPONENT, request, secrets(spec, database), SECONDS, MEMORY)


def _recaller(spec: Tiering, env: Env, database: Database, request: Request) -> Manifest:
    """One pod: threads are brought back one after another, and another pod comes where its node is lost."""
    place = request.model_dump_json(by_alias=True, exclude_defaults=True, include=set(Place.model_fields))
    return env.object(
        "apps/v1",
        "Deployment",
        env.names.recaller,
        RECALLER,
        spec={
            "replicas": 1,
            "selector": {"matchLabels": selector(env.name, RECALLER)},
            "template": {
                "metadata": {"labels": labels(env.name, RECALLER)},
                "spec": pod_of_operator(env, RECALLER, ["recall"], place, secrets(spec, database), MEMORY),
            },
        },
    )
