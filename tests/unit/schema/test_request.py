"""The Job's input and output: what is accepted, and the exact JSON that comes back."""

import json

import pytest
from pydantic import ValidationError

from checkpointstore.features.schema.catalog import Server
from checkpointstore.features.schema.outcome import LIMIT, Outcome
from checkpointstore.features.schema.request import Provider, Request
from checkpointstore.features.schema.step import Plan, Step
from tests.unit.schema.facts import PATRONI


def test_a_request_reads_what_the_slice_writes() -> None:
    text = json.dumps(
        {
            "store": "shop/agents",
            "provider": "Patroni",
            "host": "agents-rw.shop.svc",
            "port": 5432,
            "database": "app",
            "modules": ["LangGraph"],
            "versions": {"LangGraph": 9},
            "retire": ["app_b"],
            "patienceSeconds": 5,
        }
    )
    request = Request.model_validate_json(text)
    assert (request.provider, request.retire, request.patience_seconds) == (Provider.PATRONI, ("app_b",), 5)
    assert request.roles.owner == "app_owner"
    assert request.mark == "checkpointstore shop/agents"
    assert Request.model_validate_json(request.model_dump_json(by_alias=True)) == request


def test_patroni_needs_a_host_and_external_does_not() -> None:
    assert Request(store="shop/agents", provider=Provider.EXTERNAL).host == ""
    with pytest.raises(ValidationError, match="host: needed with provider Patroni"):
        Request(store="shop/agents", provider=Provider.PATRONI)


def test_success() -> None:
    outcome = Outcome.success(PATRONI, Server(version=170011))
    assert outcome.text() == (
        '{"modules":[{"name":"LangGraph","version":9}],"serverVersion":"17.11","maxConnections":100}'
    )
    assert Outcome.model_validate_json(outcome.text()) == outcome


def test_failure_fits_into_a_termination_message() -> None:
    assert Outcome.failure("ShallowSchema", "why").text() == '{"reason":"ShallowSchema","message":"why"}'
    assert len(Outcome.failure("X", '"\n' * 4000).text().encode()) <= LIMIT


def test_a_plan_is_done_when_there_is_nothing_to_do_or_wait_for() -> None:
    assert Plan().done
    assert not Plan((Step("a", "b"),)).done
    assert not Plan(awaits="somebody").done
