"""What a graph puts at the end of each step."""

from collections.abc import Mapping
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint


def checkpoint(saver: BaseCheckpointSaver[str], values: Mapping[str, object]) -> Any:
    """A checkpoint with these values, all new, of version 4, as graphs write it.

    `empty_checkpoint` alone is of an older one, of which a saver reads more.
    """
    versions = dict.fromkeys(values, saver.get_next_version(None, None))
    return {**empty_checkpoint(), "v": 4, "channel_values": dict(values), "channel_versions": versions}
