"""Makes every thread of a store cold, and has one that is asked for brought back as the recaller does."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from checkpointstore.adapters.bucket import Bucket
from checkpointstore.adapters.tiering import Archive
from checkpointstore.features.tiering.request import Place, Request
from checkpointstore.jobs import recall, tiering
from tests.integration.tiering import WHOLE, Store

HOT = """
SELECT (SELECT count(*) FROM public.checkpoints) AS checkpoints,
       (SELECT count(*) FROM public.checkpoint_blobs) AS blobs,
       (SELECT count(*) FROM public.checkpoint_writes AS w
         WHERE EXISTS (SELECT FROM public.checkpoints AS c WHERE c.thread_id = w.thread_id)) AS writes"""
ASKED = "SELECT count(*) AS asked FROM checkpointstore.recalls WHERE done IS NULL"
PATIENCE = 60.0
"""Seconds."""


class Frost:
    """One session with the database that moves all there is, as often as it is called."""

    def __init__(self, store: Store, connection: Any, bucket: Bucket) -> None:
        self._store, self._connection, self._bucket = store, connection, bucket
        self._lock = threading.Lock()
        self.moved = 0
        """Threads that went."""

    def __call__(self) -> None:
        with self._lock:
            # Who asks just as a thread comes back asks once more, and the recaller has to see that, too.
            deadline = time.monotonic() + PATIENCE
            while self._connection.execute(ASKED).fetchone()["asked"]:
                assert time.monotonic() < deadline, "the recaller does not end what it was asked for"
                time.sleep(0.005)
            # Who was asked for stays hot for a while; here nobody does.
            self._connection.execute("DELETE FROM checkpointstore.recalls WHERE done IS NOT NULL")
            self._tier()
            if self._tier():
                self._tier()
            [left] = self._connection.execute(HOT).fetchall()
            assert not any(left.values()), left

    def _tier(self) -> int:
        # Objects stay: what nobody refers to any more is no matter here.
        request = Request.model_validate_json(self._store.asked(grace=86400, **WHOLE)["CHECKPOINTSTORE_JOB"])
        archive = Archive(self._connection, request.owner, request.group, False)
        outcome = tiering.Work(archive, self._bucket, request).tier()
        self.moved += outcome.moved.threads
        return int(
            self._connection.execute("SELECT count(*) AS count FROM public.checkpoint_blobs").fetchone()["count"]
        )


@contextmanager
def frost(store: Store) -> Iterator[Frost]:
    """While it lasts, a recaller stands."""
    ended = threading.Event()
    environ = store.asked()
    place = Place.model_validate(json.loads(environ["CHECKPOINTSTORE_JOB"]))

    def stand() -> None:
        with store.archive() as archive:
            while not ended.is_set():
                recall.drain(archive, environ, place)
                ended.wait(0.005)

    with ExitStack() as stack:
        with store.archive():
            pass
        connection = stack.enter_context(store.server.admin("app"))
        recaller = threading.Thread(target=stand)
        recaller.start()
        stack.callback(recaller.join)
        stack.callback(ended.set)
        yield Frost(store, connection, store.account())
