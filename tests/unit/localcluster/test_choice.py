"""Which cluster is chosen, and the command lines for kind, which no test host here can run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from localcluster import choice, layout, programs
from localcluster.choice import Cluster, Given, Kind, Local
from localcluster.errors import CommandFailed, LocalClusterError, Unsupported

Answer = Callable[[list[str]], str | None]


class Shell:
    """Stands for every program: keeps the command lines and answers them, None being a failure."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
        self.asked: list[str] = []
        self.texts: list[str] = []
        self.answer = answer
        monkeypatch.setattr(choice, "run", self.run)
        monkeypatch.setattr(choice, "succeeds", self.succeeds)
        monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")

    def run(self, *argv: str | Path, text: str | None = None, timeout: float | None = None) -> str:
        line = [str(part) for part in argv]
        self.asked.append(" ".join(line).replace("/usr/bin/", "").replace(str(choice.KIND_KUBECONFIG), "CONFIG"))
        if text is not None:
            self.texts.append(text)
        if (answer := self.answer(line)) is None:
            raise CommandFailed(line, 1, "")
        return answer

    def succeeds(self, *argv: str | Path, timeout: float | None = None) -> bool:
        try:
            self.run(*argv)
        except CommandFailed:
            return False
        return True


def working(line: list[str]) -> str:
    return ""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "KIND_KUBECONFIG", tmp_path / "kind" / "kubeconfig")


def test_the_backends_are_clusters() -> None:
    backends: list[Cluster] = [Local(), Kind()]
    assert [each.name for each in backends] == ["local", "kind"]


def test_kubeconfig_comes_first_then_an_engine_then_this_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").touch()
    monkeypatch.setattr(choice, "engine_answers", lambda: True)
    given = choice.choose({"KUBECONFIG": str(tmp_path / "config")})
    assert isinstance(given, Given)
    assert given.kubeconfig() == tmp_path / "config"
    assert isinstance(choice.choose({}), Kind)
    assert isinstance(choice.choose({"KUBECONFIG": ""}), Kind)
    monkeypatch.setattr(choice, "engine_answers", lambda: False)
    assert isinstance(choice.choose({}), Local)


def test_the_local_clusters_own_kubeconfig_means_the_local_cluster() -> None:
    assert isinstance(choice.choose({"KUBECONFIG": str(layout.KUBECONFIG)}), Local)


def test_an_engine_is_there_when_it_answers_not_when_its_client_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(monkeypatch, lambda line: None)
    assert not choice.engine_answers()
    assert shell.asked == ["docker info"]
    Shell(monkeypatch, working)
    assert choice.engine_answers()


@pytest.mark.parametrize("kubeconfig", ["/no/such/file", "/a:/b"])
def test_a_kubeconfig_that_cannot_be_used_is_said_so(kubeconfig: str) -> None:
    with pytest.raises(LocalClusterError, match="KUBECONFIG"):
        Given(kubeconfig, images_present=False)


def test_a_given_cluster_takes_images_only_if_its_nodes_can_pull_them(tmp_path: Path) -> None:
    (tmp_path / "config").touch()
    environ = {"KUBECONFIG": str(tmp_path / "config")}
    with pytest.raises(LocalClusterError, match=f"{choice.IMAGES_PRESENT}=1"):
        choice.choose(environ).load_image("docker.io/checkpointstore/agent:dev")
    choice.choose(environ | {choice.IMAGES_PRESENT: "1"}).load_image("docker.io/checkpointstore/agent:dev")


def test_a_given_cluster_is_not_taken_down_and_its_nodes_cannot_be_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").touch()
    shell = Shell(monkeypatch, lambda line: "node/a\nnode/b\n")
    given = Given(str(tmp_path / "config"), images_present=False)
    given.down()
    assert shell.asked == []
    assert given.nodes() == ["a", "b"]
    for act in (given.cut_node, given.heal_node):
        with pytest.raises(Unsupported):
            act("a")


