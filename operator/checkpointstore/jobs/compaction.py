"""A part of the tiering Job: objects are written anew: without what is of no use, small ones together, tier by tier."""

from collections.abc import Callable

from ..adapters.bucket import Bucket
from ..adapters.cold import Object, Writer, Written, of_threads
from ..adapters.compaction import Objects
from ..features.tiering.compaction import Group, apart
from ..features.tiering.request import Tier
from ..kernel.errors import Unavailable
from . import journal


def sound(key: str, objects: Objects, bucket: Bucket) -> bool:
    """Whether an object can be read to its end."""
    try:
        for _ in of_threads(bucket.get(key), objects.object(key), objects.threads(key)):
            pass
    except Unavailable:
        return False
    return True


def rewrite(
    group: Group,
    objects: Objects,
    bucket: Bucket,
    writer: Writer,
    stored: Callable[[Written, Tier], Object],
) -> int:
    """Make one object of those of a group that have no thread in common; how many are of no use any more then."""
    there = {key: found for key in group.keys if (found := objects.threads(key))}
    keys = apart(there, group.least)
    if not keys:
        return 0
    olds: dict[str, str] = {}
    counts: dict[str, int] = {}
    for key in keys:
        for row in of_threads(bucket.get(key), objects.object(key), there[key]):
            writer.add(row)
        olds |= dict.fromkeys(there[key], key)
        counts |= there[key]
    written = writer.close()
    if {thread: span.rows for thread, span in written.spans.items()} != counts:
        raise Unavailable(f"{', '.join(keys)}: an object has other rows than the catalog says: nothing was rewritten")
    made = stored(written, group.tier)
    back = objects.point(made, group.tier, written.spans, olds)
    journal.write("rewritten", tier=group.tier.name, objects=len(keys), threads=len(olds), back=back, bytes=made.bytes)
    return len(keys)
