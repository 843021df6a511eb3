"""Volumes of an earlier store, one of them missing: who has no data waits for who has, however late that comes."""

from collections.abc import Callable
from typing import Any

import pytest

from demo.kubectl import CommandFailed, Kubectl, wait_for
from tests.e2e import outage
from tests.e2e.subject import Subject

NAME = "kept"
COUNT = "select count(*) from checkpoints"


def test_an_instance_without_data_founds_no_other_database(
    kubectl: Kubectl, namespace: str, make_store: Callable[..., Any], run_agent: Callable[..., Any]
) -> None:
    """The node of the volume takes no pod at first, so that the instance without data is there before."""
    subject = Subject(kubectl, namespace, NAME)
    make_store(NAME, {})
    result, agent = run_agent("conversation.py", NAME, MESSAGES="4")
    assert result["ok"], agent.tail()
    written, node = subject.psql(COUNT), subject.pods()[f"{NAME}-0"]["spec"]["nodeName"]
    kubectl("delete", "cps", NAME, "-n", namespace)
    wait_for("its pods to go", lambda: not subject.pods(going=True), 60)
    with outage.cordoned(kubectl, [node]):
        subject.apply({"postgres": {"instances": 2}, "bootstrap": {"adopt": True}})
        wait_for("the instance without data to look", lambda: "bootstrap" in said(subject, f"{NAME}-1"), 90)
        if subject.pods()[f"{NAME}-0"]["status"]["phase"] != "Pending":
            pytest.skip("this cluster's volumes are not of one node")
        assert "waiting for leader to bootstrap" in said(subject, f"{NAME}-1")
        assert subject.condition("Initialized")["status"] == "False"
    subject.changed("both instances", subject.whole)
    assert subject.psql(COUNT) == written


def said(subject: Subject, pod: str) -> str:
    """What Patroni of an instance has logged; nothing while there is none."""
    try:
        return subject.kubectl("logs", pod, "-n", subject.namespace, "-c", "postgres")
    except CommandFailed:
        return ""
