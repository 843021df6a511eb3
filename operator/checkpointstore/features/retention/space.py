"""Room inside the tables: when a rewrite gives enough of it back to the volume, and what stands in its way."""

from dataclasses import dataclass

from ...kernel.values import MIB, bytes_text

LEAST = 256 * MIB
"""For fewer bytes a table is not rewritten: nobody would notice them on a volume."""
MOST_BEHIND = 64 * MIB
"""Bytes that standbys may be behind when a rewrite begins, and while it goes on: more would keep a commit waiting."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a table takes, in bytes."""

    name: str
    total: int
    """With TOAST and indexes."""
    rows: int
    """Without indexes."""
    free: int
    """Of these, free for what is written next, as the last vacuum counted it."""
    tried: bool
    """Whether it was rewritten, or that was tried, within a day."""

    def worth(self, least: int) -> bool:
        """Whether a rewrite gives enough back, and no less than the rows that it copies."""
        return self.free >= least and 2 * self.free >= self.rows

    @property
    def need(self) -> int:
        """Bytes that a rewrite takes for a while: the copy with its indexes, and as much in WAL."""
        return 2 * (self.total - self.free)


@dataclass(frozen=True, slots=True)
class Ground:
    """What the server is doing."""

    written: int
    """Bytes of WAL since the run began, which the volume may have lost since."""
    behind: int
    """Bytes that the slowest standby is behind."""
    unarchived: bool
    """Whether the last try to archive WAL failed."""
    working: bool
    """Whether pg_squeeze is rewriting a table already."""


def obstacle(table: Table, ground: Ground, spare: int) -> str:
    """Why the table is not rewritten now; "" where nothing stands in the way."""
    if not spare:
        return "a volume cannot be seen, or less than a quarter of it is free"
    if table.tried:
        return f"{table.name} was rewritten within the last day, or that failed"
    if ground.working:
        return "pg_squeeze is at work already"
    if ground.unarchived:
        return "WAL cannot be archived, and a rewrite makes more of it"
    if why := excess(ground.written, ground.behind, spare):
        return why
    left = max(0, spare - 2 * ground.written)
    if table.need > left:
        return (
            f"rewriting {table.name} takes {bytes_text(table.need)} for a while, and the volumes have "
            f"{bytes_text(left)} for it before less than a quarter is free"
        )
    return ""


def excess(written: int, behind: int, spare: int) -> str:
    """Why a rewrite must not go on; "" where it may.

    What is copied is in the write-ahead log too, and both may still be on the volume.
    """
    if behind > MOST_BEHIND:
        return f"a standby is {bytes_text(behind)} behind"
    if 2 * written > spare:
        return "the volumes have no room for more"
    return ""
