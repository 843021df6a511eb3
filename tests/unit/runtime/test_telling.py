"""What the operator tells of itself: logs, metrics, probes; and what it is told: its environment."""

import asyncio
import json
import logging
import sys

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from checkpointstore.kernel.errors import Refused
from checkpointstore.runtime import log, metrics, settings, web

ENVIRONMENT = {
    "CHECKPOINTSTORE_IMAGE_POSTGRES": "p",
    "CHECKPOINTSTORE_IMAGE_PGBOUNCER": "b",
    "CHECKPOINTSTORE_IMAGE_OPERATOR": "o",
}


def line(record: logging.LogRecord) -> dict[str, object]:
    told: dict[str, object] = json.loads(log.Json().format(record))
    return told


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("test").makeRecord(
        "test", logging.WARNING, "file", 1, message, args, None, extra=extra or None
    )


def test_a_line_is_one_json_object() -> None:
    told = line(record("pass %s\nfailed", 3, retry_seconds=0.5, actions=["Apply"], secret=object()))
    assert (told["level"], told["logger"], told["message"]) == ("warning", "test", "pass 3\nfailed")
    assert (told["retry_seconds"], told["actions"]) == (0.5, ["Apply"])
    assert str(told["time"]).endswith("+00:00")
    assert "secret" not in told
    assert "store" not in told


def test_a_line_says_which_store_in_which_pass() -> None:
    token, number = log.STORE.set("shop/agents"), log.PASS.set("7")
    try:
        assert line(record("x")).items() >= {"store": "shop/agents", "pass": "7"}.items()
    finally:
        log.STORE.reset(token)
        log.PASS.reset(number)


def test_an_error_comes_with_its_traceback_on_the_same_line() -> None:
    try:
        raise KeyError("surprise")
    except KeyError:
        failed = record("x")
        failed.exc_info = sys.exc_info()
    text = log.Json().format(failed)
    assert "\n" not in text
    assert "KeyError: 'surprise'" in json.loads(text)["error"]


def test_noise_is_turned_down_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        log.configure("INFO")
        logging.getLogger("kopf").info("noise")
        logging.getLogger("checkpointstore.runtime").info("news")
        log.configure("ERROR")
        logging.getLogger("kopf").warning("noise")
    finally:
        root.handlers[:], root.level = before
    told = [json.loads(text)["message"] for text in capsys.readouterr().err.splitlines()]
    assert told == ["news"]


def test_settings_of_a_chart() -> None:
    found = settings.read(
        {
            **ENVIRONMENT,
            "CHECKPOINTSTORE_NAMESPACES": "a,b",
            "CHECKPOINTSTORE_LOG_LEVEL": "debug",
            "CHECKPOINTSTORE_CLUSTER_DOMAIN": "corp.local",
            "POD_NAMESPACE": "system",
            "POD_NAME": "operator-1",
        }
    )
    assert found.namespaces == ("a", "b")
    assert (found.platform.images.postgres, found.platform.images.pgbouncer) == ("p", "b")
    assert (found.platform.cluster_domain, found.platform.namespace) == ("corp.local", "system")
    assert (found.log_level, found.own_namespace, found.own_name) == ("DEBUG", "system", "operator-1")


def test_settings_by_hand() -> None:
    found = settings.read(ENVIRONMENT)
    assert found.namespaces == ()
    assert (found.platform.cluster_domain, found.log_level, found.own_name) == ("cluster.local", "INFO", "by-hand")


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_missing_image_is_named(name: str) -> None:
    with pytest.raises(Refused, match=f"{name} is not set") as caught:
        settings.read({**ENVIRONMENT, name: ""})
    assert caught.value.reason == "BadEnvironment"


def test_requests_are_read_where_they_are_counted() -> None:
    registry, calls = CollectorRegistry(), {("GET", "Pod", "200"): 2}
    registry.register(metrics.ApiCalls(calls))
    calls["GET", "Pod", "200"] += 1
    wanted = 'checkpointstore_api_requests_total{code="200",kind="Pod",verb="GET"} 3.0'
    assert wanted in generate_latest(registry).decode().splitlines()


def test_probes_and_metrics(monkeypatch: pytest.MonkeyPatch, unused_port: int) -> None:
    well = {"healthy": True, "ready": False}

    async def story() -> list[tuple[int, str]]:
        runner = await web.serve(lambda: well["healthy"], lambda: well["ready"])
        answers = []
        async with aiohttp.ClientSession() as session:
            for path in ("healthz", "readyz", "metrics"):
                async with session.get(f"http://127.0.0.1:{unused_port}/{path}") as answer:
                    answers.append((answer.status, await answer.text()))
        await runner.cleanup()
        return answers

    monkeypatch.setattr(web, "PORT", unused_port)
    health, ready, numbers = asyncio.run(story())
    assert health == (200, "ok\n")
    assert ready == (503, "not ok\n")
    assert numbers[0] == 200
    assert "checkpointstore_reconcile_duration_seconds" in numbers[1]
