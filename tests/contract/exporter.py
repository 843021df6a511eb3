"""The postgres exporters of the simulated instances, in the place of `adapters.revision`."""

from .apiserver import ApiServer
from .database import LOADED, believed


class Exporter:
    """Tells what the server in its pod has loaded."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.asked = 0
        """How many pages were asked for."""
        self.deaf = False
        """None answers."""
        self.old = False
        """None knows the question."""

    async def look(self, address: str) -> str | None:
        self.asked += 1
        pods = self._server.all("Pod", None, {"app.kubernetes.io/component": "postgres"})
        (pod,) = (pod for pod in pods if pod["status"].get("podIP") == address)
        if self.deaf or believed(pod) is None:
            return None
        return "" if self.old else pod["metadata"]["annotations"][LOADED]
