"""Backups and recoveries: against pgBackRest by hand and pg_basebackup, and what writers feel of them meanwhile."""

import json
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from benchmarks.sample import median, one, ratio
from benchmarks.stage import Scene, Stage, Wrong
from demo import bucket, store
from demo.kubectl import wait_for

T = TypeVar("T")
NAME = "agents"
PAIRS = 2
SECONDS = 3600
MB = 1_000_000
ROWS = 20_000
# Messages of 4 KB, half of which compression takes away; it does not look 80 MB back, where they come again.
POOL = f"""
CREATE UNLOGGED TABLE pool AS SELECT n,
 (SELECT convert_to(string_agg(md5(random()::text || n || i), ' '), 'UTF8') FROM generate_series(1, 124) i) AS blob
FROM generate_series(0, {ROWS - 1}) n
"""
FILL = f"""
INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
SELECT 'thread-' || written.n / 50, '', 'messages', lpad(written.n::text, 32, '0'), 'msgpack', blob
FROM generate_series({{first}}, {{last}}) AS written (n) JOIN pool ON pool.n = written.n % {ROWS}
"""
CHECKPOINTS = """
INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata)
SELECT 'thread-' || n / 50, '', lpad(n::text, 32, '0'), jsonb_build_object('ts', now(), 'id', n), '{{}}'
FROM generate_series({first}, {last}) n
"""
# No backup holds an unlogged table.
SIZE = "SELECT pg_database_size('app') - pg_total_relation_size('pool')"
HAND = "--log-level-console=error --repo1-path=/{folder}/hand"
BACKUP = "--process-max=2 --type=full --start-fast --no-archive-check --no-expire-auto backup"
BASE = "pg_basebackup -h /run/postgresql -U standby -D - -Ft -X none -c fast --compress=client-zstd:3 | wc -c"


def measure(stage: Stage) -> None:
    """against pgBackRest by hand and pg_basebackup; puts during backups; time to recover; 5 GB with --full"""
    server, folder = stage.cluster.object_store(), bucket.folder("bench")
    place = {"objectStore": bucket.object_store(server, folder)}
    with stage.scene("backup") as scene:
        bucket.give(stage.kubectl, scene.namespace, server)
        postgres = {"instances": 2, "storage": {"size": "20Gi"}}
        never = {"schedule": "0 0 1 1 *"}
        scene.store(NAME, {"postgres": postgres, "backup": {**place, "verification": never}})
        kept = Kept(scene, folder)
        kept.verified("")
        _writers(stage, kept)
        kept.fill(5000 if stage.full else 500)
        _against_hand(stage, kept)
        _sizes(stage, kept)
        _recoveries(stage, kept, {**place, "store": NAME})


