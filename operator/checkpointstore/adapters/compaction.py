"""Objects that are written anew without what is of no use in them: what the catalog says of them before and after.

Why nothing is lost and nothing is there twice: the new object is read back before the catalog points to it, in one
transaction, and the old one stays until nothing has pointed to it for as long as any other. Where a thread came back or
was deleted meanwhile its entry is gone, and what the new object has of it is of no use either.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields

from ..features.schema.script import load
from ..features.tiering.compaction import Known
from ..features.tiering.request import Tier
from .cold import Object, Span
from .session import Session

QUERIES = load(__package__, "compaction.sql")


class Objects(Session):
    """The catalog's objects, in the session of whoever does tiering."""

    def known(self, prefix: str) -> list[Known]:
        """Those that something refers to, or did until now."""
        return [
            Known(tier=Tier(**{name: row.pop(name) for name in Tier.model_fields}), **row)
            for row in self._all(QUERIES.sql("objects"), prefix=prefix)
        ]

    def object(self, key: str) -> Object:
        return Object(**self._one(QUERIES.sql("object"), key=key))

    def threads(self, key: str) -> dict[str, int]:
        """Threads that are cold in an object, with their rows in it."""
        return {row["thread"]: row["rows"] for row in self._all(QUERIES.sql("threads"), key=key)}

    def point(self, made: Object, tier: Tier, spans: Mapping[str, Span], olds: Mapping[str, str]) -> int:
        """Threads are in a new object, of a tier, from now on; `olds` has where each was.

        How many came back meanwhile.
        """
        names = list(spans)
        places = {item.name: [getattr(spans[name], item.name) for name in names] for item in fields(Span)}
        before = [olds[name] for name in names]
        with self._translated(), self._connection.transaction():
            self._do(QUERIES.sql("register"), **asdict(made), **tier.model_dump())
            moved = self._all(QUERIES.sql("point"), key=made.key, threads=names, olds=before, **places)
            gone = sorted(set(names) - {row["thread"] for row in moved})
            for thread in gone:
                self._do(QUERIES.sql("enter"), thread=thread)
                self._do(QUERIES.sql("trace"), key=made.key, thread=thread, old=olds[thread])
            self._do(QUERIES.sql("erase"), key=made.key)
        return len(gone)
