"""The S3 server's credentials stay secret, and its bucket is made once; the server itself is stood for."""

import stat
from pathlib import Path

import pytest

from localcluster import __main__, layout, objectstore
from localcluster.errors import LocalClusterError, Unsupported
from localcluster.objectstore import ObjectStore, Place

STORE = ObjectStore("https://198.18.0.1:9443", "us-east-1", "checkpointstore", "access", "hidden", "PEM")
OWNED = "<Error><Code>BucketAlreadyOwnedByYou</Code><Message>It is there.</Message></Error>\n409"
FOREIGN = "<Error><Code>BucketAlreadyExists</Code><Message>It is not yours.</Message></Error>\n409"
REFUSED = "<Error><Code>SignatureDoesNotMatch</Code><Message>Check your key.</Message></Error>\n403"


class Curl:
    """Stands for curl: answers, and keeps what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
        self.line: tuple[str, ...] = ()
        self.config = ""
        self.answer = answer
        monkeypatch.setattr(objectstore, "run", self.run)

    def run(self, *line: str, text: str) -> str:
        self.line, self.config = line, text
        return self.answer


@pytest.mark.parametrize("answer", ["\n200", OWNED], ids=["made", "there"])
def test_the_bucket_is_made_unless_it_is_there(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    curl = Curl(monkeypatch, answer)
    objectstore.make_bucket(STORE, Path("ca.crt"))
    options = dict(line.split(" = ", 1) for line in curl.config.splitlines() if " = " in line)
    assert options["url"] == '"https://198.18.0.1:9443/checkpointstore"'
    assert options["request"] == '"PUT"'
    assert options["cacert"] == '"ca.crt"'
    assert options["aws-sigv4"] == '"aws:amz:us-east-1:s3"'
    assert options["user"] == '"access:hidden"'
    assert "hidden" not in " ".join(curl.line), "everybody sees command lines"
    assert curl.line[1] == "--disable", "the user's own .curlrc counts only if this comes first"


@pytest.mark.parametrize(("answer", "said"), [(REFUSED, "403.*Check your key"), (FOREIGN, "409"), ("\n500", "500")])
def test_another_answer_is_an_error(monkeypatch: pytest.MonkeyPatch, answer: str, said: str) -> None:
    Curl(monkeypatch, answer)
    with pytest.raises(LocalClusterError, match=said) as caught:
        objectstore.make_bucket(STORE, Path("ca.crt"))
    assert "hidden" not in str(caught.value)


def test_credentials_are_made_once_at_random_and_for_root_alone(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("PEM")
    places = [Place(tmp_path / name) for name in ("one", "two")]
    for place in [*places, *places]:
        before = place.credentials.read_text() if place.credentials.exists() else None
        objectstore.make_folders(place)
        assert place.data.is_dir()
        assert place.metadata.is_dir()
        assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(place.credentials.stat().st_mode) == 0o600
        assert before in (None, place.credentials.read_text())
    one, two = (objectstore.known("198.18.0.1:9443", place.credentials, tmp_path / "ca.crt") for place in places)
    assert one.access_key != two.access_key
    assert one.secret_key != two.secret_key
    assert len(one.secret_key) == 40
    assert (one.endpoint, one.ca) == ("https://198.18.0.1:9443", "PEM")


def test_without_a_cluster_there_is_no_server(tmp_path: Path) -> None:
    with pytest.raises(LocalClusterError, match="bring the cluster up"):
        objectstore.known("198.18.0.1:9443", tmp_path / "none", tmp_path / "ca.crt")


def test_the_secret_is_not_shown() -> None:
    assert "hidden" not in repr(STORE)


def test_a_person_is_told_paths_and_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objectstore.make_folders(objectstore.LOCAL)
    assert __main__.carry_out(__main__.parser().parse_args(["s3"])) == 0
    told = capsys.readouterr().out
    for fact in ("https://198.18.0.1:9443", "us-east-1", "checkpointstore", f"{layout.PKI}/ca.crt"):
        assert fact in told
    assert str(objectstore.LOCAL.credentials) in told
    for line in objectstore.LOCAL.credentials.read_text().splitlines():
        assert line.partition("=")[2] not in told


def test_an_authority_of_its_own_is_read(tmp_path: Path) -> None:
    names = ("ENDPOINT", "REGION", "BUCKET", "ACCESS_KEY", "SECRET_KEY")
    environ = {f"CHECKPOINTSTORE_S3_{name}": name for name in names}
    (tmp_path / "ca").write_text("PEM")
    assert objectstore.given(environ | {objectstore.CA_FILE: str(tmp_path / "ca")}).ca == "PEM"
    with pytest.raises(LocalClusterError, match="which is no file"):
        objectstore.given(environ | {objectstore.CA_FILE: str(tmp_path / "none")})


@pytest.mark.parametrize("name", ["ENDPOINT", "REGION", "BUCKET", "ACCESS_KEY", "SECRET_KEY"])
def test_each_setting_that_is_missing_or_empty_is_asked_for(name: str) -> None:
    names = ("ENDPOINT", "REGION", "BUCKET", "ACCESS_KEY", "SECRET_KEY")
    environ = {f"CHECKPOINTSTORE_S3_{each}": "" if each == name else each for each in names}
    with pytest.raises(Unsupported, match=f"set CHECKPOINTSTORE_S3_{name}, and CHECKPOINTSTORE_S3_CA_FILE"):
        objectstore.given(environ)
