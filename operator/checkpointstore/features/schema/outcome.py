"""How a schema Job ended: the JSON of its termination message."""

from typing import Self

from ...kernel.fragment import Fragment
from .catalog import Server
from .planner import MODULES
from .request import Module, Request

LIMIT = 4096
"""What Kubernetes keeps of a termination message, in bytes."""


class Applied(Fragment):
    name: Module
    version: int


class Outcome(Fragment):
    """Either the modules that stand, or the reason and message of what is in the way."""

    modules: tuple[Applied, ...] = ()
    server_version: str = ""
    max_connections: int = 0
    reason: str = ""
    message: str = ""

    @classmethod
    def success(cls, request: Request, server: Server) -> Self:
        modules = tuple(Applied(name=name, version=MODULES[name].version) for name in request.modules)
        return cls(modules=modules, server_version=server.text, max_connections=server.max_connections)

    @classmethod
    def failure(cls, reason: str, message: str) -> Self:
        return cls(reason=reason, message=message[:1000])

    def text(self) -> str:
        return self.model_dump_json(by_alias=True, exclude_defaults=True)
