"""`python -m benchmarks.tiering`: how fast threads move and come back, against copies by hand, and what it takes."""

import json
import os
import subprocess
import time
from pathlib import Path

from benchmarks.report import Report
from benchmarks.sample import at, one
from tests.integration import objectstore
from tests.integration import server as servers
from tests.integration.job import Job
from tests.integration.tiering import Store

THREADS = 2000
# Per thread: turns, and bytes of what a turn adds; each value holds all that was said before.
SIZES = {"50kB": (10, 900), "1MB": (44, 1_000), "20MB": (200, 1_000)}
RECALLS = {"50kB": 200, "1MB": 60, "20MB": 12}
FILL = """
INSERT INTO checkpoints (thread_id, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
  SELECT '{name}-' || t, id(i), CASE WHEN i > 1 THEN id(i - 1) END,
         jsonb_build_object('v', 4, 'id', id(i), 'ts', now()::text,
         'channel_versions', jsonb_build_object('said', i::text), 'channel_values', jsonb_build_object('turns', i)),
         jsonb_build_object('source', 'loop', 'step', i, 'parents', jsonb_build_object())
    FROM generate_series(1, {threads}) AS t, generate_series(1, {turns}) AS i;
INSERT INTO checkpoint_blobs (thread_id, channel, version, type, blob)
  SELECT '{name}-' || t, 'said', i::text, 'msgpack',
         convert_to(string_agg(said, '') OVER (PARTITION BY t ORDER BY i), 'utf8')
    FROM (SELECT t, i, left((SELECT string_agg(word[1 + abs(hashint4(t * 7919 + i * 104729 + w)) % 2000], ' ')
                               FROM generate_series(1, {bytes} / 6) AS w), {bytes}) AS said
            FROM generate_series(1, {threads}) AS t, generate_series(1, {turns}) AS i,
                 (SELECT array_agg(left(md5(n::text), 3 + n % 6)) AS word FROM generate_series(1, 2000) AS n) AS words
         ) AS turn;
INSERT INTO checkpoint_writes (thread_id, checkpoint_id, task_id, idx, channel, type, blob)
  SELECT '{name}-' || t, id(i), md5(i::text), 0, 'said', 'msgpack', convert_to(repeat(md5((t * i)::text), 10), 'utf8')
    FROM generate_series(1, {threads}) AS t, generate_series(1, {turns}) AS i;
"""
ID = """
CREATE FUNCTION id(i int) RETURNS text IMMUTABLE LANGUAGE sql AS
$$ SELECT '1ef00000-0000-6000-8000-' || lpad(to_hex(i), 12, '0') $$
"""
TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


def main() -> None:
    report = Report(lambda text: print(text, flush=True))
    # The recaller's sessions log no statement either: values would be written out as text.
    with servers.running(more="log_statement = none\n") as server, objectstore.running() as bucket:
        bucket.endpoint = bucket.direct
        request = {"store": "shop/agents", "provider": "Patroni", "host": "localhost", "port": server.port}
        assert Job(request, server.secrets).run().code == 0
        store = Store(server, bucket)
        with server.admin("app") as connection:
            connection.execute(ID)
        _out(store, report)
        for name, (turns, size) in SIZES.items():
            _back(store, report, name, turns, size)
        _idle(store, report)
    print(f"\n{report.table()}")


def fill(store: Store, name: str, threads: int, turns: int, size: int) -> None:
    with store.server.admin("app") as connection:
        connection.execute(FILL.format(name=name, threads=threads, turns=turns, bytes=size))
        connection.execute("VACUUM ANALYZE " + ", ".join(TABLES))


def held(store: Store) -> tuple[int, int]:
    """Bytes of the tables with their indexes, and rows."""
    sizes = " + ".join(f"pg_total_relation_size('{table}')" for table in TABLES)
    with store.server.admin("app") as connection:
        [hot] = [row["bytes"] for row in connection.execute(f"SELECT {sizes} AS bytes")]
        rows = sum(row["n"] for table in TABLES for row in connection.execute(f"SELECT count(*) AS n FROM {table}"))
    return hot, rows


