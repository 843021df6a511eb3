"""The command lines that docker and buildah get, and which of the two is asked."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from images import engine
from images.engine import Buildah, Docker, Engine, Order
from images.network import Lent
from localcluster.errors import LocalClusterError

REFERENCE = "docker.io/checkpointstore/web:dev-0123456789ab"
ORDER = Order(REFERENCE, "dev-0123456789ab", "images/web/Containerfile", Path("/ctx"))
LENT = Lent(Path("/lent/network"), Path("/lent/ca.crt"))
COMMON = [
    "--file=/ctx/images/web/Containerfile",
    f"--tag={REFERENCE}",
    "--label=org.opencontainers.image.version=dev-0123456789ab",
    "--secret=id=network,src=/lent/network",
    "--secret=id=ca,src=/lent/ca.crt",
    "/ctx",
]


class Recorder:
    """Stands for the programs: keeps the command lines, prints what it is told, knows what it is told."""

    def __init__(self, output: str = "", known: tuple[str, ...] = ()) -> None:
        self.lines: list[list[str]] = []
        self.environ: Mapping[str, str] = {}
        self.output = output
        self.known = known

    def run(self, *argv: str | Path, env: Mapping[str, str] | None = None) -> str:
        self.lines.append([str(part) for part in argv])
        self.environ = env or {}
        return self.output

    def succeeds(self, *argv: str | Path, timeout: float | None = None) -> bool:
        self.lines.append([str(part) for part in argv])
        return str(argv[0]) in self.known


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(engine, "run", recorder.run)
    monkeypatch.setattr(engine, "succeeds", recorder.succeeds)
    return recorder


def test_buildah_builds_without_a_daemon_in_cached_layers(programs: Recorder) -> None:
    Buildah().build(ORDER, LENT)
    flags = ["--isolation=chroot", "--layers", "--http-proxy=false", "--force-rm"]
    assert programs.lines == [["buildah", "build", *flags, *COMMON]]


def test_docker_builds_with_buildkit_and_makes_a_plain_image(programs: Recorder) -> None:
    Docker().build(ORDER, LENT)
    assert programs.lines == [["docker", "build", *COMMON]]
    assert programs.environ["DOCKER_BUILDKIT"] == "1"
    assert programs.environ["BUILDX_NO_DEFAULT_ATTESTATIONS"] == "1"
    assert "PATH" in programs.environ


@pytest.mark.parametrize("tool", [Docker(), Buildah()])
def test_nothing_of_the_network_is_a_build_argument(programs: Recorder, tool: Engine) -> None:
    tool.build(ORDER, LENT)
    assert not [part for part in programs.lines[0] if "build-arg" in part or part.startswith("--env")]


@pytest.mark.parametrize("tool", [Docker(), Buildah()])
def test_a_machine_without_a_bundle_lends_only_the_settings(programs: Recorder, tool: Engine) -> None:
    tool.build(ORDER, Lent(LENT.settings, None))
    assert [part for part in programs.lines[0] if "secret" in part] == ["--secret=id=network,src=/lent/network"]


def test_each_engine_looks_in_its_own_storage(programs: Recorder) -> None:
    programs.known = ("docker",)
    assert Docker().has(REFERENCE)
    assert not Buildah().has(REFERENCE)
    assert programs.lines == [
        ["docker", "image", "inspect", REFERENCE],
        ["buildah", "inspect", "--type=image", REFERENCE],
    ]


def test_sizes_are_bytes(programs: Recorder) -> None:
    programs.output = "228000001\n"
    assert Docker().size(REFERENCE) == 228000001
    programs.output = "228 MB\n"
    assert Buildah().size(REFERENCE) == 228000000


@pytest.mark.parametrize(
    ("text", "size"), [("90.8 MB", 90800000), ("1.02 GB", 1020000000), ("12 kB", 12000), ("7 B", 7)]
)
def test_buildahs_units(text: str, size: int) -> None:
    assert engine.parse_size(text) == size


def test_a_size_that_cannot_be_read_is_said() -> None:
    with pytest.raises(LocalClusterError, match="'big', which is no size"):
        engine.parse_size("big")


def test_docker_is_taken_where_its_engine_answers(programs: Recorder) -> None:
    programs.known = ("docker",)
    assert isinstance(engine.find(), Docker)
    assert programs.lines == [["docker", "version", "--format={{.Server.Version}}"]]


def test_else_buildah_installed_if_it_is_missing(programs: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: None if name == "crun" else f"/bin/{name}")
    installed: list[list[str]] = []
    monkeypatch.setattr("localcluster.debian.install", installed.append)
    assert isinstance(engine.find(), Buildah)
    assert installed == [["crun"]]


def test_without_docker_root_is_asked_for(programs: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LocalClusterError, match="with sudo"):
        engine.find()


def test_a_host_without_apt_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(LocalClusterError, match="buildah missing"):
        engine.install(["buildah"])
