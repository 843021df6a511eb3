"""Every condition with every reason it may give, and every event: the list that docs/api.md and the runbooks follow.

A test compares it with the code, both ways. A reason is never renamed: people write alerts on it.
"""

from dataclasses import replace

from ..kernel.condition import (
    AUTOSCALING_LIMITED,
    INITIALIZED,
    POOLER_AVAILABLE,
    POSTGRES_AVAILABLE,
    READY,
    RECONCILING,
    SCHEMA_APPLIED,
    STALLED,
    THRESHOLDS_EXCEEDED,
    Status,
)
from . import reason_of_backups as backups
from . import reason_of_threads as threads
from .subject import Event, Reason, Subject

_READY = Subject(
    READY,
    "An application can read and write through the binding. Unknown where it could and the operator cannot look.",
    Status.TRUE,
    (
        (Status.TRUE, (Reason("Serving", "It can."),)),
        (
            Status.FALSE,
            (
                Reason("Pending", "Nothing is wrong, and not everything has been seen to stand yet."),
                Reason("PublishingBinding", "Everything stands; the binding Secret is being written."),
                Reason("PredecessorTerminating", "What a deleted store of the same name left is still being removed."),
                Reason("RepeatingDeletions", "Threads that a recovery brought back are being deleted again."),
                Reason(
                    "DeletionsNotRepeated",
                    "They could not be, and nobody is let in before. It is tried again every two minutes.",
                    stalls=True,
                ),
                Reason("NameTaken", "An object with a name that the store needs is somebody else's.", stalls=True),
                Reason("InvalidSpec", "The spec breaks a rule that the API server did not check.", stalls=True),
                Reason("Forbidden", "The API server denies the operator a right that it needs.", stalls=True),
                Reason("Rejected", "The API server, or a webhook, refuses an object of the store.", stalls=True),
                Reason("BrokenAuthority", "The Secret `<name>-ca` holds no usable certificate and key.", stalls=True),
            ),
        ),
    ),
    borrows="the first other condition that is not met",
)
_RECONCILING = Subject(
    RECONCILING,
    "A change is under way. A serving store stays Ready meanwhile.",
    Status.FALSE,
    (
        (
            Status.TRUE,
            (
                Reason("Applying", "What differs from the spec is being applied."),
                Reason("FieldContested", "What is applied does not stay: somebody else changes it back."),
            ),
        ),
        (
            Status.FALSE,
            (
                Reason("Converged", "There is nothing to do."),
                Reason("Paused", "The annotation `checkpointstore.dev/paused` is set: nothing is changed."),
                Reason("Stalled", "There is something to do, but a person has to act first."),
            ),
        ),
    ),
    borrows="the condition that is being worked on",
)
_STALLED = Subject(
    STALLED,
    "The operator cannot go on until a person acts.",
    Status.FALSE,
    (
        (
            Status.FALSE,
            (Reason("Converged", "There is nothing to do."), Reason("Progressing", "The operator is at work.")),
        ),
    ),
    borrows="the condition that stalls",
)
_INITIALIZED = Subject(
    INITIALIZED,
    "A data directory exists. Once True it stays True.",
    Status.TRUE,
    (
        (
            Status.TRUE,
            (
                Reason("BootstrapCompleted", "The first instance has made the data directory."),
                Reason("External", "The server is somebody else's; there is nothing to initialize."),
            ),
        ),
        (
            Status.FALSE,
            (
                Reason("Bootstrapping", "The first instance is starting and makes the data directory."),
                Reason(
                    "PredecessorTerminating", "Volumes of a deleted store of the same name are still being removed."
                ),
                Reason("DataExists", "Volumes of an earlier store of this name exist.", stalls=True),
                Reason(
                    "NoDefaultStorageClass",
                    "No StorageClass is named and the cluster has no default one.",
                    stalls=True,
                ),
                Reason("StorageClassMissing", "The StorageClass that is named does not exist.", stalls=True),
                Reason("Recovering", "The first instance's volume is being filled from a backup."),
                Reason("BackupMissing", "The CheckpointBackup to recover from does not exist or failed.", stalls=True),
                Reason("NoRepository", "There is no repository at the place that the spec names.", stalls=True),
                Reason("AmbiguousRepository", "Several stores of that name have left backups: name one.", stalls=True),
                Reason("NoBackup", "The repository holds no complete backup.", stalls=True),
                Reason("BackupNotFound", "The repository does not hold the backup that is named.", stalls=True),
                Reason("TargetBeforeFirstBackup", "The target is before the oldest backup ended.", stalls=True),
                Reason("TargetInFuture", "The target is later than now, or beyond the archive's end.", stalls=True),
                Reason("TargetInGap", "The WAL that leads to the target was never archived.", stalls=True),
                Reason("TargetTimelineUnknown", "The repository has no such timeline.", stalls=True),
                Reason("VolumeTooSmall", "The volume is smaller than what is in the backup.", stalls=True),
                Reason("RestoreFailed", "A file of the backup is missing or damaged: take another.", stalls=True),
                Reason("DirectoryBusy", "Another process restores into the volume.", stalls=True),
                Reason("DirectoryNotEmpty", "The volume holds somebody else's files.", stalls=True),
                *(replace(reason, stalls=True) for reason in backups.REPOSITORY),
                Reason("InstanceUnreachable", "The server that replays does not answer its own Job.", stalls=True),
                Reason("SecretMissing", "A Secret that the source names does not exist.", stalls=True),
                Reason("SecretIncomplete", "A Secret that the source names lacks a key.", stalls=True),
                Reason("InvalidRequest", "Operator and Job do not understand each other.", stalls=True),
                Reason("JobFailed", "The Job's pod ended without saying why.", stalls=True),
            ),
        ),
    ),
)
_POSTGRES = Subject(
    POSTGRES_AVAILABLE,
    "A primary serves.",
    Status.TRUE,
    (
        (
            Status.TRUE,
            (
                Reason("AllInstancesReady", "Every instance is ready."),
                Reason("InstancesMissing", "A primary serves, but fewer or more instances are ready than wanted."),
                Reason(
                    "NotSynchronous", "All are ready, but fewer standbys are synchronous than `synchronous.number`."
                ),
                Reason("VolumeNearlyFull", "Less than a tenth of an instance's volume is free."),
                Reason("RollingChange", "Instances are being replaced one by one, the primary last."),
                Reason("WaitingForTurn", "A new release is due here; another store takes it up first."),
                Reason(
                    "RestartRequired",
                    "A change waits for a restart, and `updateStrategy: Supervised` leaves the moment to you.",
                ),
                Reason("External", "The server is somebody else's; SchemaApplied says whether it answers."),
            ),
        ),
        (
            Status.FALSE,
            (
                Reason("NoPrimary", "No instance holds the leader lock and is ready."),
                Reason("VolumeFull", "The volume of an instance is full: nothing can be written.", stalls=True),
                Reason("Hibernated", "The annotation `checkpointstore.dev/hibernate` is set: no pods run."),
                Reason("SecretMissing", "The Secret of an external server does not exist.", stalls=True),
                Reason(
                    "SecretIncomplete",
                    "The Secret of an external server lacks a key, or a value of it cannot be what it stands for.",
                    stalls=True,
                ),
            ),
        ),
    ),
)
_SCHEMA = Subject(
    SCHEMA_APPLIED,
    "Roles, tables and indexes stand, and the present login is let in.",
    Status.TRUE,
    (
        (
            Status.TRUE,
            (
                Reason("Applied", "They stand."),
                Reason("Applying", "They stand for applications; a Job is bringing them up to date."),
            ),
        ),
        (
            Status.FALSE,
            (
                Reason("CredentialsPending", "The application's password is being made."),
                Reason("Applying", "The first schema Job is running, or waits for the server."),
                Reason("ShallowSchema", "The tables have the shape of ShallowPostgresSaver.", stalls=True),
                Reason("NewerSchema", "The tables are newer than this operator knows.", stalls=True),
                Reason("UnknownSchema", "A table or an index is not what a stock saver makes.", stalls=True),
                Reason("UnsupportedVersion", "The external server is older than PostgreSQL 14.", stalls=True),
                Reason("InsufficientPrivilege", "The user in the external server's Secret may not do it.", stalls=True),
                Reason("RoleTaken", "A role of the name that the store needs is somebody else's.", stalls=True),
                Reason(
                    "LoginRefused", "The external server refuses the user, the password or the network.", stalls=True
                ),
                Reason(
                    "DatabaseMissing", "The external server's database is not there, or not for this user.", stalls=True
                ),
                Reason("CertificateRefused", "The external server's certificate is not the one expected.", stalls=True),
                Reason("SecretIncomplete", "A key of a mounted Secret is missing or empty.", stalls=True),
                Reason("Unavailable", "The server did not answer for as long as the Job tried.", stalls=True),
                Reason("InvalidRequest", "Operator and Job do not understand each other.", stalls=True),
                Reason("JobFailed", "The Job's pod ended without saying why.", stalls=True),
            ),
        ),
    ),
)
_POOLER = Subject(
    POOLER_AVAILABLE,
    "At least one pooler pod takes connections.",
    Status.TRUE,
    (
        (
            Status.TRUE,
            (
                Reason("Available", "Every pooler pod is ready, of the newest revision."),
                Reason("RollingOut", "Some are ready; others are being replaced or are missing."),
                Reason("WaitingForTurn", "A new release is due here; another store takes it up first."),
                Reason("Reloading", "All are ready; not all run with the present configuration yet."),
                Reason("Scaling", "The load has asked for another size, which the pods are taking up."),
            ),
        ),
        (
            Status.FALSE,
            (
                Reason("NoPoolerReady", "None is ready."),
                Reason("Hibernated", "The annotation `checkpointstore.dev/hibernate` is set: no pods run."),
            ),
        ),
    ),
)
_AUTOSCALING = Subject(
    AUTOSCALING_LIMITED,
    "Something keeps the pooler smaller than its load asks for. Only with `spec.pooler.autoscaling`; it never changes "
    "Ready. Unknown: the load cannot be told, and the pooler stays as it is.",
    Status.FALSE,
    (
        (Status.FALSE, (Reason("WithinLimits", "Nothing does."),)),
        (
            Status.TRUE,
            (
                Reason("MaxInstancesReached", "PgBouncer's pods are busy, and there are as many as there may be."),
                Reason("ServerConnectionsExhausted", "Clients wait, and the server has no connections left for them."),
                Reason("PostgresSaturated", "Clients wait for a server whose processors are busy."),
            ),
        ),
        (
            Status.UNKNOWN,
            (
                Reason("Pending", "The load has not been looked at yet."),
                Reason("PrometheusMissing", "Neither the spec nor the operator names a Prometheus."),
                Reason("PrometheusUnreachable", "Prometheus does not answer."),
                Reason("PrometheusRefuses", "Prometheus answers with an error; the message has its status."),
                Reason("SecretMissing", "A Secret that `autoscaling.prometheus` names does not exist."),
                Reason("SecretIncomplete", "A Secret that `autoscaling.prometheus` names lacks a key."),
                Reason("SamplesMissing", "Prometheus has no samples of a pooler's pod, or a pod is not ready."),
                Reason("SamplesStale", "Prometheus has read nothing from a pooler's pod for a while."),
                Reason(
                    "SamplesContradictory",
                    "Samples that cannot be true: no numbers, from the future, from a counter that began anew, or "
                    "several that disagree.",
                ),
            ),
        ),
    ),
)

