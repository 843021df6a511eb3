"""Specs that are refused, each with the words a person reads: the rows of docs/api.md, tried on a real API server."""

from . import refusal_of_backups as backups
from . import refusal_of_threads as threads
from .refused import Refused, Told

_EXTERNAL = {"external": {"secretRef": {"name": "rds"}}}
_RECOVERY = {"backup": {"name": "agents-full-202611240300"}}

CREATED = (
    Refused(
        "unknown field",
        {"postgres": {"instanses": 3}},
        'strict decoding error: unknown field "spec.postgres.instanses"',
    ),
    Refused(
        "wrong type",
        {"postgres": {"instances": "three"}},
        'spec.postgres.instances: Invalid value: "string": spec.postgres.instances in body must be of type integer: '
        '"string"',
    ),
    Refused(
        "out of range",
        {"postgres": {"instances": 0}},
        "spec.postgres.instances: Invalid value: 0: spec.postgres.instances in body should be greater than or equal "
        "to 1",
    ),
    Refused(
        "not one of the words",
        {"pooler": {"poolMode": "Statement"}},
        'spec.pooler.poolMode: Unsupported value: "Statement": supported values: "Transaction", "Session"',
    ),
    Refused(
        "a number of pooler pods, and autoscaling",
        {"pooler": {"instances": 2, "autoscaling": {}}},
        'spec.pooler.autoscaling: Invalid value: "object": set at most one of instances and autoscaling',
    ),
    Refused(
        "fewer pooler pods at most than at least",
        {"pooler": {"autoscaling": {"minInstances": 4, "maxInstances": 2}}},
        'spec.pooler.autoscaling.minInstances: Invalid value: "object": minInstances must not be above maxInstances',
    ),
    Refused(
        "a wait without a unit",
        {"pooler": {"autoscaling": {"maxWait": "50"}}},
        'spec.pooler.autoscaling.maxWait: Invalid value: "50": spec.pooler.autoscaling.maxWait in body should match '
        "'^[1-9][0-9]{0,4}(ms|s)$'",
    ),
    Refused(
        "a Prometheus that is no URL",
        {"pooler": {"autoscaling": {"prometheus": {"url": "prometheus:9090"}}}},
        'spec.pooler.autoscaling.prometheus.url: Invalid value: "prometheus:9090": '
        "spec.pooler.autoscaling.prometheus.url in body should match "
        "'^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?$'",
    ),
    Refused(
        "thresholds without one",
        {"monitoring": {"thresholds": {"sustainedFor": "5m"}}},
        'spec.monitoring.thresholds: Invalid value: "object": set at least one of writesPerSecond, p99 and '
        "storageDaysLeft",
    ),
    Refused(
        "a threshold without a unit",
        {"monitoring": {"thresholds": {"p99": "5"}}},
        'spec.monitoring.thresholds.p99: Invalid value: "5": spec.monitoring.thresholds.p99 in body should match '
        "'^[1-9][0-9]{0,4}(ms|s)$'",
    ),
    Refused(
        "thresholds for a server of somebody else's",
        {"postgres": {"provider": "External", **_EXTERNAL}, "monitoring": {"thresholds": {"p99": "5ms"}}},
        'spec.monitoring.thresholds: Invalid value: "object": monitoring.thresholds are for the operator\'s own '
        "servers: nothing is measured in an external one",
    ),
    Refused(
        "a price that is no number",
        {"monitoring": {"cost": {"prices": {"volumeGiBMonth": "8 cents"}}}},
        'spec.monitoring.cost.prices.volumeGiBMonth: Invalid value: "string": a price is a number in quotes such as '
        '"0.08": at most nine digits before the point, and nine after it',
    ),
    Refused(
        "a price of cold data that is no number",
        {"monitoring": {"cost": {"prices": {"coldGiBMonth": "1.25 cents"}}}},
        'spec.monitoring.cost.prices.coldGiBMonth: Invalid value: "string": a price is a number in quotes such as '
        '"0.08": at most nine digits before the point, and nine after it',
    ),
    Refused(
        "a price below nothing",
        {"monitoring": {"cost": {"prices": {"cpuHour": "-0.03"}}}},
        'spec.monitoring.cost.prices.cpuHour: Invalid value: "string": a price is a number in quotes such as "0.08": '
        "at most nine digits before the point, and nine after it",
    ),
    Refused(
        "a price without quotes",
        {"monitoring": {"cost": {"prices": {"volumeGiBMonth": 0.08}}}},
        'spec.monitoring.cost.prices.volumeGiBMonth: Invalid value: "number": '
        'spec.monitoring.cost.prices.volumeGiBMonth in body must be of type string: "number"',
    ),
    Refused(
        "prices in another currency, and not all of them",
        {"monitoring": {"cost": {"currency": "EUR", "prices": {"cpuHour": "0.03"}}}},
        'spec.monitoring.cost.prices: Invalid value: "object": another currency than USD, in which the lists are, '
        "needs all prices: cpuHour, memoryGiBHour, volumeGiBMonth, objectGiBMonth, thousandWrites, thousandReads",
    ),
    Refused(
        "a cloud without a list",
        {"monitoring": {"cost": {"cloud": "Mine"}}},
        'spec.monitoring.cost.cloud: Unsupported value: "Mine": supported values: "AWS", "GoogleCloud", "Azure"',
    ),
    Refused(
        "unknown schema module",
        {"schema": {"modules": ["LangGraf"]}},
        'spec.schema.modules[0]: Unsupported value: "LangGraf": supported values: "LangGraph"',
    ),
    Refused(
        "no schema module",
        {"schema": {"modules": []}},
        "spec.schema.modules: Invalid value: 0: spec.schema.modules in body should have at least 1 items",
    ),
    Refused(
        "a PostgreSQL that the images do not hold",
        {"postgres": {"version": 16}},
        'spec.postgres.version: Unsupported value: 16: supported values: "17"',
    ),
    Refused(
        "no quantity",
        {"postgres": {"storage": {"size": "ten"}}},
        'spec.postgres.storage.size: Invalid value: "ten": spec.postgres.storage.size in body should match '
        "'^([0-9]+([.][0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$'",
    ),
    Refused(
        "a limit of growth below the size",
        {"postgres": {"storage": {"size": "20Gi", "autogrow": {"limit": "10Gi"}}}},
        'spec.postgres.storage.autogrow.limit: Invalid value: "object": autogrow.limit must not be below size',
    ),
    Refused(
        "external without its provider",
        {"postgres": _EXTERNAL},
        'spec.postgres.external: Invalid value: "object": external must be set exactly when provider is External',
    ),
    Refused(
        "provider External without external",
        {"postgres": {"provider": "External"}},
        'spec.postgres.external: Invalid value: "object": external must be set exactly when provider is External',
    ),
    Refused(
        "what only the server's owner can decide",
        {"postgres": {"provider": "External", **_EXTERNAL, "parameters": {"work_mem": "8MB"}}},
        'spec.postgres.external: Invalid value: "object": instances, synchronous and parameters are the external '
        "server's own business",
    ),
    Refused(
        "more synchronous standbys than there are",
        {"postgres": {"synchronous": {"number": 1}}},
        'spec.postgres.synchronous: Invalid value: "object": synchronous.number must be less than instances',
    ),
    Refused(
        "a parameter that the operator owns",
        {"postgres": {"parameters": {"fsync": "off"}}},
        'spec.postgres.parameters: Invalid value: "object": the operator owns fsync; remove it',
    ),
    *threads.CREATED,
    *backups.CREATED,
)

