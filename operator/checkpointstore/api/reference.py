"""docs/api.md as a function of the CRD: every field, condition, annotation and object, and the words for bad input."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..kernel.command import (
    HIBERNATE,
    PAUSED,
    RESTART,
    ROTATE,
    ROTATE_AUTHORITY,
    RUN_BLOB_COLLECTION,
    RUN_RETENTION,
    RUN_TIERING,
    SWITCHOVER,
    VERIFY,
)
from ..kernel.naming import ADMITS, NAME_LIMIT, NAME_RULE, NO, Names, labels
from ..providers.patroni.parameter import OWNED
from .reason import CONDITIONS, EVENTS, OF_BACKUPS
from .refusal import CHANGED, CHANGED_BACKUP, CHANGED_LATER, CREATED, TOLD
from .refused import Refused
from .store import GROUP, KIND, VERSION
from .subject import Subject

Json = Mapping[str, Any]

COMMANDS = (
    (PAUSED, "`true`", "The operator changes nothing and only tells. Databases and poolers serve on."),
    (
        RESTART,
        "any text, by custom a timestamp",
        "Each instance that was not restarted under this text is, one by one, standbys first, the primary last after a "
        "switchover. With `updateStrategy: Supervised` it also lets waiting changes through.",
    ),
    (
        SWITCHOVER,
        "an instance, such as `agents-1`",
        "That instance shall lead. The annotation is taken off when it does, or when it is not a ready standby.",
    ),
    (
        ROTATE,
        "any text, by custom a timestamp",
        "The application gets another login and password in the binding Secret. Two logins take turns, so the old one "
        "works until the next rotation.",
    ),
    (
        ROTATE_AUTHORITY,
        "any text, by custom a timestamp",
        "The store's certificate authority is replaced in stages: the new one is trusted beside the old one, then "
        "signs, then stands alone. Each stage waits until every pod has taken it up, and at least two minutes.",
    ),
    (
        VERIFY,
        "any text, by custom a timestamp",
        "The newest backup is restored into a throw-away instance and checked, now and not only by schedule.",
    ),
    (
        RUN_RETENTION,
        "any text, by custom a timestamp",
        "A run of spec.retention begins now, or when the one that is under way has ended, and not only by schedule.",
    ),
    (RUN_TIERING, "any text, by custom a timestamp", "The same of spec.tiering."),
    (
        RUN_BLOB_COLLECTION,
        "any text, by custom a timestamp",
        "The same of the collection of values outside, spec.limits.externalize.",
    ),
    (HIBERNATE, "`true`", "No pods run. Volumes and Secrets stay. Take it off, and the store comes back."),
)

_N = Names("<name>")
MADE = (
    ("StatefulSet", _N.postgres, "the PostgreSQL instances, pods `<name>-0`, `<name>-1`, ..."),
    ("PersistentVolumeClaim", "data-<name>-<n>", "their volumes, made by the StatefulSet; the first one by a recovery"),
    ("Service", _N.rw, "the primary: its Endpoints are Patroni's leader record"),
    ("Service", _N.ro, "the standbys"),
    ("Service", _N.pods, "headless, for the instances' own names"),
    ("Service", f"{_N.rw}-config", "keeps Patroni's Endpoints of this name, which hold its configuration"),
    ("Service", f"{_N.rw}-sync", "keeps Patroni's Endpoints of this name, which hold who is synchronous"),
    ("Service", f"{_N.rw}-failover", "keeps Patroni's Endpoints of this name, which hold a requested switchover"),
    ("Endpoints", f"{_N.rw}-config", "Patroni's configuration"),
    ("Deployment", _N.pooler, "PgBouncer"),
    ("Service", _N.pooler, "what applications connect to"),
    ("ConfigMap", _N.postgres_config, "the files of Patroni and pgBackRest"),
    ("Job", f"{_N.schema}-<digest>", "makes roles and tables; named by a digest of its inputs"),
    ("PodDisruptionBudget", _N.postgres, "at most one instance away; a lone instance never"),
    ("PodDisruptionBudget", _N.pooler, "at most one pooler pod away"),
    ("NetworkPolicy", _N.postgres + "-postgres", "who may reach the instances; ingress only"),
    ("NetworkPolicy", _N.pooler, "who may reach the pooler; ingress only"),
    (
        "NetworkPolicy",
        _N.postgres + "-runs",
        "who may ask a recovery or a Job over threads how far it is; ingress only",
    ),
    ("ServiceAccount", _N.postgres, "Patroni's account"),
    ("Role", _N.postgres, "Patroni's rights: its Endpoints by name, pods, and to create Services"),
    ("RoleBinding", _N.postgres, "gives the Role to the account"),
    ("Secret", _N.binding, "**the binding**: what applications read"),
    ("Secret", _N.credentials, "the present login; internal"),
    ("Secret", _N.authority, "the store's own certificate authority; internal"),
    ("Secret", _N.postgres_tls, "certificate of the instances; internal"),
    ("Secret", _N.pooler_tls, "certificate of the pooler; internal"),
    ("Secret", _N.pooler, "all that PgBouncer reads: settings, verifiers of the logins, certificate; internal"),
    ("Secret", _N.admin_tls, "client certificate of the role postgres, for Jobs and the operator; internal"),
    ("Secret", _N.backup_tls, "client certificate by which backup Jobs reach the instances; internal"),
    ("Secret", _N.repository, "pgBackRest's configuration with the object store's credentials; internal"),
    ("Secret", _N.source, "the same of the repository that the store is recovered from, until it is; internal"),
    ("Job", f"{_N.retention}-<digest>", "removes checkpoints beyond the policy"),
    ("Job", f"{_N.tiering}-<digest>", "moves threads that nobody writes to into the object store"),
    ("Job", f"{_N.deletions}-<digest>", "deletes again, after a recovery, what had been deleted since the backup"),
    ("Job", f"{_N.blobs}-<digest>", "removes values outside that nothing refers to"),
    ("Secret", _N.blobs, "what applications reach values outside with; only with `limits.externalize`"),
    ("Deployment", _N.recaller, "brings back the threads that applications ask for"),
    ("Job", f"{_N.backup}-<digest>", "makes one backup"),
    ("Job", f"{_N.verification}-<digest>", "restores the newest backup and checks it"),
    ("Job", f"{_N.look}-<digest>", "chooses what the store is recovered from"),
    ("Job", f"{_N.restore}-<digest>", "fills the first instance's volume from a backup"),
    ("CheckpointBackup", "<name>-<type>-<time>", "a backup that is due; it survives the store, and nobody owns it"),
)
BINDING = (
    ("type", "`postgresql`"),
    ("provider", "`checkpointstore`"),
    ("host", "the pooler's Service, `<name>-pooler.<namespace>.svc`"),
    ("port", "`5432`"),
    ("database", "the database: `app`, or the external server's"),
    ("username", "the login of the moment; it changes with each rotation"),
    ("password", "its password"),
    ("uri", "for libpq (psycopg, the stock savers): pooler, TLS, and libpq's timeouts, so that a dead peer is noticed"),
    ("plain-uri", "for every other driver: pooler and TLS, without libpq's own parameters"),
    ("direct-host", "the primary's Service, past the pooler"),
    ("direct-uri", "like `uri`, to the primary: for sessions that need LISTEN, advisory locks or SET"),
    ("ca.crt", "the authority that signed what pooler and instances show, in PEM"),
)


def markdown(crd: Json, backups: Json) -> str:
    """The whole page for the two kinds' CustomResourceDefinitions, each of one version."""
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    parts = (
        _head(schema),
        ("## Spec", "", *_table(FIELD_HEAD, _fields(schema["properties"]["spec"], "spec"))),
        _rules(schema),
        ("## Status", "", *_table(("path", "type", "description"), _status(schema["properties"]["status"]))),
        _conditions(),
        ("## Events", "", *_table(("type", "reason", "meaning"), ((e.type, e.reason, e.meaning) for e in EVENTS))),
        _annotations(),
        _backups(backups["spec"]["versions"][0]["schema"]["openAPIV3Schema"]),
        _made(),
        DELETING,
        _bad_input(),
    )
    return "\n".join("\n".join((*part, "")) for part in parts)


