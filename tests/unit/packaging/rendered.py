"""The chart as Helm renders it, asked for by kind."""

import copy
import functools
from typing import Any

import pytest

from charts import sync

Manifest = dict[str, Any]


class Rendered:
    """The objects of one `helm template`, with the given arguments; the test is skipped where no helm is."""

    def __init__(self, *arguments: str) -> None:
        # A copy: what a test changes, no other sees.
        self.manifests = copy.deepcopy(_render(*arguments))

    def all(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def one(self, kind: str, name: str = "checkpointstore-operator") -> Manifest:
        (manifest,) = (manifest for manifest in self.all(kind) if manifest["metadata"]["name"] == name)
        return manifest

    def one_in(self, kind: str, namespace: str) -> Manifest:
        (manifest,) = (manifest for manifest in self.all(kind) if manifest["metadata"]["namespace"] == namespace)
        return manifest

    def names(self) -> set[str]:
        return {f"{manifest['kind']}/{manifest['metadata']['name']}" for manifest in self.manifests}

    def pod(self) -> Manifest:
        """The operator's pod spec."""
        spec: Manifest = self.one("Deployment")["spec"]["template"]["spec"]
        return spec

    def container(self) -> Manifest:
        (container,) = self.pod()["containers"]
        return dict(container)

    def environment(self) -> dict[str, str]:
        return {item["name"]: item["value"] for item in self.container()["env"] if "value" in item}


@functools.cache
def _render(*arguments: str) -> list[Manifest]:
    try:
        return sync.render(*arguments)
    except sync.HelmMissing as missing:
        pytest.skip(str(missing))


def need(*names: str) -> str:
    """The path of the first of these programs that is here; the test is skipped when none is."""
    for name in names:
        found = sync.tool(name)
        if found:
            return str(found)
    pytest.skip(f"{' or '.join(names)} is not installed")
