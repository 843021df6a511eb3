"""Asks the Kubernetes API for everything in a report, with the rights of whoever asks; what fails becomes a line."""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from .. import __version__
from ..adapters import kube
from ..adapters.kube import Kube
from ..features.pooler.configuration import CONFIG
from ..features.pooler.workload import EXPORTER_PORT
from ..kernel.action import Manifest
from ..kernel.errors import Refused, StoreError, Unavailable
from ..kernel.naming import STORE_LABEL
from . import content, hide
from .archive import Archive

T = TypeVar("T")
Say = Callable[[str], None]


def run(store: str, namespace: str | None, file: Path | None, say: Say) -> Path:
    """Make the report; gives the archive's path, raises StoreError when there is nothing to report on."""
    if file and not file.parent.is_dir():
        raise Refused("NoFolder", f"there is no folder {file.parent}")
    return asyncio.run(_run(store, namespace or kube.usual_namespace(), file, say))


async def _run(store: str, namespace: str, file: Path | None, say: Say) -> Path:
    now = dt.datetime.now(dt.UTC)
    folder = f"{store}-report-{now:%Y%m%dT%H%M%SZ}"
    api = await kube.connect()
    try:
        report = Report(api, namespace, store, Archive(folder), say)
        await report.collect()
    finally:
        await api.close()
    target = file or Path(f"{folder}.tar.gz")
    report.archive.write(target)
    return target


