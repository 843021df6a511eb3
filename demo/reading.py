"""What `kubectl get -o json` answers, without a process for each: tests look hundreds of times a minute."""

import base64
import http.client
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

FLAGS = {"-n": "namespace", "-l": "labelSelector", "--field-selector": "fieldSelector"}
EVERYWHERE = "-A"
KNOWN = {"server", "certificate-authority-data"}
"""What a cluster of a kubeconfig may say for us to reach it."""
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class NotRead(Exception):
    """The API server did not answer, or not with what was asked for; the text says why."""


@dataclass(frozen=True)
class Question:
    """What is asked for: objects of a kind, or the one of a name."""

    kind: str
    name: str = ""
    namespace: str = ""
    query: str = ""
    is_everywhere: bool = False

    @classmethod
    def of(cls, *arguments: str) -> "Question":
        """The same in kubectl's words, such as `pods -n shop -l app=agent`. Raises NotRead for words that it lacks."""
        words, found, named = iter(arguments), dict[str, str](), list[str]()
        for word in words:
            flag, is_equal, value = word.partition("=")
            if flag in FLAGS:
                found[FLAGS[flag]] = value if is_equal else next(words)
            elif word.startswith("-") and word != EVERYWHERE:
                raise NotRead(f"no {word} here: ask kubectl itself")
            elif word != EVERYWHERE:
                named.append(word)
        kind, name = [*named, ""][:2]
        return cls(kind, name, found.pop("namespace", ""), urlencode(found), EVERYWHERE in arguments)


@dataclass(frozen=True)
class Login:
    """Where the API server is, and what it takes us for."""

    host: str
    tls: ssl.SSLContext
    headers: Mapping[str, str]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Login | None":
        """The same in a kubeconfig of one context, with its certificates in it.

        None for what only kubectl knows: logins of other programs, proxies, servers behind a path, no authority.
        """
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        certificate, token = user.get("client-certificate-data"), user.get("token")
        scheme, _, host = str(cluster.get("server", "")).partition("://")
        authority = cluster.get("certificate-authority-data")
        if not (certificate or token) or not authority or cluster.keys() - KNOWN or scheme != "https" or "/" in host:
            return None
        tls = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
        if certificate:
            with tempfile.NamedTemporaryFile() as file:
                file.write(base64.b64decode(certificate) + b"\n" + base64.b64decode(user["client-key-data"]))
                file.flush()
                tls.load_cert_chain(file.name)
        return cls(host, tls, {"authorization": f"Bearer {token}"} if token else {})


class Reader:
    """One cluster. Safe for threads, each of which has a connection of its own."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._own = threading.local()
        self._places: dict[str, tuple[str, bool]] = {}

    def read(self, question: Question) -> dict[str, Any] | None:
        """The object, or the `items` of one or more kinds; None where there is no such object.

        Raises NotRead.
        """
        if "," in question.kind:
            lists = (self.read(replace(question, kind=kind)) for kind in question.kind.split(","))
            return {"items": [item for found in lists if found for item in found["items"]]}
        folder, namespaced = self._place(question.kind)
        if namespaced and not question.namespace and (question.name or not question.is_everywhere):
            raise NotRead(f"in which namespace is {question.kind} {question.name}?")
        inside = f"/namespaces/{question.namespace}" if namespaced and question.namespace else ""
        group, _, plural = folder.rpartition("/")
        path = "/".join(filter(None, (f"{group}{inside}", plural, question.name)))
        found = self.get(f"{path}?{question.query}" if question.query else path)
        return _told(found) if found is not None else None

    def get(self, path: str, accept: str = "application/json") -> Any:
        """What a path answers, None where there is nothing. Raises NotRead."""
        try:
            status, body = self._asked(path, accept)
        except (OSError, http.client.HTTPException) as error:
            raise NotRead(f"GET {path}: {error}") from error
        if status == 404:
            return None
        if status != 200:
            raise NotRead(f"GET {path}: {status} {body.decode(errors='replace')}")
        return json.loads(body)

    def _asked(self, path: str, accept: str) -> tuple[int, bytes]:
        """Status and body, over the thread's connection, or over a new one where that is gone."""
        kept: http.client.HTTPSConnection | None = getattr(self._own, "connection", None)
        if kept:
            with suppress(OSError, http.client.HTTPException):
                return self._over(kept, path, accept)
        self._own.connection = http.client.HTTPSConnection(self._login.host, context=self._login.tls, timeout=60)
        return self._over(self._own.connection, path, accept)

    def _over(self, connection: http.client.HTTPSConnection, path: str, accept: str) -> tuple[int, bytes]:
        try:
            connection.request("GET", path, headers={"accept": accept, **self._login.headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except BaseException:
            connection.close()
            raise

    def _place(self, kind: str) -> tuple[str, bool]:
        """Where a kind's objects are, by one of its names, and whether they are in namespaces."""
        if kind not in self._places:
            # What was installed since is known only now.
            self._places = dict(reversed(list(self._found())))
        if kind not in self._places:
            raise NotRead(f"the API server has no {kind}")
        return self._places[kind]

    def _found(self) -> Iterator[tuple[str, tuple[str, bool]]]:
        """Every name of every kind with its place, what Kubernetes prefers first."""
        for root in ("/api", "/apis"):
            for group in (self.get(root, DISCOVERY) or {"items": []})["items"]:
                name = group["metadata"].get("name", "")
                for version in group["versions"]:
                    for resource in version.get("resources", ()):
                        place = "/".join(filter(None, (root, name, version["version"], resource["resource"])))
                        is_namespaced = resource["scope"] == "Namespaced"
                        for called in _names(resource):
                            yield called, (place, is_namespaced)


def _names(resource: Mapping[str, Any]) -> Iterator[str]:
    yield from (resource["resource"], resource.get("singularResource") or resource["resource"])
    yield from resource.get("shortNames", ())
    yield resource.get("responseKind", {}).get("kind", resource["resource"]).lower()


def _told(found: dict[str, Any]) -> dict[str, Any]:
    """As kubectl tells it: each item with its kind, and nobody's managedFields."""
    kind = found["kind"].removesuffix("List")
    for item in found.get("items", (found,)):
        item.setdefault("apiVersion", found["apiVersion"])
        item.setdefault("kind", kind)
        item["metadata"].pop("managedFields", None)
    return found
