"""`spec.retention`: a Job at each time of the schedule removes what is beyond the policy, and its report is told."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...kernel.action import Action, Emit, Manifest
from ...kernel.condition import RETENTION_SUCCEEDED, Condition
from ...kernel.contribution import Contribution, Database
from ...kernel.duration import duration
from ...kernel.env import Env
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
from .request import Outcome, Request
from .spec import Retention

COMPONENT = "retention"
# A run ends itself after eight minutes, the removal of a whole thread after 15 more, and its rewrites after an hour.
SECONDS = 5400


def contribute(
    spec: Retention,
    env: Env,
    observed: Observed,
    database: Database,
    previous: Mapping[str, Any],
    now: datetime,
    rests: bool,
    asked: str,
) -> Contribution:
    """`previous` is the store's status as it was; a store that `rests` begins nothing; `asked` is the command by which
    a person asks for a run."""
    known: dict[str, Any] = dict(previous.get("retention") or {})
    known.setdefault("since", moment(now))
    actions: tuple[Action, ...] = ()
    begun = str(known.get("begun") or "")
    request = _request(spec, env, database, known)
    name, empty = _name(env, request, begun), Outcome(dry_run=spec.dry_run)
    if begun and (done := ended(observed, COMPONENT, name, _figures, empty, SECONDS, now)):
        actions = _told(done)
        known = {**known, "reason": None, "message": None, **done, "begun": None, "progress": None, "spareBytes": None}
        begun = ""
    if not begun and not rests and database.serving and (new := due(spec.schedule, known, asked, now)):
        begun = new["begun"]
        known = {**known, **new, "spareBytes": database.spare}
        request = _request(spec, env, database, known)
    going = bool(begun) and not rests
    if going:
        known["progress"] = progress(observed, COMPONENT, _name(env, request, begun), known, now)
    return Contribution(
        desired=(_job(env, database, request, begun),) if going else (),
        actions=actions,
        conditions=(_condition(known),),
        status={"retention": known},
        quiet=frozenset({COMPONENT}),
        again=LOOK if going else following(spec.schedule, now),
    )


def without(previous: Mapping[str, Any]) -> Contribution:
    """Retention is not configured: what was told of it is taken back."""
    return Contribution(status={"retention": None}) if previous.get("retention") else Contribution()


def _request(spec: Retention, env: Env, database: Database, known: Mapping[str, Any]) -> Request:
    history = spec.history
    return Request(
        keep_last=(history.keep_last or 1) if history else 0,
        keep_for=_seconds(history.keep_for) if history else None,
        delete_after=_seconds(spec.delete_after),
        dry_run=spec.dry_run,
        # As it was when the run was begun: with every other figure it would be another Job.
        spare=int(known.get("spareBytes") or 0),
        **whose(env, database),
    )


def _seconds(text: str | None) -> float | None:
    return duration(text).total_seconds() if text else None


def _figures(said: Outcome) -> dict[str, Any]:
    removed = said.removed
    return {
        **said.figures(),
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
    }


def _told(done: Mapping[str, Any]) -> tuple[Action, ...]:
    """A run every few minutes is no news; one that fails is."""
    return (Emit("Warning", "RetentionFailed", str(done["message"])),) if "reason" in done else ()


def _condition(known: Mapping[str, Any]) -> Condition:
    if said := without_figures(RETENTION_SUCCEEDED, known):
        return said
    deleted = known["deleted"]
    back, stays = _space(known)
    what = f"{deleted['checkpoints']} checkpoints ({bytes_text(known['bytes'])}), {deleted['threads']} whole threads"
    return with_figures(RETENTION_SUCCEEDED, known, COMPONENT, ("remove", "removed"), what + back, stays)


def _space(known: Mapping[str, Any]) -> tuple[str, str]:
    """What went back to the volume, and what did not although it is much."""
    given, free, why = (known.get(name) for name in ("returnedBytes", "reusableBytes", "keptReason"))
    verb = "give" if known["dryRun"] else "gave"
    back = f", and {verb} {bytes_text(given)} back to the volume" if given else ""
    return back, f"; {bytes_text(free)} are free inside the tables and stay there: {why}" if free and why else ""


def _name(env: Env, request: Request, begun: str) -> str:
    return f"{env.names.retention}-{digest(begun, request.model_dump_json())[:10]}"


def _job(env: Env, database: Database, request: Request, begun: str) -> Manifest:
    return job(env, _name(env, request, begun), COMPONENT, request, {"admin": database.admin}, SECONDS)
