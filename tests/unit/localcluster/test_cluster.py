"""What `up` does with what it finds: go on, repair, or remove and begin anew."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from localcluster import base_image, cgroup, cluster, daemon, image, network, programs
from localcluster import host as host_checks
from localcluster.daemon import Daemon
from localcluster.errors import LocalClusterError, Unsupported
from localcluster.layout import Node, nodes


class Host:
    """A pretended host: what is on it, what was done, and how often booting fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.done: list[str] = []
        self.boot = "b1"
        self.leftovers: list[str] = []
        self.dead: set[str] = set()
        self.failures = 0
        self.state = tmp_path / "state"
        (tmp_path / "boot_id").write_text("b1")
        monkeypatch.setattr(cluster, "STATE", self.state)
        monkeypatch.setattr(cluster, "BOOT", self.state / "boot")
        monkeypatch.setattr(daemon, "BOOT", tmp_path / "boot_id")
        monkeypatch.setattr(daemon, "lives", self.lives)
        monkeypatch.setattr(cluster, "leftovers", lambda: self.leftovers)
        monkeypatch.setattr(cluster, "sweep", self.sweep)
        monkeypatch.setattr(cluster, "boot", self.start)
        for module, names in (
            (host_checks, ("check", "install")),
            (programs, ("build",)),
            (base_image, ("ensure",)),
            (image, ("make_pause",)),
        ):
            for name in names:
                monkeypatch.setattr(module, name, lambda *_: None)

    def lives(self, each: Daemon) -> bool:
        return each.name not in self.dead

    def sweep(self) -> None:
        self.done.append("sweep")
        self.leftovers = []
        if (self.state / "boot").exists():
            (self.state / "boot").unlink()

    def start(self, wanted: list[Node], repairing: bool) -> None:
        self.done.append(f"{'repair' if repairing else 'boot'} {len(wanted)}")
        if self.failures:
            self.failures -= 1
            raise LocalClusterError("etcd ended")

    def has_state(self, boot: str) -> None:
        self.state.mkdir()
        (self.state / "boot").write_text(boot)
        self.leftovers = [str(self.state)]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    return Host(monkeypatch, tmp_path)


def test_an_empty_host_is_booted(host: Host) -> None:
    cluster.up()
    assert host.done == ["boot 3"]


def test_processes_or_mounts_without_a_state_are_removed_first(host: Host) -> None:
    host.leftovers = ["29 processes", "20 mounts"]
    cluster.up()
    assert host.done == ["sweep", "boot 3"]


def test_a_state_of_this_boot_is_kept(host: Host) -> None:
    host.has_state("b1")
    host.dead = {"etcd", "node2-kubelet"}
    cluster.up()
    assert host.done == ["repair 3"]


def test_a_state_of_another_boot_is_removed_first(host: Host) -> None:
    host.has_state("b0")
    cluster.up()
    assert host.done == ["sweep", "boot 3"]


def test_a_state_that_cannot_be_repaired_is_made_anew(host: Host) -> None:
    host.has_state("b1")
    host.dead = {"etcd"}
    host.failures = 1
    cluster.up()
    assert host.done == ["repair 3", "sweep", "boot 3"]


def test_a_running_cluster_that_is_only_slow_is_not_thrown_away(host: Host) -> None:
    host.has_state("b1")
    host.failures = 1
    with pytest.raises(LocalClusterError, match="etcd ended"):
        cluster.up()
    assert host.done == ["repair 3"]


def test_a_first_boot_that_fails_says_why(host: Host) -> None:
    host.failures = 1
    with pytest.raises(LocalClusterError, match="etcd ended"):
        cluster.up()
    assert host.done == ["boot 3"]


def test_nodes_are_added_and_never_forgotten(host: Host) -> None:
    host.has_state("b1")
    (host.state / "nodes" / "node4").mkdir(parents=True)
    cluster.up(2)
    assert host.done == ["repair 4"]
    cluster.up(5)
    assert host.done[1:] == ["repair 5"]


def test_the_host_itself_and_unknown_nodes_cannot_be_cut_off(host: Host) -> None:
    for number in (1, 2):
        (host.state / "nodes" / f"node{number}").mkdir(parents=True)
    assert cluster.worker("node2") == Node(2)
    with pytest.raises(Unsupported, match="host itself"):
        cluster.worker("node1")
    with pytest.raises(LocalClusterError, match="node1, node2"):
        cluster.worker("node7")


@pytest.mark.parametrize(
    ("age", "ready"), [(timedelta(seconds=-5), True), (timedelta(seconds=5), False)], ids=["fresh", "stale"]
)
def test_after_a_repair_a_node_is_ready_only_by_a_fresh_word(
    monkeypatch: pytest.MonkeyPatch, age: timedelta, ready: bool
) -> None:
    since = datetime.now(UTC)
    monkeypatch.setattr(cluster, "node_states", lambda: {"node1": "True", "node2": "True"})
    monkeypatch.setattr(cluster, "lease_renewals", lambda: {"node1": since, "node2": since - age})
    monkeypatch.setattr(cluster, "kubectl", lambda *_: "serviceaccount/default")
    assert cluster.is_ready(nodes(2), since) is ready
    assert cluster.is_ready(nodes(2), None)
    assert not cluster.is_ready(nodes(3), None)


def test_pods_need_the_namespaces_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "node_states", lambda: {"node1": "True"})
    monkeypatch.setattr(cluster, "kubectl", lambda *_: "")
    assert not cluster.is_ready(nodes(1), None)


def test_nothing_is_deleted_while_something_is_mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A volume that is mounted below the state would lose its files."""

    @contextmanager
    def quiet(title: str) -> Iterator[None]:
        yield

    precious = tmp_path / "state" / "volume" / "file"
    precious.parent.mkdir(parents=True)
    precious.touch()
    monkeypatch.setattr(cluster, "STATE", tmp_path / "state")
    monkeypatch.setattr(cluster, "step", quiet)
    monkeypatch.setattr(cluster, "mounts", lambda: [str(precious.parent)])
    monkeypatch.setattr(cluster, "run", lambda *_: "")
    monkeypatch.setattr(daemon, "stop_all", lambda: 0)
    removed: list[str] = []
    for module, name in ((network, "remove"), (cgroup, "remove"), (host_checks, "restore")):
        monkeypatch.setattr(module, name, lambda name=name: removed.append(name))
    with pytest.raises(LocalClusterError, match="cannot be unmounted"):
        cluster.sweep()
    assert removed == []
    assert precious.exists()


@pytest.mark.parametrize("act", [network.remove, lambda: network.make(nodes(2)), lambda: image.load("docker.io/a/b:1")])
def test_the_seal_holds(act: Callable[[], None]) -> None:
    """These tests run beside a real cluster: a command that would change it must not start."""
    with pytest.raises(AssertionError, match="on the real host"):
        act()
