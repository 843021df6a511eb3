"""Refused specs about backups, and about stores that begin with one."""

from .refused import Refused

_EXTERNAL = {"external": {"secretRef": {"name": "rds"}}}
_BUCKET = {"objectStore": {"url": "s3://backups", "credentials": {"name": "bucket"}}}
_RECOVERY = {"backup": {"name": "agents-full-202611240300"}}
_FIELD = "[0-9A-Za-z*,/#-]+"

CREATED = (
    Refused(
        "backups without a place",
        {"backup": {"retentionPolicy": "30d"}},
        "spec.backup.objectStore: Required value",
    ),
    Refused(
        "a bucket that is no S3 URL",
        {"backup": {"objectStore": {**_BUCKET["objectStore"], "url": "gs://backups"}}},
        'spec.backup.objectStore.url: Invalid value: "gs://backups": spec.backup.objectStore.url in body should match '
        "'^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*/?$'",
    ),
    Refused(
        "a cron line with seconds",
        {"backup": {**_BUCKET, "schedules": {"full": "0 0 3 * * 0"}}},
        'spec.backup.schedules.full: Invalid value: "0 0 3 * * 0": spec.backup.schedules.full in body should match '
        f"'^{_FIELD}( {_FIELD}){{4}}$'",
    ),
    Refused(
        "a recovery window of minutes",
        {"backup": {**_BUCKET, "retentionPolicy": "30m"}},
        'spec.backup.retentionPolicy: Invalid value: "30m": spec.backup.retentionPolicy in body should match '
        "'^[1-9][0-9]{0,3}[dw]$'",
    ),
    Refused(
        "backups of a server that is somebody else's",
        {"postgres": {"provider": "External", **_EXTERNAL}, "backup": _BUCKET},
        'spec.backup: Invalid value: "object": backup and bootstrap.recovery are for the operator\'s own servers: use '
        "the backups of who runs the external one",
    ),
    Refused(
        "adopt and recovery",
        {"bootstrap": {"adopt": True, "recovery": _RECOVERY}},
        'spec.bootstrap.recovery: Invalid value: "object": set at most one of adopt and recovery',
    ),
    Refused(
        "a recovery from two places",
        {"bootstrap": {"recovery": {**_RECOVERY, "source": _BUCKET}}},
        'spec.bootstrap.recovery: Invalid value: "object": set exactly one of source and backup',
    ),
    Refused(
        "a recovery from nowhere",
        {"bootstrap": {"recovery": {"recoveryTarget": {"targetImmediate": True}}}},
        'spec.bootstrap.recovery: Invalid value: "object": set exactly one of source and backup',
    ),
    Refused(
        "two recovery targets",
        {
            "bootstrap": {
                "recovery": {**_RECOVERY, "recoveryTarget": {"targetImmediate": True, "targetLSN": "0/3000000"}}
            }
        },
        'spec.bootstrap.recovery.recoveryTarget: Invalid value: "object": set at most one of targetTime, targetLSN, '
        "targetImmediate, backupID",
    ),
)
