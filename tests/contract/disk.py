"""The volumes of the simulated instances, in the place of `adapters.filesystem`."""

from checkpointstore.kernel.observed import Volume
from checkpointstore.providers.patroni.place import DATA

from .apiserver import ApiServer

GIB = 1024**3
ROOMY = Volume(10 * GIB, 9 * GIB)


class Disk:
    """Every volume is roomy but those in `volumes`, by pod; a pod that does not run tells nothing."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.volumes: dict[str, Volume] = {}

    async def look(self, address: str, mountpoint: str) -> Volume | None:
        assert mountpoint == DATA
        pods = self._server.all("Pod", None, {"app.kubernetes.io/component": "postgres"})
        names = [pod["metadata"]["name"] for pod in pods if pod["status"].get("podIP") == address]
        return next((self.volumes.get(name, ROOMY) for name in names), None)
