"""The certificates that openssl makes hold under the strictest verification, and are made once."""

import stat
from pathlib import Path

import pytest

from localcluster import certificate
from localcluster.command import run, succeeds
from localcluster.layout import nodes


@pytest.fixture
def pki(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(certificate, "PKI", tmp_path / "pki")
    monkeypatch.setattr(certificate, "KUBECONFIG", tmp_path / "kubeconfig")
    certificate.make(nodes(2))
    return tmp_path / "pki"


def test_every_certificate_verifies_strictly_against_its_own_authority_alone(pki: Path) -> None:
    for each in certificate.wanted(nodes(2)):
        other = "ca" if each.authority == "front-proxy-ca" else "front-proxy-ca"
        verify = ["openssl", "verify", "-x509_strict", "-CAfile"]
        run(*verify, pki / f"{each.authority}.crt", pki / f"{each.name}.crt")
        # Python 3.13 refuses what lacks these, Debian 12's own openssl does not.
        text = run("openssl", "x509", "-in", pki / f"{each.name}.crt", "-noout", "-text")
        assert "Authority Key Identifier" in text
        assert "Subject Key Identifier" in text
        assert not succeeds(*verify, pki / f"{other}.crt", pki / f"{each.name}.crt"), each.name


def test_a_second_make_only_adds_what_is_missing(pki: Path) -> None:
    before = {path.name: path.read_bytes() for path in pki.glob("*.crt")}
    (pki / "apiserver.crt").unlink()
    certificate.make(nodes(3))
    after = {path.name: path.read_bytes() for path in pki.glob("*.crt")}
    assert set(after) - set(before) == {"kubelet-node3.crt"}
    assert {name for name in before if before[name] != after[name]} == {"apiserver.crt"}
    assert not list(pki.glob("*.partial"))


def test_nothing_secret_is_readable_by_others(pki: Path) -> None:
    assert stat.S_IMODE(pki.stat().st_mode) == 0o700
    assert stat.S_IMODE((pki.parent / "kubeconfig").stat().st_mode) == 0o600
