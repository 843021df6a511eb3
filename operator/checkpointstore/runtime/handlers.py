"""Every kopf decorator, on one page: they wake actors and do nothing else."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import kopf

from ..adapters import kube
from ..api import backup
from ..api.store import GROUP, PLURAL, VERSION
from ..kernel.errors import StoreError
from ..kernel.naming import DOMAIN, MANAGED_BY, MANAGED_BY_LABEL, STORE_LABEL
from . import log, metrics, web
from .actor import RESYNC, Actors, Key
from .echo import Echoes
from .lease import Lease
from .settings import Settings

CHILDREN = (
    ("apps", "v1", "statefulsets"),
    ("apps", "v1", "deployments"),
    ("", "v1", "services"),
    ("", "v1", "configmaps"),
    ("", "v1", "pods"),
    ("", "v1", "persistentvolumeclaims"),
    ("batch", "v1", "jobs"),
    ("policy", "v1", "poddisruptionbudgets"),
    ("networking.k8s.io", "v1", "networkpolicies"),
)


def registry(configured: Settings) -> kopf.OperatorRegistry:
    """The handlers of one operator process."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.startup(registry=handlers)
    async def _start(memo: kopf.Memo, settings: kopf.OperatorSettings, **_: Any) -> None:
        _configure(settings)
        memo.kube = await kube.connect()
        memo.actors = Actors(memo.kube, configured.platform)
        memo.echoes = Echoes()
        # A way of its own: behind the requests of many stores a renewal would come too late.
        memo.lease_kube = await kube.connect()
        memo.lease_kube.calls = memo.kube.calls
        memo.lease = Lease(memo.lease_kube, configured.own_namespace, configured.own_name)
        metrics.REGISTRY.register(metrics.ApiCalls(memo.kube.calls))
        memo.tasks = []
        memo.web = await web.serve(healthy=lambda: _healthy(memo), ready=lambda: memo.lease.answered)
        # kopf serves what exists when it starts: before the CRD does, there is nothing to start.
        while not await _served(memo.kube):
            await asyncio.sleep(2)
        memo.tasks = [
            asyncio.create_task(memo.lease.keep(memo.actors.start, memo.actors.stop)),
            asyncio.create_task(memo.actors.sentinel.keep()),
            asyncio.create_task(memo.actors.gauge.keep()),
            asyncio.create_task(memo.actors.keyring.keep()),
            asyncio.create_task(memo.actors.autoscaler.keep()),
            asyncio.create_task(memo.actors.monitor.keep()),
        ]

    @kopf.on.cleanup(registry=handlers)
    async def _stop(memo: kopf.Memo, **_: Any) -> None:
        for task in memo.tasks:
            task.cancel()
        await memo.actors.stop()
        await memo.lease.release()
        await memo.web.cleanup()
        await memo.lease_kube.close()
        await memo.kube.close()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers)
    async def _store(*, memo: Any, namespace: str | None, name: str, **_: Any) -> None:
        memo.actors.wake(Key(str(namespace), name))

    @kopf.on.event(GROUP, VERSION, backup.PLURAL, registry=handlers)
    async def _backup(*, memo: Any, namespace: str | None, spec: Mapping[str, Any], **_: Any) -> None:
        memo.actors.nudge(Key(str(namespace), spec.get("store", {}).get("name", "")))

    for group, version, plural in CHILDREN:

        @kopf.on.event(group, version, plural, labels={MANAGED_BY_LABEL: MANAGED_BY}, registry=handlers, id=plural)
        async def _child(
            *, memo: Any, type: str | None, body: kopf.Body, namespace: str | None, labels: Mapping[str, str], **_: Any
        ) -> None:
            if body["kind"] != "Pod" or memo.echoes.news(type, body):
                memo.actors.nudge(Key(str(namespace), labels.get(STORE_LABEL, "")), body["kind"])

    return handlers


async def _served(api: kube.Kube) -> bool:
    try:
        return await api.serves("CheckpointStore") and await api.serves("CheckpointBackup")
    except StoreError:
        return False


def _healthy(memo: Any) -> bool:
    """Every task lives, and some store was looked at lately: a loop that only turns is not enough."""
    passing = memo.actors.idle or time.monotonic() - memo.actors.last_pass < 3 * RESYNC
    return passing and not any(task.done() for task in memo.tasks)


def _configure(settings: kopf.OperatorSettings) -> None:
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=DOMAIN)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=DOMAIN)
    settings.persistence.finalizer = f"{DOMAIN}/finalizer"
    settings.posting.enabled = False
    settings.networking.request_timeout = 30
    settings.scanning.disabled = True
    for group, version, plural in CHILDREN:
        resource = f"{plural}.{version}.{group}" if group else f"{plural}.{version}"
        settings.watching.label_selectors[resource] = f"{MANAGED_BY_LABEL}={MANAGED_BY}"


def run(settings: Settings) -> None:
    """Serve until told to stop."""
    log.configure(settings.log_level)
    asyncio.run(
        kopf.operator(
            registry=registry(settings),
            standalone=True,
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
        )
    )
