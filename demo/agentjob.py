"""Runs an agent script of demo/agent as a Job beside a store and reads what it says while it says it."""

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.kubectl import SLOW, CommandFailed, Kubectl, NotInTime, wait_for

SCRIPTS = Path(__file__).resolve().parent / "agent"
SCRIPTS_NAME = "agent-scripts"
# What `pip install checkpointstore[client]` would put beside LangGraph; the image has no code of ours.
CLIENT = Path(__file__).resolve().parent.parent / "operator" / "checkpointstore" / "client"
CLIENT_NAME = "agent-client"
# node-postgres verifies the server with the CAs that Node knows, and a URI's sslmode overrides its `ssl` option.
NODE_ENVIRONMENT = {"NODE_EXTRA_CA_CERTS": "/bindings/store/ca.crt"}
Line = dict[str, Any]


def scripts(namespace: str) -> list[dict[str, Any]]:
    """The ConfigMaps that hold every agent script, and the savers of ours that some of them use."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace},
            "data": {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.suffix in (".py", ".js")},
        }
        for name, folder in ((SCRIPTS_NAME, SCRIPTS), (CLIENT_NAME, CLIENT))
    ]


def job(
    name: str, namespace: str, image: str, script: str, store: str, environment: Mapping[str, str], node: str = ""
) -> dict[str, Any]:
    """A Job that runs one script once, with the store's binding mounted, under Pod Security `restricted`.

    `node` is the host name of the only node where it may run; anywhere when empty.
    """
    settings = {**environment, **(NODE_ENVIRONMENT if script.endswith(".js") else {})}
    container = {
        "name": "agent",
        "image": image,
        "command": ["node" if script.endswith(".js") else "python3", f"/agent/{script}"],
        "env": [{"name": key, "value": value} for key, value in sorted({"PYTHONPATH": "/client", **settings}.items())],
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "scripts", "mountPath": "/agent", "readOnly": True},
            {"name": "client", "mountPath": "/client/checkpointstore/client", "readOnly": True},
            {"name": "binding", "mountPath": "/bindings/store", "readOnly": True},
            {"name": "blobs", "mountPath": "/bindings/blobs", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "nodeSelector": {"kubernetes.io/hostname": node} if node else {},
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 2,
        "containers": [container],
        "volumes": [
            {"name": "scripts", "configMap": {"name": SCRIPTS_NAME}},
            {"name": "client", "configMap": {"name": CLIENT_NAME}},
            {"name": "binding", "secret": {"secretName": f"{store}-app"}},
            {"name": "blobs", "secret": {"secretName": f"{store}-blobs", "optional": True}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    metadata = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": "agent"}}
    spec = {"backoffLimit": 0, "template": {"metadata": {"labels": metadata["labels"]}, "spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def parse(line: str) -> Line | None:
    """One line of an agent's log as its event; None for anything else, such as a driver's warning."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found else None


@dataclass
class Agent:
    """One running script: its lines so far, and its result when it has ended."""

    kubectl: Kubectl
    name: str
    namespace: str
    heard: Callable[[Line], None] = lambda line: None
    lines: list[Line] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    _reader: threading.Thread | None = None

    def phase(self) -> str:
        """The phase of the Job's pod, empty while there is none."""
        pods = self.kubectl.items("pods", "-n", self.namespace, "-l", f"job-name={self.name}")
        return str(pods[0].get("status", {}).get("phase", "")) if pods else ""

    def follow(self, timeout: float = 120) -> "Agent":
        """Wait for the pod's start, then read its log in the background."""
        wait_for(
            f"agent {self.name} to start",
            lambda: self.phase() in ("Running", "Succeeded", "Failed") or None,
            timeout,
            seen=lambda: self.kubectl("describe", "pods", "-n", self.namespace, "-l", f"job-name={self.name}")[-1500:],
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        """Read the log to its end; one that breaks off, as when the API server is away, is begun again."""
        known = 0
        while True:
            # Asked before: what it said between a log that broke off and its end is read once more.
            over = self._over()
            known = self._read_on(known)
            if over or any(line["event"] == "result" for line in self.lines):
                return
            time.sleep(1)

    def _over(self) -> bool:
        try:
            return self.phase() in ("Succeeded", "Failed", "")
        except CommandFailed:
            return False

    def _read_on(self, known: int) -> int:
        """Read the log, whose first `known` lines were read before; gives how many it has had so far."""
        command = [str(self.kubectl.kubectl), "logs", "-f", f"job/{self.name}", "-n", self.namespace]
        environment, out = self.kubectl.environment(), subprocess.PIPE
        with (
            # What kubectl complains of is no line of the agent's, and must not be counted as one.
            tempfile.TemporaryFile("w+") as complaints,
            subprocess.Popen(command, env=environment, stdout=out, stderr=complaints, text=True) as log,
        ):
            for number, text in enumerate(log.stdout or (), 1):
                # One that broke off in its middle is read whole the next time.
                if number <= known or not text.endswith("\n"):
                    continue
                known = number
                line = parse(text)
                if line is None:
                    self.other.append(text.rstrip())
                else:
                    self.lines.append(line)
                    self.heard(line)
            log.wait()
            complaints.seek(0)
            self.other += complaints.read().splitlines()
        return known

    def stop(self) -> Line:
        """Tell a writer, or who holds a conversation, that it is enough; gives its result."""
        self.inside("touch", "/tmp/stop")
        return self.result()

    def inside(self, *command: str) -> None:
        """Run a command in its pod. Raises CommandFailed."""
        self.kubectl("exec", f"job/{self.name}", "-n", self.namespace, "--", *command)

    def wait_line(self, what: str, wanted: Callable[[Line], bool], timeout: float = 120) -> Line:
        """The first line that is wanted, as soon as the agent says it."""

        def look() -> Line | None:
            if self._ended() and not any(map(wanted, self.lines)):
                raise NotInTime(f"agent {self.name} ended before {what}: {self.tail()}")
            return next(filter(wanted, self.lines), None)

        return wait_for(f"{what} from {self.name}", look, timeout, every=0.05, seen=self.tail)

    def result(self, timeout: float = 300) -> Line:
        """The last event of the script, once it has ended."""
        if self._reader:
            self._reader.join(SLOW * timeout)
        results = [line for line in self.lines if line["event"] == "result"]
        if not results:
            state = "ended without a result" if self._ended() else f"gave no result within {SLOW * timeout:.0f} s"
            raise NotInTime(f"agent {self.name} {state}: {self.tail()}")
        return results[-1]

    def _ended(self) -> bool:
        return self._reader is not None and not self._reader.is_alive()

    def tail(self) -> str:
        """What it said last, events and the rest."""
        return "\n".join([*(json.dumps(line) for line in self.lines[-5:]), *self.other[-30:]])


def start(
    kubectl: Kubectl,
    namespace: str,
    image: str,
    script: str,
    *,
    store: str = "agents",
    name: str | None = None,
    environment: Mapping[str, str] | None = None,
    node: str = "",
    heard: Callable[[Line], None] = lambda line: None,
) -> Agent:
    """Apply the scripts and the Job, replacing an ended one of the same name; the agent is not awaited."""
    name = name or script.partition(".")[0].replace("_", "-")
    kubectl("delete", "job", name, "-n", namespace, "--ignore-not-found", "--cascade=foreground")
    kubectl.apply(*scripts(namespace), job(name, namespace, image, script, store, environment or {}, node))
    return Agent(kubectl, name, namespace, heard)