FIELD_HEAD = ("path", "type", "default", "description")


def _head(schema: Json) -> tuple[str, ...]:
    return (
        f"# {KIND}: the API",
        "",
        "<!-- Generated by `make generated` from the operator's own models. Do not edit. -->",
        "",
        f"`apiVersion: {GROUP}/{VERSION}`, `kind: {KIND}`, short name `cps`. {schema['description']}",
        "`kubectl explain cps.spec --recursive` shows the same on a cluster.",
        "",
        f"`metadata.name` has at most {NAME_LIMIT} characters, so that the names of the store's objects fit, "
        f"and {NAME_RULE}.",
    )


def _fields(node: Json, path: str) -> Iterator[tuple[str, ...]]:
    """A row for each field below `node`, parents before children."""
    for name, child in node.get("properties", {}).items():
        where = f"{path}.{name}"
        yield f"`{where}`", _type(child), _default(child), str(child.get("description", ""))
        yield from _fields(child, where)
        if "items" in child:
            yield from _fields(child["items"], f"{where}[]")


def _status(node: Json) -> Iterator[tuple[str, ...]]:
    return ((path, type_, text) for path, type_, _, text in _fields(node, "status"))


def _type(node: Json) -> str:
    if "enum" in node:
        return " or ".join(f"`{word}`" for word in node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return "quantity"
    if "items" in node:
        return f"list of {_type(node['items'])}"
    if "additionalProperties" in node:
        return f"map to {_type(node['additionalProperties'])}"
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return "object, as in Kubernetes"
    bounds = (node.get("minimum"), node.get("maximum"))
    return f"{node['type']}, {bounds[0]} to {bounds[1]}" if None not in bounds else str(node["type"])


def _default(node: Json) -> str:
    value = node.get("default")
    if value in (None, {}, []):
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _rules(schema: Json) -> tuple[str, ...]:
    owned = {f"the operator owns {name}; remove it" for name in OWNED}
    rows = [row for row in _messages(schema, "") if row[1] not in owned]
    names = ", ".join(f"`{name}`" for name in sorted(OWNED))
    return (
        "### Rules",
        "",
        "Besides types and ranges the API server checks:",
        "",
        *_table(("field", "rule"), rows),
        "",
        f"In `spec.postgres.parameters` the operator owns, and refuses: {names}.",
    )


def _messages(node: Json, path: str) -> Iterator[tuple[str, str]]:
    for rule in node.get("x-kubernetes-validations", ()):
        field = f"{path}{rule.get('fieldPath', '')}".removeprefix(".") or "metadata.name"
        yield f"`{field}`", rule["message"].removeprefix("metadata.name: ")
    for name, child in node.get("properties", {}).items():
        yield from _messages(child, f"{path}.{name}")


def _conditions() -> tuple[str, ...]:
    lines = [
        "## Conditions",
        "",
        "Each carries `observedGeneration`. Reasons are stable; messages say what to do and may change.",
        "[Runbooks](runbooks/README.md) go through them one by one.",
    ]
    for subject in CONDITIONS:
        lines += _subject(subject)
        if subject.borrows:
            lines += ["", f"Its reason may also be that of {subject.borrows}."]
    return tuple(lines)


def _subject(subject: Subject) -> tuple[str, ...]:
    return "", f"### {subject.type}", "", subject.meaning, "", *_table(REASON_HEAD, _reasons(subject))


def _backups(schema: Json) -> tuple[str, ...]:
    """The other kind."""
    fields = (*_fields(schema["properties"]["spec"], "spec"),)
    return (
        "## Kind CheckpointBackup",
        "",
        f"`kind: CheckpointBackup`, short name `cpb`. {schema['description']} Schedules make them, and so may anybody.",
        "",
        *_table(FIELD_HEAD, fields),
        "",
        *_table(("path", "type", "description"), _status(schema["properties"]["status"])),
        *(line for subject in OF_BACKUPS for line in _subject(subject)),
    )


REASON_HEAD = ("status", "reason", "meaning")


def _reasons(subject: Subject) -> Iterator[tuple[str, ...]]:
    for status, reasons in subject.reasons:
        for reason in reasons:
            yield status.value, f"`{reason.name}`", reason.meaning + (" Stalls." if reason.stalls else "")


def _annotations() -> tuple[str, ...]:
    rows = ((f"`{name}`", value, meaning) for name, value, meaning in COMMANDS)
    head = "Annotations on a store are commands, and part of the API."
    return ("## Annotations", "", head, "", *_table(("annotation", "value", "what it does"), rows))


def _made() -> tuple[str, ...]:
    marks = ", ".join(f"`{key}: {value}`" for key, value in labels("<name>", "<component>").items())
    return (
        "## What a store makes",
        "",
        "All in the store's namespace, and owned by the store but for volumes and CheckpointBackups. With provider",
        "External there is no PostgreSQL, so only the pooler's objects, the schema Job and Secrets. Of backups and",
        "recovery there is only what the spec asks for.",
        "",
        *_table(("kind", "name", "what it is"), ((kind, f"`{name}`", what) for kind, name, what in MADE)),
        "",
        f"Each is labelled {marks}. The label `{ADMITS}` of a pooler pod is `{NO}` while clients leave it for others:",
        "the Service sends nobody new there.",
        "",
        "An object of one of these names that is not the store's is never touched: the store stalls with `NameTaken`.",
        "",
        "### The binding Secret",
        "",
        f"`{_N.binding}`, of type `servicebinding.io/postgresql`, appears when tables stand and the login works.",
        "",
        *_table(("key", "value"), ((f"`{key}`", value) for key, value in BINDING)),
        "",
        "`sslmode=require` encrypts and does not verify. To verify, mount the Secret and add",
        "`sslmode=verify-full&sslrootcert=<mount>/ca.crt`. node-postgres reads `require` as `verify-full`: give it",
        "`NODE_EXTRA_CA_CERTS=<mount>/ca.crt` in its environment.",
    )


DELETING = (
    "## Deleting a store",
    "",
    "- All that the store owns goes with it: pods, Services, Jobs, Secrets; so passwords and the authority too.",
    "- Backups stay, and so do their CheckpointBackup objects: a new store can be recovered from them.",
    "- Volumes stay with `reclaimPolicy.volumes: Retain`, the default, and go with `Delete`. Scaling down keeps them.",
    "- Nothing waits for the operator: there is no finalizer, so deletion works after the operator is gone. But for",
    "  `reclaimPolicy.backups: Delete` and `reclaimPolicy.coldData: Delete`: then the store waits up to ten minutes",
    "  until what is in the object store is gone, and without an operator until somebody takes the finalizer away:",
    '  `kubectl patch cps NAME --type=merge -p \'{"metadata":{"finalizers":null}}\'`.',
    "- A namespace that is deleted does not wait: nothing can run there any more, so what is in the object store is",
    "  left. Delete the store first.",
    "- With provider External nothing on the server is touched: tables, data and roles stay.",
    "- A new store of the same name finds the volumes and stalls with `DataExists`, unless it is made with",
    "  `bootstrap.adopt: true`. What is still being deleted it waits for (`PredecessorTerminating`).",
)


def _bad_input() -> tuple[str, ...]:
    told = ((row.what, f"`{row.condition}`", f"`{row.reason}`", row.message) for row in TOLD)
    return (
        "## Bad input",
        "",
        "The API server refuses what it can. kubectl then prints, for example:",
        "",
        "```",
        f'The {KIND} "agents" is invalid: {CREATED[2].answer}',
        "```",
        "",
        "Refused when a store is made or changed:",
        "",
        *_table(("what", "spec", "what you read"), map(_refused, CREATED)),
        "",
        "Refused only as a change:",
        "",
        *_table(("what", "change", "what you read"), map(_refused, (*CHANGED, *CHANGED_LATER, *CHANGED_BACKUP))),
        "",
        "Tools that do not ask for strict field checks drop an unknown field with a warning. kubectl and Server-Side",
        "Apply ask for them; in Argo CD, use `ServerSideApply=true`.",
        "",
        "What only the operator can see becomes a condition, and the store goes on when it is put right:",
        "",
        *_table(("what", "condition", "reason", "what you read"), told),
    )


def _refused(row: Refused) -> tuple[str, ...]:
    spec = json.dumps(row.spec)
    if row.before is not None:
        spec = f"{json.dumps(row.before)}` to `{spec}"
    return row.what, f"`{spec}`", f"`{row.answer}`"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield _row(head)
    yield _row("---" for _ in head)
    for row in rows:
        yield _row(cell.replace("|", "\\|") for cell in row)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
