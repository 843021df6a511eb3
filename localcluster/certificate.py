"""The cluster's certificate authorities, certificates and kubeconfigs, made with openssl."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localcluster import config
from localcluster.command import run
from localcluster.layout import FIRST_SERVICE, HOST, KUBECONFIG, PKI, Node

DAYS = "3650"
ADMIN = "admin"
CLIENTS = ("controller-manager", "scheduler", "proxy")
S3 = "s3"


@dataclass(frozen=True)
class Certificate:
    """One certificate to be signed by the cluster's CA or by another one of PKI."""

    name: str
    subject: str
    names: tuple[str, ...] = ()
    authority: str = "ca"

    def extensions(self) -> str:
        lines = [
            "basicConstraints=CA:FALSE",
            "keyUsage=digitalSignature",
            "extendedKeyUsage=serverAuth,clientAuth",
            # Clients of newer Pythons verify strictly, and want both of these and the authority's key usage.
            "subjectKeyIdentifier=hash",
            "authorityKeyIdentifier=keyid",
        ]
        return "\n".join(lines + ([f"subjectAltName={','.join(self.names)}"] if self.names else [])) + "\n"


def wanted(nodes: list[Node]) -> list[Certificate]:
    """All certificates of a cluster of these nodes."""
    cluster = ("", ".default", ".default.svc", ".default.svc.cluster.local")
    server = [f"DNS:kubernetes{suffix}" for suffix in cluster]
    server += ["DNS:localhost", "IP:127.0.0.1", f"IP:{FIRST_SERVICE}", f"IP:{HOST}"]
    return [
        Certificate("apiserver", "/CN=kube-apiserver", tuple(server)),
        Certificate("apiserver-kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client"),
        Certificate("front-proxy-client", "/CN=front-proxy-client", authority="front-proxy-ca"),
        Certificate(ADMIN, "/O=system:masters/CN=admin"),
        object_store(S3, HOST),
        *(Certificate(name, f"/CN=system:kube-{name}") for name in CLIENTS),
        *(
            Certificate(
                f"kubelet-{node.name}",
                f"/O=system:nodes/CN=system:node:{node.name}",
                (f"DNS:{node.name}", f"IP:{node.address}", "IP:127.0.0.1"),
            )
            for node in nodes
        ),
    ]


def object_store(name: str, address: str) -> Certificate:
    """The S3 server's certificate, for its own address and for trying it where it runs."""
    return Certificate(name, "/CN=s3", (f"IP:{address}", "IP:127.0.0.1", "DNS:localhost"))


def make(nodes: list[Node]) -> None:
    """Make what is missing. A certificate's file appears last, so that one that is there is whole."""
    make_signed(PKI, ("ca", "front-proxy-ca"), wanted(nodes))
    if not (PKI / "sa.pub").exists():
        new_key(PKI / "sa.key")
        partial = PKI / "sa.pub.partial"
        run("openssl", "pkey", "-in", PKI / "sa.key", "-pubout", "-out", partial)
        partial.rename(PKI / "sa.pub")
    for name in (*CLIENTS, *(f"kubelet-{node.name}" for node in nodes)):
        write_kubeconfig(name, PKI / f"{name}.conf")
    write_kubeconfig(ADMIN, KUBECONFIG)


def make_signed(folder: Path, authorities: Iterable[str], certificates: Iterable[Certificate]) -> None:
    """Make what a folder lacks of authorities and of certificates that they sign."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in authorities:
        if not (folder / f"{name}.crt").exists():
            new_key(folder / f"{name}.key")
            partial = folder / f"{name}.crt.partial"
            run("openssl", "req", "-x509", "-new", "-key", folder / f"{name}.key", "-days", DAYS,
                "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                "-out", partial)  # fmt: skip
            partial.rename(folder / f"{name}.crt")
    for certificate in certificates:
        if not (folder / f"{certificate.name}.crt").exists():
            sign(folder, certificate)


def new_key(path: Path) -> None:
    """An elliptic-curve key: made at once, where RSA takes a second."""
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)


def sign(folder: Path, certificate: Certificate) -> None:
    """Make key and certificate of one entry of `wanted`."""
    key, request = folder / f"{certificate.name}.key", folder / f"{certificate.name}.csr"
    extensions, partial = folder / f"{certificate.name}.ext", folder / f"{certificate.name}.crt.partial"
    new_key(key)
    extensions.write_text(certificate.extensions())
    run("openssl", "req", "-new", "-key", key, "-subj", certificate.subject, "-out", request)
    authority = folder / certificate.authority
    run("openssl", "x509", "-req", "-in", request, "-days", DAYS, "-extfile", extensions, "-out", partial,
        "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key",
        "-set_serial", str(int.from_bytes(os.urandom(8)) >> 1))  # fmt: skip
    request.unlink()
    extensions.unlink()
    partial.rename(folder / f"{certificate.name}.crt")


def write_kubeconfig(name: str, path: Path) -> None:
    """Write the kubeconfig of a client certificate, readable by root alone."""
    text = config.kubeconfig(
        name,
        (PKI / f"{name}.crt").read_bytes(),
        (PKI / f"{name}.key").read_bytes(),
        (PKI / "ca.crt").read_bytes(),
    )
    partial = path.with_name(path.name + ".partial")
    partial.touch(mode=0o600)
    partial.write_text(text)
    partial.rename(path)
