"""Every condition with every reason it may give, and every event: the list that docs/api.md and the runbooks follow.

A test compares it with the code, both ways. A reason is never renamed: people write alerts on it.
"""

from dataclasses import dataclass

from ..kernel.condition import (
    INITIALIZED,
    POOLER_AVAILABLE,
    POSTGRES_AVAILABLE,
    READY,
    RECONCILING,
    SCHEMA_APPLIED,
    STALLED,
    Status,
)


@dataclass(frozen=True, slots=True)
class Reason:
    name: str
    meaning: str
    stalls: bool = False
    """It stays until a person acts, so the store is Stalled for this reason too."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One condition: what it says, its reasons by status, and whether it also speaks for other conditions."""

    type: str
    meaning: str
    good: Status
    reasons: tuple[tuple[Status, tuple[Reason, ...]], ...]
    borrows: str = ""
    """Whose reasons it gives besides its own."""

    def abnormal(self) -> tuple[Reason, ...]:
        """The reasons that need a look."""
        return tuple(reason for status, listed in self.reasons if status is not self.good for reason in listed)


@dataclass(frozen=True, slots=True)
class Event:
    type: str
    reason: str
    meaning: str


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
                Reason("DataExists", "Volumes of an earlier store of this name exist.", stalls=True),
                Reason(
                    "NoDefaultStorageClass",
                    "No StorageClass is named and the cluster has no default one.",
                    stalls=True,
                ),
                Reason("StorageClassMissing", "The StorageClass that is named does not exist.", stalls=True),
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

CONDITIONS = (_READY, _RECONCILING, _STALLED, _INITIALIZED, _POSTGRES, _SCHEMA, _POOLER)

EVENTS = (
    Event("Normal", "Ready", "Ready became True."),
    Event("Warning", "NotReady", "Ready became False."),
    Event("Warning", "Stalled", "Stalled became True."),
    Event("Normal", "PrimaryChanged", "Another instance leads now."),
    Event("Warning", "VolumeNearlyFull", "Less than a tenth of an instance's volume is free."),
    Event("Normal", "Switchover", "The primary was handed over, and why."),
    Event("Warning", "SwitchoverRefused", "The instance named in the annotation is not a ready standby."),
    Event("Normal", "InstanceRestarted", "A server restarts in its pod for parameters that a reload cannot change."),
    Event("Normal", "InstanceReplaced", "The only instance is being replaced; writes pause meanwhile."),
    Event("Normal", "CredentialsRotated", "The application gets another login."),
    Event("Normal", "AuthorityIntroduced", "A new certificate authority is trusted beside the old one."),
    Event("Normal", "AuthoritySwitched", "The new authority signs from now on."),
    Event("Normal", "AuthorityRetired", "The old authority is no longer trusted."),
    Event("Normal", "SchemaRetried", "A failed schema Job is deleted and made again."),
    Event("Warning", "PoolerUnreachable", "The node of a pooler pod does not answer; the pod is deleted."),
)
