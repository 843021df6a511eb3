"""A part of the tiering Job: objects are written anew: without what is of no use, small ones together, tier by tier."""

from collections.abc import Callable

from ..adapters.bucket import Bucket
from ..adapters.cold import Object, Writer, Written, of_threads
from ..adapters.compaction import Objects
from ..features.tiering.compaction import Group
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
    """Make one object of a group; how many are of no use any more then.

    One that has a thread which the new one has already is left: which of its parts is newer would be lost.
    """
    olds: dict[str, str] = {}
    counts: dict[str, int] = {}
    taken = 0
    for key in group.keys:
        threads = objects.threads(key)
        if not threads or threads.keys() & olds.keys():
            continue
        for row in of_threads(bucket.get(key), objects.object(key), threads):
            writer.add(row)
        olds |= dict.fromkeys(threads, key)
        counts |= threads
        taken += 1
    if not olds:
        return 0
    written = writer.close()
    if {thread: span.rows for thread, span in written.spans.items()} != counts:
        keys = ", ".join(group.keys)
        raise Unavailable(f"{keys}: an object has other rows than the catalog says: nothing was rewritten")
    made = stored(written, group.tier)
    back = objects.point(made, group.tier, written.spans, olds)
    journal.write("rewritten", tier=group.tier.name, objects=taken, threads=len(olds), back=back, bytes=made.bytes)
    return taken
