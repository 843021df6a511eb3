"""What goes outside, and that it comes back as it was."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import _with_msgpack_allowlist, empty_checkpoint
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from checkpointstore.client import BlobSerializer
from checkpointstore.client.serializer import Dumped, bound, within
from checkpointstore.client.tag import read_one
from tests.unit.client.test_place import mounted

TEXT, BYTES = "long text " * 20, b"long bytes" * 20


@dataclass
class Kept:
    """What a BlobStore does, in memory."""

    memory: int = 1 << 20
    above: int = 64
    until: str = "shop/agents/uid/20261129T000000Z"
    objects: dict[str, bytes] = field(default_factory=dict)
    puts: int = 0

    def is_known(self, key: str) -> bool:
        return key.startswith(self.until)

    def put(self, content: bytes) -> str:
        self.puts += 1
        key = f"{self.until}/{hashlib.sha256(content).hexdigest()}"
        self.objects[key] = content
        return key

    def get(self, key: str) -> bytes:
        return self.objects[key]


class Count(JsonPlusSerializer):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.dumped: list[Any] = []

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        self.dumped.append(obj)
        return super().dumps_typed(obj)


class Reversing:
    """A cipher."""

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return "reversed", plaintext[::-1]

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        assert ciphername == "reversed"
        return ciphertext[::-1]


@pytest.mark.parametrize("value", [None, "", "short", 1, b"", [1, 2], {"channel_values": {}, "channel_versions": {}}])
def test_what_is_small_stays_as_it_is(value: Any) -> None:
    kept = Kept()
    serde = BlobSerializer(kept)
    assert serde.dumps_typed(value) == JsonPlusSerializer().dumps_typed(value)
    assert serde.loads_typed(serde.dumps_typed(value)) == value
    assert kept.objects == {}


def test_the_limit_itself_stays() -> None:
    serde = BlobSerializer(Kept())
    assert serde.dumps_typed(b"x" * 64) == ("bytes", b"x" * 64)
    assert serde.dumps_typed(b"x" * 65)[0].startswith("blob:")


@pytest.mark.parametrize("value", [TEXT, BYTES, bytearray(BYTES), [TEXT], (TEXT, 1), {"a": {TEXT}}], ids=type)
def test_what_is_large_is_an_object_of_the_inner_serializers_bytes(value: Any) -> None:
    kept = Kept()
    serde = BlobSerializer(kept)
    kind, row = serde.dumps_typed(value)
    inner, content = JsonPlusSerializer().dumps_typed(value)
    assert kept.objects == {f"{kept.until}/{hashlib.sha256(content).hexdigest()}": content}
    assert kind == f"blob:{next(iter(kept.objects))}:{inner}"
    assert row == str(len(content)).encode()
    found, stock = serde.loads_typed((kind, row)), JsonPlusSerializer().loads_typed((inner, content))
    assert (type(found), found) == (type(stock), stock)
    assert found == BlobSerializer(kept).loads_typed((kind, row))


def test_types_of_others_go_to_the_inner_serializer() -> None:
    serde = BlobSerializer(Kept())
    with pytest.raises(NotImplementedError, match="Unknown serialization type: blob:elsewhere:msgpack"):
        serde.loads_typed(("blob:elsewhere:msgpack", b""))


def test_a_text_that_was_seen_is_not_serialized_again() -> None:
    kept, count = Kept(), Count()
    serde = BlobSerializer(kept, count)
    first = serde.dumps_typed(TEXT)
    assert [serde.dumps_typed(TEXT) for _ in range(3)] == [first] * 3
    assert (len(count.dumped), kept.puts) == (1, 1)
    found = serde.loads_typed(first)
    assert found is not TEXT
    assert serde.dumps_typed(found) == first
    assert len(count.dumped) == 1
    equal = "long text " * 20 + ""
    assert serde.dumps_typed(equal) == first


def test_a_list_is_serialized_each_time_as_it_may_have_changed() -> None:
    serde = BlobSerializer(Kept())
    value = [TEXT]
    first = serde.dumps_typed(value)
    value.append("more")
    assert serde.dumps_typed(value)[0] != first[0]
    assert serde.loads_typed(serde.dumps_typed(value)) == [TEXT, "more"]


def test_the_next_interval_has_a_key_of_its_own() -> None:
    kept = Kept()
    serde = BlobSerializer(kept)
    first = serde.dumps_typed(TEXT)
    kept.until = kept.until.replace("1129", "1130")
    second = serde.dumps_typed(TEXT)
    assert first[0].replace("20261129", "20261130") == second[0]
    assert len(kept.objects) == 2
    serde.loads_typed(first)
    assert serde.dumps_typed(serde.loads_typed(first)) == second, "what was read from an old key is written anew"


def whole(**values: Any) -> Any:
    return {**empty_checkpoint(), "channel_values": values, "channel_versions": dict.fromkeys(values, "1")}


VALUES = {
    "text": TEXT,
    "bytes": BYTES,
    "array": bytearray(BYTES),
    "list": [TEXT, 1],
    "delta": _DeltaSnapshot([TEXT]),
    "same": TEXT,
    "blobs": {"blobs": "x"},
    "none": None,
    "marker": f"blob:shop/agents/uid/20261129T000000Z/{'a' * 64}:msgpack",
    "number": 1.5,
}


def test_of_a_whole_checkpoint_each_large_value_goes_by_itself() -> None:
    kept = Kept(above=150)
    serde, checkpoint = BlobSerializer(kept), whole(**VALUES)
    kind, row = serde.dumps_typed(checkpoint)
    assert kind == f"blobs:{','.join(kept.objects)}:msgpack"
    assert len(kept.objects) == 4, "the same bytes are one object"
    assert TEXT.encode() not in row
    for reader in (serde, BlobSerializer(kept)):
        found = reader.loads_typed((kind, row))
        assert found == checkpoint
        assert list(found["channel_values"]) == list(VALUES)
        assert {name: type(value) for name, value in found["channel_values"].items()} == {
            name: type(value) for name, value in VALUES.items()
        }
    assert checkpoint["channel_values"] == VALUES, "the application's own is as it was"


def test_of_a_whole_checkpoint_many_small_values_stay() -> None:
    kept = Kept()
    checkpoint = whole(**{f"c{number}": "x" * 50 for number in range(20)})
    typed = BlobSerializer(kept).dumps_typed(checkpoint)
    assert typed == JsonPlusSerializer().dumps_typed(checkpoint)
    assert kept.objects == {}


def test_a_text_of_a_whole_checkpoint_that_was_seen_is_not_serialized_again() -> None:
    kept, count = Kept(above=1000), Count()
    serde = BlobSerializer(kept, count)
    text = TEXT * 20
    first = serde.dumps_typed(whole(text=text, turn=1))
    count.dumped.clear()
    second = serde.dumps_typed(whole(text=text, turn=2))
    assert first[0] == second[0]
    assert [item["channel_values"] for item in count.dumped] == [{"text": None, "turn": 2}]


def test_encrypted_outside_the_reference_can_be_read_and_the_object_too() -> None:
    kept = Kept()
    serde = EncryptedSerializer(Reversing(), BlobSerializer(kept))
    kind, row = serde.dumps_typed(TEXT)
    assert read_one(kind) == (next(iter(kept.objects)), "msgpack+reversed")
    assert TEXT.encode() in next(iter(kept.objects.values()))
    assert serde.loads_typed((kind, row)) == TEXT
    several = serde.dumps_typed(whole(text=TEXT, more=[BYTES]))
    assert several[0] == f"blobs:{','.join(kept.objects)}:msgpack+reversed"
    assert serde.loads_typed(several)["channel_values"] == {"text": TEXT, "more": [BYTES]}


def test_encrypted_inside_the_object_is_too() -> None:
    kept = Kept()
    serde = BlobSerializer(kept, EncryptedSerializer(Reversing()))
    typed = serde.dumps_typed(TEXT)
    assert typed[0].endswith(":msgpack+reversed")
    assert TEXT.encode() not in next(iter(kept.objects.values()))
    assert serde.loads_typed(typed) == TEXT


def test_what_a_postgres_saver_is_given_is_serialized_and_long_texts_are_blobs() -> None:
    kept, count = Kept(), Count()
    serde = BlobSerializer(kept, count)
    delta = _DeltaSnapshot([TEXT])
    checkpoint = whole(text=TEXT, short="s", old=[TEXT], new=[TEXT], small=[1], delta=delta, number=1)
    given, versions = serde.ahead(checkpoint, {"new": "2", "small": "2", "delta": "2", "short": "2"})
    values = given["channel_values"]
    assert versions == {"new": "2", "small": "2", "delta": "2", "short": "2", "text": "1"}
    assert {name for name, value in values.items() if isinstance(value, Dumped)} == {"text", "new", "small"}
    assert isinstance(values["delta"], _DeltaSnapshot)
    assert (values["short"], values["old"], values["number"]) == ("s", [TEXT], 1)
    assert kept.puts == 3
    dumped_so_far = len(count.dumped)
    assert serde.loads_typed(serde.dumps_typed(values["delta"])) == delta
    assert (kept.puts, len(count.dumped)) == (3, dumped_so_far), "it is not serialized again"
    assert serde.loads_typed(serde.dumps_typed(values["text"])) == TEXT
    assert serde.loads_typed(serde.dumps_typed(values["small"])) == [1]
    assert checkpoint["channel_values"]["text"] is TEXT
    [(channel, dumped)] = serde.writes_ahead([("text", TEXT)])
    assert (channel, serde.loads_typed(serde.dumps_typed(dumped))) == ("text", TEXT)


def test_a_snapshot_that_is_another_object_each_time_is_put_once() -> None:
    """As with a cipher's nonce."""

    class Salted(Reversing):
        salt = 0

        def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
            self.salt += 1
            return "reversed", plaintext[::-1] + bytes([self.salt])

        def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
            return super().decrypt(ciphername, ciphertext[:-1])

    kept, delta = Kept(), _DeltaSnapshot([TEXT])
    serde = BlobSerializer(kept, EncryptedSerializer(Salted()))
    given, _ = serde.ahead(whole(delta=delta), {"delta": "1"})
    typed = serde.dumps_typed(given["channel_values"]["delta"])
    assert len(kept.objects) == 1
    assert serde.loads_typed(typed) == delta


