"""The numbers of the stores: what each status says and nothing else, from the pod that leads."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from checkpointstore.api.status import STATUS
from checkpointstore.runtime import metrics
from checkpointstore.runtime.metrics import FIGURES, Stores
from tests.contract import quick
from tests.contract.world import World
from tests.golden.backup import BACKUP

from .served import Served

LABELS = '{name="measured",namespace="shop"}'
READY = {"type": "Ready", "status": "True", "reason": "Serving"}
FULL: dict[str, Any] = {
    "conditions": [READY],
    "backup": {
        "since": "1970-01-01T00:00:01Z",
        "lastSuccessful": "1970-01-01T00:00:02Z",
        "lastFull": "1970-01-01T00:00:03Z",
        "lastFailed": "1970-01-01T00:00:04Z",
        "lastVerified": "1970-01-01T00:00:05Z",
        "firstRecoverabilityPoint": "1970-01-01T00:00:06Z",
        "repositoryBytes": 7,
        "databaseBytes": 8,
        "verification": {"duration": "9s"},
    },
    "recovery": {"duration": "0s"},
    "retention": {"lastSuccessful": "1970-01-01T00:00:10Z", "progress": {"threads": 0, "bytes": 14}},
    "tiering": {
        "lastSuccessful": "1970-01-01T00:00:11Z",
        "cold": {"threads": 12, "bytes": 13},
        "progress": {"threads": 15, "moved": 0, "bytes": 16},
    },
    "blobs": {"progress": {"objects": 17, "referred": 18}},
    "monitoring": {"storageDaysLeft": 0, "recommended": {"memory": "2.0Gi", "connections": 200}},
    "cost": {
        "monthly": "51",
        "currency": "EUR",
        "compute": "40",
        "volumes": "8",
        "empty": "0",
        "backups": "3.7",
        "coldData": "0.26",
        "withoutTiering": "62",
    },
}


def published(stores: Stores) -> set[str]:
    registry = CollectorRegistry()
    registry.register(stores)
    rows = generate_latest(registry).decode().splitlines()
    return {row.removeprefix("checkpointstore_") for row in rows if not row.startswith("#")}


def numbers(stores: Stores) -> set[str]:
    return {row for row in published(stores) if not row.startswith("condition{")}


def test_a_status_that_says_all_gives_every_number() -> None:
    stores = Stores()
    stores.tell("shop", "measured", FULL)
    assert numbers(stores) == {
        f"backup_enabled_timestamp_seconds{LABELS} 1.0",
        f"backup_last_success_timestamp_seconds{LABELS} 2.0",
        f"backup_last_full_timestamp_seconds{LABELS} 3.0",
        f"backup_last_failure_timestamp_seconds{LABELS} 4.0",
        f"backup_last_verification_timestamp_seconds{LABELS} 5.0",
        f"backup_first_recoverability_timestamp_seconds{LABELS} 6.0",
        f"backup_repository_bytes{LABELS} 7.0",
        f"backup_database_bytes{LABELS} 8.0",
        f"backup_verification_duration_seconds{LABELS} 9.0",
        f"recovery_duration_seconds{LABELS} 0.0",
        f"retention_last_success_timestamp_seconds{LABELS} 10.0",
        f"tiering_last_success_timestamp_seconds{LABELS} 11.0",
        f"tiering_cold_threads{LABELS} 12.0",
        f"tiering_cold_bytes{LABELS} 13.0",
        f"retention_run_threads{LABELS} 0.0",
        f"retention_run_bytes{LABELS} 14.0",
        f"tiering_run_threads{LABELS} 15.0",
        f"tiering_run_moved_threads{LABELS} 0.0",
        f"tiering_run_bytes{LABELS} 16.0",
        f"blobs_run_references{LABELS} 18.0",
        f"storage_days_left{LABELS} 0.0",
        f"recommended_memory_bytes{LABELS} 2.147483648e+09",
        f"recommended_connections{LABELS} 200.0",
        'cost_monthly{currency="EUR",name="measured",namespace="shop",part="compute"} 40.0',
        'cost_monthly{currency="EUR",name="measured",namespace="shop",part="volumes"} 8.0',
        'cost_monthly{currency="EUR",name="measured",namespace="shop",part="backups"} 3.7',
        'cost_monthly{currency="EUR",name="measured",namespace="shop",part="coldData"} 0.26',
        'cost_empty_monthly{currency="EUR",name="measured",namespace="shop"} 0.0',
        'cost_without_tiering_monthly{currency="EUR",name="measured",namespace="shop"} 62.0',
    }


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"backup": {"firstRecoverabilityPoint": "", "repositoryBytes": 0, "databaseBytes": 0}},
        {"cost": {"monthly": "0", "currency": "USD", "unknown": ["empty"]}},
        {"backup": {"verification": {"begun": "1970-01-01T00:00:01Z"}}, "recovery": {"phase": "Recovering"}},
    ],
)
def test_what_a_status_does_not_say_has_no_number(status: dict[str, Any]) -> None:
    stores = Stores()
    stores.tell("shop", "measured", FULL)
    stores.tell("shop", "measured", {"conditions": [READY], **status})
    assert numbers(stores) == set()


def test_a_condition_has_one_status_at_a_time_and_goes_with_its_store() -> None:
    stores = Stores()
    stores.tell("shop", "measured", {"conditions": [{"type": "Ready", "status": "False", "reason": "NoPrimary"}]})
    stores.tell("shop", "measured", FULL)
    row = 'condition{name="measured",namespace="shop",reason="Serving",status="True",type="Ready"} 1.0'
    assert published(stores) - numbers(stores) == {row}
    stores.forget("shop", "measured")
    assert published(stores) == set()


def test_every_number_is_of_a_field_that_exists() -> None:
    for figure in FIGURES:
        node = STATUS
        for key in figure.path.split("."):
            node = node["properties"][key]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Stores:
    """What the actors of this test tell."""
    stores = Stores()
    monkeypatch.setattr(metrics, "STORES", stores)
    return stores


def served(story: Callable[[Served], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        with World() as world:
            served = Served(world)
            world.bucket().make({"backup": BACKUP})
            await served.until(lambda: "lastVerified" in world.status.get("backup", {}), 120)
            await story(served)
            await served.stop()

    quick.run(main())


def test_a_store_with_backups_is_told_until_it_is_gone(told: Stores) -> None:
    async def story(served: Served) -> None:
        kept = {row.split("{")[0] for row in numbers(told)}
        absent = {"backup_last_failure_timestamp_seconds", "recovery_duration_seconds"}
        absent |= {
            "retention_last_success_timestamp_seconds",
            "tiering_last_success_timestamp_seconds",
            "retention_run_threads",
            "retention_run_bytes",
            "tiering_run_threads",
            "tiering_run_moved_threads",
            "tiering_run_bytes",
            "blobs_run_references",
            "tiering_cold_threads",
            "tiering_cold_bytes",
            "blobs_last_success_timestamp_seconds",
            "blobs_objects",
            "blobs_bytes",
            "blobs_missing",
            "storage_days_left",
            "recommended_memory_bytes",
            "recommended_connections",
        }
        assert kept == {figure.name for figure in FIGURES} - absent
        served.world.delete("CheckpointStore", "agents")
        await served.until(lambda: served.actors.idle, 5)
        assert published(told) == set()

    served(story)


def test_a_pod_that_leads_no_more_tells_nothing_of_stores(told: Stores) -> None:
    """Another one does, and two answers for one store would be a store that is both ready and not."""

    async def story(served: Served) -> None:
        assert published(told)
        await served.actors.stop()
        assert published(told) == set()
        served.actors.start()
        await asyncio.sleep(5)
        assert published(told)

    served(story)
