"""Jobs over a store's threads that come by a schedule, one at a time: what each is asked, when, and what came of it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from .action import Manifest
from .condition import Condition, Status, true
from .contribution import Database
from .cron import last_due, next_due
from .env import Env
from .fragment import Fragment
from .job import MEMORY, PROGRESS, finished, of_operator, outcome, pods
from .observed import Observed
from .values import moment

OVER_THREADS = ("blobs", "retention", "tiering")
"""Components whose Jobs tell how far they are."""
LOOK = timedelta(seconds=30)
"""How often a run is asked how far it is."""
# What says nothing of the checkpoints: nobody could look.
UNKNOWN = frozenset({"JobFailed", "TookTooLong", "Unavailable"})


class Whose(Fragment):
    """Whose tables they are, and where: a part of the JSON in a program's environment."""

    model_config = ConfigDict(extra="ignore")
    """What else a slice puts into the JSON only makes another Job of it."""

    store: str
    provider: str
    host: str = ""
    """Patroni only, as are port and database: an External store's Secret says its own."""
    port: int = 5432
    database: str = "app"
    owner: str = Field(default="app_owner", min_length=1, max_length=63)
    """The role that owns the tables; what is done to them is done as it."""
    group: str = Field(default="app", min_length=1, max_length=63)
    """The application's, which has no business with tables of ours."""


class Run(Whose):
    """Durations are in seconds."""

    dry_run: bool = False
    limit: float = Field(default=480, gt=0)
    """How long a run may take before it begins nothing more; the next one goes on where it ended."""
    share: float = Field(default=0.25, gt=0, le=1)
    """The part of the time that it works in."""


class Ending(Fragment):
    """A Job's termination message: either what was done, or the reason and message of what is in the way."""

    reason: str = ""
    message: str = ""

    def text(self) -> str:
        return self.model_dump_json(by_alias=True)

    @classmethod
    def failure(cls, reason: str, message: str) -> Self:
        """What was in the way, cut to what a termination message takes."""
        return cls(reason=reason, message=message[:1000])


class Done(Ending):
    """What a run that comes by a schedule says."""

    dry_run: bool = False
    seconds: float = 0

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Self | None:
        """What a run says that did its work; None where it says something else."""
        try:
            return cls.model_validate(said) if "seconds" in said and not said.get("reason") else None
        except ValidationError:
            return None

    def figures(self) -> dict[str, Any]:
        """What the status tells of every run."""
        return {"dryRun": self.dry_run, "duration": f"{round(self.seconds)}s"}


class Report(Done):
    """What a run over a store's threads says."""

    threads: int = 0
    """That were looked at."""
    busy: int = 0
    """Threads that were left for the next run."""
    busy_reason: str = ""
    """What was in the way of the last of them."""
    complete: bool = False
    """Whether all threads were looked at."""

    def figures(self) -> dict[str, Any]:
        return {
            "threads": rounded(self.threads),
            "busyThreads": rounded(self.busy),
            "busyReason": self.busy_reason or None,
            "complete": self.complete,
            **super().figures(),
        }


Told = TypeVar("Told", bound=Done)


def whose(env: Env, database: Database) -> dict[str, Any]:
    """The fields of Whose."""
    group = database.logins[0].removesuffix("_a")
    ours = database.provider == "Patroni"
    where = {"host": database.host, "port": database.port, "database": database.database} if ours else {}
    return {
        "store": f"{env.namespace}/{env.name}",
        "provider": database.provider,
        # Named like the logins, as the schema Job names them.
        "owner": f"{group}_owner",
        "group": group,
        **where,
    }


def job(
    env: Env, name: str, component: str, request: Whose, secrets: Mapping[str, str], seconds: int, memory: str = MEMORY
) -> Manifest:
    """The Job of a run, which tells how far it is; it is ended after so many seconds."""
    text = request.model_dump_json(by_alias=True, exclude_defaults=True)
    made = of_operator(env, name, component, text, secrets, tries=2, memory=memory)
    [container] = made["spec"]["template"]["spec"]["containers"]
    container["env"].append({"name": "CHECKPOINTSTORE_PROGRESS_PORT", "value": str(PROGRESS)})
    made["spec"]["activeDeadlineSeconds"] = seconds
    return made