@pytest.mark.parametrize("text", ["x" * 62, "ä" * 20])
def test_texts_that_are_not_long_stay_in_the_checkpoint(text: str) -> None:
    kept = Kept()
    given, versions = BlobSerializer(kept).ahead(whole(text=text), {})
    assert (given["channel_values"], versions, kept.objects) == ({"text": text}, {}, {})


def test_a_texts_length_is_that_of_its_bytes() -> None:
    given, _ = BlobSerializer(Kept()).ahead(whole(text="ä" * 40), {})
    assert isinstance(given["channel_values"]["text"], Dumped)


def test_a_text_without_a_version_stays_as_no_row_could_be_found() -> None:
    checkpoint = whole(text=TEXT)
    checkpoint["channel_versions"] = {}
    given, versions = BlobSerializer(Kept()).ahead(checkpoint, {})
    assert (given["channel_values"], versions) == ({"text": TEXT}, {})


def test_what_a_graph_may_load_is_told_to_the_inner_serializer() -> None:
    """LangGraph does so with LANGGRAPH_STRICT_MSGPACK, for every saver."""
    strict = JsonPlusSerializer(allowed_msgpack_modules=None)
    extra = [("tests.unit.client.test_serializer", "Kept")]

    def loaded(serde: Any) -> Any:
        return serde.loads_typed(serde.dumps_typed(Kept()))

    for made in (
        BlobSerializer(Kept(), strict),
        BlobSerializer(Kept(), EncryptedSerializer(Reversing(), strict)),
        EncryptedSerializer(Reversing(), BlobSerializer(Kept(), strict)),
    ):
        assert not isinstance(loaded(made), Kept)
        assert isinstance(loaded(_with_msgpack_allowlist(made, extra)), Kept)


