"""What pgBackRest 2.45 really said: about one full and one differential backup, about damage, and when it failed."""

import json
from typing import Any

INFO: list[dict[str, Any]] = json.loads("""[{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1",
"max":"000000010000000000000004","min":"000000010000000000000001"}],"backup":[
{"archive":{"start":"000000010000000000000002","stop":"000000010000000000000002"},
"backrest":{"format":5,"version":"2.45"},"database":{"id":1,"repo-key":1},"error":false,
"info":{"delta":30485713,"repository":{"delta":4066259,"size":4066259},"size":30485713},"label":"20261124-153940F",
"lsn":{"start":"0/2000028","stop":"0/2000100"},"prior":null,"reference":null,
"timestamp":{"start":1795534780,"stop":1795534784},"type":"full"},
{"archive":{"start":"000000010000000000000004","stop":"000000010000000000000004"},
"backrest":{"format":5,"version":"2.45"},"database":{"id":1,"repo-key":1},"error":false,
"info":{"delta":1753354,"repository":{"delta":183438,"size":4068859},"size":30551250},
"label":"20261124-153940F_20261124-153946D","lsn":{"start":"0/4000028","stop":"0/4000100"},
"prior":"20261124-153940F","reference":["20261124-153940F"],"timestamp":{"start":1795534786,"stop":1795534788},
"type":"diff"}],"cipher":"none","db":[{"id":1,"repo-key":1,"system-id":7711763148693930518,"version":"15"}],
"name":"main","repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],
"status":{"code":0,"lock":{"backup":{"held":false}},"message":"ok"}}]""")

_ARCHIVE = "archive/main/15-1/0000000100000000"
LISTING: dict[str, dict[str, Any]] = {
    "archive": {"type": "path"},
    _ARCHIVE: {"type": "path"},
    f"{_ARCHIVE}/000000010000000000000001-cabb94b71bfc8b9aa716072de2695d449651a481.gz": {
        "type": "file",
        "size": 2611961,
        "time": 1795534781,
    },
    f"{_ARCHIVE}/000000010000000000000002-a99ddc3c965b3eb3e88264f31922be27199000da.gz": {
        "type": "file",
        "size": 16462,
        "time": 1795534784,
    },
    f"{_ARCHIVE}/000000010000000000000002.00000028.backup": {"type": "file", "size": 370, "time": 1795534784},
    f"{_ARCHIVE}/000000010000000000000003-9fb392ffe7638478af6b7c4345f2a2c1894e70db.gz": {
        "type": "file",
        "size": 63742,
        "time": 1795534787,
    },
    f"{_ARCHIVE}/000000010000000000000004-fa60e3e9dad18f69123f798994d06208abcffb3e.gz": {
        "type": "file",
        "size": 16463,
        "time": 1795534789,
    },
    f"{_ARCHIVE}/000000010000000000000005-2e4476088f256c95508c819767b65361379395de.gz.pgbackrest.tmp": {
        "type": "file",
        "size": 0,
        "time": 1795534791,
    },
    "archive/main/archive.info": {"type": "file", "size": 253, "time": 1795534789},
    "backup/main/latest": {"type": "link", "destination": "20261124-153940F_20261124-153946D"},
}

VERIFY = """INFO: verify command begin 2.45: --log-level-stderr=info --output=text --stanza=main
INFO: invalid result 15-1/0000000100000000/000000010000000000000002-9a10ee2cf32f87bfcccd43cd40d85a5bdf6df639.gz: \
[29] raised from local-1 protocol: unexpected eof in compressed data
INFO: invalid checksum '20261124-153940F/pg_data/base/1/2619.gz'
INFO: file missing '20261124-155208F/pg_data/PG_VERSION.gz'
INFO: stanza: main
      status: error
        archiveId: 15-1, total WAL checked: 2, total valid WAL: 1
          other: 1
INFO: verify command end: completed successfully (573ms)
"""

_REQUEST = """
       *** Path/Query ***:
       GET /bucket/?delimiter=%2F&list-type=2&prefix=x%2F
       *** Request Headers ***:
       authorization: <redacted>
       host: localhost
"""
_INFO_FILES = "unable to load info file '/r/archive/main/archive.info' or '/r/archive/main/archive.info.copy'"
FOREIGN = "PostgreSQL version 15, system-id 7711766044409427649 do not match"

