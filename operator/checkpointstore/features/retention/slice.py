"""`spec.retention`: a Job at each time of the schedule removes what is beyond the policy, and its report is told."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ...kernel.action import Action, Emit, Manifest
from ...kernel.condition import RETENTION_SUCCEEDED, Condition, Status, true
from ...kernel.contribution import Contribution, Database
from ...kernel.duration import duration
from ...kernel.env import Env
from ...kernel.job import finished, of_operator, outcome
from ...kernel.observed import Observed
from ...kernel.scheduled import due, failure, following, judged, rounded
from ...kernel.values import bytes_text, digest, moment
from .request import Outcome, Request
from .spec import Retention

COMPONENT = "retention"
# A run ends itself after eight minutes, the removal of a whole thread after 15 more, and its rewrites after an hour.
SECONDS = 5400
PATIENCE = timedelta(minutes=2)


def contribute(
    spec: Retention,
    env: Env,
    observed: Observed,
    database: Database,
    previous: Mapping[str, Any],
    now: datetime,
    rests: bool,
) -> Contribution:
    """`previous` is the store's status as it was; a store that `rests` begins nothing."""
    known: dict[str, Any] = dict(previous.get("retention") or {})
    known.setdefault("since", moment(now))
    actions: tuple[Action, ...] = ()
    begun = str(known.get("begun") or "")
    request = _request(spec, env, database, known)
    if begun and (ended := _ended(env, observed, request, begun, now)):
        actions = _told(ended)
        known = {**known, "reason": None, "message": None, **ended, "begun": None, "spareBytes": None}
        begun = ""
    if not begun and not rests and database.serving and (at := due(spec.schedule, known, now)):
        begun = at
        known = {**known, "begun": begun, "lastRun": begun, "spareBytes": database.spare}
        request = _request(spec, env, database, known)
    going = bool(begun) and not rests
    return Contribution(
        desired=(_job(env, database, request, begun),) if going else (),
        actions=actions,
        conditions=(_condition(known),),
        status={"retention": known},
        quiet=frozenset({COMPONENT}),
        again=PATIENCE if going else following(spec.schedule, now),
    )


def without(previous: Mapping[str, Any]) -> Contribution:
    """Retention is not configured: what was told of it is taken back."""
    return Contribution(status={"retention": None}) if previous.get("retention") else Contribution()


def _request(spec: Retention, env: Env, database: Database, known: Mapping[str, Any]) -> Request:
    history, group = spec.history, database.logins[0].removesuffix("_a")
    ours = database.provider == "Patroni"
    where = {"host": database.host, "port": database.port, "database": database.database} if ours else {}
    return Request(
        store=f"{env.namespace}/{env.name}",
        provider=database.provider,
        # Named like the logins, as the schema Job names them.
        owner=f"{group}_owner",
        group=group,
        keep_last=(history.keep_last or 1) if history else 0,
        keep_for=_seconds(history.keep_for) if history else None,
        delete_after=_seconds(spec.delete_after),
        dry_run=spec.dry_run,
        # As it was when the run was begun: with every other figure it would be another Job.
        spare=int(known.get("spareBytes") or 0),
        **where,
    )


def _seconds(text: str | None) -> float | None:
    return duration(text).total_seconds() if text else None


def _ended(env: Env, observed: Observed, request: Request, begun: str, now: datetime) -> dict[str, Any] | None:
    """What a run has come to; None while it runs."""
    name = _name(env, request, begun)
    live, said = observed.get("Job", name), outcome(observed, COMPONENT, name)
    if finished(live, "Complete"):
        done = Outcome.read(said)
        # Its pod, or the pod's last words, may be gone before anybody looks.
        figures = _figures(done) if done else {**dict.fromkeys(_figures(Outcome())), "dryRun": request.dry_run}
        return {"lastSuccessful": moment(now), **figures}
    return failure(live, said, SECONDS)


def _figures(said: Outcome) -> dict[str, Any]:
    removed = said.removed
    return {
        "threads": rounded(said.threads),
        "deleted": {
            "checkpoints": rounded(removed.checkpoints),
            "writes": rounded(removed.writes),
            "blobs": rounded(removed.blobs),
            "threads": rounded(removed.threads),
        },
        "bytes": rounded(removed.bytes),
        "reusableBytes": None if said.reusable is None else rounded(said.reusable),
        "returnedBytes": rounded(said.returned),
        "keptReason": said.kept or None,
        "deltaThreads": rounded(said.delta),
        "busyThreads": rounded(said.busy),
        "busyReason": said.busy_reason or None,
        "complete": said.complete,
        "dryRun": said.dry_run,
        "duration": f"{round(said.seconds)}s",
    }


def _told(ended: Mapping[str, Any]) -> tuple[Action, ...]:
    """A run every few minutes is no news; one that fails is."""
    return (Emit("Warning", "RetentionFailed", str(ended["message"])),) if "reason" in ended else ()


def _condition(known: Mapping[str, Any]) -> Condition:
    if known.get("reason"):
        reason = str(known["reason"])
        return Condition(RETENTION_SUCCEEDED, judged(reason), reason, str(known["message"]))
    if not known.get("lastSuccessful"):
        return Condition(RETENTION_SUCCEEDED, Status.UNKNOWN, "Pending", "No run has ended yet")
    if not (deleted := known.get("deleted")):
        reason = "DryRun" if known["dryRun"] else "Succeeded"
        return true(RETENTION_SUCCEEDED, reason, "The Job succeeded, but its pod was gone before its figures were read")
    back, stays = _space(known)
    figures = f"{deleted['checkpoints']} checkpoints ({bytes_text(known['bytes'])}), {deleted['threads']} whole threads"
    figures += back
    looked = f"Looked at {known['threads']} threads"
    busy = f"; {known['busyThreads']} are left for the next run: {why}" if (why := known.get("busyReason")) else ""
    if known["dryRun"]:
        part = "" if known["complete"] else ", as there was no time for all,"
        told = f"{looked}{part} and would remove {figures}: spec.retention.dryRun is set{stays}{busy}"
        return true(RETENTION_SUCCEEDED, "DryRun", told)
    if not known["complete"]:
        return true(RETENTION_SUCCEEDED, "Behind", f"{looked} and removed {figures}; the next run goes on there{busy}")
    return true(RETENTION_SUCCEEDED, "Succeeded", f"{looked} and removed {figures}{stays}{busy}")


def _space(known: Mapping[str, Any]) -> tuple[str, str]:
    """What went back to the volume, and what did not although it is much."""
    given, free, why = (known.get(name) for name in ("returnedBytes", "reusableBytes", "keptReason"))
    verb = "give" if known["dryRun"] else "gave"
    back = f", and {verb} {bytes_text(given)} back to the volume" if given else ""
    return back, f"; {bytes_text(free)} are free inside the tables and stay there: {why}" if free and why else ""


def _name(env: Env, request: Request, begun: str) -> str:
    return f"{env.names.retention}-{digest(begun, request.model_dump_json())[:10]}"


def _job(env: Env, database: Database, request: Request, begun: str) -> Manifest:
    text = request.model_dump_json(by_alias=True, exclude_defaults=True)
    made = of_operator(env, _name(env, request, begun), COMPONENT, text, {"admin": database.admin}, tries=2)
    return {**made, "spec": {**made["spec"], "activeDeadlineSeconds": SECONDS}}
