"""A serializer that leaves large values in the object store, for every saver; docs/blobs.md shows the rows."""

import copy
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langgraph.checkpoint.base import ChannelVersions, Checkpoint
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from . import tag
from .binding import blobs_folder
from .blobs import BlobStore
from .cache import Cache

Typed = tuple[str, bytes]
LARGE = 1_000
"""Channels of which is remembered that their values were outside."""
INLINE = (str, int, float, bool, type(None))
"""Of these, savers for PostgreSQL keep values in the checkpoint's own JSON, and ask no serializer."""


class Blobs(Protocol):
    """What of a BlobStore is used."""

    memory: int

    @property
    def above(self) -> int: ...
    def is_known(self, key: str) -> bool: ...
    def put(self, content: bytes) -> str: ...
    def get(self, key: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Dumped:
    """A value that was serialized before."""

    typed: Typed


class BlobSerializer(JsonPlusSerializer):
    """`serde`, but for what is larger than a store's limit: that is an object, and its row's type refers to it.

    It is a JsonPlusSerializer only for LangGraph to tell it the types of a graph's state (LANGGRAPH_STRICT_MSGPACK),
    which it tells to those alone; `serde` is told.
    """

    def __init__(self, blobs: Blobs, serde: SerializerProtocol | None = None) -> None:
        self.blobs, self.serde = blobs, serde or JsonPlusSerializer()
        # Texts and bytes never change, so the same one is known without being serialized; while it is here, no other
        # object has its id.
        self._seen = Cache[int, tuple[str | bytes, str, Typed]](blobs.memory)
        self._large = Cache[str, bool](LARGE)

    def dumps_typed(self, obj: Any) -> Typed:
        if isinstance(obj, Dumped):
            return obj.typed
        if isinstance(obj, _DeltaSnapshot) and isinstance(obj.value, Dumped):
            return obj.value.typed
        return self._checkpoint(obj) if tag.is_checkpoint(obj) else self._value(obj)

    def loads_typed(self, data: Typed) -> Any:
        kind, row = data
        if found := tag.read_one(kind):
            key, inner = found
            value = self.serde.loads_typed((inner, self.blobs.get(key)))
            self._see(value, key, data)
            return value
        if (inner_kind := tag.read_several(kind)) is not None:
            checkpoint = self.serde.loads_typed((inner_kind, row))
            for channel, said in checkpoint.pop(tag.OUTSIDE).items():
                checkpoint["channel_values"][channel] = self.loads_typed((said, b""))
            return checkpoint
        return self.serde.loads_typed(data)

    def with_msgpack_allowlist(self, extra_allowlist: Iterable[tuple[str, ...] | type]) -> "BlobSerializer":
        clone = copy.copy(self)
        clone.serde = _allowing(self.serde, extra_allowlist)
        return clone

    def ahead(self, checkpoint: Checkpoint, versions: ChannelVersions) -> tuple[Checkpoint, ChannelVersions]:
        """What to give to a saver for PostgreSQL, so that it asks the object store for nothing while it holds a
        connection, and long texts are blobs too.

        Such a blob's row is written with each checkpoint, as nobody knows whether one is there: a stock saver may have
        kept the text of the same version in its checkpoint.
        """
        values, written = dict(checkpoint["channel_values"]), dict(versions)
        for channel, value in values.items():
            if channel in checkpoint["channel_versions"] and self._is_long(value):
                typed = self._value(value)
                if tag.read_one(typed[0]):
                    values[channel], written[channel] = Dumped(typed), checkpoint["channel_versions"][channel]
            elif channel in versions and not isinstance(value, INLINE):
                dumped = Dumped(self.dumps_typed(value))
                # Savers tell a snapshot by its class.
                values[channel] = _DeltaSnapshot(dumped) if isinstance(value, _DeltaSnapshot) else dumped
        return {**checkpoint, "channel_values": values}, written

    def writes_ahead(self, writes: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return [(channel, Dumped(self.dumps_typed(value))) for channel, value in writes]

    def _is_long(self, value: Any) -> bool:
        """Whether a text may be above the limit: a character has at most four bytes."""
        return type(value) is str and 4 * len(value) > self.blobs.above

    def _value(self, value: Any) -> Typed:
        return self._known(value) or self._outside(value, self.serde.dumps_typed(value))

    def _outside(self, value: Any, typed: Typed) -> Typed:
        inner, content = typed
        if len(content) <= self.blobs.above:
            return typed
        key = self.blobs.put(bytes(content))
        typed = tag.one(key, inner), str(len(content)).encode()
        self._see(value, key, typed)
        return typed

    def _checkpoint(self, checkpoint: dict[str, Any]) -> Typed:
        """Serialized whole, unless a channel's value was too large before: so the usual one is serialized once."""
        values = checkpoint["channel_values"]
        tags = self._tags({channel: value for channel, value in values.items() if self._is_expected(channel, value)})
        kind, row = self.serde.dumps_typed(tag.without(checkpoint, tags))
        if len(row) > self.blobs.above:
            tags |= self._tags({channel: value for channel, value in values.items() if channel not in tags})
            kind, row = self.serde.dumps_typed(tag.without(checkpoint, tags))
        return (tag.several(list(tags.values()), kind), row) if tags else (kind, row)

    def _tags(self, values: dict[str, Any]) -> dict[str, str]:
        """Of those that are outside."""
        tags = {channel: self._value(value)[0] for channel, value in values.items()}
        tags = {channel: said for channel, said in tags.items() if tag.read_one(said)}
        for channel in tags:
            self._large.put(channel, True)
        return tags

    def _is_expected(self, channel: str, value: Any) -> bool:
        return self._known(value) is not None or self._large.get(channel) is not None

    def _known(self, value: Any) -> Typed | None:
        if type(value) not in (str, bytes) or not (seen := self._seen.get(id(value))):
            return None
        return seen[2] if self.blobs.is_known(seen[1]) else None

    def _see(self, value: Any, key: str, typed: Typed) -> None:
        if type(value) in (str, bytes):
            self._seen.put(id(value), (value, key, typed), sys.getsizeof(value))


def within(serde: SerializerProtocol) -> BlobSerializer | None:
    """Also where it is what an EncryptedSerializer encrypts."""
    while isinstance(serde, EncryptedSerializer):
        serde = serde.serde
    return serde if isinstance(serde, BlobSerializer) else None


def bound(serde: SerializerProtocol | None, blobs: str | os.PathLike[str] | bool) -> SerializerProtocol | None:
    """`serde` with the blobs that are named, or, for True, that the environment leads to, if any."""
    if blobs is False or (serde and within(serde)):
        return serde
    folder = blobs_folder(None if blobs is True else blobs)
    return BlobSerializer(BlobStore(folder), serde) if folder else serde


def _allowing(serde: SerializerProtocol, extra: Iterable[tuple[str, ...] | type]) -> SerializerProtocol:
    if isinstance(serde, JsonPlusSerializer):
        return serde.with_msgpack_allowlist(extra)
    if isinstance(serde, EncryptedSerializer):
        return EncryptedSerializer(serde.cipher, _allowing(serde.serde, extra))
    return serde
