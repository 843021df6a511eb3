"""Makes `docker.io/library/debian:trixie-slim` known to buildah, from the registry or from Debian's packages."""

import os
import shutil
import tempfile
from pathlib import Path

from localcluster.command import lines, run, succeeds
from localcluster.host import install, need_root
from localcluster.layout import CACHE
from localcluster.progress import say, step

REFERENCE = "docker.io/library/debian:trixie-slim"
NEEDED = ("buildah", "crun", "debian-archive-keyring", "debootstrap")
SUITE = "trixie"
PROBE_SECONDS = 20.0
IMAGE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What Debian's own slim image carries: no documentation, no started services, no kept downloads.
SLIM_FILES = {
    "etc/dpkg/dpkg.cfg.d/docker": "force-unsafe-io\n"
    + "".join(
        f"path-exclude /usr/share/{folder}/*\n" for folder in ("doc", "info", "linda", "lintian", "locale", "man")
    )
    + "path-include /usr/share/doc/*/copyright\n",
    "etc/apt/apt.conf.d/docker": (
        'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };\nAcquire::Languages "none";\n'
    ),
    "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
}
SLIM_EMPTY = ("var/cache/apt", "var/lib/apt/lists", "var/log/apt", "usr/share/man", "usr/share/locale")


def ensure() -> str:
    """Return the base image's reference once buildah's storage has it; does nothing when it is there."""
    install(NEEDED)
    if succeeds("buildah", "inspect", "--type", "image", REFERENCE):
        return REFERENCE
    if succeeds("buildah", "manifest", "inspect", REFERENCE, timeout=PROBE_SECONDS):
        with step(f"pull {REFERENCE}"):
            run("buildah", "pull", REFERENCE)
        return REFERENCE
    say(f"no registry answers for {REFERENCE}: making it from Debian's packages")
    archive = CACHE / "base" / f"debian-{SUITE}-{os.uname().machine}.tar"
    if not archive.exists():
        bootstrap(archive)
    with step(f"import {REFERENCE}"):
        commit(archive)
    return REFERENCE


def bootstrap(archive: Path) -> None:
    """Write the tar of a minimal Debian root file system; takes one to two minutes."""
    need_root()
    archive.parent.mkdir(parents=True, exist_ok=True)
    main, security = mirrors()
    with tempfile.TemporaryDirectory(prefix="debian-", dir=archive.parent) as scratch:
        root = Path(scratch) / "root"
        with step(f"debootstrap {SUITE}"):
            mirror = [main] if main else []
            run("debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, root, *mirror)
        slim(root)
        sources = root / "etc/apt/sources.list"
        used = main or sources.read_text().split()[1]
        sources.unlink()
        (root / "etc/apt/sources.list.d/debian.sources").write_text(sources_text(used, security))
        partial = Path(scratch) / archive.name
        run("tar", "--numeric-owner", "--one-file-system", "-C", root, "-cf", partial, ".")
        partial.rename(archive)


def mirrors() -> tuple[str, str]:
    """The Debian archive and its security archive that this host's own apt uses; empty when it has none."""
    listed = run("apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages")
    found = {label: uri.rstrip("/") for label, _, uri in (line.partition("|") for line in lines(listed))}
    return found.get("Debian", ""), found.get("Debian-Security", "")


def sources_text(main: str, security: str) -> str:
    """The image's apt sources in deb822 form, from the archives that made it."""
    wanted = [(main, f"{SUITE} {SUITE}-updates")] + ([(security, f"{SUITE}-security")] if security else [])
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        for uri, suites in wanted
    )


def slim(root: Path) -> None:
    """Bring a debootstrap tree to what the published slim image has."""
    for name in SLIM_EMPTY:
        for entry in (root / name).iterdir() if (root / name).is_dir() else ():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for name, content in SLIM_FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    for name in ("etc/hostname", "etc/resolv.conf"):
        (root / name).write_text("")


def commit(archive: Path) -> None:
    """Make one image layer of the tar, in buildah's storage."""
    container = run("buildah", "from", "scratch").strip()
    try:
        run("buildah", "add", "--quiet", container, archive, "/")
        run("buildah", "config", "--cmd", "bash", "--env", f"PATH={IMAGE_PATH}", container)
        run("buildah", "commit", "--quiet", container, REFERENCE)
    finally:
        run("buildah", "rm", container)