_THRESHOLDS = Subject(
    THRESHOLDS_EXCEEDED,
    "A threshold of the spec has been exceeded for long enough. Only with `spec.monitoring.thresholds`; it never "
    "changes Ready. Unknown: some of them cannot be told, and none of the others is exceeded.",
    Status.FALSE,
    (
        (Status.FALSE, (Reason("WithinThresholds", "None is."),)),
        (
            Status.TRUE,
            (
                Reason("StorageRunsOut", "At the pace of the last days a volume is soon full."),
                Reason("TooSlow", "What agents wait for takes too long in the server."),
                Reason("TooManyWrites", "More rows are written than was thought of."),
            ),
        ),
        (
            Status.UNKNOWN,
            (
                Reason("Pending", "Nothing has been looked at yet."),
                Reason("PrometheusMissing", "Neither the spec nor the operator names a Prometheus."),
                Reason("PrometheusUnreachable", "Prometheus does not answer."),
                Reason("PrometheusRefuses", "Prometheus answers with an error; the message has its status."),
                Reason("SecretMissing", "A Secret that `autoscaling.prometheus` names does not exist."),
                Reason("SecretIncomplete", "A Secret that `autoscaling.prometheus` names lacks a key."),
                Reason("SamplesMissing", "Prometheus does not tell of all the time that counts."),
            ),
        ),
    ),
)

