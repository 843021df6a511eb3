"""The cluster's S3 server as a namespace sees it: Secrets, and `objectStore` and `encryption` of a spec."""

import base64
import secrets
from typing import Any

from demo.kubectl import Kubectl
from localcluster.objectstore import ObjectStore


def folder(what: str) -> str:
    """A folder of the bucket that nobody has used."""
    return f"{what}-{secrets.token_hex(3)}"


def give(kubectl: Kubectl, namespace: str, server: ObjectStore, name: str = "s3", key: str = "") -> None:
    """The Secrets `name`, with the credentials or another secret key, and `name`-ca."""
    login = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": key or server.secret_key}
    kubectl.apply(_secret(namespace, name, login), _secret(namespace, f"{name}-ca", {"ca.crt": server.ca}))


def object_store(server: ObjectStore, below: str, name: str = "s3") -> dict[str, Any]:
    """spec.backup.objectStore, or a recovery source's."""
    return {
        "url": f"s3://{server.bucket}/{below}",
        "endpoint": server.endpoint,
        "region": server.region,
        "credentials": {"name": name},
        "ca": {"name": f"{name}-ca", "key": "ca.crt"},
    }


def give_passphrase(kubectl: Kubectl, namespace: str, text: str, name: str = "s3-passphrase") -> None:
    """The Secret that `encryption` names."""
    kubectl.apply(_secret(namespace, name, {"passphrase": text}))


def encryption(name: str = "s3-passphrase") -> dict[str, str]:
    """spec.backup.encryption, or a recovery source's."""
    return {"name": name, "key": "passphrase"}


def _secret(namespace: str, name: str, data: dict[str, str]) -> dict[str, Any]:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": encoded}