def _out(store: Store, report: Report) -> None:
    """All rows of small threads, whole, against COPY and zstd; the Job does not rest."""
    fill(store, "out", THREADS, *SIZES["50kB"])
    hot, rows = held(store)
    began = time.monotonic()
    for table in TABLES:
        copy = f"psql -h {store.server.data} -p {store.server.port} -U postgres app -c 'COPY {table} TO STDOUT'"
        subprocess.run(["sh", "-c", f"{copy} | zstd -q -3 -T1 -f -o /dev/null"], check=True, env=_with_psql(store))
    by_hand = time.monotonic() - began
    result = store.bucket.folder / "result"
    began = time.monotonic()
    process = store.begin(result, keepLatestHot=False, limit=1500)
    _, status, used = os.wait4(process.pid, 0)
    took = time.monotonic() - began
    assert status == 0, result.read_text()
    outcome = json.loads(result.read_text())
    assert outcome["moved"]["threads"] == THREADS
    stored = outcome["cold"]["bytes"]
    report.note("tiering.rows_per_second", one(rows / took), "rows/s")
    report.note("tiering.against_copy_and_zstd", one(by_hand / took), "x", ">=0.7")
    report.note("tiering.smaller", one(hot / stored), "x", ">=25")
    report.note("tiering.job_memory", one(used.ru_maxrss / 1024), "MiB")
    store.tier(keepLatestHot=False)


def _with_psql(store: Store) -> dict[str, str]:
    return {**os.environ, "PATH": f"{store.server.binaries}:{os.environ['PATH']}"}


def _back(store: Store, report: Report, name: str, turns: int, size: int) -> None:
    """Threads one after another, against a GET of their bytes and COPY of their rows.

    The first is not counted: session and connection are new, as a recaller's are once.
    """
    fill(store, name, RECALLS[name] + 1, turns, size)
    store.tier(keepLatestHot=False)
    store.tier(keepLatestHot=False)
    ours, by_hand = [], []
    account = store.account()
    with store.archive() as archive:
        for number in range(1, RECALLS[name] + 2):
            thread = f"{name}-{number}"
            [piece] = archive._all(
                "SELECT key, first_byte, end_byte FROM checkpointstore.cold_threads WHERE thread_id = %(thread)s",
                thread=thread,
            )
            store.ask(thread)
            began = time.monotonic()
            archive.bring(thread, account)
            ours.append((time.monotonic() - began) * 1000)
            # By hand: the same bytes, and the same rows as COPY has them, into the same tables.
            with store.server.admin("app") as connection:
                copies = {table: _copied(connection, table, thread) for table in TABLES}
                for table in TABLES:
                    connection.execute(f"DELETE FROM {table} WHERE thread_id = %s", [thread])
                began = time.monotonic()
                account.parts(piece["key"], [(piece["first_byte"], piece["end_byte"])])
                with connection.transaction():
                    for table, content in copies.items():
                        with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                            copy.write(content)
                by_hand.append((time.monotonic() - began) * 1000)
    del ours[0], by_hand[0]
    report.note(f"recall.p50.{name}", at(ours, 0.5), "ms")
    report.note(f"recall.p99.{name}", at(ours, 0.99), "ms")
    report.note(
        f"recall.p50_against_get_and_copy.{name}", one(at(ours, 0.5).value / at(by_hand, 0.5).value), "x", "<=1.5"
    )
    report.note(
        f"recall.p99_against_get_and_copy.{name}", one(at(ours, 0.99).value / at(by_hand, 0.99).value), "x", "<=1.5"
    )


def _copied(connection: object, table: str, thread: str) -> bytes:
    with connection.cursor().copy(f"COPY (SELECT * FROM {table} WHERE thread_id = '{thread}') TO STDOUT") as copy:  # type: ignore[attr-defined]
        return b"".join(copy)


def _idle(store: Store, report: Report) -> None:
    """A recaller that nobody asks for anything."""
    with store.recaller() as process:
        time.sleep(5)
        before = _ticks(process.pid)
        time.sleep(60)
        used = (_ticks(process.pid) - before) / os.sysconf("SC_CLK_TCK")
        memory = next(
            int(line.split()[1]) / 1024
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )
    report.note("recaller.idle_memory", one(memory), "MiB")
    report.note("recaller.idle_cpu", one(used / 60 * 1000), "millicores")


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    main()
