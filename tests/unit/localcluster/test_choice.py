"""Which cluster is chosen, and the command lines for kind, which no test host here can run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from localcluster import choice, cluster, layout, objectstore, programs
from localcluster.choice import Cluster, Given, Kind, Local
from localcluster.command import run as really_run
from localcluster.errors import CommandFailed, LocalClusterError, Unsupported
from localcluster.objectstore import ObjectStore

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
    monkeypatch.setattr(choice, "KIND_S3", objectstore.Place(tmp_path / "kind" / "s3"))


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
        Given(kubeconfig, {})


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
    given = Given(str(tmp_path / "config"), {})
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


@pytest.fixture
def kinds_server(monkeypatch: pytest.MonkeyPatch, cache: None) -> list[ObjectStore]:
    """The buckets that were asked for, with the server of kind's node at 172.18.0.2 being there from then on."""
    buckets: list[ObjectStore] = []
    monkeypatch.setattr(programs, "build", lambda names: None)
    monkeypatch.setattr(cluster, "listens", lambda address: bool(buckets) and address == "172.18.0.2:9443")
    monkeypatch.setattr(objectstore, "make_bucket", lambda store, authority: buckets.append(store))
    return buckets


def test_kind_runs_the_s3_server_in_its_control_plane(
    monkeypatch: pytest.MonkeyPatch, kinds_server: list[ObjectStore]
) -> None:
    shell = Shell(monkeypatch, lambda line: "172.18.0.2\n" if "inspect" in line else "")
    store = Kind().object_store()
    assert kinds_server == [store]
    assert (store.endpoint, store.bucket) == ("https://172.18.0.2:9443", "checkpointstore")
    node, inside, folder = "checkpointstore-control-plane", "/var/lib/checkpointstore-s3", choice.KIND_S3.folder
    assert shell.asked[1:] == [
        f"docker exec {node} mkdir -p {inside}/data {inside}/metadata",
        f"docker cp --follow-link {layout.BIN}/versitygw {node}:{inside}/versitygw",
        f"docker cp {folder}/s3-172.18.0.2.crt {node}:{inside}/s3.crt",
        f"docker cp {folder}/s3-172.18.0.2.key {node}:{inside}/s3.key",
        f"docker exec --detach --env-file={folder}/credentials {node} {inside}/versitygw --port=:9443 "
        f"--cert={inside}/s3.crt --key={inside}/s3.key --region=us-east-1 "
        f"--sidecar={inside}/metadata {inside}/data",
    ]
    assert store.secret_key not in "".join(shell.asked)
    text = really_run("openssl", "x509", "-in", folder / "s3-172.18.0.2.crt", "-noout", "-text")
    assert "IP Address:172.18.0.2" in text
    really_run("openssl", "verify", "-x509_strict", "-CAfile", folder / "ca.crt", folder / "s3-172.18.0.2.crt")


def test_kinds_s3_server_is_started_once_and_again_at_a_new_address(
    monkeypatch: pytest.MonkeyPatch, kinds_server: list[ObjectStore]
) -> None:
    address = "172.18.0.2"
    shell = Shell(monkeypatch, lambda line: address if "inspect" in line else "")
    assert Kind().object_store() == Kind().object_store()
    assert sum("--detach" in line for line in shell.asked) == 1
    address = "172.18.0.9"
    moved = Kind().object_store()
    assert moved.endpoint == "https://172.18.0.9:9443"
    assert moved.secret_key == kinds_server[0].secret_key
    assert sum("--detach" in line for line in shell.asked) == 2


def test_kind_takes_the_s3_servers_secrets_with_it(monkeypatch: pytest.MonkeyPatch, cache: None) -> None:
    Shell(monkeypatch, working)
    choice.KIND_S3.folder.mkdir(parents=True)
    Kind().down()
    assert not choice.KIND_S3.folder.exists()


def test_a_given_cluster_has_the_s3_server_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "config").touch()
    environ = {"KUBECONFIG": str(tmp_path / "config"), "CHECKPOINTSTORE_S3_BUCKET": "b"}
    with pytest.raises(Unsupported, match="set CHECKPOINTSTORE_S3_ENDPOINT, CHECKPOINTSTORE_S3_REGION"):
        choice.choose(environ).object_store()
    rest = {"ENDPOINT": "https://s3.example", "REGION": "r", "ACCESS_KEY": "a", "SECRET_KEY": "s"}
    environ |= {f"CHECKPOINTSTORE_S3_{name}": value for name, value in rest.items()}
    assert choice.choose(environ).object_store() == ObjectStore("https://s3.example", "r", "b", "a", "s", "")


def test_kind_is_deleted_by_name(monkeypatch: pytest.MonkeyPatch, cache: None) -> None:
    shell = Shell(monkeypatch, working)
    Kind().down()
    assert shell.asked == ["kind delete cluster --kubeconfig=CONFIG --name=checkpointstore"]