def test_kind_is_created_with_three_nodes(monkeypatch: pytest.MonkeyPatch, cache: None) -> None:
    shell = Shell(monkeypatch, working)
    Kind().up()
    assert shell.asked == [
        "kind get clusters",
        "kind create cluster --kubeconfig=CONFIG --config=- --name=checkpointstore",
        "kubectl --kubeconfig=CONFIG wait --for=condition=Ready nodes --all --timeout=180s",
    ]
    config = yaml.safe_load(shell.texts[0])
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
    assert config["name"] == choice.KIND_NAME


def test_kind_that_is_there_is_started_healed_and_used(monkeypatch: pytest.MonkeyPatch, cache: None) -> None:
    def answer(line: list[str]) -> str | None:
        if line[1:] == ["get", "clusters"]:
            return "other\ncheckpointstore\n"
        if "nodes" in line and "get" in line:
            return "checkpointstore-worker\n"
        return None if "--check" in line else ""

    shell = Shell(monkeypatch, answer)
    Kind().up()
    asked = [line for line in shell.asked if "iptables" not in line]
    assert asked == [
        "kind get clusters",
        "kind get nodes --name=checkpointstore",
        "docker start checkpointstore-worker",
        "kind export kubeconfig --kubeconfig=CONFIG --name=checkpointstore",
        "kubectl --kubeconfig=CONFIG wait --for=condition=Ready nodes --all --timeout=180s",
    ]


def test_kind_builds_the_tools_that_the_host_lacks(monkeypatch: pytest.MonkeyPatch, cache: None) -> None:
    Shell(monkeypatch, working)
    built: list[str] = []
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "kind" else f"/usr/bin/{name}")
    monkeypatch.setattr(programs, "build", built.extend)
    Kind().up()
    assert built == ["kind"]
    assert Kind().tool("kind") == layout.BIN / "kind"


def test_kind_loads_from_the_engine_and_else_from_buildah(monkeypatch: pytest.MonkeyPatch, cache: None) -> None:
    ref = "docker.io/checkpointstore/operator:dev-0123456789ab"
    shell = Shell(monkeypatch, working)
    Kind().load_image(ref)
    assert shell.asked == [f"docker image inspect {ref}", f"kind load docker-image {ref} --name=checkpointstore"]
    shell = Shell(monkeypatch, lambda line: None if "inspect" in line else "")
    Kind().load_image(ref)
    assert shell.asked[1:] == [
        f"buildah push --quiet {ref} docker-daemon:{ref}",
        f"kind load docker-image {ref} --name=checkpointstore",
    ]


def test_kind_cuts_both_directions_once_and_heals_all(monkeypatch: pytest.MonkeyPatch, cache: None) -> None:
    rules: list[str] = []

    def engine(line: list[str]) -> str | None:
        action = next(part for part in line if part in ("--check", "--insert", "--delete"))
        rule = " ".join(line).replace(f"{action} ", "")
        if action == "--insert":
            rules.append(rule)
        elif rule not in rules:
            return None
        elif action == "--delete":
            rules.remove(rule)
        return ""

    Shell(monkeypatch, engine)
    for _ in range(2):
        Kind().cut_node("checkpointstore-worker")
    start = "docker exec checkpointstore-worker iptables --wait --table"
    assert rules == [
        f"{start} raw PREROUTING --in-interface eth0 --jump DROP",
        f"{start} mangle POSTROUTING --out-interface eth0 --jump DROP",
    ]
    for _ in range(2):
        Kind().heal_node("checkpointstore-worker")
    assert rules == []


def test_kind_is_deleted_by_name(monkeypatch: pytest.MonkeyPatch, cache: None) -> None:
    shell = Shell(monkeypatch, working)
    Kind().down()
    assert shell.asked == ["kind delete cluster --kubeconfig=CONFIG --name=checkpointstore"]
