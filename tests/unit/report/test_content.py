"""What a report asks for, and how the answers are put into files."""

from typing import Any

from checkpointstore.report import content

STORE = "agents"


def pod(name: str = "agents-0", component: str = "postgres", **status: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/component": component, "checkpointstore.dev/role": "primary"},
        },
        "spec": {"nodeName": "node2", "containers": [{"name": "postgres"}, {"name": "exporter"}]},
        "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z", **status},
    }


def container(name: str, **status: Any) -> dict[str, Any]:
    return {"name": name, "ready": True, "restartCount": 1, "state": {"running": {}}, **status}


def event(kind: str, name: str, **more: Any) -> dict[str, Any]:
    meta = {"creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": meta, "involvedObject": {"kind": kind, "name": name}, "message": "m", **more}


def test_every_question_only_reads() -> None:
    asked = content.questions()
    assert {question.file for question in asked} >= {
        "patroni/members.txt",
        "patroni/history.txt",
        "postgres/volume.txt",
        "postgres/statements.txt",
        "postgres/tables.txt",
        "postgres/invalid-indexes.txt",
        "postgres/activity.txt",
        "postgres/replication.txt",
    }
    for question in asked:
        if question.command[0] == "psql":
            assert "default_transaction_read_only=on" in " ".join(question.command)
        elif question.command[0] == "patronictl":
            assert question.command[3] in ("list", "history", "show-config")
        else:
            assert question.command[0] == "df"


def test_statements_never_shows_a_query_as_it_was_written() -> None:
    texts = dict(content.queries())
    assert "LIMIT 20" in texts["statements"]
    # Of what runs at this moment only the first word, unless it is known without its constants.
    assert "upper(substring(a.query" in texts["activity"]
    assert texts["activity"].count("a.query ") == 1


def test_logs_of_what_has_started_and_of_the_life_before() -> None:
    found = pod(
        initContainerStatuses=[container("first", state={"terminated": {}})],
        containerStatuses=[
            container("postgres", lastState={"terminated": {}}),
            container("exporter", state={"waiting": {"reason": "ImagePullBackOff"}}),
        ],
    )
    files = [log.file for log in content.logs(found)]
    assert files == ["agents-0/first.log", "agents-0/postgres.log", "agents-0/postgres.previous.log"]
    assert content.running(found, "postgres")
    assert not content.running(found, "exporter")
    assert not content.running(pod(), "postgres")


def test_nodes_without_their_images() -> None:
    assert content.nodes([pod(), pod("b"), {"spec": {}}]) == ["node2"]
    node = {"kind": "Node", "status": {"images": [1], "conditions": []}}
    assert content.node(node) == {"kind": "Node", "status": {"conditions": []}}


def test_texts_of_several_lines_stay_readable() -> None:
    shown = content.manifest({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "one\ntwo\n"}})
    assert shown == "kind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: |\n    one\n    two\n"


def test_the_secret_of_an_external_server() -> None:
    spec = {"postgres": {"external": {"secretRef": {"name": "rds"}}}}
    assert content.given_secret({"spec": spec}) == "rds"
    assert content.given_secret({"spec": {"postgres": {}}}) == ""


def test_events_of_the_store_its_children_and_what_is_gone() -> None:
    children = [pod(), {"kind": "StatefulSet", "metadata": {"name": "agents"}}]
    own = [
        event("CheckpointStore", "agents"),
        event("StatefulSet", "agents"),
        event("Pod", "agents-1"),
        event("PersistentVolumeClaim", "data-agents-0"),
    ]
    others = [event("CheckpointStore", "other"), event("Job", "agents"), event("Pod", "agent-0")]
    assert [each for each in own + others if content.about(each, STORE, children)] == own


def test_events_are_lines_with_the_newest_last() -> None:
    found = [
        event("Pod", "b", lastTimestamp="2026-01-01T00:00:02Z", type="Warning", reason="BackOff", count=7),
        event(
            "Pod",
            "a",
            lastTimestamp=None,
            eventTime="2026-01-01T00:00:01Z",
            type="Normal",
            reason="Scheduled",
            count=None,
        ),
        event("Pod", "c", type="Normal", reason="Pulled"),
    ]
    assert content.events(found).splitlines() == [
        "2026-01-01T00:00:00Z Normal Pulled Pod/c: m",
        "2026-01-01T00:00:01Z Normal Scheduled Pod/a: m",
        "2026-01-01T00:00:02Z Warning BackOff Pod/b: m (7 times)",
    ]


def test_the_exporter_says_nothing_about_itself() -> None:
    page = '# HELP go_threads n\ngo_threads 7\npgbouncer_pools_client_active_connections{database="app"} 3\n'
    assert content.metrics(page) == 'pgbouncer_pools_client_active_connections{database="app"} 3\n'


def test_lines_about_other_stores_stay_with_them() -> None:
    lines = [
        '{"message": "leading"}\n',
        '{"message": "acting", "store": "shop/agents"}\n',
        '{"message": "acting", "store": "shop/other"}\n',
        "Traceback\n",
        "[1]\n",
    ]
    assert content.own_lines("".join(lines), "shop", "agents") == "".join(lines[:2] + lines[3:])


def test_tables() -> None:
    condition = {"type": "Ready", "status": "False", "reason": "NoPrimary", "message": "a b", "lastTransitionTime": "t"}
    assert content.conditions({"status": {"conditions": [condition]}}).splitlines() == [
        "CONDITION  STATUS  SINCE  REASON     MESSAGE",
        "Ready      False   t      NoPrimary  a b",
    ]
    bare = {"metadata": {"name": "agents-1"}, "spec": {"containers": [{}]}}
    assert content.pods([pod(containerStatuses=[container("postgres")]), bare]).splitlines() == [
        "POD       PHASE    READY  RESTARTS  ROLE     NODE   STARTED",
        "agents-0  Running  1/2    1         primary  node2  2026-01-01T00:00:00Z",
        "agents-1           0/1    0         -        -      -",
    ]
    assert content.component(pod()) == "postgres"


def test_versions() -> None:
    variables = [{"name": "CHECKPOINTSTORE_IMAGE_POSTGRES", "value": "p:1"}, {"name": "POD_NAME"}]
    containers = [{"name": "operator", "image": "o:1", "env": variables}]
    meta = {"namespace": "system", "name": "operator", "labels": {"app.kubernetes.io/version": "1.2"}}
    deployment = {"metadata": meta, "spec": {"template": {"spec": {"containers": containers}}}}
    assert content.versions([deployment], "1.3").splitlines() == [
        "report made by checkpointstore 1.3",
        "operator system/operator 1.2",
        "  operator: o:1",
        "  CHECKPOINTSTORE_IMAGE_POSTGRES: p:1",
    ]
