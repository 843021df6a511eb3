"""Each case's plan is the one that was reviewed; `--golden-write` tells every story anew and writes its files."""

from datetime import datetime
from pathlib import Path

import pytest
import yaml

from checkpointstore import reconcile
from checkpointstore.api import store as api
from checkpointstore.kernel.observed import Observed
from tests.contract.world import PLATFORM, World

from . import text
from .case import CASES

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", CASES)
def test_the_plan_is_the_reviewed_one(name: str, request: pytest.FixtureRequest) -> None:
    folder = HERE / name
    if request.config.getoption("--golden-write"):
        tell(name, folder)
    store = api.parse(yaml.safe_load((folder / "store.yaml").read_text()))
    seen, now = text.seen(folder / "observed.yaml")
    assert outcome(store, seen, now) == (folder / "plan.yaml").read_text()


def test_every_folder_is_a_case() -> None:
    assert {path.parent.name for path in HERE.glob("*/plan.yaml")} == set(CASES)


def tell(name: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with World() as world:
        CASES[name](world)
        body = world.body
        del body["metadata"]["managedFields"]
        (folder / "store.yaml").write_text(text.dumped(body))
        (folder / "observed.yaml").write_text(text.observed(world.observed(), world.server.now))
        (folder / "plan.yaml").write_text(outcome(world.store(), world.observed(), world.server.now))


def outcome(store: api.Store, seen: Observed, now: datetime) -> str:
    plan = reconcile.plan(store, seen, PLATFORM, now)
    return text.planned(plan, reconcile.status(store.status, store.generation, plan, now))
