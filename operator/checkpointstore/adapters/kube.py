"""The Kubernetes API: plain dict manifests in and out, one function a request."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from kubernetes.aio import client, config

from ..kernel.action import Manifest
from ..kernel.errors import Conflict, Refused, Unavailable
from ..kernel.manifest import FIELD_MANAGER

CORE = "api/v1"
PATHS: Mapping[str, tuple[str, str]] = {
    "CheckpointStore": ("apis/checkpointstore.dev/v1alpha1", "checkpointstores"),
    "ConfigMap": (CORE, "configmaps"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "Endpoints": (CORE, "endpoints"),
    "Event": (CORE, "events"),
    "Job": ("apis/batch/v1", "jobs"),
    "Lease": ("apis/coordination.k8s.io/v1", "leases"),
    "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies"),
    "PersistentVolumeClaim": (CORE, "persistentvolumeclaims"),
    "Pod": (CORE, "pods"),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
    "Role": ("apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "Secret": (CORE, "secrets"),
    "Service": (CORE, "services"),
    "ServiceAccount": (CORE, "serviceaccounts"),
    "StatefulSet": ("apis/apps/v1", "statefulsets"),
    "StorageClass": ("apis/storage.k8s.io/v1", "storageclasses"),
}
CONCURRENCY = 16
TIMEOUT = 30.0
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


async def connect() -> "Kube":
    """A client for the pod's own account, or for the kubeconfig of whoever runs the operator by hand.

    Raises Unavailable when there is neither.
    """
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        try:
            await config.load_kube_config(client_configuration=configuration)
        except config.ConfigException as error:
            raise Unavailable(f"no cluster: {error}") from None
    return Kube(client.ApiClient(configuration))


class Kube:
    """A bounded number of requests at a time, counted by verb and outcome in `calls`."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api
        self._free = asyncio.Semaphore(CONCURRENCY)
        self.calls: dict[tuple[str, str, str], int] = {}

    async def close(self) -> None:
        await self._api.close()

    async def serves(self, kind: str) -> bool:
        """Whether the API server knows the kind yet."""
        group, plural = PATHS[kind]
        try:
            answer = await self._request("GET", kind, None, path=f"/{group}")
        except KeyError:
            return False
        return any(item.get("name") == plural for item in answer.get("resources", ()))

    async def all(self, kind: str, namespace: str | None, selector: str = "") -> list[Manifest]:
        """Every object of a kind (in `namespace`, or in the cluster) whose labels match."""
        query = [("labelSelector", selector)] if selector else []
        answer = await self._request("GET", kind, namespace, query=query)
        # The items of a list do not say what they are.
        what = {"apiVersion": answer.get("apiVersion"), "kind": kind}
        return [{**what, **item} for item in answer.get("items") or ()]

    async def get(self, kind: str, namespace: str | None, name: str) -> Manifest | None:
        try:
            return await self._request("GET", kind, namespace, name)
        except KeyError:
            return None

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-Side Apply under our field manager; our fields win."""
        meta = manifest["metadata"]
        query = [("fieldManager", FIELD_MANAGER), ("force", "true")]
        return await self._request(
            "PATCH",
            manifest["kind"],
            meta["namespace"],
            meta["name"],
            query=query,
            body=manifest,
            content=_APPLY,
        )

    async def create(self, manifest: Manifest) -> Manifest:
        """Raises Conflict when the name is taken."""
        return await self._request("POST", manifest["kind"], manifest["metadata"]["namespace"], body=manifest)

    async def replace(self, manifest: Manifest) -> Manifest:
        """Put the whole object; raises Conflict when it has changed since it was read, Unavailable when it is gone."""
        meta = manifest["metadata"]
        try:
            return await self._request("PUT", manifest["kind"], meta["namespace"], meta["name"], body=manifest)
        except KeyError:
            raise Unavailable(f"{manifest['kind']} {meta['name']} is gone") from None

    async def merge(
        self, kind: str, namespace: str, name: str, patch: Mapping[str, Any], subresource: str = ""
    ) -> Manifest | None:
        """JSON merge patch; None when the object is gone."""
        path = f"{name}/{subresource}" if subresource else name
        try:
            return await self._request(
                "PATCH",
                kind,
                namespace,
                path,
                query=[("fieldManager", FIELD_MANAGER)],
                body=patch,
                content=_MERGE,
            )
        except KeyError:
            return None

    async def delete(self, kind: str, namespace: str, name: str, force: bool = False, orphan: bool = False) -> None:
        """Delete and let dependents follow in the background, unless `orphan`; gone already is fine."""
        body: dict[str, Any] = {"propagationPolicy": "Orphan" if orphan else "Background"}
        if force:
            body["gracePeriodSeconds"] = 0
        try:
            await self._request("DELETE", kind, namespace, name, body=body)
        except KeyError:
            return

    async def _request(
        self,
        method: str,
        kind: str,
        namespace: str | None,
        name: str = "",
        query: list[tuple[str, str]] | None = None,
        body: object = None,
        content: str = "application/json",
        path: str = "",
    ) -> Manifest:
        group, plural = PATHS[kind]
        where = f"/namespaces/{namespace}" if namespace else ""
        path = path or f"/{group}{where}/{plural}" + (f"/{name}" if name else "")
        async with self._free:
            try:
                async with asyncio.timeout(TIMEOUT):
                    status, text = await self._send(method, path, query or [], body, content)
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                self._count(method, kind, "none")
                raise Unavailable(f"API server: {type(error).__name__} on {method} {plural}") from None
        self._count(method, kind, str(status))
        return _answer(status, text, f"{method} {plural}/{name}")

    async def _send(
        self, method: str, path: str, query: list[tuple[str, str]], body: object, content: str
    ) -> tuple[int, bytes]:
        headers = {"Accept": "application/json", "Content-Type": content}
        request = await self._api.param_serialize(
            method, path, query_params=query, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            response = await self._api.call_api(*request, _request_timeout=TIMEOUT)
        except client.ApiException as error:
            return int(error.status or 0), str(error.body or "").encode()
        return response.status, await response.read()

    def _count(self, method: str, kind: str, code: str) -> None:
        key = (method, kind, code)
        self.calls[key] = self.calls.get(key, 0) + 1


def _answer(status: int, text: bytes, what: str) -> Manifest:
    """The decoded body; KeyError for 404, which callers turn into None."""
    if 200 <= status < 300:
        value: Manifest = json.loads(text) if text else {}
        return value
    try:
        message = str(json.loads(text).get("message", ""))
    except ValueError:
        message = ""
    if status == 404:
        raise KeyError(what)
    if status == 409:
        raise Conflict(f"{what}: {message}")
    if status in (401, 403):
        raise Refused("Forbidden", f"{what}: {message}")
    if status in (400, 422):
        raise Refused("Rejected", f"{what}: {message}")
    raise Unavailable(f"{what}: {status} {message}")
