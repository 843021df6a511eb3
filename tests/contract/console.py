"""PgBouncer's console of the simulated poolers, in the place of `adapters.pgbouncer`."""

from collections.abc import Mapping

from checkpointstore.kernel.action import Manifest
from checkpointstore.kernel.errors import Unavailable
from checkpointstore.kernel.naming import REVISION, SOURCE, STORE_LABEL

from .apiserver import ApiServer
from .nature import ready


class Console:
    """A pooler runs with the files that it had at its start, or when it was last told to reload."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._files: dict[str, str] = {}
        self._loaded: dict[str, str] = {}
        self.deaf = False
        """Nobody answers."""

    def step(self) -> None:
        """Kubelets refresh the files of pods that were touched; whoever has just started reads them."""
        for pod in self._running():
            uid, source = pod["metadata"]["uid"], self._source(pod)
            touched = pod["metadata"].get("annotations", {}).get(REVISION) == source
            self._files[uid] = source if touched else self._files.get(uid, source)
            self._loaded.setdefault(uid, self._files[uid])

    async def revision(self, host: str, address: str, secret: Mapping[str, bytes]) -> str:
        assert secret.keys() >= {"tls.crt", "tls.key", "ca.crt"}
        return next((self._loaded.get(pod["metadata"]["uid"], "") for pod in self._at(address)), "")

    async def reload(self, host: str, address: str, secret: Mapping[str, bytes]) -> None:
        """A reload that comes before the kubelet reads the old files once more."""
        for pod in self._at(address):
            assert host.startswith(f"{pod['metadata']['labels'][STORE_LABEL]}-pooler.")
            assert secret.keys() >= {"tls.crt", "tls.key", "ca.crt"}
            self._loaded[pod["metadata"]["uid"]] = self._files[pod["metadata"]["uid"]]
            return
        raise Unavailable(f"{host} does not answer")

    def _at(self, address: str) -> list[Manifest]:
        found = [pod for pod in self._running() if pod["status"]["podIP"] == address and ready(pod)]
        return [] if self.deaf else found

    def _running(self) -> list[Manifest]:
        pods = self._server.all("Pod", None, {"app.kubernetes.io/component": "pooler"})
        return [pod for pod in pods if pod["status"]["phase"] == "Running"]

    def _source(self, pod: Manifest) -> str:
        meta = pod["metadata"]
        secret = self._server.get("Secret", meta["namespace"], f"{meta['labels'][STORE_LABEL]}-pooler")
        return str((secret or {"metadata": {}})["metadata"].get("annotations", {}).get(SOURCE, ""))
