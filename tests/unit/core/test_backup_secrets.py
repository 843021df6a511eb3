"""What the repository needs of the user's Secrets goes into one Secret of ours, follows them, and is seen nowhere."""

import base64
import json
from datetime import timedelta

import pytest

from tests.contract.world import AUTHORITY, NAMESPACE, World
from tests.golden.backup import BACKUP, RECOVERY, STORE
from tests.unit.backup.story import SOUND, backed_up, jobs, later, level

ENCRYPTED = {**BACKUP, "encryption": {"name": "key", "key": "passphrase"}}
VALUES = {
    "AWS_ACCESS_KEY_ID": "AKIA-access-1f",
    "AWS_SECRET_ACCESS_KEY": "s3cr3t-2e/+",
    "AWS_SESSION_TOKEN": "t0ken-3d==",
}


def lines(world: World, name: str = "agents-repository") -> dict[str, str]:
    """repository.conf."""
    text = world.secret(name)["repository.conf"].splitlines()
    assert text[0] == "[global]"
    return dict(line.split("=", 1) for line in text[1:])


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def test_the_repository_is_what_the_spec_says() -> None:
    with World() as world:
        backed_up(world)
        found = lines(world)
        assert (
            found.items()
            >= {
                "repo1-type": "s3",
                "repo1-s3-bucket": "backups",
                "repo1-s3-endpoint": "s3.example:9000",
                "repo1-s3-uri-style": "path",
                "repo1-s3-key": "an id",
                "repo1-s3-key-secret": "a key",
                "repo1-storage-ca-file": "/etc/pgbackrest/ca.crt",
                "repo1-path": f"/agents/shop/agents/{world.body['metadata']['uid']}",
                "repo1-retention-full": "30",
            }.items()
        )
        assert not {"repo1-s3-token", "repo1-cipher-type", "repo1-cipher-pass"} & set(found)
        assert world.secret("agents-repository")["ca.crt"] == AUTHORITY


def test_amazons_own_servers_need_no_endpoint_and_no_authority() -> None:
    with World() as world:
        amazon = {"url": "s3://backups/", "region": "eu-central-1", "credentials": {"name": "s3"}}
        world.bucket().make({"backup": {"objectStore": amazon}}).settle()
        found = lines(world)
        assert found["repo1-s3-endpoint"] == "s3.eu-central-1.amazonaws.com"
        assert found["repo1-s3-uri-style"] == "host"
        assert found["repo1-path"].startswith("/shop/agents/")
        assert "repo1-storage-ca-file" not in found
        assert world.secret("agents-repository").keys() == {"repository.conf"}
        assert level(world) == SOUND


def test_credentials_that_change_are_published() -> None:
    with World() as world:
        backed_up(world)
        pod = world.need("Pod", "agents-0")["metadata"]["uid"]
        world.edit("Secret", "s3", {"data": {"AWS_SECRET_ACCESS_KEY": encoded("another")}}).settle()
        assert lines(world)["repo1-s3-key-secret"] == "another"
        world.edit("Secret", "s3", {"data": {"AWS_SESSION_TOKEN": encoded("a token==\n")}}).settle()
        assert lines(world)["repo1-s3-token"] == "a token=="
        world.edit("Secret", "s3", {"data": {"AWS_SESSION_TOKEN": None}}).settle()
        assert "repo1-s3-token" not in lines(world)
        world.edit("Secret", "s3-ca", {"data": {"ca.crt": encoded("another authority")}}).settle()
        assert world.secret("agents-repository")["ca.crt"] == "another authority"
        assert world.need("Pod", "agents-0")["metadata"]["uid"] == pod
        assert world.look() == 0


def test_the_passphrase_is_published_whole_and_followed() -> None:
    """One that ends with =, as base64 does, too."""
    with World() as world:
        world.bucket().give("key", {"passphrase": "{access} of base64=="}).make({"backup": ENCRYPTED}).settle()
        assert lines(world)["repo1-cipher-type"] == "aes-256-cbc"
        assert lines(world)["repo1-cipher-pass"] == "{access} of base64=="
        world.edit("Secret", "key", {"data": {"passphrase": encoded("another")}}).settle()
        assert lines(world)["repo1-cipher-pass"] == "another"
        assert world.backups()["agents-full-202601010000"]["source"]["encryption"] == ENCRYPTED["encryption"]
        world.delete("Secret", "key").settle()
        assert world.condition("Stalled")["message"] == "Secret key is not in this namespace: create it with passphrase"


def test_one_secret_may_hold_it_all() -> None:
    with World() as world:
        everything = {**VALUES, "ca.crt": "an authority", "passphrase": "a passphrase"}
        store = {**STORE, "ca": {"name": "s3", "key": "ca.crt"}}
        world.give("s3", {key: value for key, value in everything.items() if key != "passphrase"})
        world.make({"backup": {"objectStore": store, "encryption": {"name": "s3", "key": "passphrase"}}}).settle()
        assert world.condition("Stalled")["message"] == "Secret s3 lacks passphrase"
        world.edit("Secret", "s3", {"data": {"passphrase": encoded("a passphrase")}}).settle()
        assert lines(world)["repo1-cipher-pass"] == "a passphrase"
        assert level(world) == SOUND
        world.edit("Secret", "s3", {"data": {"AWS_ACCESS_KEY_ID": None, "ca.crt": None}}).look()
        assert world.condition("Stalled")["message"] == "Secret s3 lacks AWS_ACCESS_KEY_ID, ca.crt"


