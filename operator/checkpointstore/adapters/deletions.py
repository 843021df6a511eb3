"""Deletions of threads, by the SHA-256 of their ids: what is to be told outside the database, and what is repeated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..features.schema.script import load
from .session import Session

QUERIES = load(__package__, "deletions.sql")


@dataclass(frozen=True, slots=True)
class Thread:
    """One that is in the database, hot or cold."""

    thread: str
    sha256: str
    newest: str
    """Its newest checkpoint's id."""


class Deletions(Session):
    """The catalog's deletions, in the session of whoever does tiering."""

    def untold(self, most: int) -> Mapping[str, datetime]:
        """The first that no ledger has, by digest."""
        return {row["sha256"]: row["at"] for row in self._all(QUERIES.sql("untold"), most=most)}

    def told(self, deletions: Mapping[str, datetime]) -> None:
        """A ledger has them; one that was deleted again meanwhile is told again."""
        self._do(QUERIES.sql("told"), digests=list(deletions), times=list(deletions.values()))

    def forget(self, keep: float) -> None:
        """Those that a ledger has for so many seconds."""
        self._do(QUERIES.sql("old"), keep=timedelta(seconds=keep))

    def threads(self, digests: Sequence[str]) -> list[Thread]:
        return [Thread(**row) for row in self._all(QUERIES.sql("threads"), digests=list(digests))]

    def delete(self, thread: str) -> None:
        self._do(QUERIES.sql("delete"), thread=thread)