class Report:
    """One collection: steps in order, requests within a step side by side."""

    def __init__(self, api: Kube, namespace: str, store: str, archive: Archive, say: Say) -> None:
        self.archive = archive
        self._api = api
        self._namespace = namespace
        self._name = store
        self._say = say
        self._problems: list[str] = []
        self._children: list[Manifest] = []
        self._values: list[str] = []

    async def collect(self) -> None:
        """Fill the archive. Raises StoreError when neither store nor children are there, or no API server is."""
        self._say(f"store {self._namespace}/{self._name}")
        # Not guarded: without an API server there is nothing to report, and the reason is all one needs to know.
        store = await self._store()
        await self._objects(store)
        if store is None and not self._children:
            raise Refused("NotFound", f"no CheckpointStore {self._name} in namespace {self._namespace}")
        self._say("events")
        await self._events()
        pods = self._of("Pod")
        self._say(f"logs of {len(pods)} pods")
        await asyncio.gather(*(self._logs(pod) for pod in pods))
        self._say("PostgreSQL and Patroni")
        await self._postgres(pods)
        self._say("PgBouncer")
        await asyncio.gather(*(self._pooler(pod) for pod in pods if content.component(pod) == "pooler"))
        self._say("operator")
        versions, operators = await self._operator()
        self._say("nodes")
        await asyncio.gather(*(self._node(name) for name in content.nodes([*pods, *operators])))
        self.archive.curtain = hide.Curtain(self._values)
        self._summary(store or {}, versions, [*pods, *operators])

    async def _store(self) -> Manifest | None:
        try:
            store = await self._api.get("CheckpointStore", self._namespace, self._name)
        except Refused as error:
            self._problems.append(error.message)
            return None
        if store is None:
            self._problems.append(f"CheckpointStore {self._name} is not there; its children are")
        else:
            self.archive.add("store.yaml", content.manifest(store))
        return store

    async def _try(self, request: Awaitable[T], otherwise: T) -> T:
        """The answer, or `otherwise` with a line among the problems."""
        try:
            return await request
        except StoreError as error:
            self._problems.append(error.message)
            return otherwise

    def _of(self, kind: str) -> list[Manifest]:
        return [child for child in self._children if child["kind"] == kind]

    async def _objects(self, store: Manifest | None) -> None:
        selector = f"{STORE_LABEL}={self._name}"
        self._say("objects")
        lists = (self._try(self._api.all(kind, self._namespace, selector), []) for kind in content.KINDS)
        self._children = [child for listed in await asyncio.gather(*lists) for child in listed]
        for child in self._children:
            self.archive.add(f"objects/{child['kind']}/{child['metadata']['name']}.yaml", content.manifest(child))
        given = content.given_secret(store or {})
        secrets = self._of("Secret")
        if given and (found := await self._try(self._api.get("Secret", self._namespace, given), None)):
            secrets.append({**found, "kind": "Secret"})
            self.archive.add(f"objects/Secret/{given}.yaml", content.manifest(secrets[-1]))
        self._values = [value for secret in secrets for value in hide.values(secret)]

    async def _events(self) -> None:
        found = await self._try(self._api.all("Event", self._namespace), [])
        own = [event for event in found if content.about(event, self._name, self._children)]
        self.archive.add("events.txt", content.events(own))

    async def _logs(self, pod: Manifest) -> None:
        await asyncio.gather(*(self._log(self._namespace, log, f"logs/{log.file}") for log in content.logs(pod)))

    async def _log(self, namespace: str, log: content.Log, path: str) -> None:
        request = self._api.logs(namespace, log.pod, log.container, log.previous, content.LOG_BYTES)
        text = await self._try(request, "")
        if path.startswith("operator/"):
            text = content.own_lines(text, self._namespace, self._name)
        if text:
            self.archive.add(path, text)

    async def _postgres(self, pods: list[Manifest]) -> None:
        instances = [pod for pod in pods if content.component(pod) == "postgres"]
        if not instances:
            self._problems.append("no PostgreSQL pod: none runs, or the server is an external one; ask it directly")
        await asyncio.gather(*(self._instance(pod) for pod in instances))

    async def _instance(self, pod: Manifest) -> None:
        name = pod["metadata"]["name"]
        if not content.running(pod, "postgres"):
            self._problems.append(f"{name} does not run: not asked for PostgreSQL's and Patroni's view")
            return
        for question in content.questions():
            try:
                await self._ask(name, "postgres", question.command, f"instances/{name}/{question.file}")
            except (Refused, Unavailable) as error:
                self._problems.append(f"{error.message}; {name} is not asked further")
                return

    async def _ask(self, pod: str, container: str, command: Sequence[str], path: str) -> None:
        """Keep what a command in a container says; raises Refused or Unavailable where it cannot be run."""
        ended = await self._api.execute(self._namespace, pod, container, command)
        if ended.output:
            self.archive.add(path, ended.output)
        if ended.code:
            self._problems.append(f"{path}: ended with {ended.code}: {ended.errors.strip()}")

    async def _pooler(self, pod: Manifest) -> None:
        name = pod["metadata"]["name"]
        if not content.running(pod, "exporter"):
            self._problems.append(f"{name} does not run: not asked for PgBouncer's view")
            return
        if content.running(pod, "pgbouncer"):
            command = ["cat", f"{CONFIG}/pgbouncer.ini"]
            await self._try(self._ask(name, "pgbouncer", command, f"pooler/{name}/pgbouncer.ini"), None)
        page = await self._try(self._api.page(self._namespace, name, EXPORTER_PORT, "/metrics"), "")
        if page:
            self.archive.add(f"pooler/{name}/metrics.txt", content.metrics(page))

    async def _operator(self) -> tuple[str, list[Manifest]]:
        """The operator's versions and pods, wherever in the cluster they are."""
        deployments = await self._try(self._api.all("Deployment", None, content.OPERATOR), [])
        pods = await self._try(self._api.all("Pod", None, content.OPERATOR), [])
        versions = content.versions(deployments, __version__)
        self.archive.add("operator/version.txt", versions)
        for found in (*deployments, *pods):
            path = f"operator/{found['kind']}-{found['metadata']['name']}.yaml"
            self.archive.add(path, content.manifest(found))
        logs = [(pod["metadata"]["namespace"], log) for pod in pods for log in content.logs(pod)]
        await asyncio.gather(*(self._log(place, log, f"operator/{log.file}") for place, log in logs))
        return versions, pods

    async def _node(self, name: str) -> None:
        found = await self._try(self._api.get("Node", None, name), None)
        if found is not None:
            self.archive.add(f"nodes/{name}.yaml", content.manifest(content.node(found)))

    def _summary(self, store: Manifest, versions: str, pods: list[Manifest]) -> None:
        """The first page, and what could not be had."""
        listed = "".join(f"{problem}\n" for problem in sorted(self._problems))
        self.archive.add("problems.txt", listed)
        self.archive.add("conditions.txt", content.conditions(store))
        parts = (
            f"CheckpointStore {self._namespace}/{self._name}: {store.get('status', {}).get('phase', 'unknown')}\n",
            versions,
            content.conditions(store),
            content.pods(pods),
            f"{len(self._problems)} problems while this was collected\n{listed}",
        )
        self.archive.add("summary.txt", "\n".join(parts))
        for problem in sorted(self._problems):
            self._say(f"problem: {self.archive.curtain.hide(problem)}")
