"""Conditions on Jobs that go over a store's threads, with every reason that they may give."""

from ..kernel.condition import BLOB_COLLECTION_SUCCEEDED, RETENTION_SUCCEEDED, TIERING_SUCCEEDED, Status
from .subject import Reason, Subject

RETENTION = Subject(
    RETENTION_SUCCEEDED,
    "The last run removed what is beyond the policy. Only with `spec.retention`; it never changes Ready.",
    Status.TRUE,
    (
        (
            Status.TRUE,
            (
                Reason("Succeeded", "It did."),
                Reason("Behind", "It did not reach all threads in its time; the next run goes on there."),
                Reason(
                    "DryRun",
                    "It said what would go, as `spec.retention.dryRun` asks, of the threads that it had time for.",
                ),
            ),
        ),
        (
            Status.FALSE,
            (
                Reason(
                    "InsufficientPrivilege",
                    "The login may not act as the tables' owner, or a table would run somebody else's code.",
                ),
                Reason("LoginRefused", "The external server refuses the login."),
                Reason("DatabaseMissing", "The external server has no such database."),
                Reason("CertificateRefused", "The external server's certificate is not the one that is expected."),
                Reason("SecretIncomplete", "A key of the Secret that the Job logs in with is missing or empty."),
                Reason("InvalidRequest", "Operator and Job do not understand each other."),
            ),
        ),
        (
            Status.UNKNOWN,
            (
                Reason("Pending", "No run has ended yet."),
                Reason("Unavailable", "The primary does not answer, or another run is at work."),
                Reason("TookTooLong", "The Job was ended after an hour and a half."),
                Reason("JobFailed", "The Job's pod ended without saying why."),
            ),
        ),
    ),
)

TIERING = Subject(
    TIERING_SUCCEEDED,
    "The last run moved the threads that are due. Only with `spec.tiering`; it never changes Ready.",
    Status.TRUE,
    (
        (
            Status.TRUE,
            (
                Reason("Succeeded", "It did."),
                Reason("Behind", "It did not reach all threads in its time; the next run goes on there."),
                Reason(
                    "DryRun",
                    "It said what would move, as `spec.tiering.dryRun` asks, of the threads that it had time for.",
                ),
            ),
        ),
        (
            Status.FALSE,
            (
                Reason("SecretMissing", "A Secret that `objectStore` names does not exist."),
                Reason("SecretIncomplete", "A Secret that `objectStore` names, or the login's, lacks a key."),
                Reason("AccessDenied", "The object store refuses the credentials, or they may not do what is needed."),
                Reason("BucketMissing", "The object store has no such bucket."),
                Reason(
                    "CertificateRefused",
                    "The certificate of the object store, or of the external server, is not the one that is expected.",
                ),
                Reason("UnknownColumns", "The tables have columns that LangGraph's have not, and they would be lost."),
                Reason(
                    "InsufficientPrivilege",
                    "The login may not make the catalog or act as the owner, or somebody else's code might run.",
                ),
                Reason("LoginRefused", "The external server refuses the login."),
                Reason("DatabaseMissing", "The external server has no such database."),
                Reason("InvalidRequest", "Operator and Job do not understand each other."),
            ),
        ),
        (
            Status.UNKNOWN,
            (
                Reason("Pending", "No run has ended yet."),
                Reason("Unavailable", "The primary or the object store does not answer, or another run is at work."),
                Reason("TookTooLong", "The Job was ended after half an hour."),
                Reason("JobFailed", "The Job's pod ended without saying why."),
            ),
        ),
    ),
)

BLOBS = Subject(
    BLOB_COLLECTION_SUCCEEDED,
    "The last run removed values outside that nothing refers to, and all that rows refer to are there. Only with "
    "`spec.limits.externalize`; it never changes Ready.",
    Status.TRUE,
    (
        (
            Status.TRUE,
            (
                Reason("Succeeded", "It did, and they are."),
                Reason("DryRun", "It said what would be removed, as `spec.limits.externalize.dryRun` asks."),
            ),
        ),
        (
            Status.FALSE,
            (
                Reason("BlobsMissing", "Rows refer to values that are not in the object store."),
                Reason("SecretMissing", "A Secret that `externalize` names does not exist."),
                Reason("SecretIncomplete", "A Secret that `externalize` names, or the login's, lacks a key."),
                Reason("AccessDenied", "The object store refuses the credentials, or they may not do what is needed."),
                Reason("BucketMissing", "The object store has no such bucket."),
                Reason(
                    "CertificateRefused",
                    "The certificate of the object store, or of the external server, is not the one that is expected.",
                ),
                Reason(
                    "InsufficientPrivilege",
                    "The login may not act as the tables' owner, or a table would run somebody else's code.",
                ),
                Reason("LoginRefused", "The external server refuses the login."),
                Reason("DatabaseMissing", "The external server has no such database."),
                Reason("InvalidRequest", "Operator and Job do not understand each other."),
            ),
        ),
        (
            Status.UNKNOWN,
            (
                Reason("Pending", "No run has ended yet."),
                Reason("Unavailable", "The primary or the object store does not answer, or another run is at work."),
                Reason("TookTooLong", "The Job was ended after an hour."),
                Reason("JobFailed", "The Job's pod ended without saying why."),
            ),
        ),
    ),
)
