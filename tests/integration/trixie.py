"""A root with the PostgreSQL, pg_squeeze and PgBouncer of the images, for hosts that have others; made when wanted."""

import fcntl
import os
import shutil
from pathlib import Path

from localcluster import base_image, debian
from localcluster.command import run
from localcluster.layout import CACHE
from localcluster.progress import step
from tests.integration.server import found_binaries

ROOT = CACHE / "trixie"
PACKAGES = ("postgresql-17-squeeze", "pgbouncer")
LIBRARY, POOLER = "lib/pg_squeeze.so", "usr/sbin/pgbouncer"
POLICY = "usr/sbin/policy-rc.d"
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
    """Whether the host has them itself; else only root can run another root's."""
    return (found_binaries().parent / LIBRARY).exists() and Path("/", POOLER).exists()


def root() -> Path:
    """The host's own root where it has them; else one of our own, made once in half a minute."""
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
    with step(f"{' '.join(PACKAGES)} from Debian {base_image.SUITE}"):
        run("tar", "-C", made, "-xf", archive)
        for name in ("etc/resolv.conf", "etc/hosts"):
            shutil.copyfile(f"/{name}", made / name)
        (made / SILENT).parent.mkdir(parents=True)
        (made / SILENT).write_text("create_main_cluster = false\n")
        # Nothing that is installed may start by itself.
        (made / POLICY).write_text("#!/bin/sh\nexit 101\n")
        (made / POLICY).chmod(0o755)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run("chroot", made, "apt-get", "-q", "update", env=environment)
        run("chroot", made, "apt-get", "-q", "install", "--yes", "--no-install-recommends", *PACKAGES, env=environment)
    made.rename(ROOT)
