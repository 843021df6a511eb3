"""What limits.externalize takes."""

from typing import Any

import pytest
from pydantic import ValidationError

from checkpointstore.features.blobs.spec import RANGE, Externalize

STORE: dict[str, Any] = {"url": "s3://agents", "credentials": {"name": "operator"}}


@pytest.mark.parametrize("above", ["1Ki", "10Ki", "64Mi", "500Mi", "5000"])
def test_sizes(above: str) -> None:
    spec = {"above": above, "objectStore": STORE, "applicationCredentials": {"name": "agent"}}
    assert Externalize.model_validate(spec).secrets() == {"operator", "agent"}


@pytest.mark.parametrize("above", ["1000", "501Mi", "1m"])
def test_sizes_that_make_no_sense(above: str) -> None:
    spec = {"above": above, "objectStore": STORE, "applicationCredentials": {"name": "agent"}}
    with pytest.raises(ValidationError, match=RANGE):
        Externalize.model_validate(spec)


def test_one_secret_may_serve_both() -> None:
    store = {**STORE, "credentials": {"name": "both"}, "ca": {"name": "both", "key": "ca.crt"}}
    spec = Externalize.model_validate({"objectStore": store, "applicationCredentials": {"name": "both"}})
    assert spec.needs() == {"both": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ca.crt")}
