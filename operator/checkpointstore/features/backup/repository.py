"""pgBackRest's repository as configuration: one file in one Secret, read by instances and Jobs alike."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...kernel import object_store
from ...kernel.action import PublishRepository
from ...kernel.env import Env
from ...kernel.naming import SOURCE
from ...kernel.object_store import ObjectStore, SecretKey, with_key
from ...kernel.observed import Given, Observed
from ...kernel.values import digest

COMPONENT = "backup"
FOLDER = "/etc/pgbackrest"
"""Where the Secret is mounted."""
STANZA = "main"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository in an object store; `base` is its path without the last part, the uid of the store it is of."""

    store: ObjectStore
    encryption: SecretKey | None
    base: str

    def options(self, more: Mapping[str, str]) -> str:
        """The file, with {access}, {secret}, {token} and {passphrase} left open."""
        token = {"repo1-s3-token": "{token}"}
        cipher = {"repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": "{passphrase}"} if self.encryption else {}
        settings = {
            "repo1-type": "s3",
            "repo1-s3-bucket": self.store.bucket,
            "repo1-s3-endpoint": self.store.host,
            "repo1-s3-region": self.store.region,
            "repo1-s3-uri-style": self.store.style.value.lower(),
            "repo1-s3-key": "{access}",
            "repo1-s3-key-secret": "{secret}",
            **token,
            **({"repo1-storage-ca-file": f"{FOLDER}/ca.crt"} if self.store.ca else {}),
            # Many small files become few objects, and of large ones only the blocks that changed are kept again.
            "repo1-bundle": "y",
            "repo1-block": "y",
            **cipher,
            "compress-type": "zst",
            "compress-level": "3",
            **more,
        }
        return "\n".join(("[global]", *(f"{name}={value}" for name, value in settings.items()), ""))

    def secrets(self) -> dict[str, tuple[str, ...]]:
        """The user's Secrets that it needs, each with the keys that must be in it."""
        return with_key(self.store.needs(), self.encryption)


def base(store: ObjectStore, namespace: str, name: str) -> str:
    return f"{store.folder}/{namespace}/{name}"


def missing(repository: Repository, observed: Observed) -> tuple[str, str] | None:
    """Reason and message for a Secret that is not there or lacks a key; None when all are there."""
    return object_store.missing(repository.secrets(), observed)


def publish(
    repository: Repository, env: Env, observed: Observed, name: str, options: Mapping[str, str]
) -> PublishRepository | None:
    """Write the Secret `name` unless it is what the spec and the user's Secrets make it."""
    text = repository.options(options)
    versions = [observed.given.get(secret, Given("")).version for secret in sorted(repository.secrets())]
    source = digest(text, *versions)
    live = observed.secrets.get(name)
    if live is not None and live.intact and live.source == source:
        return None
    secret = env.object("v1", "Secret", name, COMPONENT, type="Opaque")
    secret["metadata"]["annotations"] = {SOURCE: source}
    return PublishRepository(
        secret=secret,
        template=text,
        credentials=repository.store.credentials.name,
        ca=(repository.store.ca.name, repository.store.ca.key) if repository.store.ca else None,
        passphrase=(repository.encryption.name, repository.encryption.key) if repository.encryption else None,
    )
