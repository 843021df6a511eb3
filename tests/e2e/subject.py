"""A store under test: what a person does to it with kubectl, and what a person sees of it."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from demo import store
from demo.kubectl import CommandFailed, Kubectl, wait_for

DOMAIN = "checkpointstore.dev"
PASSING = "passing"
"""How the stores are called in whose lives the operator is killed."""
SOCKET = "/run/postgresql"
RUNS = {"retention": "run-retention", "tiering": "run-tiering", "blobs": "run-blob-collection"}
"""The commands for runs over threads, by the part of the status that tells of them."""
# The certificate that a server shows on a port, from inside its pod: PostgreSQL wants to be asked for TLS first.
SERVED = """
import socket, ssl
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
plain = socket.create_connection(("127.0.0.1", {port}), timeout=5)
if {port} == 5432:
    plain.sendall((8).to_bytes(4, "big") + (80877103).to_bytes(4, "big"))
    assert plain.recv(1) == b"S"
print(ssl.DER_cert_to_PEM_cert(context.wrap_socket(plain).getpeercert(True)))
"""


def stamp() -> str:
    """A new value for an annotation that commands something."""
    return datetime.now(UTC).isoformat()


@dataclass(frozen=True)
class Subject:
    """One store in one namespace."""

    kubectl: Kubectl
    namespace: str
    name: str

    def apply(self, spec: dict[str, Any], annotations: dict[str, str] | None = None) -> None:
        """Make the store, or make it as `spec` says."""
        manifest = store.manifest(self.name, self.namespace, spec)
        manifest["metadata"]["annotations"] = {f"{DOMAIN}/{key}": text for key, text in (annotations or {}).items()}
        self.kubectl.apply(manifest)

    def patch(self, spec: dict[str, Any]) -> None:
        """Change a part of the spec."""
        self._patch("cps", self.name, {"spec": spec})

    def command(self, name: str, value: str | None) -> None:
        """Set a command's annotation; None takes it away."""
        self._patch("cps", self.name, {"metadata": {"annotations": {f"{DOMAIN}/{name}": value}}})

    def poke(self) -> None:
        """Let the operator look again, now."""
        self.command("poked", stamp())

    def _patch(self, kind: str, name: str, change: dict[str, Any]) -> None:
        self.kubectl("patch", kind, name, "-n", self.namespace, "--type=merge", "-p", json.dumps(change))

    def seen(self) -> dict[str, Any]:
        """The object as it is now."""
        return self.kubectl.find("cps", self.name, self.namespace) or {}

    def condition(self, kind: str) -> dict[str, Any]:
        """One condition, empty while there is none."""
        return store.conditions(self.seen()).get(kind, {})

    def events(self, reason: str) -> list[dict[str, Any]]:
        """Its events of a reason."""
        about = f"involvedObject.name={self.name},involvedObject.kind=CheckpointStore,reason={reason}"
        return self.kubectl.items("events", "-n", self.namespace, "--field-selector", about)

    def said(self, kind: str, reason: str, timeout: float) -> str:
        """Wait until a condition gives a reason; its message."""
        found: dict[str, Any] = {}

        def gives() -> bool:
            found.update(self.condition(kind))
            return found.get("reason") == reason

        wait_for(f"{kind} to say {reason}", gives, timeout, seen=lambda: store.described(self.seen()))
        return str(found["message"])

    def ready(self, timeout: float = 150) -> dict[str, Any]:
        """Wait until it is Ready and at rest."""
        return store.wait_ready(self.kubectl, self.name, self.namespace, timeout)

    def changed(self, what: str, evidence: Callable[[], object], timeout: float = 120) -> dict[str, Any]:
        """Wait for the evidence of a change, then until the store is Ready and at rest again."""
        wait_for(what, lambda: bool(evidence()), timeout, every=0.5, seen=lambda: store.described(self.seen()))
        return self.ready(timeout)

    def pods(self, component: str = "postgres", going: bool = False) -> dict[str, dict[str, Any]]:
        """The pods of a component by name; with `going` those too that are being deleted."""
        chosen = f"{DOMAIN}/store={self.name},app.kubernetes.io/component={component}"
        found = self.kubectl.items("pods", "-n", self.namespace, "-l", chosen)
        return {pod["metadata"]["name"]: pod for pod in found if going or "deletionTimestamp" not in pod["metadata"]}

    def kill_a_run(self, component: str) -> None:
        """Wait for a pod of its Jobs and take it away, if it is not done by then."""
        which = f"{DOMAIN}/store={self.name},app.kubernetes.io/component={component}"
        at_work = ("pods", "-n", self.namespace, "-l", which, "--field-selector=status.phase!=Succeeded")
        (pod, *_) = wait_for(f"a {component} Job's pod", lambda: self.kubectl.items(*at_work) or None, 150, every=0.2)
        where = ("-n", self.namespace, "--grace-period=0", "--force", "--ignore-not-found")
        self.kubectl("delete", "pod", pod["metadata"]["name"], *where)

    def run(self, room: str) -> dict[str, Any]:
        """Ask for a run over its threads and wait for its end; what the status says of it."""
        asked = stamp()
        self.command(RUNS[room], asked)

        def ended() -> dict[str, Any] | None:
            known: dict[str, Any] = self.seen()["status"].get(room, {})
            return known if known.get("asked") == asked and not known.get("begun") else None

        return wait_for(f"a run of {room} to end", ended, 150, every=0.5)

    def lives(self, component: str = "postgres") -> set[tuple[str, str, str]]:
        """Which lives the containers lead: another pod, or another start, is another life."""
        return {
            (pod["metadata"]["uid"], status["name"], status["state"].get("running", {}).get("startedAt", ""))
            for pod in self.pods(component).values()
            for status in pod["status"].get("containerStatuses", ())
        }

    def whole(self) -> bool:
        """Whether the StatefulSet has every pod it wants, all ready."""
        members = self.kubectl.find("statefulset", self.name, self.namespace) or {"status": {}, "spec": {}}
        return bool(members["status"].get("readyReplicas", 0) == members["spec"].get("replicas"))

    def primary(self) -> str:
        """The pod that leads now."""
        return store.primary(self.kubectl, self.name, self.namespace)

    def secret(self, name: str) -> dict[str, str]:
        """A Secret's values, empty where it does not exist."""
        found = self.kubectl.find("secret", name, self.namespace) or {}
        return {key: base64.b64decode(text).decode() for key, text in found.get("data", {}).items()}

    def login(self) -> str:
        """The application's login in the binding."""
        return self.secret(f"{self.name}-app").get("username", "")

    def psql(self, question: str, database: str = "app", pod: str = "") -> str:
        """Ask the primary, or another pod, as its superuser, over the socket in the pod."""
        command = ["psql", "-h", SOCKET, "-U", "postgres", "-d", database, "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        return self.inside(command, question, pod)

    def inside(self, command: list[str], text: str = "", pod: str = "") -> str:
        """Run a program in the postgres container of the primary, or of another pod."""
        where = ["exec", "-i", pod or self.primary(), "-n", self.namespace, "-c", "postgres", "--"]
        return self.kubectl(*where, *command, text=text).strip()

    def served(self) -> set[str]:
        """The certificates that PostgreSQL and Patroni of every instance serve, as their Secret spells them."""
        programs = [["python3", "-c", SERVED.format(port=port)] for port in (5432, 8008)]
        try:
            return {self.inside(program, pod=pod) + "\n" for pod in self.pods() for program in programs}
        except CommandFailed:
            # Patroni drops who is connecting while it takes its new certificate up.
            return set()
