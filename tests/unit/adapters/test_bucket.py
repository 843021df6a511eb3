"""Where requests for a bucket go."""

import pytest

from checkpointstore.adapters.bucket import Account, endpoint


@pytest.mark.parametrize(
    ("given", "path_style", "at"),
    [
        (None, False, None),
        (None, True, None),
        ("https://s3.example:9000", True, "https://s3.example:9000"),
        ("https://s3.example:9000", False, "https://things.s3.example:9000"),
        ("https://s3.example/", False, "https://things.s3.example"),
    ],
)
def test_the_host_is_the_bucket_s_where_the_path_has_none(given: str | None, path_style: bool, at: str | None) -> None:
    assert endpoint(Account("things", given, "eu", path_style, "id", "key")) == at