CONDITIONS = (
    _READY,
    _RECONCILING,
    _STALLED,
    _INITIALIZED,
    _POSTGRES,
    _SCHEMA,
    _POOLER,
    _AUTOSCALING,
    _THRESHOLDS,
    threads.RETENTION,
    threads.TIERING,
    threads.BLOBS,
    backups.ARCHIVING,
    backups.LAST_BACKUP,
    backups.VERIFIED,
)
OF_BACKUPS = (backups.BACKUP,)
"""Conditions of kind CheckpointBackup."""

EVENTS = (
    Event("Normal", "Ready", "Ready became True."),
    Event("Warning", "NotReady", "Ready became False."),
    Event("Warning", "Stalled", "Stalled became True."),
    Event("Normal", "PrimaryChanged", "Another instance leads now."),
    Event("Warning", "VolumeNearlyFull", "Less than a tenth of an instance's volume is free."),
    Event("Normal", "VolumesGrow", "The instances' volumes are given another size, from which to which."),
    Event("Normal", "Switchover", "The primary was handed over, and why."),
    Event(
        "Warning",
        "SwitchoverRefused",
        "The instance named in the annotation is not a ready standby, or not one that has all that was acknowledged.",
    ),
    Event("Normal", "InstanceRestarted", "A server restarts in its pod for parameters that a reload cannot change."),
    Event(
        "Warning", "InstanceEnded", "An instance was killed more than once; it gets a new pod, which starts at once."
    ),
    Event("Normal", "InstanceReplaced", "The only instance is being replaced; writes pause meanwhile."),
    Event("Normal", "CredentialsRotated", "The application gets another login."),
    Event("Normal", "AuthorityIntroduced", "A new certificate authority is trusted beside the old one."),
    Event("Normal", "AuthoritySwitched", "The new authority signs from now on."),
    Event("Normal", "AuthorityRetired", "The old authority is no longer trusted."),
    Event("Normal", "SchemaRetried", "A failed schema Job is deleted and made again."),
    Event("Normal", "BackupCompleted", "A backup was completed; its size and how long it took."),
    Event("Warning", "BackupFailed", "A backup failed, and why. It is tried again."),
    Event("Normal", "BackupVerified", "A backup was restored and found sound."),
    Event("Warning", "VerificationFailed", "A backup could not be restored, or was not sound, and why."),
    Event("Normal", "BackupsDeleted", "The deleted store's backups are gone from the object store."),
    Event("Warning", "BackupsLeft", "The deleted store's backups could not be deleted; the store goes all the same."),
    Event("Normal", "ColdDataDeleted", "What the deleted store had in an object store is gone."),
    Event("Warning", "ColdDataLeft", "It could not be deleted; the store goes all the same."),
    Event("Normal", "Recovered", "The store's data was recovered from a backup, and to which moment."),
    Event("Warning", "ArchivingStopped", "ContinuousArchiving became False, and how long that can last."),
    Event("Normal", "ArchivingResumed", "ContinuousArchiving became True again."),
    Event("Normal", "ClientsRebalanced", "Idle clients of a full pooler pod were let go, as others have room."),
    Event("Normal", "PoolerScaled", "The pooler gets another size, from which to which, and why."),
    Event("Warning", "RetentionFailed", "A retention run failed, and why. The next is begun by schedule."),
    Event("Normal", "DeletionsRepeated", "Threads that a recovery had brought back were deleted again, and how many."),
    Event("Warning", "TieringFailed", "A tiering run failed, and why. The next is begun by schedule."),
    Event(
        "Warning",
        "BlobCollectionFailed",
        "A collection of values outside failed, and why. The next is begun by schedule.",
    ),
    Event("Warning", "BlobsMissing", "Rows refer to values that are not in the object store, and to how many."),
    Event("Warning", "ThresholdExceeded", "A threshold of spec.monitoring.thresholds is exceeded, and which."),
    Event("Normal", "ThresholdKept", "A threshold that was exceeded is kept again."),
    Event("Warning", "PoolerUnreachable", "The node of a pooler pod does not answer; the pod is deleted."),
)
