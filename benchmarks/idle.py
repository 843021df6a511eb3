"""What the operator costs while nothing happens, with fifty External stores on one PostgreSQL."""

import secrets
import time
from typing import Any

from benchmarks.metrics import AuditLog, read
from benchmarks.sample import one
from benchmarks.stage import Scene, Stage
from demo import store
from demo.installation import user
from demo.kubectl import wait_for

STORES = 50
SERVER = "server"
ADMIN = "bench_admin"
SETTLE_SECONDS = 60
# The operator looks at every store again after five minutes: a shorter rest would miss that.
REST_SECONDS = 300


def measure(stage: Stage) -> None:
    """memory, CPU, API requests and writes of the operator with 50 External stores at rest"""
    seconds = REST_SECONDS * (4 if stage.full else 1)
    with stage.scene("idle") as scene:
        scene.store(SERVER, {"postgres": {"instances": 2}})
        time.sleep(SETTLE_SECONDS)
        watch(scene, "before", seconds / 5)
        began = time.monotonic()
        external(scene)
        stage.report.note("idle.all_stores_ready", one(time.monotonic() - began), "s")
        time.sleep(SETTLE_SECONDS)
        watch(scene, f"with_{STORES}", seconds)


def watch(scene: Scene, name: str, seconds: float) -> None:
    """Look away for a while, then note what the operator did meanwhile."""
    kubectl, note = scene.stage.kubectl, scene.stage.report.note
    log, before, began = AuditLog(kubectl.kubeconfig), read(kubectl), time.monotonic()
    time.sleep(seconds)
    spent, minutes = read(kubectl) - before, (time.monotonic() - began) / 60
    others = len(kubectl.items("checkpointstores", "--all-namespaces")) - len(names(scene))
    note(f"idle.{name}.stores_of_others", one(others), "stores")
    note(f"idle.{name}.rss", one(spent.resident_bytes / 2**20), "MiB")
    note(f"idle.{name}.cpu", one(spent.cpu_seconds / minutes), "s/min")
    note(f"idle.{name}.passes", one(spent.passes / minutes), "/min")
    note(f"idle.{name}.api_requests_for_all_stores", one(spent.requests / minutes), "/min")
    note(f"idle.{name}.api_writes_for_all_stores", one(spent.writes / minutes), "/min")
    if not log.shown:
        return
    requests, here = log.requests(), scene.namespace
    ours, patroni = (user(kubectl), here), (f"system:serviceaccount:{here}:{SERVER}", here)
    note(f"idle.{name}.api_requests", one(requests.all[ours] / minutes), "/min")
    note(f"idle.{name}.api_writes", one(requests.writes[ours] / minutes), "/min", "<=0")
    note(f"idle.{name}.api_requests_of_patroni", one(requests.all[patroni] / minutes), "/min")
    note(f"idle.{name}.api_writes_of_patroni", one(requests.writes[patroni] / minutes), "/min")


def names(scene: Scene) -> list[str]:
    """The stores of this question."""
    return [found["metadata"]["name"] for found in scene.stage.kubectl.items("checkpointstores", "-n", scene.namespace)]


def external(scene: Scene) -> None:
    """Make a database for each store, then all stores at once, and wait until every one is Ready."""
    kubectl, password = scene.stage.kubectl, secrets.token_urlsafe(24)
    databases = [f"external_{number:02}" for number in range(STORES)]
    role = f"create role {ADMIN} login createrole password '{password}'"
    scene.psql(SERVER, "postgres", role, *(f"create database {name} owner {ADMIN}" for name in databases))
    kubectl.apply(*(part for name in databases for part in parts(scene.namespace, name, password)))

    def all_ready() -> bool:
        found = kubectl.items("checkpointstores", "-n", scene.namespace)
        return all(map(store.is_ready, found)) and len(found) == STORES + 1

    wait_for(f"{STORES} stores to be Ready", all_ready, 1500, every=2, seen=lambda: unready(scene))


def unready(scene: Scene) -> str:
    """The stores that are not Ready, and why."""
    found = scene.stage.kubectl.items("checkpointstores", "-n", scene.namespace)
    return "\n".join(store.described(item) for item in found if not store.is_ready(item))[:3000]


def parts(namespace: str, database: str, password: str) -> list[dict[str, Any]]:
    """The Secret that says where a database is, and the store on it."""
    name = database.replace("_", "-")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{name}-server", "namespace": namespace},
        "stringData": {
            "host": f"{SERVER}-rw.{namespace}.svc",
            "port": "5432",
            "database": database,
            "username": ADMIN,
            "password": password,
            "sslmode": "require",
        },
    }
    external = {"provider": "External", "external": {"secretRef": {"name": f"{name}-server"}}}
    spec = {"postgres": external, "pooler": {"instances": 1}}
    return [secret, store.manifest(name, namespace, spec)]
