"""The console on the real API server: who sees which store, and how long a token that was revoked still opens it."""

import http.client
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from demo import installation as operator
from demo import visitor
from demo.kubectl import CommandFailed, Kubectl, wait_for
from tests.e2e.conftest import made
from tests.e2e.figure import Figures
from tests.e2e.forward import Forward
from tests.e2e.subject import Subject

NAME = "agents"
VIEWER = "viewer"
COOKIE = "__Host-checkpointstore"
SIGNED_OUT_SECONDS = 60
TRIES = 3


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str


@dataclass
class Visitor:
    """A browser as far as the console can tell."""

    forward: Forward
    cookie: str = ""

    def get(self, path: str) -> Answer:
        return self._ask("GET", path, {"Cookie": self.cookie} if self.cookie else {})

    def sign_in(self, token: str) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        answer = self._ask("POST", "/sign-in", headers, urlencode({"token": token}))
        self.cookie = str(answer.headers.get("Set-Cookie", "")).partition(";")[0]
        return answer

    def _ask(self, method: str, path: str, headers: dict[str, str], body: str = "") -> Answer:
        for _ in range(TRIES):
            try:
                return self._once(method, path, headers, body)
            except (OSError, http.client.HTTPException):
                self.forward.end()
        return self._once(method, path, headers, body)

    def _once(self, method: str, path: str, headers: dict[str, str], body: str) -> Answer:
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("localhost", self.forward.port(), context=trusting, timeout=20)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def forward(kubectl: Kubectl) -> Iterator[Forward]:
    """To a console that runs."""
    where = ["-n", operator.NAMESPACE]
    kubectl("rollout", "status", f"deployment/{operator.CONSOLE}", *where, timeout=130)
    found = Forward(kubectl, operator.NAMESPACE, f"service/{operator.CONSOLE}", 443)
    yield found
    found.end()


@pytest.fixture(scope="module")
def elsewhere(kubectl: Kubectl) -> Iterator[Subject]:
    """A store of somebody else, which nobody needs to run."""
    with made(kubectl, "console-other") as namespace:
        other = Subject(kubectl, namespace, NAME)
        other.apply({}, {"paused": "true"})
        yield other


@pytest.fixture
def token(kubectl: Kubectl, namespace: str) -> str:
    """Of an account that may look at one namespace."""
    visitor.make(kubectl, VIEWER, namespace)
    return kubectl("create", "token", VIEWER, "-n", namespace).strip()


def test_a_person_sees_the_stores_of_their_namespace_and_no_others(
    make_store: Callable[..., dict[str, Any]], forward: Forward, namespace: str, elsewhere: Subject, token: str
) -> None:
    make_store(NAME, {})
    person = Visitor(forward)
    assert person.get("/").status == 303
    answer = person.sign_in(token)
    assert answer.status == 303, answer.text
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}={token}; ")
    assert "Max-Age=" in cookie

    def fleet() -> bool:
        return f"/stores/{namespace}/{NAME}" in person.get("/").text

    wait_for("the store in the fleet", fleet, 30, every=1)
    assert elsewhere.namespace not in person.get("/").text
    assert person.get(f"/stores/{elsewhere.namespace}/{NAME}").status == 404
    page = person.get(f"/stores/{namespace}/{NAME}").text
    for said in ("PostgresAvailable", f"{NAME}-0", "primary", f"{NAME}-pooler-", "Why it has its size"):
        assert said in page
    assert token not in page


def test_a_wrong_token_opens_nothing(forward: Forward, token: str) -> None:
    for wrong in ("wrong", token[:-4] + "AAAA"):
        person = Visitor(forward)
        assert person.sign_in(wrong).status == 403
        assert person.cookie == ""
        person.cookie = f"{COOKIE}={wrong}"
        assert person.get("/").status == 303


def test_a_revoked_token_is_signed_out(
    kubectl: Kubectl, forward: Forward, namespace: str, token: str, figures: Figures
) -> None:
    person = Visitor(forward)
    person.sign_in(token)
    assert person.get("/").status == 200
    kubectl("delete", "serviceaccount", VIEWER, "-n", namespace)
    with figures.timed("console_revoked_token_signed_out", f"<={SIGNED_OUT_SECONDS}"):
        wait_for("the sign-in page", lambda: person.get("/").status == 303, SIGNED_OUT_SECONDS, every=1)


@pytest.mark.parametrize("verb", ["get", "list", "watch", "create"])
def test_the_console_itself_may_read_no_secret(kubectl: Kubectl, verb: str) -> None:
    account = f"system:serviceaccount:{operator.NAMESPACE}:{operator.CONSOLE}"
    with pytest.raises(CommandFailed, match="no"):
        kubectl("auth", "can-i", verb, "secrets", "--all-namespaces", "--as", account)
