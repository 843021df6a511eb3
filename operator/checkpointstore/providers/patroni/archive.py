"""Archiving by pgBackRest: the instances' own part of its configuration, and what PostgreSQL is told of it."""

from ...kernel.env import Env
from ...kernel.observed import Observed, Volume
from ...kernel.values import MIB
from .parameter import SOCKET, TLS
from .place import CONFIG, DATA, PGDATA, REPOSITORY

HOST_PORT = 8432
FILE = "pgbackrest.conf"
OPTION = "archive-push-queue-max"
# WAL that waits may fill the volume up to here; the rest is left to the data and to what is not archived by design.
FILLED = 0.8
SEGMENT = 16 * MIB
LEAST = 4 * SEGMENT
# A server that has written hands its segment over after so long, full or not: half a minute is left to upload it.
TIMEOUT = "30s"
GUARD_FILE = "drop-wal.sh"
# Which file of WAL was the newest that was dropped; when, its own time says. 45_archiving.sql reads it.
NOTE = f"{DATA}/dropped-wal"
PUSH = f"pgbackrest --config={CONFIG}/{FILE} --config-include-path={REPOSITORY} --stanza=main archive-push %p"
# Where the guard is not there yet, or cannot run, all is archived.
COMMAND = f"sh {CONFIG}/{GUARD_FILE} %p || {PUSH}"


def guard(config: str = f"{CONFIG}/{FILE}", note: str = NOTE) -> str:
    """A script that ends with 0 when the file of WAL $1 is to be dropped; PostgreSQL runs it in its data directory.

    pgBackRest looks at its queue when one of its tries begins, and against an object store that hangs none ends in
    time. As it does, this drops all that waits by then: behind a gap nothing is of use until the next full backup.
    """
    return f"""\
LC_ALL=C
limit=$(sed -n 's/^{OPTION}=//p' {config})
[ -n "$limit" ] || exit 1
file=${{1##*/}}
set -- pg_wal/archive_status/*.ready
waiting=$#
if [ $((waiting * {SEGMENT})) -gt "$limit" ]; then
  shift $((waiting - 1))
  newest=${{1##*/}}
  echo "${{newest%.ready}}" > {note} || exit 1
  echo "WARN: $waiting WAL files wait, more than may: dropped up to ${{newest%.ready}}" >&2
fi
newest=$(cat {note} 2>/dev/null) && [ ! "$file" '>' "$newest" ]
"""


def parameters(on: bool) -> dict[str, str]:
    """What a reload takes up: archiving is switched on and off without a restart."""
    if not on:
        return {"archive_command": "/bin/true"}
    return {"archive_command": COMMAND, "archive_timeout": TIMEOUT}


def file(env: Env, observed: Observed, size: int, on: bool) -> str:
    """pgbackrest.conf of the instances; where the repository is comes from the Secret, once there is one."""
    queue = (f"{OPTION}={_queue(env, observed, size)}",) if on else ()
    return "\n".join(
        (
            "[global]",
            "tls-server-address=0.0.0.0",
            f"tls-server-port={HOST_PORT}",
            f"tls-server-cert-file={TLS}/tls.crt",
            f"tls-server-key-file={TLS}/tls.key",
            f"tls-server-ca-file={TLS}/ca.crt",
            "tls-server-auth=backup=*",
            "log-level-console=warn",
            # Why archiving fails, and WAL that was dropped, are told nowhere else; the folder must be there.
            "log-level-file=warn",
            f"log-path={DATA}",
            "lock-path=/tmp/pgbackrest",
            f"spool-path={DATA}/pgbackrest/spool",
            "archive-async=y",
            *queue,
            "process-max=2",
            "",
            # The queue is looked at between two tries, so an object store that hangs must be given up soon.
            "[global:archive-push]",
            "archive-timeout=20",
            "io-timeout=10",
            "",
            "[main]",
            f"pg1-path={PGDATA}",
            f"pg1-socket-path={SOCKET}",
            "",
        )
    )


def _queue(env: Env, observed: Observed, size: int) -> int:
    """How many bytes of WAL may wait, so that a fifth of the smallest volume stays free; as it is when nearly right."""
    now = limit(env, observed)
    rooms = [_room(volume, observed, pod) for pod, volume in observed.volumes.items()]
    wanted = max(LEAST, min(rooms, default=now or int(size * FILLED) // 2))
    return now if 0.75 * wanted <= now <= 1.1 * wanted else wanted // SEGMENT * SEGMENT


def _room(volume: Volume, observed: Observed, pod: str) -> int:
    archiver = observed.archivers.get(pod)
    waiting = archiver.waiting * SEGMENT if archiver else 0
    return int(volume.size * FILLED) - (volume.size - volume.free) + waiting


def limit(env: Env, observed: Observed) -> int:
    """How many bytes may wait as the instances are told now; 0 where they are not told yet."""
    config = observed.get("ConfigMap", env.names.postgres_config) or {}
    lines = (line.partition("=") for line in (config.get("data") or {}).get(FILE, "").splitlines())
    return next((int(value) for name, _, value in lines if name == OPTION and value.isdecimal()), 0)