def due(schedule: str, known: Mapping[str, Any], asked: str, now: datetime) -> dict[str, Any]:
    """What the status says of a run that is to be begun, empty when there is none: for each command by which a person
    asks for one, and at each time of the schedule. What was missed is made up for by one run."""
    # Whoever dies before the status is written begins the same one again, whose name comes of `begun`.
    if asked and asked != known.get("asked"):
        return {"begun": asked, "lastRun": moment(now), "asked": asked}
    last = datetime.fromisoformat(str(known.get("lastRun") or known["since"]))
    at = last_due(schedule, now)
    return {"begun": moment(at), "lastRun": moment(at), "asked": asked or None} if at > last else {}


def following(schedule: str, now: datetime) -> timedelta | None:
    """How long it is until the next run."""
    at = next_due((schedule,), now)
    return at - now if at else None


def ended(
    observed: Observed,
    component: str,
    name: str,
    figures: Callable[[Told], dict[str, Any]],
    empty: Told,
    seconds: int,
    now: datetime,
) -> dict[str, Any] | None:
    """What the Job of that name has come to, as the status keeps it; None while it runs.

    `empty` is a report that says only whether the run was dry, `seconds` is how long the Job may take.
    """
    live, said = observed.get("Job", name), outcome(observed, component, name)
    if finished(live, "Complete"):
        done = type(empty).read(said)
        # Its pod, or the pod's last words, may be gone before anybody looks.
        told = figures(done) if done else {**dict.fromkeys(figures(empty)), "dryRun": empty.dry_run}
        return {"lastSuccessful": moment(now), **told}
    if finished(live, "Failed"):
        late = any(item.get("reason") == "DeadlineExceeded" for item in (live or {})["status"].get("conditions", ()))
        reason = str(said.get("reason") or ("TookTooLong" if late else "JobFailed"))
        return {"reason": reason, "message": str(said.get("message") or _silent(late, seconds))}
    return None


def progress(
    observed: Observed, component: str, name: str, known: Mapping[str, Any], now: datetime
) -> dict[str, Any] | None:
    """How far the Job of that name is, as the status keeps it: told anew after a while, or each look would bring the
    next. None before it has told anything."""
    before: dict[str, Any] | None = known.get("progress")
    if before and now - datetime.fromisoformat(before["at"]) < LOOK:
        return before
    told = (observed.runs.get(pod["metadata"]["name"]) for pod in pods(observed, component, name))
    found = next((figures for figures in told if figures), None)
    if not found:
        return before
    return {"at": moment(now), **{what: count if what == "bytes" else rounded(count) for what, count in found.items()}}


def without_figures(type_: str, known: Mapping[str, Any]) -> Condition | None:
    """What there is to say of a run that told no figures; None of one that did."""
    if known.get("reason"):
        reason = str(known["reason"])
        return Condition(type_, Status.UNKNOWN if reason in UNKNOWN else Status.FALSE, reason, str(known["message"]))
    if not known.get("lastSuccessful"):
        return Condition(type_, Status.UNKNOWN, "Pending", "No run has ended yet")
    if known.get("duration") is None:
        reason = "DryRun" if known["dryRun"] else "Succeeded"
        return true(type_, reason, "The Job succeeded, but its pod was gone before its figures were read")
    return None


def with_figures(
    type_: str, known: Mapping[str, Any], room: str, verbs: tuple[str, str], what: str, beside: str
) -> Condition:
    """What a run did: `verbs` are such as remove and removed, `what` is how much of what, `beside` what else is so."""
    looked = f"Looked at {known['threads']} threads"
    busy = f"; {known['busyThreads']} are left for the next run: {why}" if (why := known.get("busyReason")) else ""
    if known["dryRun"]:
        part = "" if known["complete"] else ", as there was no time for all,"
        told = f"{looked}{part} and would {verbs[0]} {what}: spec.{room}.dryRun is set{beside}{busy}"
        return true(type_, "DryRun", told)
    done = f"{looked} and {verbs[1]} {what}{beside}"
    if not known["complete"]:
        return true(type_, "Behind", f"{done}; the next run goes on there{busy}")
    return true(type_, "Succeeded", f"{done}{busy}")


def rounded(count: int) -> int:
    """Two digits are enough for people, and change less."""
    return round(count, 2 - len(str(count)))


def _silent(late: bool, seconds: int) -> str:
    if late:
        return f"It was ended after {seconds // 60} minutes"
    return "The Job's pod ended without a word: it was killed, or its image could not be pulled"
