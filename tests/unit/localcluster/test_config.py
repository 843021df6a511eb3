"""What is rendered for the programs: complete, consistent between programs, and each node's own."""

import base64
import json

import yaml

from localcluster import certificate, config, fleet, layout, objectstore
from localcluster.layout import Node, nodes


def flags(argv: tuple[str, ...]) -> dict[str, str]:
    return dict(part.lstrip("-").split("=", 1) for part in argv if part.startswith("--") and "=" in part)


def test_every_file_is_whole_and_every_yaml_parses() -> None:
    files = config.shared_files() | config.node_files(Node(1)) | config.node_files(Node(2))
    for path, text in files.items():
        assert path.is_relative_to(layout.STATE)
        if path.name != "storage-settings.json":
            assert "$" not in text, f"{path} has an unfilled place"
        if path.suffix == ".yaml":
            list(yaml.safe_load_all(text))
        if path.suffix in (".json", ".conflist"):
            json.loads(text)


def test_nodes_share_no_file_socket_control_group_or_pod_address() -> None:
    assert not set(config.node_files(Node(2))) & set(config.node_files(Node(3)))
    settings = [yaml.safe_load(config.node_files(n)[n.folder / "kubelet.yaml"]) for n in nodes(3)]
    for key in ("address", "containerRuntimeEndpoint", "cgroupRoot", "podLogsDir", "tlsCertFile"):
        assert len({each[key] for each in settings}) == 3, key
    networks = [json.loads(config.node_files(n)[n.folder / "cni" / "10-pods.conflist"]) for n in nodes(3)]
    assert len({str(each["plugins"][0]["ipam"]["ranges"]) for each in networks}) == 3


def test_failure_detection_is_as_kubernetes_has_it() -> None:
    """Failover is measured against Kubernetes' own defaults: nothing may set another value."""
    kubelet = yaml.safe_load(config.node_files(Node(2))[Node(2).folder / "kubelet.yaml"])
    assert not {"nodeStatusUpdateFrequency", "nodeLeaseDurationSeconds", "nodeStatusReportFrequency"} & set(kubelet)
    for each in fleet.everything(nodes(3)):
        assert not any("node-monitor" in part or "toleration-seconds" in part for part in each.argv), each.name


def test_default_admission_stays_on_and_every_request_is_audited_but_kubernetes_own() -> None:
    server = flags(fleet.api_server().argv)
    assert "disable-admission-plugins" not in server
    assert server["audit-log-path"] == str(layout.AUDIT_LOG)
    policy = yaml.safe_load(config.shared_files()[config.CONFIG / "audit-policy.yaml"])
    assert policy["rules"][-1] == {"level": "Metadata"}
    assert all(rule["level"] == "None" for rule in policy["rules"][:-1])


def test_storage_is_the_default_class_and_the_provisioner_reads_the_same_settings_twice() -> None:
    objects = config.storage_objects()
    kinds = {each["kind"]: each for each in yaml.safe_load_all(objects["storage.yaml"])}
    annotations = kinds["StorageClass"]["metadata"]["annotations"]
    assert kinds["StorageClass"]["metadata"]["name"] == "standard"
    assert annotations["storageclass.kubernetes.io/is-default-class"] == "true"
    data = json.loads(objects["storage-settings.json"])["data"]
    assert data["config.json"] == objects["local-path.json"]
    assert data["helperPod.yaml"] == objects["helper-pod.yaml"]
    assert '"$VOL_DIR"' in data["setup"]


def test_every_file_named_on_a_command_line_is_made() -> None:
    made = {str(path) for path in config.shared_files()} | {str(layout.KUBECONFIG), str(layout.AUDIT_LOG)}
    for node in nodes(3):
        made |= {str(path) for path in config.node_files(node)}
    for signed in certificate.wanted(nodes(3)):
        made |= {f"{layout.PKI}/{signed.name}{suffix}" for suffix in (".crt", ".key", ".conf")}
    made |= {f"{layout.PKI}/{name}" for name in ("ca.crt", "ca.key", "front-proxy-ca.crt", "sa.key", "sa.pub")}
    for each in fleet.everything(nodes(3)):
        for part in each.argv[1:]:
            value = part.split("=", 1)[-1]
            if value.startswith(str(layout.STATE)) and value.rpartition(".")[2] in (
                "crt",
                "key",
                "pub",
                "yaml",
                "conf",
            ):
                assert value in made, f"{each.name} reads {value}, which nothing writes"


def test_programs_have_distinct_names_and_only_workers_leave_the_host_network() -> None:
    daemons = fleet.everything(nodes(3))
    assert len({each.name for each in daemons}) == len(daemons) == 8 + 3 * 3
    assert {each.node.number for each in daemons if each.name.startswith("node3-")} == {3}


def test_certificates_carry_the_names_that_are_checked() -> None:
    by_name = {each.name: each for each in certificate.wanted(nodes(3))}
    assert "IP:198.19.0.1" in by_name["apiserver"].extensions()
    assert by_name["kubelet-node2"].subject == "/O=system:nodes/CN=system:node:node2"
    assert "IP:198.18.0.2" in by_name["kubelet-node2"].extensions()
    assert {"IP:198.18.0.1", "IP:127.0.0.1", "DNS:localhost"} == set(by_name["s3"].names)
    assert "subjectAltName" not in by_name["admin"].extensions()


def test_the_s3_servers_secret_is_on_no_command_line_and_only_it_gets_it() -> None:
    with_secrets = {each.name: each.environment for each in fleet.everything(nodes(3)) if each.environment}
    assert with_secrets == {"object-store": objectstore.LOCAL.credentials}
    argv = fleet.object_store().argv
    assert "--port=198.18.0.1:9443" in argv
    assert f"--cert={layout.PKI}/s3.crt" in argv
    assert argv[-2:] == (f"--sidecar={objectstore.LOCAL.metadata}", str(objectstore.LOCAL.data))


def test_kubeconfig_can_be_copied_to_another_folder() -> None:
    read = yaml.safe_load(config.kubeconfig("admin", b"certificate", b"key", b"authority"))
    user = read["users"][0]["user"]
    assert base64.b64decode(user["client-key-data"]) == b"key"
    assert read["clusters"][0]["cluster"]["server"] == "https://198.18.0.1:6443"
    assert "/" not in json.dumps(user).replace("+", "")
