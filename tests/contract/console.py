"""PgBouncer's console of the simulated poolers, in the place of `adapters.pgbouncer`."""

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from checkpointstore.features.pooler.configuration import CONNECTIONS
from checkpointstore.kernel.action import Manifest, Peer
from checkpointstore.kernel.errors import Unavailable
from checkpointstore.kernel.naming import REVISION, SOURCE, STORE_LABEL
from checkpointstore.kernel.observed import Pooler

from .apiserver import ApiServer
from .nature import ready


class Console:
    """A pooler runs with the files that it had at its start, or when it was last told to reload."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._files: dict[str, Pooler] = {}
        self._loaded: dict[str, Pooler] = {}
        self.paused: set[str] = set()
        """Pods whose clients wait."""
        self.deaf = False
        """Nobody answers."""
        self.behind = False
        """Kubelets know what Secrets were before."""
        self.clients: dict[str, int] = {}
        """Idle ones that may go, by pod."""
        self._marks: dict[str, str] = {}

    def step(self) -> None:
        """Kubelets refresh the files of pods that were touched; whoever has just started reads them."""
        for pod in self._running():
            uid, source = pod["metadata"]["uid"], self._published(pod)
            mark = pod["metadata"].get("annotations", {}).get(REVISION, "")
            touched, self._marks[uid] = mark != self._marks.get(uid, ""), mark
            self._files[uid] = source if touched and not self.behind else self._files.get(uid, source)
            self._loaded.setdefault(uid, self._files[uid])

    async def look(self, at: Peer, secret: Mapping[str, bytes]) -> Pooler | None:
        for pod in self._meant(at, secret):
            uid = pod["metadata"]["uid"]
            return replace(self._loaded.get(uid, Pooler("")), paused=uid in self.paused)
        return None

    async def reload(self, at: Peer, secret: Mapping[str, bytes]) -> None:
        """A reload that comes before the kubelet reads the old files once more."""
        uid = self._obeys(at, secret)
        self._loaded[uid] = self._files[uid]

    async def pause(self, at: Peer, database: str, secret: Mapping[str, bytes]) -> None:
        assert database == "app"
        self.paused.add(self._obeys(at, secret))

    async def resume(self, at: Peer, database: str, secret: Mapping[str, bytes]) -> None:
        assert database == "app"
        self.paused.discard(self._obeys(at, secret))

    async def rebalance(self, at: Peer, database: str, most: int, since: datetime, secret: Mapping[str, bytes]) -> int:
        assert database == "app"
        uid = self._obeys(at, secret)
        made = [pod["metadata"]["creationTimestamp"] for pod in self._running()]
        assert since >= max(map(datetime.fromisoformat, made)), "who came since then chose among all"
        before = self.clients.get(uid, 0)
        self.clients[uid] = min(before, most)
        return before - self.clients[uid]

    def _obeys(self, at: Peer, secret: Mapping[str, bytes]) -> str:
        for pod in self._meant(at, secret):
            return str(pod["metadata"]["uid"])
        raise Unavailable(f"{at.host} does not answer")

    def _meant(self, at: Peer, secret: Mapping[str, bytes]) -> list[Manifest]:
        """The pooler at an address, which takes orders only from who holds a client certificate."""
        found = self._at(at.address)
        assert secret.keys() >= {"tls.crt", "tls.key", "ca.crt"}
        assert all(at.host.startswith(f"{pod['metadata']['labels'][STORE_LABEL]}-pooler.") for pod in found)
        return found

    def _at(self, address: str) -> list[Manifest]:
        found = [pod for pod in self._running() if pod["status"]["podIP"] == address and ready(pod)]
        return [] if self.deaf else found

    def _running(self) -> list[Manifest]:
        pods = self._server.all("Pod", None, {"app.kubernetes.io/component": "pooler"})
        return [pod for pod in pods if pod["status"]["phase"] == "Running"]

    def _published(self, pod: Manifest) -> Pooler:
        """What a pooler says that runs with the files that are there now."""
        meta = pod["metadata"]
        secret = self._server.get("Secret", meta["namespace"], f"{meta['labels'][STORE_LABEL]}-pooler")
        if secret is None:
            return Pooler("")
        ini = base64.b64decode(secret["data"].get("pgbouncer.ini", "")).decode()
        connections = re.search(rf"^{CONNECTIONS} = (\d+)$", ini, re.MULTILINE)
        revision = secret["metadata"].get("annotations", {}).get(SOURCE, "")
        return Pooler(revision, connections=int(connections[1]) if connections else 0)
