"""Which questions and which logins are read without kubectl."""

import base64
from typing import Any

import certifi
import pytest

from demo.reading import Login, NotRead, Question

with open(certifi.where()) as file:
    AUTHORITY = base64.b64encode(file.read().encode()).decode()
SERVER = {"server": "https://10.0.0.1:6443", "certificate-authority-data": AUTHORITY}
TOKEN = {"token": "abc"}


def config(cluster: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    return {"clusters": [{"cluster": cluster}], "users": [{"user": user}]}


def test_a_token_is_a_login() -> None:
    login = Login.of(config(SERVER, TOKEN))
    assert login is not None
    assert (login.host, login.headers) == ("10.0.0.1:6443", {"authorization": "Bearer abc"})


@pytest.mark.parametrize(
    ("cluster", "user"),
    [
        (SERVER, {"exec": {"command": "aws"}}),
        (SERVER, {"username": "me", "password": "p"}),
        ({"server": "https://10.0.0.1:6443"}, TOKEN),
        ({**SERVER, "server": "https://rancher.example/k8s/clusters/c-1"}, TOKEN),
        ({**SERVER, "server": "http://10.0.0.1:8080"}, TOKEN),
        ({**SERVER, "proxy-url": "http://proxy.example"}, TOKEN),
        ({**SERVER, "tls-server-name": "kubernetes"}, TOKEN),
    ],
)
def test_what_only_kubectl_knows_is_left_to_it(cluster: dict[str, Any], user: dict[str, Any]) -> None:
    assert Login.of(config(cluster, user)) is None


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        ("pods -n shop -l app=agent", Question("pods", "", "shop", "labelSelector=app%3Dagent")),
        ("events -n a --field-selector reason=X", Question("events", "", "a", "fieldSelector=reason%3DX")),
        ("events -n a --field-selector=reason=X", Question("events", "", "a", "fieldSelector=reason%3DX")),
        ("cps agents -n shop", Question("cps", "agents", "shop")),
        ("cps,cpb -A", Question("cps,cpb", is_everywhere=True)),
    ],
)
def test_a_question_in_kubectls_words(arguments: str, question: Question) -> None:
    assert Question.of(*arguments.split()) == question


def test_other_words_are_for_kubectl() -> None:
    with pytest.raises(NotRead, match="no --sort-by"):
        Question.of("pods", "-A", "--sort-by=.metadata.name")
