"""When a rewrite is worth it, and what stands in its way."""

from dataclasses import replace
from typing import Any

import pytest

from checkpointstore.features.retention.space import LEAST, MOST_BEHIND, Ground, Table, excess, obstacle
from checkpointstore.kernel.values import MIB

GIB = 1024**3
TABLE = Table("checkpoint_blobs", total=12 * GIB, rows=10 * GIB, free=8 * GIB, tried=False)
QUIET = Ground(written=0, behind=0, unarchived=False, working=False)


def test_it_copies_no_more_than_it_gives_back() -> None:
    assert TABLE.worth(LEAST)
    assert replace(TABLE, free=5 * GIB).worth(LEAST)
    assert not replace(TABLE, free=5 * GIB - 1).worth(LEAST)
    assert replace(TABLE, rows=LEAST + 1, free=LEAST).worth(LEAST)
    assert not replace(TABLE, rows=LEAST, free=LEAST - 1).worth(LEAST)


@pytest.mark.parametrize(
    ("table", "ground", "spare", "words"),
    [
        ({}, {}, 8 * GIB, ""),
        ({}, {}, 8 * GIB - 1, "rewriting checkpoint_blobs takes 8.0Gi for a while, and the volumes have 8.0Gi"),
        ({}, {"written": 2}, 8 * GIB, "rewriting checkpoint_blobs takes"),
        ({}, {"written": 2}, 8 * GIB + 4, ""),
        ({}, {}, 0, "a volume cannot be seen, or less than a quarter of it is free"),
        ({"tried": True}, {}, 8 * GIB, "checkpoint_blobs was rewritten within the last day"),
        ({}, {"working": True}, 8 * GIB, "pg_squeeze is at work already"),
        ({}, {"unarchived": True}, 8 * GIB, "WAL cannot be archived"),
        ({}, {"behind": MOST_BEHIND + MIB}, 8 * GIB, "a standby is 65Mi behind"),
    ],
)
def test_what_stands_in_its_way(table: dict[str, Any], ground: dict[str, Any], spare: int, words: str) -> None:
    found = obstacle(replace(TABLE, **table), replace(QUIET, **ground), spare)
    assert words in found
    assert bool(found) == bool(words)


def test_what_ends_it() -> None:
    assert excess(GIB, MOST_BEHIND, 2 * GIB) == ""
    assert excess(GIB, 0, 2 * GIB - 1) == "the volumes have no room for more"
    assert excess(0, MOST_BEHIND + 1, GIB) == "a standby is 64Mi behind"
