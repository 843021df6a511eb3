"""What a tiering run leaves behind and takes away, what it refuses, and how it is bounded."""

from datetime import timedelta

import pytest

from checkpointstore.adapters import part
from checkpointstore.jobs import tiering
from tests.integration import graphs, objectstore
from tests.integration.job import Job
from tests.integration.pruning import TABLES
from tests.integration.server import Server
from tests.integration.tiering import PREFIX, WHOLE, Store


def test_a_dry_run_says_what_would_move_and_makes_nothing(store: Store) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.remembering(saver), "one", 4)
    before = store.rows()
    would = store.tier(dryRun=True)
    assert (store.rows(), store.bucket.objects()) == (before, [])
    assert store.catalog("SELECT to_regclass('checkpointstore.cold_objects')") == [(None,)]
    assert would.dry_run
    assert store.tier().moved == would.moved


def test_objects_of_nobody_go_after_their_time_and_nothing_else(store: Store) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "one", 2)
        graphs.talk(graphs.chat(saver), "two", 2)
    account = store.account()
    account.put("cold-data/shop/agents/uid-2/other.parquet", b"another store's")
    account.put(f"{PREFIX}/lost.parquet", b"a run was killed")
    store.tier(grace=3600, **WHOLE)
    assert len(store.bucket.objects()) == 3
    assert store.tier(**WHOLE).collected == 1
    assert len(store.bucket.objects()) == 2
    store.recall("one")
    assert store.tier(**WHOLE).collected == 0, "the other thread is in it"
    store.recall("two")
    assert store.tier(grace=3600, **WHOLE).collected == 0
    assert store.tier(**WHOLE).collected == 1
    assert [path.name for path in (*store.bucket.objects(), *store.bucket.objects(".json"))] == ["other.parquet"]
    assert store.catalog("SELECT key FROM checkpointstore.cold_objects") == []


def test_a_recovered_store_reads_the_objects_of_the_one_before_and_removes_none(store: Store) -> None:
    """Its database is the other's, and its folder is its own."""
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "one", 3)
    before = store.rows()
    store.tier(**WHOLE)
    mine = {**WHOLE, "prefix": "cold-data/shop/again/uid"}
    store.tier(**mine)
    store.recall("one")
    assert store.rows() == before
    store.tier(**mine)
    assert (store.tier(**mine).collected, len(store.bucket.objects())) == (0, 1)


def test_what_is_cold_of_a_thread_that_went_is_forgotten(store: Store) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "one", 3)
        graphs.talk(graphs.chat(saver), "two", 3)
    store.tier()
    # As retention does, which tells nobody of a deletion.
    with store.server.admin("app") as connection:
        connection.execute("SET ROLE app_owner")
        for table in TABLES:
            connection.execute(f"DELETE FROM {table} WHERE thread_id = 'one'")
    store.tier(deleteAfter=3600)
    assert store.cold() == {"one", "two"}
    store.tier(deleteAfter=0)
    assert store.cold() == {"two"}, "the newest of it is hot"


def test_objects_are_cut_and_threads_that_are_too_long_for_one_are_in_several(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiering, "OBJECT", 2500)
    monkeypatch.setattr(part, "BATCH_ROWS", 7)
    monkeypatch.setattr("checkpointstore.adapters.cold.ROWS", 20)
    with store.saver() as saver:
        graphs.talk(graphs.remembering(saver), "long", 12)
        for number in range(6):
            graphs.talk(graphs.chat(saver), f"short-{number}", 2)
    before = store.rows()
    outcome = store.tier(**WHOLE)
    assert outcome.moved.threads == 7
    [(pieces,)] = store.catalog("SELECT count(*) FROM checkpointstore.cold_threads WHERE thread_id = 'long'")
    assert pieces > 2
    [(most,)] = store.catalog(
        "SELECT max(n) FROM (SELECT count(*) AS n FROM checkpointstore.cold_threads GROUP BY key) AS o"
    )
    assert most > 1
    store.tier(**WHOLE)
    store.recall("long", *(f"short-{number}" for number in range(6)))
    assert store.rows() == before