CHANGED = (
    *threads.CHANGED,
    Refused(
        "less storage",
        {"postgres": {"storage": {"size": "1Gi"}}},
        'spec.postgres.storage.size: Invalid value: "object": storage cannot shrink',
        before={"postgres": {"storage": {"size": "2Gi"}}},
    ),
    Refused(
        "another StorageClass",
        {"postgres": {"storage": {"storageClassName": "fast"}}},
        'spec.postgres.storage: Invalid value: "object": storageClassName is immutable',
        before={"postgres": {"storage": {"storageClassName": "standard"}}},
    ),
    Refused(
        "another provider",
        {"postgres": {"provider": "External", **_EXTERNAL}},
        'spec.postgres.provider: Invalid value: "string": provider is immutable',
        before={},
    ),
    Refused(
        "another bootstrap, once the store is Initialized",
        {"bootstrap": {"adopt": True}},
        'spec.bootstrap.adopt: Invalid value: "object": bootstrap is read before the store is Initialized and cannot '
        "be set afterwards",
        before={},
    ),
)

CHANGED_LATER = (
    Refused(
        "a recovery, or another one, once the store is Initialized",
        {"bootstrap": {"recovery": _RECOVERY}},
        'spec.bootstrap.recovery: Invalid value: "object": bootstrap is read before the store is Initialized and '
        "cannot be set afterwards",
        before={},
    ),
)
"""Refused as a change of a store that is Initialized."""

