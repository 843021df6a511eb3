"""`spec.limits.externalize`: the Secret that applications read, and a Job that removes what nothing refers to."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ...kernel.action import Action, Emit, Manifest, PublishGiven
from ...kernel.condition import BLOB_COLLECTION_SUCCEEDED, Condition, Status, true
from ...kernel.contribution import Contribution, Database
from ...kernel.duration import duration
from ...kernel.env import Env
from ...kernel.erasure import Doomed
from ...kernel.naming import SOURCE
from ...kernel.object_store import ACCESS_KEY, SECRET_KEY, TOKEN, missing, mounts, where
from ...kernel.observed import Observed
from ...kernel.scheduled import LOOK, due, ended, following, job, progress, whose, without_figures
from ...kernel.values import bytes_text, digest, moment, quantity
from .request import Outcome, Request
from .spec import Externalize

COMPONENT = "blobs"
FOLDER = "blobs"
SECONDS = 3600
"""How long a Job may take."""
LOOK_SOON = timedelta(seconds=5)
MEMORY = "1Gi"
"""The keys of some millions of values."""


def contribute(
    spec: Externalize,
    env: Env,
    observed: Observed,
    database: Database,
    window: timedelta | None,
    previous: Mapping[str, Any],
    now: datetime,
    rests: bool,
    asked: str,
) -> Contribution:
    """`window` is how far back a recovery may go; `previous` is the store's status as it was; a store that `rests`
    begins nothing; `asked` is the command by which a person asks for a run."""
    known: dict[str, Any] = dict(previous.get("blobs") or {})
    known.setdefault("since", moment(now))
    lacking = missing(spec.needs(), observed)
    actions: tuple[Action, ...] = () if lacking else _published(spec, env, observed)
    live = observed.secrets.get(env.names.blobs)
    known["secret"] = env.names.blobs if live or actions else None
    begun = str(known.get("begun") or "")
    request = _request(spec, env, database, window)
    name, empty = _name(env, request, begun), Outcome(dry_run=spec.dry_run)
    if begun and (done := ended(observed, COMPONENT, name, Outcome.figures, empty, SECONDS, now)):
        actions = (*actions, *_told(done))
        known = {**known, "reason": None, "message": None, **done, "begun": None, "progress": None}
        begun = ""
    able = not rests and not lacking
    if not begun and able and database.serving and (new := due(spec.schedule, known, asked, now)):
        begun = new["begun"]
        known = {**known, **new}
    going = bool(begun) and able
    if going:
        known["progress"] = progress(observed, COMPONENT, _name(env, request, begun), known, now)
    no_secret = (Condition(BLOB_COLLECTION_SUCCEEDED, Status.FALSE, *lacking),) if lacking else ()
    return Contribution(
        desired=(_job(spec, env, database, request, begun),) if going else (),
        actions=actions,
        conditions=no_secret or (_condition(known),),
        status={"blobs": known},
        quiet=frozenset({COMPONENT}),
        again=LOOK_SOON if lacking else LOOK if going else following(spec.schedule, now),
    )


def without(previous: Mapping[str, Any]) -> Contribution:
    """It is not configured: what runs told is taken back. The Secret stays, as rows refer to what is there."""
    known = previous.get("blobs") or {}
    if not known.get("secret"):
        return Contribution(status={"blobs": None}) if known else Contribution()
    return Contribution(status={"blobs": {**dict.fromkeys(known), "secret": known["secret"]}})


def doomed(spec: Externalize, env: Env) -> Doomed:
    """What goes with a store whose cold data does."""
    name = f"{env.names.blobs}-erase"
    return Doomed("values outside", spec.object_store, f"{_root(spec)}/{_folder(env)}", name, COMPONENT)


def kept(spec: Externalize, window: timedelta | None) -> timedelta:
    """How long a run that sees nothing refer to a value leaves it."""
    return max(duration(spec.grace), window or timedelta())


def _published(spec: Externalize, env: Env, observed: Observed) -> tuple[Action, ...]:
    store = spec.object_store
    name = spec.application_credentials.name
    given = {key: (name, key) for key in (ACCESS_KEY, SECRET_KEY, TOKEN)}
    if store.ca:
        given["ca.crt"] = (store.ca.name, store.ca.key)
    files = {
        "type": "s3",
        "provider": "checkpointstore",
        "bucket": store.bucket,
        "endpoint": store.endpoint or "",
        "region": store.region,
        "uri-style": store.style,
        "root": _root(spec),
        "folder": _folder(env),
        "above": str(int(quantity(spec.above))),
        "grace": str(int(duration(spec.grace).total_seconds())),
    }
    versions = sorted({(secret, observed.given[secret].version) for secret, _ in given.values()})
    source = digest(json.dumps([files, versions], sort_keys=True))[:16]
    live = observed.secrets.get(env.names.blobs)
    if live is not None and live.intact and live.source == source:
        return ()
    secret = env.object("v1", "Secret", env.names.blobs, COMPONENT, type="servicebinding.io/s3")
    secret["metadata"]["annotations"] = {SOURCE: source}
    return (PublishGiven(secret, files, given),)


def _root(spec: Externalize) -> str:
    return f"{spec.object_store.folder}/{FOLDER}".lstrip("/")


def _folder(env: Env) -> str:
    return f"{env.namespace}/{env.name}/{env.uid}"


def _request(spec: Externalize, env: Env, database: Database, window: timedelta | None) -> Request:
    return Request(
        **where(spec.object_store),
        **whose(env, database),
        root=_root(spec),
        folder=_folder(env),
        grace=duration(spec.grace).total_seconds(),
        keep=kept(spec, window).total_seconds(),
        dry_run=spec.dry_run,
    )


def _told(done: Mapping[str, Any]) -> tuple[Action, ...]:
    """A run that did its work is no news, unless something is lost."""
    if "reason" in done:
        return (Emit("Warning", "BlobCollectionFailed", str(done["message"])),)
    return (Emit("Warning", "BlobsMissing", _lost(done)),) if done.get("missing") else ()


def _lost(known: Mapping[str, Any]) -> str:
    return f"{known['missing']} values that rows refer to are not in the object store, such as {known['example']}"


def _condition(known: Mapping[str, Any]) -> Condition:
    if said := without_figures(BLOB_COLLECTION_SUCCEEDED, known):
        return said
    if known["missing"]:
        return Condition(BLOB_COLLECTION_SUCCEEDED, Status.FALSE, "BlobsMissing", _lost(known))
    there = f"{known['objects']} values ({bytes_text(known['bytes'])}) are outside, {known['unused']} of them unused"
    gone = f"{known['removed']} ({bytes_text(known['removedBytes'])}) that nothing refers to"
    if known["dryRun"]:
        told = f"{there}; would remove {gone}: spec.limits.externalize.dryRun is set"
        return true(BLOB_COLLECTION_SUCCEEDED, "DryRun", told)
    return true(BLOB_COLLECTION_SUCCEEDED, "Succeeded", f"{there}; removed {gone}")


def _name(env: Env, request: Request, begun: str) -> str:
    return f"{env.names.blobs}-{digest(begun, request.model_dump_json())[:10]}"


def _job(spec: Externalize, env: Env, database: Database, request: Request, begun: str) -> Manifest:
    secrets = {"admin": database.admin, **mounts(spec.object_store)}
    return job(env, _name(env, request, begun), COMPONENT, request, secrets, SECONDS, MEMORY)
