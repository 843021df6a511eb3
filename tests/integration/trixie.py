"""A root with the instances' own PostgreSQL and pg_squeeze, for hosts whose release has none; made when wanted."""

import fcntl
import os
import shutil
from pathlib import Path

from localcluster import base_image, debian
from localcluster.command import run
from localcluster.layout import CACHE
from localcluster.progress import step
from tests.integration.server import found_binaries

ROOT = CACHE / "squeeze"
PACKAGE = "postgresql-17-squeeze"
LIBRARY = "lib/pg_squeeze.so"
SILENT = "etc/postgresql-common/createcluster.d/silent.conf"
# The same preloads and WAL as the operator's servers; a chroot has no /dev/shm.
CONFIGURATION = """
shared_preload_libraries = 'pg_stat_statements,pg_squeeze'
wal_level = logical
max_wal_senders = 4
max_replication_slots = 4
archive_mode = on
archive_command = '/bin/true'
dynamic_shared_memory_type = sysv
log_statement = none
"""


def here() -> bool:
    """Whether the host's own PostgreSQL has pg_squeeze; else only root can run one that has."""
    return (found_binaries().parent / LIBRARY).exists()


def root() -> Path:
    """The host's own root where its PostgreSQL has pg_squeeze; else one of our own, made once in half a minute."""
    if here():
        return Path("/")
    ROOT.parent.mkdir(parents=True, exist_ok=True)
    with ROOT.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ROOT.exists():
            _make()
    return ROOT


def _make() -> None:
    archive = CACHE / "base" / f"debian-{base_image.SUITE}-{os.uname().machine}.tar"
    if not archive.exists():
        debian.install(("debian-archive-keyring", "debootstrap"))
        base_image.bootstrap(archive)
    made = ROOT.with_suffix(".part")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    with step(f"{PACKAGE} from Debian {base_image.SUITE}"):
        run("tar", "-C", made, "-xf", archive)
        for name in ("etc/resolv.conf", "etc/hosts"):
            shutil.copyfile(f"/{name}", made / name)
        (made / SILENT).parent.mkdir(parents=True)
        (made / SILENT).write_text("create_main_cluster = false\n")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run("chroot", made, "apt-get", "-q", "update", env=environment)
        run("chroot", made, "apt-get", "-q", "install", "--yes", "--no-install-recommends", PACKAGE, env=environment)
    made.rename(ROOT)
