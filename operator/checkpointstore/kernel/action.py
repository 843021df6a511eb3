"""What a plan may ask the world to do: each action is data, `runtime.execute` is the only place that acts on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ref:
    """One object of the store's namespace."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Peer:
    """A pod's program that takes orders: the name in its certificate, and its pod's address."""

    host: str
    address: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Poolers that keep the clients of a database waiting while its primary changes, instead of failing them."""

    poolers: tuple[Peer, ...] = ()
    database: str = ""


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell a person once: an event on the store. `type` is Normal or Warning, `reason` one CamelCase word."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-Side Apply of a complete manifest; `new` when no object of ours has that name yet."""

    manifest: Manifest
    new: bool


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete one object of ours."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class IssueAuthority:
    """Make a certificate authority's Secret (keys ca.crt, ca.key, trust.crt) unless it exists."""

    secret: Manifest
    common_name: str
    rotation: str


class Stage(StrEnum):
    """A step of an authority's rotation."""

    INTRODUCE = "Introduced"
    SWITCH = "Switched"
    RETIRE = "Retired"


@dataclass(frozen=True, slots=True)
class RotateAuthority:
    """Take an authority's Secret one stage on; `rotation` marks the command it answers."""

    secret: str
    stage: Stage
    common_name: str
    rotation: str


@dataclass(frozen=True, slots=True)
class IssueCertificate:
    """Make or renew a leaf's Secret (keys tls.crt, tls.key, ca.crt), signed by the authority's Secret.

    The common name is also a PostgreSQL role where the leaf is a client certificate.
    """

    secret: Manifest
    authority: str
    common_name: str
    dns_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GeneratePassword:
    """Make a Secret (keys username, password) with 32 random bytes unless it exists."""

    secret: Manifest
    username: str


@dataclass(frozen=True, slots=True)
class PublishPooler:
    """Write all that PgBouncer reads into one Secret, so that a pod has everything of a revision or nothing of it.

    To `files` come userlist.txt, of `users` and the SCRAM verifiers of the present and the previous login; tls.crt,
    tls.key and ca.crt of the Secret `certificate`; and server.crt, the ca.crt of the Secret `server` unless that is "".
    """

    secret: Manifest
    files: Mapping[str, str]
    users: tuple[str, ...]
    credentials: str
    certificate: str
    server: str


@dataclass(frozen=True, slots=True)
class PublishRepository:
    """Write repository.conf, and ca.crt where there is a `ca`, into one Secret.

    `template` is the file, with {access}, {secret}, {token} and {passphrase} left open; they come from the user's
    Secrets: `credentials` by name, `ca` and `passphrase` by name and key. A line for a token that is not there is left
    out.
    """

    secret: Manifest
    template: str
    credentials: str
    ca: tuple[str, str] | None
    passphrase: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Tell:
    """Write an object's status, for a kind of ours other than the store."""

    ref: Ref
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Publish:
    """Write the binding Secret: `template` is its data, with {username}, {password} and {ca} left open."""

    secret: Manifest
    template: Mapping[str, str]
    credentials: str
    authority: str


@dataclass(frozen=True, slots=True)
class PublishGiven:
    """Write a Secret of `files`, and of what a person's Secrets have: which Secret and key by the key that it gets.

    What is not there is left out.
    """

    secret: Manifest
    files: Mapping[str, str]
    given: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Grow:
    """Grow volume claims, then delete the StatefulSet without its pods, so that it is made anew with the new size."""

    claims: tuple[str, ...]
    size: str
    statefulset: str
    told: Emit
    """Only when the claims were taken."""


@dataclass(frozen=True, slots=True)
class Switchover:
    """Let Patroni hand the primary over from `leader`, whose REST API is `at`, to `target`, at `address`.

    `told` is told only when it has.
    """

    leader: str
    target: str
    at: Peer
    address: str
    admin: str
    hold: Hold
    told: Emit


@dataclass(frozen=True, slots=True)
class Resume:
    """Let a pooler's clients go on: whoever held them is gone."""

    pooler: Peer
    database: str
    admin: str


@dataclass(frozen=True, slots=True)
class Admit:
    """Let the Service send new clients to a pooler pod, or none; who is connected stays."""

    pod: str
    admits: bool


@dataclass(frozen=True, slots=True)
class Rebalance:
    """Let idle clients of a pooler go, the longest idle first, until `most` are left: they connect anew, anywhere.

    Only those that came before `since`: who came later has chosen among all pods. `told` is told only
    when somebody went.
    """

    pooler: Peer
    database: str
    admin: str
    most: int
    since: datetime
    told: Emit


@dataclass(frozen=True, slots=True)
class RotatePassword:
    """Give a password's Secret another user name and a new password; `rotation` marks the command it answers."""

    secret: str
    username: str
    rotation: str


class Program(StrEnum):
    """What a pod of ours runs that can be told to reload."""

    PATRONI = "Patroni"
    PGBOUNCER = "PgBouncer"


@dataclass(frozen=True, slots=True)
class Reload:
    """Let a pod's program read its files again, logging in with the client certificate in `admin`.

    `mark` is written on the pod first: the kubelet refreshes the pod's volumes within seconds of such a change.
    """

    program: Program
    pod: str
    at: Peer
    admin: str
    mark: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Take a command's annotation off the store: it has been carried out."""

    annotation: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Put a finalizer on the store, or take it off."""

    finalizer: str
    present: bool


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart the server inside an instance, if its parameters still ask for it; the pod stays.

    `told` is told only when it was: a member says for a moment longer that it is due.
    """

    at: Peer
    admin: str
    hold: Hold
    told: Emit


Action = (
    Apply
    | Delete
    | IssueAuthority
    | RotateAuthority
    | IssueCertificate
    | GeneratePassword
    | RotatePassword
    | Publish
    | PublishGiven
    | PublishPooler
    | PublishRepository
    | Tell
    | Grow
    | Switchover
    | Resume
    | Admit
    | Rebalance
    | Reload
    | Restart
    | Acknowledge
    | Mark
    | Emit
)