@pytest.mark.parametrize("key", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
def test_a_value_of_more_than_one_line_is_refused(key: str) -> None:
    """It would be configuration of the user's own."""
    with World() as world:
        backed_up(world)
        before = world.secret("agents-repository")
        world.edit("Secret", "s3", {"data": {key: encoded("ab\nrepo1-path=/elsewhere")}})
        world.look()
        assert world.states["Stalled"] == ("True", "SecretIncomplete")
        assert world.states["Ready"] == SOUND["Ready"]
        assert "not one line" in world.condition("Stalled")["message"]
        assert "elsewhere" not in str(world.status)
        assert world.secret("agents-repository") == before
        world.edit("Secret", "s3", {"data": {key: encoded("one line")}}).settle()
        assert level(world) == SOUND
        assert "one line" in lines(world).values()


def test_an_edit_of_what_is_published_is_undone() -> None:
    with World() as world:
        backed_up(world)
        before = world.secret("agents-repository")
        world.edit("Secret", "agents-repository", {"data": {"repository.conf": encoded("[global]")}}).settle()
        assert world.secret("agents-repository") == before
        world.delete("Secret", "agents-repository").settle()
        assert world.secret("agents-repository") == before


def test_a_secret_of_that_name_that_is_anothers_is_not_touched() -> None:
    with World() as world:
        world.give("agents-repository", {"whose": "theirs"}).bucket().make({"backup": BACKUP})
        for _ in range(6):
            world.look()
            world.tick()
        assert world.secret("agents-repository") == {"whose": "theirs"}
        assert world.states["Stalled"] == ("True", "NameTaken")


def test_one_that_turns_out_to_be_anothers_is_not_touched_either() -> None:
    """It came between the look and the act."""
    with World() as world:
        world.bucket().make({"backup": BACKUP})
        world.settle_until(lambda: "PublishRepository" in str(world.plan().actions))
        made: list[str] = []

        def interfere(item: dict[str, object]) -> None:
            if not made and item["kind"] != "Secret":
                made.append("once")
                world.give("agents-repository", {"whose": "theirs"})

        world.server.watchers.append(interfere)
        for _ in range(3):
            world.look()
            world.tick()
        assert world.secret("agents-repository") == {"whose": "theirs"}


def test_no_value_of_a_users_secret_is_seen_anywhere() -> None:
    """But in the two Secrets that are there for it."""
    values = (*VALUES.values(), "pass-phr4se")
    hidden = {*values, *(encoded(value) for value in values)}
    seen: list[str] = []
    with World() as world:
        world.give("s3", VALUES).give("s3-ca", {"ca.crt": "an authority"}).give("key", {"passphrase": "pass-phr4se"})
        source = {**RECOVERY["source"], "encryption": ENCRYPTED["encryption"]}
        world.make({"backup": ENCRYPTED, "bootstrap": {"recovery": {**RECOVERY, "source": source}}})
        world.server.watchers.append(lambda item: seen.append(json.dumps(item)) if item["kind"] != "Secret" else None)
        for _ in range(16):
            seen.append(repr(world.plan()) + repr(world.observed()))
            world.look()
            world.tick()
        world.edit("Secret", "s3", {"data": {"AWS_SECRET_ACCESS_KEY": encoded("two\nlines")}})
        seen.append(repr(world.plan()))
        world.look()
        assert world.states["Stalled"] == ("True", "SecretIncomplete")
        assert lines(world)["repo1-cipher-pass"] == "pass-phr4se"
        assert world.states["LastBackupSucceeded"] == ("True", "Completed")
        for name in ("agents-repository", "s3"):
            assert not hidden & set(world.need("Secret", name)["metadata"].get("annotations", {}).values())
    whole = "\n".join(seen)
    assert "agents-restore" in whole
    assert "Event" in whole
    assert not [value for value in (*hidden, "two\\nlines") if value in whole]


def test_the_certificate_for_backups_is_issued_and_renewed() -> None:
    with World() as world:
        backed_up(world)
        fact = world.observed().secrets["agents-backup-tls"]
        assert fact.certificate is not None
        assert fact.certificate.common_name == "backup", "the instances' pgBackRest lets nobody else in"
        world.server.now = fact.certificate.not_after - timedelta(days=1)
        world.settle()
        later = world.observed().secrets["agents-backup-tls"].certificate
        assert later is not None
        assert later.not_after > fact.certificate.not_after


def test_a_backup_waits_for_its_certificate() -> None:
    with World() as world:
        backed_up(world)
        later(world, minutes=1)
        world.delete("Secret", "agents-backup-tls").ask("by-hand")
        world.look()
        assert jobs(world, "backup") == []
        assert world.server.get("Secret", NAMESPACE, "agents-backup-tls") is not None
        world.settle()
        assert world.backups()["by-hand"]["phase"] == "Completed"
