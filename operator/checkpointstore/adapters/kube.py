"""The Kubernetes API: plain dict manifests in and out, one function a request."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes.aio import client, config, stream

from ..kernel.action import Manifest
from ..kernel.errors import Conflict, Refused, Terminating, Unavailable
from ..kernel.manifest import FIELD_MANAGER

CORE = "api/v1"
PATHS: Mapping[str, tuple[str, str]] = {
    "CheckpointBackup": ("apis/checkpointstore.dev/v1alpha1", "checkpointbackups"),
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
# What a report also shows, with the rights of whoever makes it; the operator has none for these.
SHOWN: Mapping[str, tuple[str, str]] = {"Node": (CORE, "nodes"), "ReplicaSet": ("apis/apps/v1", "replicasets")}
# What the console asks, with an account of its own; the operator has no right to either.
REVIEWS: Mapping[str, tuple[str, str]] = {
    "SubjectAccessReview": ("apis/authorization.k8s.io/v1", "subjectaccessreviews"),
    "TokenReview": ("apis/authentication.k8s.io/v1", "tokenreviews"),
}
_PATHS = {**PATHS, **SHOWN, **REVIEWS}
CONCURRENCY = 16
TIMEOUT = 30.0
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
LOG_LINES = 50_000
_STDOUT, _STDERR, _ENDED = 1, 2, 3


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


def usual_namespace() -> str:
    """The namespace of the kubeconfig's current context, as kubectl takes it."""
    try:
        _, current = config.list_kube_config_contexts()
    except config.ConfigException:
        return "default"
    return str(current["context"].get("namespace") or "default")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command in a container ended, and what it said."""

    code: int
    output: str
    errors: str


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
        group, plural = _PATHS[kind]
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

    async def events(self, kind: str, namespace: str, name: str) -> list[Manifest]:
        """The events that speak of one object."""
        fields = f"involvedObject.kind={kind},involvedObject.name={name}"
        answer = await self._request("GET", "Event", namespace, query=[("fieldSelector", fields)])
        return list(answer.get("items") or ())

    async def get(self, kind: str, namespace: str | None, name: str) -> Manifest | None:
        try:
            return await self._request("GET", kind, namespace, name)
        except KeyError:
            return None

    async def review(self, kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the API server says of a token, or of somebody's right: a review's status. Nothing is made."""
        body = {"apiVersion": _PATHS[kind][0].removeprefix("apis/"), "kind": kind, "spec": spec}
        return (await self._request("POST", kind, None, body=body)).get("status") or {}

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

    async def delete(self, kind: str, namespace: str, name: str, orphan: bool = False) -> None:
        """Delete and let dependents follow in the background, unless `orphan`; gone already is fine."""
        body = {"propagationPolicy": "Orphan" if orphan else "Background"}
        try:
            await self._request("DELETE", kind, namespace, name, body=body)
        except KeyError:
            return

    async def logs(self, namespace: str, pod: str, container: str, previous: bool, limit: int) -> str:
        """The newest `limit` bytes that a container said, in this life or the one before; whole lines only."""
        path = f"/{CORE}/namespaces/{namespace}/pods/{pod}/log"
        # The API's own limitBytes would drop the newest lines.
        query = [("container", container), ("previous", str(previous).lower()), ("tailLines", str(LOG_LINES))]
        return await self._text(path, query, f"log of {pod}/{container}", limit)

    async def page(self, namespace: str, pod: str, port: int, path: str) -> str:
        """What a pod serves over plain HTTP, through the API server."""
        where = f"/{CORE}/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}"
        return await self._text(where, [], f"{path} of {pod}", None)

    async def _text(self, path: str, query: list[tuple[str, str]], what: str, limit: int | None) -> str:
        status, text = await self._exchange("GET", "Pod", path, query, limit=limit)
        try:
            _check(status, text, what)
        except KeyError:
            raise Unavailable(f"{what}: there is none") from None
        return text.decode(errors="replace")

    async def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> Ended:
        """Run a command in a container, without input, and wait for its end."""
        query = [("container", container), ("stdout", "true"), ("stderr", "true")]
        query += [("command", word) for word in command]
        path = f"/{CORE}/namespaces/{namespace}/pods/{pod}/exec"
        what = f"{command[0]} in {pod}/{container}"
        said: dict[int, bytearray] = {channel: bytearray() for channel in (_STDOUT, _STDERR, _ENDED)}
        async with self._free, stream.WsApiClient(self._api.configuration) as api:
            method, url, *rest = await api.param_serialize(
                "GET", path, query_params=query, auth_settings=["BearerToken"]
            )
            try:
                async with asyncio.timeout(TIMEOUT):
                    answer = await api.call_api(method, url, rest[0], _preload_content=False)
                    async with answer.response as socket:
                        async for message in socket:
                            if message.type is aiohttp.WSMsgType.BINARY and message.data:
                                said.get(message.data[0], bytearray()).extend(message.data[1:])
            except aiohttp.WSServerHandshakeError as error:
                self._count("GET", "Pod", str(error.status))
                if error.status in (401, 403):
                    raise Refused("Forbidden", f"{what}: no right to exec") from None
                raise Unavailable(f"{what}: {error.status}") from None
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                self._count("GET", "Pod", "none")
                raise Unavailable(f"{what}: {type(error).__name__}") from None
        self._count("GET", "Pod", "101")
        return _ended(said, what)

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
        group, plural = _PATHS[kind]
        where = f"/namespaces/{namespace}" if namespace else ""
        path = path or f"/{group}{where}/{plural}" + (f"/{name}" if name else "")
        status, text = await self._exchange(method, kind, path, query or [], body, content)
        _check(status, text, f"{method} {plural}/{name}")
        value: Manifest = json.loads(text) if text else {}
        return value

    async def _exchange(
        self,
        method: str,
        kind: str,
        path: str,
        query: list[tuple[str, str]],
        body: object = None,
        content: str = "application/json",
        limit: int | None = None,
    ) -> tuple[int, bytes]:
        """One counted request: status and body, the newest `limit` bytes of it where there is a limit."""
        async with self._free:
            try:
                async with asyncio.timeout(TIMEOUT):
                    status, text = await self._send(method, path, query, body, content, limit)
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                self._count(method, kind, "none")
                raise Unavailable(f"API server: {type(error).__name__} on {method} {_PATHS[kind][1]}") from None
        self._count(method, kind, str(status))
        return status, text

    async def _send(
        self, method: str, path: str, query: list[tuple[str, str]], body: object, content: str, limit: int | None
    ) -> tuple[int, bytes]:
        headers = {"Accept": "application/json", "Content-Type": content}
        request = await self._api.param_serialize(
            method, path, query_params=query, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            response = await self._api.call_api(*request, _request_timeout=TIMEOUT)
        except client.ApiException as error:
            return int(error.status or 0), str(error.body or "").encode()
        if limit is None:
            return response.status, await response.read()
        return response.status, await _newest(response.response, limit)

    def _count(self, method: str, kind: str, code: str) -> None:
        key = (method, kind, code)
        self.calls[key] = self.calls.get(key, 0) + 1


async def _newest(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The last whole lines of a body, never holding much more of it than `limit`."""
    kept, cut = bytearray(), False
    async for chunk in response.content.iter_chunked(1 << 16):
        kept += chunk
        if len(kept) > 2 * limit:
            del kept[:-limit]
            cut = True
    if cut or len(kept) > limit:
        kept = kept[-limit:].partition(b"\n")[2]
    return bytes(kept)


def _ended(said: Mapping[int, bytearray], what: str) -> Ended:
    """The command's end as the API server tells it on a channel of its own; raises Unavailable when it does not."""
    try:
        status = json.loads(said[_ENDED])
    except ValueError:
        raise Unavailable(f"{what}: cut off") from None
    causes = status.get("details", {}).get("causes", ())
    codes = [cause["message"] for cause in causes if cause.get("reason") == "ExitCode"]
    if status.get("status") != "Success" and not codes:
        raise Unavailable(f"{what}: {status.get('message', '')}")
    output, errors = (said[channel].decode(errors="replace") for channel in (_STDOUT, _STDERR))
    return Ended(int(codes[0]) if codes else 0, output, errors)


def _check(status: int, text: bytes, what: str) -> None:
    """Nothing for a good answer; KeyError for 404, which callers turn into None."""
    if 200 <= status < 300:
        return
    try:
        said = json.loads(text)
    except ValueError:
        said = {}
    message, causes = str(said.get("message", "")), (said.get("details") or {}).get("causes") or ()
    if status == 404:
        raise KeyError(what)
    if status == 409:
        raise Conflict(f"{what}: {message}")
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        raise Terminating("Forbidden", f"{what}: {message}")
    if status in (401, 403):
        raise Refused("Forbidden", f"{what}: {message}")
    if status in (400, 422):
        raise Refused("Rejected", f"{what}: {message}")
    raise Unavailable(f"{what}: {status} {message}")
