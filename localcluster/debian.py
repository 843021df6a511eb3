"""Installs Debian packages without starting their services: `python3 -m localcluster.debian PACKAGE...`."""

import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from localcluster.command import run, succeeds
from localcluster.errors import CommandFailed, LocalClusterError
from localcluster.layout import APT_LOCK
from localcluster.progress import step

# Packages that start a service of the same name when they are installed; we run our own instances.
SERVICES = ("containerd", "docker-registry", "postgresql", "prometheus", "prometheus-postgres-exporter")
APT = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]


def is_installed(package: str) -> bool:
    """Whether dpkg has it, completely."""
    try:
        return run("dpkg-query", "--show", "--showformat=${db:Status-Status}", package) == "installed"
    except CommandFailed:
        return False


def install(packages: Sequence[str]) -> None:
    """Install all of them, by name."""
    services = [package for package in packages if package in SERVICES]
    systemd = Path("/run/systemd/system").is_dir() and bool(services)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"apt-get install {' '.join(packages)}"), in_turn():
        run(*APT, "update", env=environment)
        if systemd:
            # Masked until the next boot only: being killed here leaves nothing for good.
            run("systemctl", "mask", "--runtime", *services)
        try:
            run(*APT, "install", "--yes", "--no-install-recommends", *packages, env=environment)
        finally:
            if systemd:
                run("systemctl", "unmask", "--runtime", *services)
                succeeds("systemctl", "disable", *services)


@contextmanager
def in_turn() -> Iterator[None]:
    """One installation after another: apt-get waits for dpkg's lock only, and removes what another has fetched."""
    with APT_LOCK.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Install what is missing of the packages on the command line."""
    missing = [package for package in sys.argv[1:] if not is_installed(package)]
    try:
        if missing and os.geteuid() != 0:
            raise LocalClusterError(f"{', '.join(missing)} must be installed: run `apt-get install` for them as root.")
        if missing:
            install(missing)
    except LocalClusterError as error:
        print(f"localcluster: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