def test_ours_is_found_within_an_encrypting_one() -> None:
    ours = BlobSerializer(Kept())
    assert within(ours) is within(EncryptedSerializer(Reversing(), ours)) is ours
    assert within(JsonPlusSerializer()) is within(EncryptedSerializer(Reversing())) is None


def test_a_saver_has_blobs_where_they_are_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVICE_BINDING_ROOT", raising=False)
    monkeypatch.delenv("CHECKPOINTSTORE_BLOBS", raising=False)
    folder, inner, ours = mounted(tmp_path / "blobs"), JsonPlusSerializer(), BlobSerializer(Kept())
    assert bound(None, True) is None
    assert bound(inner, True) is inner
    named = bound(inner, folder)
    assert isinstance(named, BlobSerializer)
    assert named.serde is inner
    monkeypatch.setenv("SERVICE_BINDING_ROOT", str(tmp_path))
    assert isinstance(bound(None, True), BlobSerializer)
    assert bound(inner, False) is inner
    assert bound(ours, True) is ours


def test_the_savers_work_without_obstore_and_blobs_say_what_they_need(tmp_path: Path) -> None:
    folder = mounted(tmp_path / "blobs")
    program = f"""
import sys
sys.modules["obstore"] = None
from checkpointstore.client import BlobStore, open_saver
try:
    BlobStore({str(folder)!r})
except ImportError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "blobs need obstore: pip install 'checkpointstore[client,blobs]'\n"
