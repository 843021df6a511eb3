"""Which changes of pods wake nobody: Patroni notes in each pod how far its server has come, every few seconds."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..providers.patroni.member import NOTES, notes

PLACES = frozenset({"latest_end_lsn", "receive_lsn", "replay_lsn", "slots", "xlog_location"})
"""What Patroni notes of places in the WAL, which no pass reads."""


class Echoes:
    """Pods as they were when they were last told of."""

    def __init__(self) -> None:
        self._told: dict[str, bytes] = {}

    def news(self, type_: str | None, pod: Mapping[str, Any]) -> bool:
        """Whether a watch's event says anything that a pass may read. `type_` is None for what was there already
        when the watch began."""
        uid = str(pod["metadata"]["uid"])
        if type_ == "DELETED":
            self._told.pop(uid, None)
            return True
        told = _digest(pod)
        same = self._told.get(uid) == told
        self._told[uid] = told
        return type_ != "MODIFIED" or not same


def _digest(pod: Mapping[str, Any]) -> bytes:
    meta = {key: value for key, value in pod["metadata"].items() if key not in ("managedFields", "resourceVersion")}
    annotations = dict(meta.get("annotations") or {})
    if said := notes(pod):
        annotations[NOTES] = {key: value for key, value in said.items() if key not in PLACES}
    text = json.dumps({**pod, "metadata": {**meta, "annotations": annotations}}, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
