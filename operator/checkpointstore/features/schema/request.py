"""What a schema Job is asked to do: the JSON in its environment, which holds no secret."""

from enum import StrEnum
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from ...kernel.fragment import Fragment


class Provider(StrEnum):
    PATRONI = "Patroni"
    EXTERNAL = "External"


class Module(StrEnum):
    LANGGRAPH = "LangGraph"


class Roles(Fragment):
    """Role names; on a server that several stores share each store needs its own."""

    owner: str = Field(default="app_owner", min_length=1, max_length=63)
    group: str = Field(default="app", min_length=1, max_length=63)
    pooler: str = Field(default="pooler", min_length=1, max_length=63)
    monitoring: str = Field(default="monitoring", min_length=1, max_length=63)


class Request(Fragment):
    model_config = ConfigDict(extra="ignore")
    """What else the slice puts into the JSON only makes another Job of it."""

    store: str
    """`namespace/name`; the mark on roles the Job makes."""
    provider: Provider
    host: str = ""
    """Patroni only, as are port and database: an External store's Secret says its own."""
    port: int = 5432
    database: str = "app"
    modules: tuple[Module, ...] = (Module.LANGGRAPH,)
    limit: int = Field(default=0, ge=0)
    """Bytes that a checkpoint may have; 0 for any number."""
    roles: Roles = Roles()
    retire: tuple[str, ...] = ()
    """Login roles that shall not log in any more."""
    patience_seconds: float = Field(default=300, gt=0)
    """How long the Job waits for the server by itself before it leaves the next try to Kubernetes."""

    @property
    def mark(self) -> str:
        return f"checkpointstore {self.store}"

    @model_validator(mode="after")
    def _has_host(self) -> Self:
        if self.provider is Provider.PATRONI and not self.host:
            raise ValueError("host: needed with provider Patroni")
        return self