# Text, reason, exit code.
FAILURES = [
    (
        f"ERROR: [039]: HTTP request failed with 403 (Forbidden):{_REQUEST}       *** Response Content ***:\n"
        "       <Error><Code>SignatureDoesNotMatch</Code></Error>",
        "CredentialsRejected",
        1,
    ),
    (f"[ProtocolError] HTTP request failed with 403 (Forbidden):{_REQUEST}", "CredentialsRejected", 1),
    (
        f"ERROR: [039]: HTTP request failed with 404 (Not Found):{_REQUEST}       *** Response Content ***:\n"
        "       <Error><Code>NoSuchBucket</Code></Error>",
        "BucketMissing",
        1,
    ),
    (f"ERROR: [039]: HTTP request failed with 400 (Bad Request):{_REQUEST}", "PgBackRestFailed", 1),
    ("ERROR: [101]: [503] Slow Down", "RepositoryUnreachable", 1),
    ("[ServiceError] [503] Slow Down", "RepositoryUnreachable", 1),
    ("ERROR: [049]: unable to connect to 'localhost:1': [111] Connection refused", "RepositoryUnreachable", 1),
    ("[HostConnectError] unable to get address for 'n.invalid': [-2] Name unknown", "RepositoryUnreachable", 1),
    (
        "ERROR: [095]: unable to verify certificate presented by 'localhost:33929': [20] unable to get local issuer "
        "certificate",
        "CertificateRejected",
        1,
    ),
    (
        "[CryptoError] unable to find hostname '127.0.0.1' in certificate common name or subject alternative names",
        "CertificateRejected",
        1,
    ),
    (
        f"ERROR: [029]: {_INFO_FILES}:\n       FormatError: key/value found outside of section at line 1: \ufffd\x12",
        "KeyRejected",
        64,
    ),
    (
        f"WARN: repo1: [FormatError] {_INFO_FILES}:\n      FormatError: key/value found outside of section at line 2: "
        "b\ufffd\nERROR: [075]: no backup set found to restore",
        "KeyRejected",
        64,
    ),
    (
        "ERROR: [056]: unable to find primary cluster - cannot proceed\nWARN: unable to check pg2: [LockAcquireError] "
        "raised from remote-0 tls protocol on 'agents-1': unable to acquire lock on file "
        "'/tmp/pgbackrest/main-archive-1.lock': Resource temporarily unavailable",
        "RepositoryBusy",
        1,
    ),
    ("ERROR: [050]: unable to acquire pgBackRest advisory lock\n       HINT: is another", "RepositoryBusy", 1),
    (
        "WARN: unable to check pg1: [HostConnectError] unable to connect to 'localhost:1': [111] Connection refused\n"
        "ERROR: [056]: unable to find primary cluster - cannot proceed",
        "InstanceUnreachable",
        1,
    ),
    (
        "WARN: unable to check pg1: [CryptoError] unable to verify certificate presented by 'localhost:50071': [19] "
        "self-signed certificate\nERROR: [056]: unable to find primary cluster - cannot proceed",
        "InstanceUnreachable",
        1,
    ),
    (
        "WARN: unable to check pg2: [HostConnectError] unable to connect to 'agents-1:8432': [111] Connection refused\n"
        "ERROR: [028]: backup and archive info files exist but do not match the database\n       HINT: is this",
        "ForeignRepository",
        64,
    ),
    (f"ERROR: [051]: {FOREIGN} stanza version 15, system-id 77", "ForeignRepository", 64),
    (
        f"ERROR: [103]: unable to find a valid repository:\n       repo1: [ArchiveMismatchError] {FOREIGN} repo1 "
        "stanza version 15, system-id 77",
        "ForeignRepository",
        64,
    ),
    # From pgBackRest's source: it takes two versions to provoke.
    (
        "ERROR: [039]: expected value '2.55.1' for greeting key 'version' but got '2.56.0'",
        "VersionMismatch",
        1,
    ),
    ("ERROR: [082]: WAL segment 00000001 was not archived before the 60000ms timeout", "PgBackRestFailed", 1),
]
DAMAGED = "ERROR: [042]: raised from local-1 protocol: unable to get 000000010000000000000002.gz:\n       \
[FormatError] raised from local-1 protocol: unexpected eof in compressed data"
