"""Patroni's REST API of the simulated instances, in the place of `adapters.patroni`."""

import base64
from collections.abc import Callable, Mapping

from checkpointstore.kernel.action import Manifest, Peer
from checkpointstore.kernel.errors import Unavailable
from checkpointstore.kernel.naming import STORE_LABEL
from checkpointstore.kernel.observed import Certificate

from .apiserver import ApiServer
from .database import LOADED, PATRONI, STARTED, annotation, believed, record
from .nature import ready


class Rest:
    """An instance serves the certificate that it read at its start, or when it was last told to reload."""

    def __init__(self, server: ApiServer, facts: Callable[[bytes], Certificate | None]) -> None:
        self._server = server
        self._facts = facts
        self._loaded: dict[str, str] = {}

    def starts(self) -> None:
        """Whoever has just started reads its certificate."""
        for pod in self._running():
            self._loaded.setdefault(pod["metadata"]["uid"], self._certificate(pod))

    async def served(self, address: str) -> str:
        return next((self._loaded.get(pod["metadata"]["uid"], "") for pod in self._at(address)), "")

    async def leads(self, address: str) -> bool:
        return any(self._leader(pod) == pod["metadata"]["name"] for pod in self._at(address))

    async def switchover(self, at: Peer, leader: str, target: str, secret: Mapping[str, bytes]) -> None:
        """Patroni keeps the wish in its failover record, and answers when it is fulfilled or given up."""
        pod = self._meant(at, secret)
        meta = pod["metadata"]
        if self._leader(pod) != leader:
            raise Unavailable(f"{leader} does not lead")
        name = f"{meta['labels'][STORE_LABEL]}-rw-failover"
        labels = {key: meta["labels"][key] for key in (STORE_LABEL, "app.kubernetes.io/component")}
        record(self._server, meta["namespace"], name, labels, {"leader": leader, "member": target})

    async def reload(self, at: Peer, secret: Mapping[str, bytes]) -> None:
        pod = self._meant(at, secret)
        self._loaded[pod["metadata"]["uid"]] = self._certificate(pod)

    async def restart(self, at: Peer, secret: Mapping[str, bytes]) -> bool:
        pod = self._meant(at, secret)
        meta = pod["metadata"]
        forgotten = {"metadata": {"annotations": {STARTED: None, LOADED: believed(pod)}}}
        self._server.patch("Pod", meta["namespace"], meta["name"], forgotten, PATRONI)
        return True

    def _leader(self, pod: Manifest) -> str:
        meta = pod["metadata"]
        return annotation(self._server, meta["namespace"], f"{meta['labels'][STORE_LABEL]}-rw", "leader")

    def _meant(self, at: Peer, secret: Mapping[str, bytes]) -> Manifest:
        """The instance at an address, which takes orders only from who holds a client certificate."""
        for pod in self._at(at.address):
            assert at.host.split(".")[0] == pod["metadata"]["name"]
            assert secret.keys() >= {"tls.crt", "tls.key", "ca.crt"}
            return pod
        raise Unavailable(f"{at.host} does not answer")

    def _at(self, address: str) -> list[Manifest]:
        return [pod for pod in self._running() if pod["status"]["podIP"] == address and ready(pod)]

    def _running(self) -> list[Manifest]:
        pods = self._server.all("Pod", None, {"app.kubernetes.io/component": "postgres"})
        return [pod for pod in pods if pod["status"]["phase"] == "Running"]

    def _certificate(self, pod: Manifest) -> str:
        meta = pod["metadata"]
        name = f"{meta['labels'][STORE_LABEL]}-postgres-tls"
        secret = self._server.get("Secret", meta["namespace"], name) or {"data": {}}
        have = self._facts(base64.b64decode(secret["data"].get("tls.crt", "")))
        return have.fingerprint if have else ""
