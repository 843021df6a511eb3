"""Every name that a store's objects have, in one place; all stay DNS-1123 and within 63 characters."""

from dataclasses import dataclass

DOMAIN = "checkpointstore.dev"
NAME_LIMIT = 40
# Services are named after the store, and a Service is an RFC 1035 label.
NAME_PATTERN = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
NAME_RULE = "begins with a letter; lower-case letters, digits and - follow, as Services are named after it"
STORE_LABEL = f"{DOMAIN}/store"
COMPONENT_LABEL = "app.kubernetes.io/component"
ADMITS, YES, NO = f"{DOMAIN}/admits", "true", "false"
"""A pooler pod's label: whether its Service sends new clients to it."""
SOURCE = f"{DOMAIN}/source"
"""On a Secret that was made from others: a digest of what it was made from."""
ROTATION = f"{DOMAIN}/rotation"
"""On a Secret: the rotation command that it answers."""
SINCE = f"{DOMAIN}/since"
"""On the authority's Secret: when the last stage of its rotation was taken."""
SHAPE = f"{DOMAIN}/shape"
"""On a pod: a digest of what a person or a release chose for it; pods of another shape are replaced."""
CERTIFICATE = f"{DOMAIN}/certificate"
"""On an instance's pod: the certificate that it was last told to load, and when."""
REVISION = f"{DOMAIN}/revision"
"""On a pooler's pod: the revision of its files that it was last told to load, and when."""
AUTHORITY = f"{DOMAIN}/authority"
"""On a pooler's pod: the authority's Secret, by uid; a pod that knows only a lost one is replaced."""
FINALIZER = f"{DOMAIN}/backups"
"""On a store whose backups go with it: it waits until they are deleted, or cannot be."""
MANAGED_BY = "checkpointstore-operator"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"


def host(service: str, namespace: str) -> str:
    """The Service's DNS name, resolved by any pod of the cluster whatever its cluster domain."""
    return f"{service}.{namespace}.svc"


@dataclass(frozen=True, slots=True)
class Names:
    """The children's names of the store `store` (at most 40 characters)."""

    store: str

    @property
    def postgres(self) -> str:
        return self.store

    @property
    def postgres_config(self) -> str:
        return f"{self.store}-postgres"

    @property
    def pods(self) -> str:
        """The headless Service."""
        return f"{self.store}-pods"

    @property
    def rw(self) -> str:
        """Patroni's scope, and the Service whose Endpoints are Patroni's leader record."""
        return f"{self.store}-rw"

    @property
    def ro(self) -> str:
        return f"{self.store}-ro"

    @property
    def pooler(self) -> str:
        return f"{self.store}-pooler"

    @property
    def schema(self) -> str:
        return f"{self.store}-schema"

    @property
    def binding(self) -> str:
        return f"{self.store}-app"

    @property
    def credentials(self) -> str:
        return f"{self.store}-credentials"

    @property
    def authority(self) -> str:
        return f"{self.store}-ca"

    @property
    def postgres_tls(self) -> str:
        return f"{self.store}-postgres-tls"

    @property
    def pooler_tls(self) -> str:
        return f"{self.store}-pooler-tls"

    @property
    def admin_tls(self) -> str:
        return f"{self.store}-admin-tls"

    @property
    def backup(self) -> str:
        """What the names of backup Jobs begin with."""
        return f"{self.store}-backup"

    @property
    def backup_tls(self) -> str:
        return f"{self.store}-backup-tls"

    @property
    def repository(self) -> str:
        """The Secret with pgBackRest's configuration."""
        return f"{self.store}-repository"

    @property
    def verification(self) -> str:
        """What the names of verification Jobs begin with."""
        return f"{self.store}-verify"

    @property
    def retention(self) -> str:
        """What the names of retention Jobs begin with."""
        return f"{self.store}-retention"

    @property
    def tiering(self) -> str:
        """What the names of tiering Jobs begin with."""
        return f"{self.store}-tiering"

    @property
    def deletions(self) -> str:
        """What the names of deletions Jobs begin with."""
        return f"{self.store}-deletions"

    @property
    def recaller(self) -> str:
        return f"{self.store}-recaller"

    @property
    def blobs(self) -> str:
        """The Secret that applications reach values outside with, and what the names of collection Jobs begin with."""
        return f"{self.store}-blobs"

    @property
    def source(self) -> str:
        """The Secret with the configuration of the repository that the store is recovered from."""
        return f"{self.store}-source"

    @property
    def look(self) -> str:
        """What the names of the Jobs begin with that choose what to recover from."""
        return f"{self.store}-look"

    @property
    def restore(self) -> str:
        """What the names of the Jobs begin with that recover the first volume."""
        return f"{self.store}-restore"

    def instance(self, ordinal: int) -> str:
        return f"{self.store}-{ordinal}"

    def volume(self, ordinal: int) -> str:
        return self.volume_of(self.instance(ordinal))

    def volume_of(self, instance: str) -> str:
        return f"data-{instance}"


def labels(store: str, component: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "checkpointstore",
        "app.kubernetes.io/instance": store,
        COMPONENT_LABEL: component,
        "app.kubernetes.io/part-of": "checkpointstore",
        MANAGED_BY_LABEL: MANAGED_BY,
        STORE_LABEL: store,
    }


def selector(store: str, component: str) -> dict[str, str]:
    """The part of `labels` that never changes, for selectors."""
    return {STORE_LABEL: store, COMPONENT_LABEL: component}
