"""What a server of this size would need, as the last day shows it. It is told, and nothing is changed for it."""

import math
from dataclasses import dataclass

LEAST_MEMORY = 512
_MIB = 1024 * 1024
# Blocks that are not found in memory count where that is often, and where they come from a disk: the kernel's own copy
# is there in some hundredths of a millisecond.
OFTEN, RARELY = 0.01, 0.001
FROM_DISK = 0.0001
CROWDED, SPARE = 0.8, 1.5


@dataclass(frozen=True, slots=True)
class Server:
    """What it has."""

    memory: int
    """MiB."""
    buffers: int
    """MiB of it that are its own for tables and indexes."""
    of_a_connection: int
    """MiB of memory that each connection is to have."""
    connections: int
    exhausted: bool
    """The poolers could use more connections than there are."""


@dataclass(frozen=True, slots=True)
class Day:
    """What its last day was like; None where nobody tells."""

    database: float | None = None
    """Bytes."""
    read_share: float | None = None
    """Which part of the blocks was not in the server's own memory, 0 to 1."""
    read_seconds: float | None = None
    """How long reading one of them took."""
    connections: float | None = None
    """The most at once."""


def connections(server: Server, day: Day) -> int:
    """The max_connections that it should have: half as many again where nearly all were in use."""
    if server.exhausted:
        return _tens(server.connections * SPARE)
    if day.connections is not None and day.connections > CROWDED * server.connections:
        return _tens(max(server.connections, day.connections) * SPARE)
    return server.connections


def memory(server: Server, day: Day) -> int | None:
    """The memory that it should have, in MiB: twice as much, half as much, or what it has. None where nobody tells."""
    if day.database is None or day.read_share is None:
        return None
    database = day.database / _MIB
    slow = day.read_seconds is not None and day.read_seconds > FROM_DISK
    wanted = server.memory
    if day.read_share > OFTEN and slow and database > server.buffers:
        wanted = 2 * server.memory
    elif day.read_share < RARELY and database < server.buffers / 4:
        wanted = min(server.memory, max(LEAST_MEMORY, server.memory // 2))
    # A server that has more connections than the usual has them by a person's wish.
    if (many := connections(server, day)) > server.connections:
        wanted = max(wanted, many * server.of_a_connection)
    return wanted


def _tens(count: float) -> int:
    return math.ceil(count / 10) * 10