class Kept:
    """The store whose backups are measured."""

    def __init__(self, scene: Scene, folder: str) -> None:
        self.scene, self.folder = scene, folder
        self.kubectl, self.namespace = scene.stage.kubectl, scene.namespace
        self.bytes = 0

    def fill(self, megabytes: int) -> None:
        """Have so much of checkpoints in it."""
        batches = max(1, megabytes * MB // (ROWS * 4096))
        self.scene.psql(NAME, "app", POOL)
        for batch in range(batches):
            span = {"first": batch * ROWS + 1, "last": (batch + 1) * ROWS}
            self.scene.psql(NAME, "app", FILL.format(**span), CHECKPOINTS.format(**span))
            print(f"    {batch + 1} of {batches} parts written", flush=True)
        self.bytes = int(self.scene.psql(NAME, "app", SIZE))
        where = [f"cps/{NAME}", "-n", self.namespace]
        self.kubectl("wait", *where, "--for=condition=ContinuousArchiving", f"--timeout={SECONDS}s", timeout=SECONDS)

    def back_up(self, type_: str) -> dict[str, Any]:
        """Ask for a backup and wait for its end; its status."""
        name = f"{type_.lower()}-{secrets.token_hex(3)}"
        self.kubectl.apply(store.backup(name, self.namespace, NAME, type_))
        where = ["cpb", name, "-n", self.namespace]

        def over() -> dict[str, Any] | None:
            status: dict[str, Any] = self.kubectl.get(*where).get("status", {})
            return status if status.get("phase") in ("Completed", "Failed") else None

        found = wait_for("the backup to end", over, SECONDS, every=1)
        if found["phase"] == "Failed":
            raise Wrong(f"backup {name}: {found['error']}")
        return found

    def verify(self) -> None:
        """Have the newest backup restored and checked."""
        asked = secrets.token_hex(4)
        where = [NAME, "-n", self.namespace, "--overwrite"]
        self.kubectl("annotate", "cps", *where, f"checkpointstore.dev/verify-backup={asked}")
        self.verified(asked)

    def verified(self, asked: str) -> None:
        """Wait until the verification that was asked for is over, and well."""

        def over() -> bool:
            found = self.kubectl.find("cps", NAME, self.namespace) or {}
            known = found["status"].get("backup", {}).get("verification", {})
            return known.get("asked", "") == asked and "succeeded" in known and "begun" not in known

        wait_for("the verification to succeed", over, SECONDS, every=1)

    def inside(self, text: str) -> str:
        """Run a shell's line beside the primary's PostgreSQL."""
        pod = store.primary(self.kubectl, NAME, self.namespace)
        where = ["exec", pod, "-n", self.namespace, "-c", "postgres", "--", "bash", "-euo", "pipefail", "-c"]
        return self.kubectl(*where, text, timeout=SECONDS).strip()

    def by_hand(self, command: str) -> str:
        """Run pgBackRest as a person on the server would, into a repository of its own."""
        archive = self.scene.psql(NAME, "postgres", "show archive_command").strip()
        program = archive.rpartition("|| ")[2].removesuffix("archive-push %p")
        # Archiving holds the lock that lies where the file says.
        return self.inside(f"PGBACKREST_LOCK_PATH=/tmp/hand {program} {HAND.format(folder=self.folder)} {command}")


def _writers(stage: Stage, kept: Kept) -> None:
    """What 200 puts a second wait while backups and verifications go on without a pause."""
    puts = partial(_puts, kept)
    types = ("Full", "Differential", "Incremental")
    kinds: dict[str, Callable[[], Any]] = {type_.lower(): partial(kept.back_up, type_) for type_ in types}
    for kind, work in {**kinds, "verification": kept.verify}.items():
        quiet, busy = _pairs(puts, partial(_during, work, puts))
        failed = sum(result["failed"] for result in (*quiet, *busy))
        stage.report.note(f"backup.{kind}.failed_puts", one(failed), "puts", "<=0")
        for index, share in enumerate(("p50", "p99")):
            with_, without = ([result["waits"][index] for result in results] for results in (busy, quiet))
            stage.report.note(f"backup.{kind}.put.{share}", median(with_), "ms")
            stage.report.note(f"backup.{kind}.put.{share}_ratio", ratio(with_, without), "x")


def _puts(kept: Kept) -> dict[str, Any]:
    _, result = kept.scene.run("puts.py", NAME, SECONDS=15, RATE=200, PROCESSES=1, SAVERS=4)
    return result


def _during(work: Callable[[], Any], measured: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do the work without a pause while something is measured, until the last one that was begun is done."""
    enough = threading.Event()
    with ThreadPoolExecutor(1) as beside:
        going = beside.submit(_over_and_over, work, enough)
        try:
            return measured()
        finally:
            enough.set()
            going.result()


def _over_and_over(work: Callable[[], Any], enough: threading.Event) -> None:
    while not enough.is_set():
        work()


def _pairs(first: Callable[[], T], second: Callable[[], T]) -> tuple[list[T], list[T]]:
    """Both by turns, A B B A, so that a machine whose speed drifts favours neither."""
    results: tuple[list[T], list[T]] = ([], [])
    for number in range(PAIRS):
        turn = [(0, first), (1, second)]
        for place, work in turn if number % 2 == 0 else reversed(turn):
            results[place].append(work())
    return results


def _against_hand(stage: Stage, kept: Kept) -> None:
    kept.by_hand("stanza-create")

    def ours() -> float:
        status = kept.back_up("Full")
        begun, ended = (datetime.fromisoformat(status[key]) for key in ("startedAt", "completedAt"))
        return max(1.0, (ended - begun).total_seconds())

    def hand() -> float:
        kept.by_hand(BACKUP)
        times = json.loads(kept.by_hand("--output=json info"))[0]["backup"][-1]["timestamp"]
        return max(1.0, float(times["stop"] - times["start"]))

    by_us, by_hand = _pairs(ours, hand)
    note = stage.report.note
    note("backup.data", one(kept.bytes / MB), "MB")
    note("backup.full.throughput", median([kept.bytes / MB / seconds for seconds in by_us]), "MB/s")
    note("backup.full.throughput_by_hand", median([kept.bytes / MB / seconds for seconds in by_hand]), "MB/s")
    note("backup.full.throughput_to_by_hand", ratio(by_hand, by_us), "x", ">=0.8")


def _sizes(stage: Stage, kept: Kept) -> None:
    full = kept.back_up("Full")
    base = int(kept.inside(BASE))
    span = {"first": 10**9, "last": 10**9 + max(1, kept.bytes // 100 // 4096)}
    kept.scene.psql(NAME, "app", FILL.format(**span), CHECKPOINTS.format(**span))
    incremental = kept.back_up("Incremental")
    note = stage.report.note
    note("backup.full.stored", one(full["storedBytes"] / MB), "MB")
    note("backup.full.stored_to_pg_basebackup", one(full["storedBytes"] / base), "x")
    note("backup.incremental.stored_to_full", one(incremental["storedBytes"] / full["storedBytes"]), "x")


def _recoveries(stage: Stage, kept: Kept, source: dict[str, Any]) -> None:
    """Stores from the bucket; by hand only files are copied, here they are also replayed, and a store is made."""
    names = iter(f"heir-{number}" for number in range(PAIRS))
    ready: list[float] = []
    newest = kept.back_up("Full")["backupID"]
    kept.by_hand(BACKUP)

    def ours() -> float:
        name = next(names)
        target = {"backupID": newest}
        recovery = {"source": source, "recoveryTarget": target}
        spec = {"postgres": {"storage": {"size": "20Gi"}}, "bootstrap": {"recovery": recovery}}
        ready.append(kept.scene.store(name, spec))
        found = kept.kubectl.get("cps", name, "-n", kept.namespace)["status"]["recovery"]
        kept.kubectl("delete", "cps", name, "-n", kept.namespace, timeout=300)
        return max(1.0, float(found["duration"].removesuffix("s")))

    def hand() -> float:
        folder = "/var/lib/postgresql/data/hand"
        began = time.monotonic()
        kept.by_hand(f"--process-max=2 --pg1-path={folder} --type=none restore")
        took = time.monotonic() - began
        kept.inside(f"rm -rf {folder}")
        return took

    by_us, by_hand = _pairs(ours, hand)
    note = stage.report.note
    note("backup.recovery.apply_to_ready", median(ready), "s", "<=120")
    note("backup.recovery.throughput", median([kept.bytes / MB / seconds for seconds in by_us]), "MB/s")
    note("backup.recovery.throughput_by_hand", median([kept.bytes / MB / seconds for seconds in by_hand]), "MB/s")
    note("backup.recovery.throughput_to_by_hand", ratio(by_hand, by_us), "x", ">=0.8")
