"""The operator as a process on this host, as who develops it runs it: the same work, and its lines are counted."""

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import installation as operator
from demo.installation import Installation
from demo.kubectl import Kubectl, wait_for
from tests.e2e import inventory, operators
from tests.e2e.subject import Subject, stamp

NAME = "outside"
ROOT = Path(__file__).resolve().parents[2]
PORT = 8080


@pytest.fixture(scope="module")
def process(
    installation: Installation, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[bytes]]:
    """It works in the place of the pods, which come back afterwards."""
    if installation.cluster.name != "local":
        pytest.skip(f"pods of a {installation.cluster.name} cluster cannot be reached from here")
    (container,) = operator.operator(kubectl)["spec"]["containers"]
    given = {item["name"]: item["value"] for item in container["env"] if "value" in item}
    own = {"POD_NAMESPACE": operator.NAMESPACE, "POD_NAME": "by-hand", "PYTHONPATH": str(ROOT / "operator")}
    log = tmp_path_factory.mktemp("operator") / "log"
    operators.scale(kubectl, 0)
    try:
        with log.open("wb") as out:
            started = subprocess.Popen(
                [sys.executable, "-m", "checkpointstore", "operator"],
                env={**kubectl.environment(), **given, **own},
                stdout=out,
                stderr=out,
                cwd=ROOT,
            )
        try:
            yield started
        finally:
            started.kill()
            started.wait()
    finally:
        operators.scale(kubectl, 2)


def test_one_life_of_a_store(process: subprocess.Popen[bytes], kubectl: Kubectl, namespace: str) -> None:
    """Created, rotated, restarted for a parameter, deleted; then the operator ends as it is told."""
    subject = Subject(kubectl, namespace, NAME)
    subject.apply({"postgres": {"instances": 2}})
    subject.changed("both instances", subject.whole, 180)
    assert operator.holder(kubectl) == "by-hand"
    assert (ask("healthz"), ask("readyz")) == (200, 200)
    old, before = subject.login(), subject.primary()
    subject.command("rotate-credentials", stamp())
    subject.changed("another login in the binding", lambda: subject.login() != old)
    subject.patch({"postgres": {"parameters": {"max_connections": "140"}}})
    subject.changed("another primary, with the parameter", lambda: subject.primary() not in ("", before))
    assert subject.psql("show max_connections") == "140"
    kubectl("delete", "secret", f"{NAME}-postgres-tls", "-n", namespace)
    subject.poke()
    subject.changed("another certificate", lambda: kubectl.find("secret", f"{NAME}-postgres-tls", namespace))
    kubectl("delete", "checkpointstore", NAME, "-n", namespace)
    kinds = {"PersistentVolumeClaim"}
    wait_for(
        "only volumes",
        lambda: {item.partition("/")[0] for item in inventory.of_store(kubectl, namespace, NAME)} == kinds,
        120,
    )
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) in (0, -signal.SIGTERM)
    assert operator.holder(kubectl) != "by-hand", "the Lease is given back"


def ask(path: str) -> int:
    """The status of one of the operator's own pages."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
