"""A way to a port in the cluster as a person has it: kubectl may end it when a connection behind it ends."""

import re
import subprocess

from demo.kubectl import Kubectl


class Forward:
    """To `target`, such as service/agents, and its port."""

    def __init__(self, kubectl: Kubectl, namespace: str, target: str, port: int) -> None:
        self._kubectl = kubectl
        self._where = ["-n", namespace, target, f":{port}"]
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    def port(self) -> int:
        """Where it is on this machine."""
        if self._process is None or self._process.poll() is not None:
            command = [str(self._kubectl.kubectl), "port-forward", *self._where]
            environment = self._kubectl.environment()
            self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
            line = self._process.stdout.readline() if self._process.stdout else ""
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert found, line
            self._port = int(found[1])
        return self._port

    def end(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()
            self._process = None
