"""Builds the cluster's programs from Go modules and keeps the results by the digest of what they are made of."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localcluster.command import run
from localcluster.layout import BIN, CACHE, PACKAGE
from localcluster.progress import say, step

KIND = "kind"
SOURCES = PACKAGE / "go"
# Each process of the compiler ends within seconds: to collect garbage takes a quarter of its time.
COMPILER = {"GOGC": "off", "GOMEMLIMIT": "2GiB"}


@dataclass(frozen=True)
class Program:
    """A folder below `go/`, the package in it to build, and the names that the result is called by."""

    name: str
    package: str = "."
    aliases: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    module: str = ""
    """The folder, where it is not named like the program."""

    @property
    def folder(self) -> Path:
        return SOURCES / (self.module or self.name)

    @property
    def names(self) -> tuple[str, ...]:
        return self.aliases or (self.name,)

    def link_flags(self) -> str:
        return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in self.variables)])


def version(folder: str, module: str) -> str:
    """The version that a folder's go.mod requires of a module, such as `v1.34.4`."""
    found = re.search(
        rf"^(?:require)?\s+{re.escape(module)} (v\S+)",
        (SOURCES / folder / "go.mod").read_text(),
        re.MULTILINE,
    )
    if not found:
        raise ValueError(f"{folder}/go.mod does not require {module}")
    return found.group(1)


def kubernetes_variables(kubernetes: str) -> tuple[tuple[str, str], ...]:
    """What a release of Kubernetes says of itself; without it charts' `kubeVersion` checks fail."""
    major, minor, _ = kubernetes.removeprefix("v").split(".")
    fields = {"gitVersion": kubernetes, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple((f"{package}.{field}", value) for package in packages for field, value in fields.items())


def programs() -> tuple[Program, ...]:
    """Everything that can be built, the longest first: what fails there should not fail last."""
    kubernetes = version("knode", "k8s.io/kubernetes")
    major, minor, _ = kubernetes.removeprefix("v").split(".")
    helm = "helm.sh/helm/v3"
    return (
        Program(
            "knode",
            aliases=(
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
            ),
            variables=kubernetes_variables(kubernetes),
        ),
        # With the servers in one it would take twice the time to start.
        Program(
            "kubectl",
            package="k8s.io/kubernetes/cmd/kubectl",
            variables=kubernetes_variables(kubernetes),
            module="knode",
        ),
        Program("etcd"),
        Program("coredns"),
        Program("local-path-provisioner", package="github.com/rancher/local-path-provisioner"),
        Program("versitygw"),
        Program(
            "helm",
            package=f"{helm}/cmd/helm",
            variables=(
                (f"{helm}/internal/version.version", version("helm", helm)),
                (f"{helm}/pkg/chartutil.k8sVersionMajor", major),
                (f"{helm}/pkg/chartutil.k8sVersionMinor", minor),
                (f"{helm}/pkg/lint/rules.k8sVersionMajor", major),
                (f"{helm}/pkg/lint/rules.k8sVersionMinor", minor),
            ),
        ),
        Program("pause"),
        Program(KIND, package="sigs.k8s.io/kind"),
    )


def workspace(program: Program) -> Path | None:
    """The workspace that a program is a part of: what several need is of one version, and compiled once."""
    file = SOURCES / "go.work"
    return file if re.search(rf"^\s+\./{program.folder.name}$", file.read_text(), re.MULTILINE) else None


def digest(program: Program) -> str:
    """12 hex digits over the module files, the sources and the flags."""
    files = {path for path in program.folder.iterdir() if path.suffix in (".go", ".mod", ".sum")}
    if file := workspace(program):
        # Any module of it can raise a version that this program is made of.
        modules = (other.folder / "go.mod" for other in programs() if workspace(other))
        files |= {file, file.with_suffix(".work.sum"), *modules}
    sum_ = hashlib.sha256()
    for path in sorted(files):
        sum_.update(f"{path.relative_to(SOURCES)}\0".encode() + path.read_bytes() + b"\0")
    sum_.update("\0".join(build_command(program, Path("result"))).encode())
    return sum_.hexdigest()[:12]


def build_command(program: Program, result: Path) -> list[str]:
    """The Go command line that writes `result`, to be run in the program's folder."""
    # The linker drops what debuggers read (-s -w); not to write it at all takes a tenth of the time away. As many
    # packages as there are processors are compiled at once, and several threads for one (-c) cost a twentieth.
    flags = ["-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false -c=1", "-ldflags", program.link_flags()]
    return ["go", "build", *flags, "-o", str(result), program.package]


def binary(program: Program) -> Path:
    """Where the built program is kept."""
    return CACHE / "localcluster" / f"{program.name}-{digest(program)}" / program.name


def for_local() -> list[str]:
    """The names of all programs that a local cluster is made of."""
    return [name for program in programs() if program.name != KIND for name in program.names]


def build(names: Iterable[str]) -> None:
    """Build what these names lack and point the links in BIN at it; an interrupted build leaves nothing half done."""
    asked = set(names)
    wanted = [program for program in programs() if asked & set(program.names)]
    missing = [program for program in wanted if not binary(program).exists()]
    if missing:
        say(f"to be built with Go, once: {', '.join(program.name for program in missing)} (all: up to 15 minutes)")
    for program in missing:
        with step(f"build {program.name}"):
            compile_(program)
    BIN.mkdir(parents=True, exist_ok=True)
    for program in wanted:
        for name in program.names:
            link(BIN / name, binary(program))


def compile_(program: Program) -> None:
    """Build one program, put it in its place whole, and drop what older sources gave."""
    target = binary(program)
    for older in target.parent.parent.glob(f"{program.name}-*"):
        if re.fullmatch(rf"{re.escape(program.name)}-[0-9a-f]{{12}}", older.name):
            shutil.rmtree(older)
    target.parent.mkdir(parents=True)
    partial = target.with_suffix(".partial")
    settings = {**COMPILER, "CGO_ENABLED": "0", "GOWORK": str(workspace(program) or "off")}
    run(*build_command(program, partial), cwd=program.folder, env={**os.environ, **settings})
    partial.rename(target)


def link(path: Path, target: Path) -> None:
    """Make or turn a symbolic link in one move: a cluster may be running from it."""
    if path.is_symlink() and path.readlink() == target:
        return
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(path)
