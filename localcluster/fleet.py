"""The command lines of all the cluster's programs, by node; pure."""

from localcluster import objectstore
from localcluster.base_image import REFERENCE as HELPER_IMAGE
from localcluster.config import CONFIG, STORAGE_NAMESPACE
from localcluster.daemon import Daemon
from localcluster.layout import (
    AUDIT_LOG,
    HOST,
    KUBECONFIG,
    NODES_AND_PODS,
    PKI,
    S3,
    SERVICES,
    STATE,
    Node,
    tool,
)

ETCD_CLIENTS = "http://127.0.0.1:2379"
ETCD_PEERS = "http://127.0.0.1:2380"
HOST_NODE = Node(1)
REQUEST_HEADER_CA = f"--requestheader-client-ca-file={PKI}/front-proxy-ca.crt"


def on_host(name: str, *argv: object) -> Daemon:
    return Daemon(name, tuple(str(part) for part in argv), HOST_NODE)


def registry() -> Daemon:
    return on_host("registry", "docker-registry", "serve", CONFIG / "registry.yaml")


def object_store() -> Daemon:
    place = objectstore.LOCAL
    argv = objectstore.command(tool(objectstore.PROGRAM), place, S3, PKI / "s3")
    return Daemon("object-store", tuple(argv), HOST_NODE, place.credentials)


def etcd() -> Daemon:
    return on_host(
        "etcd",
        tool("etcd"),
        f"--data-dir={STATE}/etcd",
        f"--listen-client-urls={ETCD_CLIENTS}",
        f"--advertise-client-urls={ETCD_CLIENTS}",
        f"--listen-peer-urls={ETCD_PEERS}",
        f"--initial-advertise-peer-urls={ETCD_PEERS}",
        f"--initial-cluster=default={ETCD_PEERS}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )


def api_server() -> Daemon:
    return on_host(
        "kube-apiserver",
        tool("kube-apiserver"),
        f"--etcd-servers={ETCD_CLIENTS}",
        f"--bind-address={HOST}",
        f"--advertise-address={HOST}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={SERVICES}",
        f"--tls-cert-file={PKI}/apiserver.crt",
        f"--tls-private-key-file={PKI}/apiserver.key",
        f"--client-ca-file={PKI}/ca.crt",
        f"--kubelet-client-certificate={PKI}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={PKI}/apiserver-kubelet-client.key",
        f"--kubelet-certificate-authority={PKI}/ca.crt",
        # Else logs and exec look node names up in the outside DNS.
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={PKI}/sa.pub",
        f"--service-account-signing-key-file={PKI}/sa.key",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        REQUEST_HEADER_CA,
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={PKI}/front-proxy-client.crt",
        f"--proxy-client-key-file={PKI}/front-proxy-client.key",
        # Aggregated APIs are called at their pods, also before kube-proxy knows their Service.
        "--enable-aggregator-routing=true",
        "--allow-privileged=true",
        f"--audit-policy-file={CONFIG}/audit-policy.yaml",
        f"--audit-log-path={AUDIT_LOG}",
        "--audit-log-maxsize=64",
        "--audit-log-maxbackup=2",
    )


def client_flags(name: str) -> list[str]:
    """One kubeconfig for the program's own calls and for checking those who call it."""
    path = PKI / f"{name}.conf"
    return [f"--{use}kubeconfig={path}" for use in ("", "authentication-", "authorization-")]


def controllers() -> list[Daemon]:
    """What runs beside the API server, once that answers."""
    return [
        on_host(
            "kube-controller-manager",
            tool("kube-controller-manager"),
            *client_flags("controller-manager"),
            "--bind-address=127.0.0.1",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={PKI}/sa.key",
            f"--root-ca-file={PKI}/ca.crt",
            f"--cluster-signing-cert-file={PKI}/ca.crt",
            f"--cluster-signing-key-file={PKI}/ca.key",
            REQUEST_HEADER_CA,
            f"--service-cluster-ip-range={SERVICES}",
            f"--flex-volume-plugin-dir={STATE}/volume-plugins",
            "--leader-elect=false",
        ),
        on_host(
            "kube-scheduler",
            tool("kube-scheduler"),
            *client_flags("scheduler"),
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
        ),
        on_host("coredns", tool("coredns"), "-conf", CONFIG / "Corefile"),
        on_host(
            "local-path-provisioner",
            tool("local-path-provisioner"),
            "start",
            f"--kubeconfig={KUBECONFIG}",
            f"--namespace={STORAGE_NAMESPACE}",
            f"--config={CONFIG}/local-path.json",
            "--configmap-name=local-path-config",
            "--service-account-name=local-path-provisioner",
            f"--helper-image={HELPER_IMAGE}",
            f"--helper-pod-file={CONFIG}/helper-pod.yaml",
        ),
    ]


def containerd(node: Node) -> Daemon:
    return Daemon(f"{node.name}-containerd", ("containerd", "--config", f"{node.folder}/containerd.toml"), node)


def kubelet(node: Node) -> Daemon:
    return Daemon(
        f"{node.name}-kubelet",
        (
            str(tool("kubelet")),
            f"--config={node.folder}/kubelet.yaml",
            f"--kubeconfig={PKI}/kubelet-{node.name}.conf",
            f"--hostname-override={node.name}",
            f"--node-ip={node.address}",
            f"--root-dir={node.folder}/kubelet",
            f"--cert-dir={node.folder}/kubelet-pki",
        ),
        node,
    )


def kube_proxy(node: Node) -> Daemon:
    return Daemon(
        f"{node.name}-kube-proxy",
        (
            str(tool("kube-proxy")),
            f"--kubeconfig={PKI}/proxy.conf",
            f"--hostname-override={node.name}",
            f"--cluster-cidr={NODES_AND_PODS}",
            "--proxy-mode=iptables",
            "--nodeport-addresses=primary",
            "--iptables-localhost-nodeports=false",
            f"--healthz-bind-address={node.address}:10256",
            # Zero leaves the host's own connection-tracking settings alone.
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ),
        node,
    )


def of_node(node: Node) -> list[Daemon]:
    """The programs that every node has."""
    return [containerd(node), kubelet(node), kube_proxy(node)]


def everything(nodes: list[Node]) -> list[Daemon]:
    """All programs of a cluster of these nodes."""
    first = [registry(), object_store(), etcd(), api_server()]
    return [*first, *controllers(), *(each for node in nodes for each in of_node(node))]