CHANGED_BACKUP = (
    Refused(
        "another CheckpointBackup under the same name",
        {"store": {"name": "agents"}, "type": "Full"},
        'spec: Invalid value: "object": a backup never changes: make another',
        before={"store": {"name": "agents"}, "type": "Differential"},
    ),
)
"""Refused as a change of a CheckpointBackup."""

TOLD = (
    Told(
        "a parameter that the operator owns, in another case",
        "Ready",
        "InvalidSpec",
        "spec.postgres.parameters: the operator owns FSYNC; remove it",
    ),
    Told(
        "a cron line that is never due",
        "Ready",
        "InvalidSpec",
        "spec.backup.schedules.full: never due: no day is of that month, day of the month and day of the week",
    ),
    Told(
        "a cron line with an hour that no day has",
        "Ready",
        "InvalidSpec",
        "spec.backup.schedules.full: not a cron line such as 0 2 * * 0 (Sundays at 02:00 UTC): bad hour",
    ),
    Told(
        "a recovery window of more than ten years",
        "Ready",
        "InvalidSpec",
        "spec.backup.retentionPolicy: a recovery window of at most 3650d (or 521w) is possible",
    ),
    Told(
        "an object of a name that the store needs, by somebody else",
        "Ready",
        "NameTaken",
        "Not this store's, and in its way: ConfigMap/agents-postgres. Delete or rename it; the store goes on by itself",
    ),
    Told(
        "volumes of an earlier store of this name",
        "Initialized",
        "DataExists",
        "Volumes of an earlier store of this name exist (data-agents-0): set spec.bootstrap.adopt to true to take them "
        "over, or delete them",
    ),
    Told(
        "volumes of an earlier store of this name, and a recovery",
        "Initialized",
        "DataExists",
        "Volumes of an earlier store of this name exist (data-agents-0), and a recovery never overwrites data: delete "
        "them, or give the new store another name",
    ),
    Told(
        "a CheckpointBackup to recover from that is not there",
        "Initialized",
        "BackupMissing",
        "CheckpointBackup agents-full-202611240300 is not in this namespace",
    ),
    Told(
        "no StorageClass named, and no default one",
        "Initialized",
        "NoDefaultStorageClass",
        "The cluster has no default StorageClass: set spec.postgres.storage.storageClassName in a new store, or mark a "
        "StorageClass as default",
    ),
    Told(
        "a StorageClass that does not exist",
        "Initialized",
        "StorageClassMissing",
        "StorageClass fast does not exist: create it, or name another in a new store",
    ),
    Told(
        "a Secret that is not there",
        "PostgresAvailable",
        "SecretMissing",
        "Secret rds is not in this namespace: create it with the keys host, port, database, username, password",
    ),
    Told(
        "a Secret that lacks a key",
        "PostgresAvailable",
        "SecretIncomplete",
        "Secret rds lacks database, username, password",
    ),
    Told(
        "credentials of an object store that are not there",
        "ContinuousArchiving",
        "SecretMissing",
        "Secret bucket is not in this namespace: create it with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY",
    ),
    Told(
        "credentials of an object store that lack a key",
        "ContinuousArchiving",
        "SecretIncomplete",
        "Secret bucket lacks AWS_SECRET_ACCESS_KEY",
    ),
    Told(
        "tables made by ShallowPostgresSaver",
        "SchemaApplied",
        "ShallowSchema",
        "public.checkpoints has the shape of ShallowPostgresSaver, which PostgresSaver cannot use; nothing was "
        "changed. Use another database, or rename these tables to keep them aside",
    ),
    Told(
        "tables made by a newer saver",
        "SchemaApplied",
        "NewerSchema",
        "the checkpoint tables are at version 10 and this operator knows up to 9; nothing was changed. Upgrade the "
        "operator",
    ),
    Told(
        "an external server that is too old",
        "SchemaApplied",
        "UnsupportedVersion",
        "PostgreSQL 13.20: 14 is the oldest that works",
    ),
    Told(
        "an external user that may not make roles",
        "SchemaApplied",
        "InsufficientPrivilege",
        'dba may not make roles: the Secret\'s admin must be a superuser or have CREATEROLE: ALTER ROLE "dba" '
        "CREATEROLE",
    ),
)