def test_a_run_goes_on_where_the_last_one_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiering, "PAGE", 3)
    with store.saver() as saver:
        for number in range(10):
            graphs.talk(graphs.chat(saver), f"chat-{number}", 1)
    seen, runs = 0, 0
    while not (outcome := store.tier(limit=0.1 + runs / 10, share=0.02, **WHOLE)).complete:
        seen, runs = seen + outcome.moved.threads, runs + 1
        assert runs < 100
    assert runs
    assert len(store.cold()) == seen + outcome.moved.threads == 10


def test_a_row_that_is_too_large_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "LARGEST", 100)
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "one", 1)
    before = store.rows()
    outcome = store.tier(**WHOLE)
    assert (outcome.busy, outcome.moved.threads, store.rows()) == (1, 0, before)
    assert "is larger than is moved" in outcome.busy_reason


@pytest.mark.parametrize(
    ("prepared", "reason", "words"),
    [
        ("CREATE SCHEMA checkpointstore AUTHORIZATION app", "InsufficientPrivilege", "is app's"),
        (
            "CREATE SCHEMA IF NOT EXISTS checkpointstore; GRANT CREATE ON SCHEMA checkpointstore TO app",
            "InsufficientPrivilege",
            "app may create in schema checkpointstore",
        ),
        ("ALTER TABLE checkpoints ADD COLUMN more text", "UnknownColumns", "checkpoints.more"),
        (
            "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; ALTER FUNCTION mine "
            "OWNER TO app; CREATE TRIGGER mine AFTER DELETE ON checkpoints EXECUTE FUNCTION mine()",
            "InsufficientPrivilege",
            "somebody else's function",
        ),
    ],
)
def test_what_is_somebody_elses_is_refused(store: Store, prepared: str, reason: str, words: str) -> None:
    with store.server.admin("app") as connection:
        connection.execute("DROP SCHEMA checkpointstore CASCADE")
        connection.execute(prepared)
    outcome, code = tiering.conclude(store.asked(**WHOLE))
    assert (code, outcome.reason) == (64, reason)
    assert words in outcome.message


def test_somebody_elses_server(external: Job, server: Server, bucket: objectstore.Bucket) -> None:
    """No superuser there: the login owns the database, and triggers run."""
    assert external.run().code == 0
    bucket.empty()
    store = Store(server, bucket)
    with store.saver() as saver:
        graphs.talk(graphs.remembering(saver), "one", 4)
    before = store.rows()
    asked = store.asked(provider="External", owner="shop_agents_owner", group="shop_agents", **WHOLE)
    asked["CHECKPOINTSTORE_ADMIN_DIR"] = str(external.admin)
    for _ in range(2):
        outcome, code = tiering.conclude(asked)
        assert (code, outcome.reason) == (0, "")
    assert not any(store.rows().values())
    assert store.ask("one") == "Queued"
    store.drain(asked)
    assert store.rows() == before


def test_credentials_that_are_refused_and_a_bucket_that_is_not_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkpointstore.adapters.bucket.PATIENCE", timedelta(seconds=1))
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "one", 3)
    before = store.rows()
    for asked, reason in (
        ({"bucket": "nowhere"}, "BucketMissing"),
        ({"authority": ""}, "CertificateRefused"),
        ({"endpoint": "https://localhost:1"}, "Unavailable"),
    ):
        outcome, _ = tiering.conclude(store.asked(**{**WHOLE, **asked}))
        assert outcome.reason == reason, outcome.message
    key = store.bucket.secrets / "AWS_SECRET_ACCESS_KEY"
    right = key.read_text()
    key.write_text("wrong")
    try:
        assert tiering.conclude(store.asked(**WHOLE))[0].reason == "AccessDenied"
    finally:
        key.write_text(right)
    assert store.rows() == before


def test_a_recaller_asks_with_the_credentials_of_the_moment(store: Store) -> None:
    with store.saver() as saver:
        graphs.talk(graphs.chat(saver), "one", 2)
        graphs.talk(graphs.chat(saver), "two", 2)
    store.tier(**WHOLE)
    key = store.bucket.secrets / "AWS_SECRET_ACCESS_KEY"
    right = key.read_text()
    with store.recaller():
        objectstore.until(lambda: store.ask("one") == "Hot")
        key.write_text("wrong")
        try:
            objectstore.until(lambda: store.ask("two") == "Failed")
        finally:
            key.write_text(right)
