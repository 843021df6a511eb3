"""A part of the tiering Job: objects are written anew without what is of no use in them, and small ones together."""

from collections.abc import Callable, Sequence

from ..adapters.bucket import Bucket
from ..adapters.cold import Object, Writer, Written, of_threads
from ..adapters.compaction import Objects
from ..kernel.errors import Unavailable
from . import journal


def rewrite(
    keys: Sequence[str],
    objects: Objects,
    bucket: Bucket,
    writer: Writer,
    stored: Callable[[Written], Object],
) -> int:
    """Make one object of these; how many are of no use any more then.

    One that has a thread which the new one has already is left: which of its parts is newer would be lost.
    """
    olds: dict[str, str] = {}
    counts: dict[str, int] = {}
    taken = 0
    for key in keys:
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
        raise Unavailable(f"{', '.join(keys)}: an object has other rows than the catalog says: nothing was rewritten")
    made = stored(written)
    back = objects.point(made, written.spans, olds)
    journal.write("rewritten", objects=taken, threads=len(olds), back=back, bytes=made.bytes)
    return taken
