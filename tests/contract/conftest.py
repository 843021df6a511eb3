"""The same statements over the twin and over the API server of a real cluster, where one is up."""

import asyncio
import os
import secrets
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from kubernetes.aio import client, config

from checkpointstore.adapters import kube
from checkpointstore.kernel.action import Manifest
from localcluster import choice
from localcluster.errors import LocalClusterError

from .apiserver import ApiServer
from .twin import Twin

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """A namespace to try things in, and how to get a connection to its API server."""

    namespace: str
    connect: Callable[[], Coroutine[Any, Any, kube.Kube]]
    doom: Callable[[], str]
    """Gives a namespace that is being deleted."""

    def run(self, story: Callable[[kube.Kube], Coroutine[Any, Any, T]]) -> T:
        async def main() -> T:
            connection = await self.connect()
            try:
                return await story(connection)
            finally:
                await connection.close()

        return asyncio.run(main())

    def manifest(self, api_version: str, kind: str, name: str, **body: Any) -> Manifest:
        meta = {"name": name, "namespace": self.namespace, "labels": {"tried": "yes"}}
        return {"apiVersion": api_version, "kind": kind, "metadata": meta, **body}


@pytest.fixture(params=["twin", pytest.param("cluster", marks=pytest.mark.e2e)])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "cluster":
        real: Place = request.getfixturevalue("cluster")
        return real
    server = ApiServer()

    async def connect() -> kube.Kube:
        return Twin(server)

    def doom() -> str:
        server.terminating.add("doomed")
        return "doomed"

    return Place("tried", connect, doom)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Place]:
    """A namespace of its own on the cluster of this environment; the cluster is brought up if it is not."""
    chosen = choice.choose(os.environ)
    try:
        chosen.up()
    except LocalClusterError as error:
        pytest.fail(f"no cluster: {error}")
    kubectl = [str(chosen.tool("kubectl")), f"--kubeconfig={chosen.kubeconfig()}"]
    namespace = f"contract-{secrets.token_hex(3)}"

    def run(*arguments: str) -> None:
        subprocess.run([*kubectl, *arguments], check=True, capture_output=True)

    run("create", "namespace", namespace)

    async def connect() -> kube.Kube:
        configuration = client.Configuration()
        await config.load_kube_config(config_file=str(chosen.kubeconfig()), client_configuration=configuration)
        return kube.Kube(client.ApiClient(configuration))

    doomed = f"{namespace}-doomed"
    held = ("configmap", "held", "-n", doomed)

    def doom() -> str:
        run("create", "namespace", doomed)
        run("create", *held)
        run("patch", *held, "--type=merge", "-p", '{"metadata":{"finalizers":["checkpointstore.dev/contract"]}}')
        run("delete", "namespace", doomed, "--wait=false")
        return doomed

    yield Place(namespace, connect, doom)
    run("delete", "namespace", namespace, "--wait=false")
    if subprocess.run([*kubectl, "get", *held], check=False, capture_output=True).returncode == 0:
        run("patch", *held, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
