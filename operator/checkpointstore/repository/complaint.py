"""What pgBackRest complains about, as a reason: one table, in the order in which it is tried."""

import re
from typing import NamedTuple

from .failure import REFUSED, TRANSIENT, Failure

LONGEST = 600
RESTORE_FAILED = "RestoreFailed"
KEY_REJECTED = "KeyRejected"


class Rule(NamedTuple):
    reason: str
    code: int
    pattern: str
    advice: str


RULES = (
    Rule("RepositoryBusy", TRANSIENT, r"\[050\]|LockAcquireError", "another backup, or archiving, is at work"),
    Rule(
        "InstanceUnreachable",
        TRANSIENT,
        r"unable to find primary cluster|\[056\]|raised from remote-\d+ tls protocol",
        "no instance answers as primary",
    ),
    Rule(
        "CertificateRejected",
        TRANSIENT,
        r"unable to verify certificate|unable to find hostname .* in certificate|unable to set user-defined CA",
        "give the authority that signed the server's certificate",
    ),
    Rule("BucketMissing", TRANSIENT, r"NoSuchBucket|ContainerNotFound", "create the bucket, or mend its name"),
    Rule(
        "CredentialsRejected",
        TRANSIENT,
        r"failed with 40[13]\b|InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|\[105\]",
        "mend the credentials, or their rights on the bucket",
    ),
    Rule(
        KEY_REJECTED,
        REFUSED,
        r"cipher header|CryptoError|\[095\]|"
        r"unable to load info file[^\n]*\n\s*(?:Json)?FormatError: (?!invalid checksum|invalid format)",
        "the key is not the one that the repository was encrypted with",
    ),
    Rule(
        "ForeignRepository",
        REFUSED,
        r"do not match (?:the database|(?:repo\d+ )?stanza)|\[044\]|ArchiveMismatchError|BackupMismatchError|\[051\]",
        "the repository belongs to another database: use another path",
    ),
    Rule(
        "VersionMismatch",
        TRANSIENT,
        r"for greeting key 'version'|\[046\]",
        "wait until all instances run the same image",
    ),
    Rule(
        "RepositoryUnreachable",
        TRANSIENT,
        r"\[049\]|HostConnectError|Connection refused|timeout after \d+ms|timed out|\[101\]|ServiceError|"
        r"failed with 5\d\d|unable to get address|unexpected EOF reading HTTP|Connection reset",
        "the repository does not answer",
    ),
)
DAMAGE = re.compile(
    r"ChecksumError|\[026\]|CryptoError|\[095\]|FormatError|\[029\]|FileMissingError|\[055\]|missing file|"
    r"does not match expected checksum|unexpected decompress|inflate|unexpected eof in compressed data"
)
_ERROR = re.compile(r"ERROR: \[\d+\]: |^\[\w+Error\] ", re.MULTILINE)
_HOST = re.compile(r"unable to check pg\d+: .*")
_CODE = re.compile(r"<Code>([\w.]+)</Code>")


def failure(text: str, otherwise: str = "PgBackRestFailed") -> Failure:
    """The failure that fits the first rule; `otherwise` is the reason that stands for no rule at all."""
    line = first(text)
    error = _ERROR.search(text)
    # Warnings count when the error itself says nothing: an instance that is down is none while another serves.
    for part in (text[error.start() :] if error else text, text):
        for rule in RULES:
            # A restore begins after the key has proved right: a file that it does not open is damaged.
            if rule.reason == KEY_REJECTED and otherwise == RESTORE_FAILED:
                continue
            if re.search(rule.pattern, part):
                return Failure(rule.reason, f"{rule.advice}; pgBackRest says: {line}", rule.code)
    code = REFUSED if otherwise == RESTORE_FAILED and DAMAGE.search(text) else TRANSIENT
    return Failure(otherwise, f"pgBackRest says: {line}", code)


def first(text: str) -> str:
    """The first error's line, and the code that an object store gave; never the request with its headers."""
    match = _ERROR.search(text)
    lines = text[match.start() :].splitlines() if match else text.strip().splitlines()
    if match and (host := _HOST.search(text)):
        lines[0] = f"{lines[0].strip()}: {host[0]}"
    # With a wrong key it quotes what it decrypted.
    line = "".join(char for char in " ".join(lines[:1]) if char.isprintable() and char != "\ufffd")
    line = line.strip().removesuffix(":") or "nothing"
    if code := _CODE.search(text):
        line = f"{line} {code[1]}"
    return line[:LONGEST]
