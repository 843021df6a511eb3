"""The thin slice: `spec: {}` becomes a database that stock LangGraph agents use through its binding."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from demo import installation, store
from demo.kubectl import Kubectl
from tests.e2e import leak
from tests.e2e.figure import Figures

NAME = "agents"
BINDING_KEYS = {
    "type",
    "provider",
    "host",
    "port",
    "database",
    "username",
    "password",
    "uri",
    "plain-uri",
    "direct-host",
    "direct-uri",
    "ca.crt",
}


@pytest.fixture(scope="module", autouse=True)
def ready(make_store: Callable[..., dict[str, Any]], figures: Figures) -> dict[str, Any]:
    """One store from an empty spec, with the time that it took."""
    began = time.monotonic()
    made = make_store(NAME, {})
    figures.note("apply_to_ready_1_instance", time.monotonic() - began, "s", "<=25")
    return made


def test_first_conditions_are_true(ready: dict[str, Any]) -> None:
    wanted = {"Ready", "Initialized", "SchemaApplied", "PoolerAvailable"}
    found = store.conditions(ready)
    assert {kind: found[kind]["status"] for kind in wanted} == dict.fromkeys(wanted, "True"), store.described(ready)
    assert found.get("Stalled", {}).get("status", "False") == "False"
    assert ready["status"]["observedGeneration"] == ready["metadata"]["generation"]
    assert ready["status"]["binding"] == {"name": f"{NAME}-app"}


def test_binding_has_exactly_the_documented_keys(kubectl: Kubectl, namespace: str) -> None:
    secret = kubectl.find("secret", f"{NAME}-app", namespace)
    assert secret is not None
    assert secret["type"] == "servicebinding.io/postgresql"
    assert set(secret["data"]) == BINDING_KEYS
    data = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert data["type"] == "postgresql"
    assert data["host"].startswith(f"{NAME}-pooler.{namespace}")
    assert data["direct-host"].startswith(f"{NAME}-rw.{namespace}")
    assert all(part in data["uri"] for part in ("sslmode=", "connect_timeout=", "tcp_user_timeout="))


@pytest.mark.parametrize("script", ["conversation.py", "conversation_sync.py"])
def test_stock_saver_holds_a_conversation(run_agent: Callable[..., Any], script: str) -> None:
    result, agent = run_agent(script, MESSAGES="12", PAUSE="0", THREAD=script)
    assert result["ok"], agent.tail()
    assert (result["acknowledged"], result["forgotten"], result["retries"]) == (12, [], 0)


def test_official_conformance_suite_passes(run_agent: Callable[..., Any], figures: Figures) -> None:
    result, agent = run_agent("conformance.py")
    figures.note("conformance_tests_passed", result["passed"], "tests", ">=66")
    assert result["ok"], agent.tail()
    assert result["detected"] == ["delete_thread", "get_tuple", "list", "prune", "put", "put_writes"]
    assert result["failed"] == 0


@pytest.mark.parametrize("savers", [8, 200])
def test_concurrent_savers_read_only_their_own(
    run_agent: Callable[..., Any], figures: Figures, soak: bool, savers: int
) -> None:
    rounds = 25 if soak or savers == 8 else 5
    result, agent = run_agent("savers.py", SAVERS=str(savers), ROUNDS=str(rounds), RUN=f"canary-{savers}")
    figures.note(f"savers_{savers}_errors", sum(result["errors"].values()), "errors", "<=0")
    assert result["ok"], agent.tail()
    assert result["rounds"] == savers * rounds


@pytest.mark.parametrize("script", ["drivers.py", "drivers.js"])
def test_every_driver_connects(run_agent: Callable[..., Any], script: str) -> None:
    result, agent = run_agent(script)
    assert result["ok"], agent.tail()


def test_pods_are_restricted(kubectl: Kubectl, namespace: str) -> None:
    pods = kubectl.items("pods", "-n", namespace)
    containers = [
        (pod["metadata"]["name"], container)
        for pod in pods
        for container in pod["spec"]["containers"] + pod["spec"].get("initContainers", [])
    ]
    assert {f"{NAME}-0"} < {name for name, _ in containers}
    writable = [n for n, c in containers if not c.get("securityContext", {}).get("readOnlyRootFilesystem")]
    assert not writable
    refused = kubectl.items("events", "-n", namespace, "--field-selector", "reason=FailedCreate")
    assert not [event["message"] for event in refused if "PodSecurity" in event["message"]]


def test_operator_pod_passes_restricted(kubectl: Kubectl, namespace: str) -> None:
    """The API server judges the operator's own pod as if it were made in the restricted namespace."""
    spec = installation.operator(kubectl)["spec"]
    copied = {key: spec[key] for key in ("containers", "initContainers", "securityContext") if key in spec}
    for container in [*copied["containers"], *copied.get("initContainers", [])]:
        container["volumeMounts"] = []
    metadata = {"name": "operator-copy", "namespace": namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copied}
    assert "operator-copy" in kubectl("create", "--dry-run=server", "-f", "-", text=json.dumps(pod))


def test_no_secret_is_seen_anywhere(kubectl: Kubectl, namespace: str) -> None:
    wanted = leak.secrets(kubectl, namespace)
    assert any(place.endswith("password") for place in wanted)
    assert any(place.endswith("tls.key") for place in wanted)
    assert leak.leaks(wanted, leak.places(kubectl, [namespace, "checkpointstore-system"])) == []
