"""Large values are in the object store, whatever saver reads them; what nothing refers to goes, and in the end all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo import bucket
from demo.agentjob import Agent, Line
from demo.installation import Installation
from demo.kubectl import Kubectl, wait_for
from localcluster.objectstore import LOCAL, ObjectStore
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject

NAME, SECRET = "paper", "paper-blobs"
FOLDER = bucket.folder("outside")
VALUES = 3
"""Large ones of a thread: its document, its transcript, and the input that both came in."""
LARGEST = """
select greatest(
  (select max(pg_column_size(c.*)) from checkpoints as c), (select max(pg_column_size(b.*)) from checkpoint_blobs as b),
  (select max(pg_column_size(w.*)) from checkpoint_writes as w))"""


def test_a_document_is_outside_and_its_rows_are_small(
    kubectl: Kubectl,
    server: ObjectStore,
    installation: Installation,
    namespace: str,
    make_store: Callable[..., dict[str, Any]],
    run_agent: Callable[..., tuple[Line, Agent]],
    figures: Figures,
    say: Callable[[str], None],
) -> None:
    bucket.give(kubectl, namespace, server)
    outside = {"objectStore": bucket.object_store(server, FOLDER), "applicationCredentials": {"name": "s3"}}
    make_store(NAME, {"limits": {"externalize": {**outside, "above": "64Ki", "grace": "1h"}}})
    paper = Subject(kubectl, namespace, NAME)
    wait_for("the Secret for applications", lambda: paper.secret(SECRET) or None, 30)
    for thread in ("first", "second"):
        result, agent = run_agent("document.py", NAME, THREAD=thread)
        assert result["ok"], agent.tail()
        say(f"  turns of 10 MB: the first {result['first']} s, later ones {result['later']} s")
    figures.note("document_largest_row", int(paper.psql(LARGEST)), "bytes", "<=5000")
    stray = result["stray"]
    assert paper.psql(f"select count(*) from checkpoint_blobs where strpos(type, '{stray}') > 0") == "0"
    wait_for("what nothing refers to to be seen, one value of each run", lambda: counted(paper, unused=2), 60)
    paper.psql("update checkpointstore_unused_blobs set since = since - interval '1 day'")
    with figures.timed("unused_value_to_gone", "<=60"):
        known = wait_for("what nothing refers to to go", lambda: counted(paper, unused=0), 60)
    say(f"  {paper.condition('BlobCollectionSucceeded')['message']}")
    # Those of both threads are the same, and there once for each hour in which they were written.
    assert VALUES <= known["objects"] <= 2 * VALUES
    if installation.cluster.name == "local":
        assert not named(server, stray)
        assert len({path.name for path in files(server)}) == VALUES
    assert (known.get("missing"), known.get("elsewhere")) == (0, 0)
    assert paper.condition("Ready")["status"] == "True"


def counted(subject: Subject, **having: int) -> dict[str, Any] | None:
    """What a run told; None where it told no figures, or others."""
    known = subject.run("blobs")
    return known if known.get("objects") and having.items() <= known.items() else None


def named(server: ObjectStore, key: str) -> list[Path]:
    """Files of the object store by the last part of a key."""
    return [path for path in files(server) if path.name == key.rpartition("/")[2]]


def files(server: ObjectStore) -> list[Path]:
    return [path for path in LOCAL.data.joinpath(server.bucket, FOLDER).rglob("*") if path.is_file()]


def test_other_credentials_reach_applications(kubectl: Kubectl, server: ObjectStore, namespace: str) -> None:
    paper = Subject(kubectl, namespace, NAME)
    bucket.give(kubectl, namespace, server, "agents", key="of an agent")
    paper.patch({"limits": {"externalize": {"applicationCredentials": {"name": "agents"}}}})
    wait_for("them", lambda: paper.secret(SECRET)["AWS_SECRET_ACCESS_KEY"] == "of an agent", 30)
    bucket.give(kubectl, namespace, server, "agents", key="of another agent")
    wait_for("the next", lambda: paper.secret(SECRET)["AWS_SECRET_ACCESS_KEY"] == "of another agent", 60)


def test_all_of_it_goes_with_its_store_where_that_is_said(
    kubectl: Kubectl, namespace: str, installation: Installation, server: ObjectStore, figures: Figures
) -> None:
    paper = Subject(kubectl, namespace, NAME)
    paper.patch({"reclaimPolicy": {"coldData": "Delete"}})
    wait_for("the operator to know", lambda: bool(paper.seen()["metadata"].get("finalizers")), 30)
    with figures.timed("store_and_values_gone", "<=60"):
        kubectl("delete", "cps", NAME, "-n", namespace, timeout=150)
    if installation.cluster.name == "local":
        assert files(server) == []
