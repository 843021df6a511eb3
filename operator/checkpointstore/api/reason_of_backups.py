"""The conditions that speak of backups, with every reason they may give: a part of the list in `reason`."""

from ..features.backup.record import SUCCEEDED
from ..kernel.condition import BACKUP_VERIFIED, CONTINUOUS_ARCHIVING, LAST_BACKUP_SUCCEEDED, Status
from .subject import Reason, Subject

REPOSITORY = (
    Reason("RepositoryUnreachable", "The object store does not answer. It is tried again."),
    Reason("CredentialsRejected", "The object store refuses the credentials, or their rights on the bucket."),
    Reason("BucketMissing", "The object store has no such bucket."),
    Reason("CertificateRejected", "The object store's certificate is not signed by the authority that is expected."),
    Reason("KeyRejected", "The passphrase is not the one that the repository was encrypted with."),
    Reason("PgBackRestFailed", "pgBackRest failed otherwise; the message has its words."),
    Reason("SystemError", "The Job's pod could not do something of its own, such as write a file."),
)
_MAKING = (
    *REPOSITORY,
    Reason("ForeignRepository", "Another database's repository is at this place: nothing is written over it."),
    Reason("VersionMismatch", "Instances and Job run different versions of pgBackRest. It is tried again."),
    Reason("RepositoryBusy", "Another backup, or archiving, is at work. It is tried again."),
    Reason("InstanceUnreachable", "No instance answers as primary. It is tried again."),
    Reason("ChecksumMismatch", "A page of the database does not have the checksum that it was written with."),
    Reason("MarkerSchemaTaken", "The application has a schema `checkpointstore` of its own in its database."),
    Reason("SecretIncomplete", "A key of a mounted Secret is missing or empty."),
    Reason("InvalidRequest", "Operator and Job do not understand each other."),
    Reason("JobFailed", "The Job's pod ended without saying why."),
)

ARCHIVING = Subject(
    CONTINUOUS_ARCHIVING,
    "What is written is in the repository within a minute. Only with `spec.backup`; it never changes Ready.",
    Status.TRUE,
    (
        (Status.TRUE, (Reason("Archiving", "It is."),)),
        (
            Status.FALSE,
            (
                Reason("ArchivingFails", "WAL stays on the volume; the message says why, and for how long it can."),
                Reason("FallingBehind", "WAL is written faster than it can be archived."),
                Reason(
                    "WALDropped",
                    "Too much waited and was given up, so that the volume does not fill. A full backup follows as soon "
                    "as the object store answers.",
                ),
                Reason("SecretMissing", "A Secret that `spec.backup` names does not exist.", stalls=True),
                Reason("SecretIncomplete", "A Secret that `spec.backup` names lacks a key.", stalls=True),
            ),
        ),
        (Status.UNKNOWN, (Reason("Pending", "The repository is being made, or no primary tells."),)),
    ),
)
LAST_BACKUP = Subject(
    LAST_BACKUP_SUCCEEDED,
    "The newest backup that has ended was completed. Only with `spec.backup`; it never changes Ready.",
    Status.TRUE,
    (
        (Status.TRUE, (Reason("Completed", "It was."),)),
        (Status.FALSE, _MAKING),
        (Status.UNKNOWN, (Reason("Pending", "None has ended yet."),)),
    ),
)
VERIFIED = Subject(
    BACKUP_VERIFIED,
    "The newest backup was restored, replayed to the end of the archive and found sound. Only with `spec.backup`; it "
    "never changes Ready.",
    Status.TRUE,
    (
        (Status.TRUE, (Reason("Restored", "It was; the message says when."),)),
        (
            Status.FALSE,
            (
                Reason("RepositoryDamaged", "A file of the repository is missing or damaged; the message names it."),
                Reason("RestoreFailed", "The backup could not be restored or replayed."),
                Reason("ChecksumMismatch", "A restored page does not have the checksum that it was written with."),
                Reason("IndexDamaged", "An index or a table of the checkpoints is damaged."),
                Reason("CheckpointsMissing", "A checkpoint from before the backup is not in what was restored."),
                Reason("KeyRejected", "The passphrase is not the one that the repository was encrypted with."),
                Reason("BucketMissing", "The object store has no such bucket."),
                Reason("NoBackup", "The repository holds no complete backup any more."),
            ),
        ),
        (
            Status.UNKNOWN,
            (
                Reason("Pending", "The first verification has not ended yet."),
                Reason("NoRoom", "The throw-away instance finds no room, or a quota is in its way."),
                Reason("TookTooLong", "It took longer than `spec.backup.verification.timeout`."),
                Reason("RepositoryUnreachable", "The object store does not answer. It is tried again."),
                Reason("CredentialsRejected", "The object store refuses the credentials."),
                Reason("CertificateRejected", "The object store's certificate is not the one that is expected."),
                Reason("PgBackRestFailed", "pgBackRest failed otherwise; the message has its words."),
                Reason("InstanceUnreachable", "The primary, which is asked for what may be missing, does not answer."),
                Reason("SystemError", "The Job's pod could not do something of its own, such as write a file."),
                Reason("SecretIncomplete", "A key of a mounted Secret is missing or empty."),
                Reason("InvalidRequest", "Operator and Job do not understand each other."),
                Reason("JobFailed", "The Job's pod ended without saying why. It is tried again."),
            ),
        ),
    ),
)
BACKUP = Subject(
    SUCCEEDED,
    "Of a CheckpointBackup: it was completed.",
    Status.TRUE,
    (
        (Status.TRUE, (Reason("Completed", "It was."),)),
        (Status.FALSE, (*_MAKING, Reason("NotConfigured", "The store has no `spec.backup`."))),
        (Status.UNKNOWN, (Reason("Running", "It is being made."),)),
    ),
)
