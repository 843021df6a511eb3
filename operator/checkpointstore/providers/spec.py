"""`spec.postgres`: the part of the API that says which PostgreSQL a store runs on."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from ..kernel.compute import Quantity, Resources, Scheduling
from ..kernel.fragment import Fragment
from ..kernel.object_store import SecretReference
from ..kernel.values import quantity
from .patroni.parameter import OURS, OWNED

LIMIT = "autogrow.limit must not be below size"


def _rule(rule: str, message: str) -> dict[str, Any]:
    return {"x-kubernetes-validations": [{"rule": rule, "message": message}]}


def _unowned() -> dict[str, Any]:
    """Rules that refuse each parameter the operator owns by its name; one that walked the map would cost too much."""
    rules = [
        {"rule": f"!('{name}' in self)", "message": f"the operator owns {name}; remove it"} for name in sorted(OWNED)
    ]
    return {"x-kubernetes-validations": rules}


class Provider(StrEnum):
    PATRONI = "Patroni"
    EXTERNAL = "External"


class External(Fragment):
    """A PostgreSQL, 14 or newer, that somebody else runs."""

    secret_ref: SecretReference
    """Secret with the keys host, port, database, username and password, and where wanted sslmode and ca.crt. The user
    must be allowed to make roles and to grant on schema public."""


class DataDurability(StrEnum):
    REQUIRED = "Required"
    PREFERRED = "Preferred"


class UpdateStrategy(StrEnum):
    UNSUPERVISED = "Unsupervised"
    SUPERVISED = "Supervised"


class Synchronous(Fragment):
    """Synchronous replication: a commit is acknowledged only when standbys have it too."""

    number: int = Field(default=1, ge=1, le=8)
    """Standbys that must have each commit."""
    data_durability: DataDurability = DataDurability.REQUIRED
    """Required stops writes when too few standbys are left; Preferred goes on without them."""


class Autogrow(Fragment):
    """Volumes grow by themselves: by half whenever less than a quarter of one is free."""

    limit: Quantity
    """The size they never grow beyond by themselves."""


class Storage(Fragment):
    """The volume of each instance."""

    size: Quantity = "10Gi"
    """Size of the volume. It cannot shrink; a growth that was refused can be taken back."""
    storage_class_name: str | None = None
    """StorageClass of the volume; the cluster's default when absent."""
    autogrow: Autogrow | None = None
    """Growth without a person; volumes stay as large as size says when absent. The StorageClass must allow it."""

    @model_validator(mode="after")
    def _ordered(self) -> "Storage":
        if self.autogrow and quantity(self.autogrow.limit) < quantity(self.size):
            raise ValueError(LIMIT)
        return self


class Images(Fragment):
    """Images that replace the ones this operator's release pins."""

    postgres: str | None = None
    """Image of PostgreSQL with Patroni and pgBackRest, as a tag or a digest."""
    pull_secrets: list[str] = Field(default_factory=list)
    """Names of the Secrets that pull the images."""


class Postgres(Fragment):
    """The PostgreSQL that holds the checkpoints."""

    provider: Provider = Field(
        default=Provider.PATRONI, json_schema_extra=_rule("self == oldSelf", "provider is immutable")
    )
    """Who runs PostgreSQL. Patroni: the operator, in pods. External: somebody else. Immutable."""
    external: External | None = None
    """The server of somebody else. Only with provider External."""
    version: Annotated[int, WithJsonSchema({"type": "integer", "enum": [17]})] = Field(
        default=17, json_schema_extra=_rule("self == oldSelf", "version cannot change: no major upgrades yet")
    )
    """Major version of PostgreSQL. Immutable."""
    instances: int = Field(default=1, ge=1, le=9)
    """Number of instances: one primary, the others standbys. More than one is highly available."""
    synchronous: Synchronous | None = None
    """Synchronous replication; asynchronous when absent."""
    storage: Storage = Field(
        default=Storage(),
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "has(self.storageClassName) == has(oldSelf.storageClassName) && "
                    "(!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
                    "message": "storageClassName is immutable",
                },
                {
                    "rule": "!has(self.autogrow) || "
                    "quantity(string(self.autogrow.limit)).compareTo(quantity(string(self.size))) >= 0",
                    "message": LIMIT,
                    "fieldPath": ".autogrow.limit",
                },
            ]
        },
    )
    """The volume of each instance."""
    resources: Resources = Resources(requests={"cpu": "100m", "memory": "512Mi"}, limits={"memory": "1Gi"})
    """Requests and limits of the postgres container; memory settings are computed from them."""
    parameters: dict[str, str] = Field(default_factory=dict, max_length=100, json_schema_extra=_unowned())
    """PostgreSQL parameters by name, over the computed ones. What the operator owns is refused."""
    update_strategy: UpdateStrategy = UpdateStrategy.UNSUPERVISED
    """Unsupervised: changes that restart an instance are rolled out at once, the primary last after a switchover.
    Supervised: they wait for the annotation checkpointstore.dev/restart."""
    scheduling: Scheduling = Scheduling()
    """Where the instances may run."""
    images: Images = Images()
    """Images that replace the pinned ones."""

    @field_validator("parameters")
    @classmethod
    def _not_owned(cls, value: dict[str, str]) -> dict[str, str]:
        owned = sorted(name for name in value if name.lower() in OWNED or name.lower().startswith(OURS))
        if owned:
            raise ValueError(f"the operator owns {', '.join(owned)}; remove it")
        return value

    @field_validator("version")
    @classmethod
    def _known(cls, value: int) -> int:
        if value != 17:
            raise ValueError("supported versions: 17")
        return value

    @model_validator(mode="after")
    def _external(self) -> "Postgres":
        if (self.external is not None) != (self.provider is Provider.EXTERNAL):
            raise ValueError("external must be set exactly when provider is External")
        if self.external and (self.instances > 1 or self.synchronous or self.parameters):
            raise ValueError("instances, synchronous and parameters are the external server's own business")
        return self

    @model_validator(mode="after")
    def _enough_standbys(self) -> "Postgres":
        if self.synchronous and self.synchronous.number >= self.instances:
            raise ValueError("synchronous.number must be less than instances")
        return self


def rules() -> list[dict[str, Any]]:
    """CEL rules over several fields of `spec.postgres`: the same as the validators above."""
    return [
        {
            "rule": "has(self.external) == (has(self.provider) && self.provider == 'External')",
            "message": "external must be set exactly when provider is External",
            "fieldPath": ".external",
        },
        {
            "rule": "!has(self.external) || ((!has(self.instances) || self.instances == 1)"
            " && !has(self.synchronous) && !has(self.parameters))",
            "message": "instances, synchronous and parameters are the external server's own business",
            "fieldPath": ".external",
        },
        {
            "rule": "!has(self.synchronous) || self.synchronous.number < self.instances",
            "message": "synchronous.number must be less than instances",
            "fieldPath": ".synchronous",
        },
    ]


def storage_bytes(storage: Storage) -> int:
    return int(quantity(storage.size))
