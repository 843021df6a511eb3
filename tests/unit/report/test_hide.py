"""What a report must never hold: generated values in every spelling, keys, verifiers, logins in URLs."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkpointstore.kernel import scram
from checkpointstore.report.hide import HIDDEN, Curtain, clean, values

PASSWORD = "Zk7/w+3q'Rv%9\\x1"
LINES = ["MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgXmQ1", "hRANCAARo5Jt0", "qq=="]
KEY = "\n".join(["-----BEGIN PRIVATE KEY-----", *LINES, "-----END PRIVATE KEY-----", ""])
SPELLINGS = (
    lambda text: text,
    lambda text: quote(text, safe=""),
    lambda text: json.dumps({"a": text}),
    lambda text: base64.b64encode(text.encode()).decode(),
)


def secret(**data: str) -> dict[str, object]:
    encoded = {key.replace("_", "."): base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "agents-app"}, "data": encoded}


@pytest.mark.parametrize("spell", SPELLINGS)
@given(password=st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=16, max_size=40))
def test_a_known_value_never_appears(spell, password: str) -> None:  # type: ignore[no-untyped-def]
    curtain = Curtain(values(secret(password=password)))
    hidden = curtain.hide(f"before {spell(password)} after")
    assert spell(password) not in hidden
    assert password not in hidden
    assert hidden.startswith("before ")
    assert hidden.endswith(" after")


def test_each_line_of_a_known_key_is_hidden_by_itself() -> None:
    curtain = Curtain(values(secret(tls_key=KEY)))
    assert curtain.hide(f"x {LINES[0]} y {LINES[1]} z") == f"x {HIDDEN} y {HIDDEN} z"


def test_addresses_names_and_certificates_are_no_secrets() -> None:
    certificate = KEY.replace("PRIVATE KEY", "CERTIFICATE")
    found = values(secret(username="application", host="agents-pooler.shop.svc", ca_crt=certificate, password=PASSWORD))
    assert found == [PASSWORD]
    text = f"application at agents-pooler.shop.svc\n{certificate}"
    assert Curtain(found).hide(text) == text


def test_of_what_pgbouncer_reads_only_the_users_and_the_key_are_secret() -> None:
    files = {
        "pgbouncer_ini": "[databases]\napp = host=agents-rw",
        "hba_conf": "hostssl app all",
        "ident_conf": "console a b",
    }
    assert values(secret(**files, userlist_txt="the users' lines", tls_key=KEY)) == ["the users' lines", KEY]


VERIFIER = scram.verifier("app_a", "correct horse")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"log\n{KEY}more", [*LINES, "BEGIN"]),
        (KEY.replace("PRIVATE", "EC PRIVATE"), LINES),
        (json.dumps({"key": KEY}), LINES),
        ("BEGIN cut off\n" + KEY.partition("\n")[2], LINES),
        (json.dumps({"key": KEY}).partition("\\n")[2], LINES),
        (KEY.partition("-----END")[0], LINES),
        (f"tls.key: {base64.b64encode(KEY.encode()).decode()}", [base64.b64encode(KEY.encode()).decode()[20:40]]),
        (f"ALTER ROLE app_a PASSWORD '{VERIFIER}'", [VERIFIER[20:]]),
        (f'"app_a" "{VERIFIER}"', [VERIFIER[20:]]),
        ("alter role a password 'it''s me'", ["it", "me"]),
        ("CREATE ROLE a PASSWORD E'abc' LOGIN", ["abc"]),
        ("ALTER ROLE a PASSWORD $x$abc$x$", ["abc"]),
        ("md5" + "0a" * 16, ["0a0a"]),
        ("postgresql://app_a:s3cr3t%21@agents-pooler:5432/app", ["s3cr3t"]),
        ("host=x password=s3cr3t user=y", ["s3cr3t"]),
        ("PGPASSWORD=s3cr3t psql", ["s3cr3t"]),
        ('{"password": "two words"}', ["two", "words"]),
        ('"{\\"password\\": \\"two words\\"}"', ["two", "words"]),
        ("password: 'two words'", ["two", "words"]),
        ("Authorization: Bearer abcdef.ghijkl", ["abcdef"]),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl", ["c2ln", "eyJ"]),
        ("DETAIL:  parameters: $1 = 'thread of Alice', $2 = 'x'", ["Alice"]),
    ],
)
def test_what_looks_like_a_secret_is_hidden_unknown(text: str, hidden: list[str]) -> None:
    seen = Curtain().hide(text)
    assert HIDDEN in seen
    assert not [part for part in hidden if part in seen], seen


@pytest.mark.parametrize(
    "text",
    [
        "password_encryption: scram-sha-256",
        "secretName: agents-postgres-tls\nautomountServiceAccountToken: false",
        "ssl_key_file: /etc/postgresql-tls/tls.key",
        "postgres://monitoring@:5432/pgbouncer?host=/tmp",
        "https://agents-0.agents-pods.shop.svc:8008/patroni",
        "secretRef:\n  name: rds\n",
        "hostssl app all 0.0.0.0/0 scram-sha-256",
        "SELECT rolpassword FROM pg_authid",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Curtain().hide(text) == text


def test_of_a_secret_only_the_names_of_its_keys_stay() -> None:
    shown = clean({**secret(password=PASSWORD, uri="postgresql://a"), "stringData": {"more": "x"}})
    assert shown["keys"] == ["more", "password", "uri"]
    assert not {"data", "stringData"} & shown.keys()


def test_objects_lose_noise_and_values_of_sensitive_variables() -> None:
    shown = clean(
        {
            "kind": "Pod",
            "metadata": {
                "name": "a",
                "managedFields": [{}],
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "status": "running"},
            },
            "spec": {"containers": [{"env": [{"name": "API_TOKEN", "value": "x"}, {"name": "HOME", "value": "/tmp"}]}]},
        }
    )
    assert shown["metadata"] == {"name": "a", "annotations": {"status": "running"}}
    assert [variable["value"] for variable in shown["spec"]["containers"][0]["env"]] == [HIDDEN, "/tmp"]


def test_large_texts_take_no_time() -> None:
    curtain = Curtain([f"generated-{number:032d}" for number in range(100)])
    for line in ("A" * 1_000_000, "a.b-" * 250_000, "x\n" * 500_000, "password " * 100_000):
        assert curtain.hide(line) == line
