"""`spec.schema`: one Job, named by its inputs, that makes roles and tables; its result is read from its pod."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from ... import __version__
from ...kernel.action import Action, Emit, GeneratePassword, Manifest, RotatePassword
from ...kernel.command import Commands
from ...kernel.condition import SCHEMA_APPLIED, Condition, broken, changing, true, waiting
from ...kernel.contribution import Contribution, Database
from ...kernel.env import Env
from ...kernel.fragment import Fragment
from ...kernel.job import finished, of_operator, outcome
from ...kernel.observed import Observed
from .access.planner import ARCHIVING, LOOKUP, METRICS
from .langgraph import VERSION as LANGGRAPH_VERSION
from .limits import Limits
from .request import Module, Provider, Request, Roles

COMPONENT = "schema"
# Another's server is there or is not; a wrong address should be told within minutes.
EXTERNAL_PATIENCE = 30
RETRY_AFTER = timedelta(minutes=2)


VERSIONS = {Module.LANGGRAPH: LANGGRAPH_VERSION}


class Schema(Fragment):
    """Which tables the operator makes and keeps."""

    modules: list[Module] = Field(
        default=[Module.LANGGRAPH], min_length=1, json_schema_extra={"x-kubernetes-list-type": "set"}
    )
    """Table sets by name. LangGraph: what langgraph-checkpoint-postgres reads and writes. Removing one drops none."""


def contribute(
    spec: Schema,
    limits: Limits,
    env: Env,
    observed: Observed,
    database: Database,
    commands: Commands,
    now: datetime,
) -> tuple[Contribution, bool]:
    """The contribution, and whether the schema stands for the present credentials."""
    credentials = observed.secrets.get(env.names.credentials)
    if credentials is None:
        secret = env.object("v1", "Secret", env.names.credentials, COMPONENT, type="kubernetes.io/basic-auth")
        return Contribution(
            actions=(GeneratePassword(secret, database.logins[0]),),
            conditions=(waiting(SCHEMA_APPLIED, "CredentialsPending", "The application's password is being made"),),
        ), False
    bound = observed.secrets.get(env.names.binding)
    request = _request(spec, limits, env, database)
    name = f"{env.names.schema}-{_digest(request, credentials.version + database.admin_version)}"
    live = observed.get("Job", name)
    said = outcome(observed, COMPONENT, name)
    condition, actions, again = _judge(name, live, said, now, bound is not None)
    # A Job that is tried again is not asked for in this pass, so it goes, and is made anew in the next.
    unwanted = bool(actions) or (commands.hibernate and live is None)
    stands = finished(live, "Complete") is not None
    rotated = stands and bound is not None and bound.username == credentials.username
    if rotated and commands.rotate and commands.rotate != credentials.rotation:
        actions = (*actions, *_rotation(env, database, credentials.username, commands.rotate))
    return Contribution(
        desired=() if unwanted else (_job(env, database, name, request),),
        actions=actions,
        conditions=(condition,),
        status=_status(said),
        again=again,
    ), stands


def _rotation(env: Env, database: Database, username: str, command: str) -> tuple[Action, ...]:
    """PostgreSQL keeps one password a role, so two logins take turns; the old one works until the next rotation."""
    first, second = database.logins
    following = second if username == first else first
    return (
        Emit("Normal", "CredentialsRotated", f"The application's next login is {following}"),
        RotatePassword(env.names.credentials, following, command),
    )


def _status(said: Mapping[str, Any]) -> dict[str, Any]:
    """What the Job found: the modules that stand, and the server's version."""
    if not said.get("modules"):
        return {}
    server = {"version": said.get("serverVersion", ""), "maxConnections": said.get("maxConnections", 0)}
    return {"schema": {"modules": said["modules"]}, "postgres": server}


def _request(spec: Schema, limits: Limits, env: Env, database: Database) -> Request:
    base = {"store": f"{env.namespace}/{env.name}", "modules": tuple(spec.modules), "limit": limits.bytes}
    if database.provider == "External":
        # Several stores may share the server: each has roles of its own, named like its logins.
        prefix = database.logins[0].removesuffix("_a")
        roles = Roles(owner=f"{prefix}_owner", group=prefix)
        return Request(provider=Provider.EXTERNAL, roles=roles, patience_seconds=EXTERNAL_PATIENCE, **base)
    return Request(
        provider=Provider.PATRONI, host=database.host, port=database.port, database=database.database, **base
    )


def _digest(request: Request, credentials: str) -> str:
    """Names a Job by what makes its result: our own version, the modules', the request, the credentials."""
    versions = [VERSIONS[module] for module in request.modules]
    marks = [LOOKUP, ARCHIVING, METRICS]
    text = json.dumps([__version__, *marks, versions, request.model_dump(mode="json"), credentials])
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _judge(
    name: str, live: Manifest | None, said: Mapping[str, Any], now: datetime, bound: bool
) -> tuple[Condition, tuple[Action, ...], timedelta | None]:
    if finished(live, "Complete"):
        return true(SCHEMA_APPLIED, "Applied", "Tables, indexes and roles stand"), (), None
    failed = finished(live, "Failed")
    if live is None or failed is None:
        say = changing if bound else waiting
        why = f": last try: {said['message']}" if said.get("message") else ""
        return say(SCHEMA_APPLIED, "Applying", f"The schema Job is running{why}"), (), None
    message = str(said.get("message") or f"Job {name} failed: see its pod's log")
    reason = str(said.get("reason") or "JobFailed")
    due = failed + RETRY_AFTER
    if due > now:
        return broken(SCHEMA_APPLIED, reason, message), (), due - now
    return (
        broken(SCHEMA_APPLIED, reason, message),
        (Emit("Normal", "SchemaRetried", f"Trying the schema again: {message}"),),
        None,
    )


def _job(env: Env, database: Database, name: str, request: Request) -> Manifest:
    text = request.model_dump_json(by_alias=True, exclude_defaults=True)
    secrets = {"admin": database.admin, "application": env.names.credentials}
    return of_operator(env, name, COMPONENT, text, secrets, tries=6)
