"""A build is lent what it needs to reach the registries: no path of this machine, nothing else it holds."""

import subprocess
from pathlib import Path

import pytest

from images import network


def test_proxies_and_the_settings_of_pip_are_lent() -> None:
    wanted = {
        "PIP_INDEX_URL": "https://user:pass@mirror.example/simple",
        "pip_retries": "5",
        "http_proxy": "http://proxy.example:3128",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "NO_PROXY": "localhost",
    }
    other = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "AWS_SECRET_ACCESS_KEY": "x",
        "PIPELINE": "1",
        "KUBECONFIG": "k",
    }
    assert network.settings(wanted | other, bundle=False) == wanted


def test_paths_of_this_machine_are_not_lent() -> None:
    paths = {"PIP_FIND_LINKS": "/opt/wheels", "PIP_CACHE_DIR": "~/.cache"}
    assert network.settings(paths, bundle=False) == {}


def test_the_bundle_replaces_every_way_to_name_one() -> None:
    environ = {"PIP_CERT": "/etc/x.pem", "SSL_CERT_FILE": "/etc/y.pem"}
    assert network.settings(environ, bundle=True) == dict.fromkeys(network.TRUST, "/run/secrets/ca")
    assert network.settings(environ, bundle=False) == {}


def test_a_shell_reads_the_values_back_and_runs_none_of_them(tmp_path: Path) -> None:
    value = """a 'quoted' "value" with $(touch nothing) and `this` & $HOME"""
    (tmp_path / "network").write_text(network.shell({"PIP_X": value, "PIP_Y": ""}))
    script = f'. {tmp_path}/network; printf \'%s|%s\' "$PIP_X" "$PIP_Y"'
    done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == f"{value}|"
    assert not (tmp_path / "nothing").exists()


def test_the_files_are_private_and_gone_afterwards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "company.pem"
    bundle.write_text("certificates")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with network.lend({"http_proxy": "http://user:pass@proxy.example"}) as lent:
        assert lent.bundle == bundle
        assert "proxy.example" in lent.settings.read_text()
        assert lent.settings.parent.stat().st_mode & 0o077 == 0
    assert not lent.settings.exists()


def test_a_machine_without_a_bundle_lends_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "BUNDLES", ())
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    with network.lend({}) as lent:
        assert lent.bundle is None
        assert lent.settings.read_text() == ""
