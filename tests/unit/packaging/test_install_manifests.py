"""manifests/install: `kubectl apply -k` installs the chart with its defaults, without dashboards; all is up to date."""

import subprocess
from pathlib import Path

import pytest
import yaml

from charts import sync
from tests.unit.packaging.rendered import Manifest, Rendered, need

INSTALL = sync.ROOT / "manifests" / "install"


def kustomize(folder: Path) -> list[Manifest]:
    command = [need("kubectl"), "kustomize", str(folder), "--load-restrictor", "LoadRestrictionsNone"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return list(yaml.load_all(answer.stdout, yaml.CSafeLoader))


def key(manifest: Manifest) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def test_kustomize_installs_what_the_chart_installs() -> None:
    chart = {key(manifest): manifest for manifest in Rendered(*sync.LEFT_OUT).manifests}
    built = {key(manifest): manifest for manifest in kustomize(INSTALL)}
    namespace = built.pop(("Namespace", "", sync.NAMESPACE))
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert built.keys() == chart.keys()
    for name, manifest in built.items():
        bodies = [{part: body for part, body in one.items() if part != "metadata"} for one in (manifest, chart[name])]
        assert bodies[0] == bodies[1], name


def test_nothing_in_it_claims_to_be_helms() -> None:
    text = (INSTALL / "operator.yaml").read_text()
    assert "helm.sh/" not in text
    assert "managed-by: Helm" not in text


def test_an_overlay_changes_the_images(tmp_path: Path) -> None:
    patch = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "checkpointstore-operator", "namespace": sync.NAMESPACE},
        "spec": {
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "operator",
                            "image": "registry.example/operator:1",
                            "env": [
                                {
                                    "name": "CHECKPOINTSTORE_IMAGE_OPERATOR",
                                    "value": "registry.example/operator:1",
                                }
                            ],
                        }
                    ]
                }
            }
        },
    }
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": ["base"], "patches": [{"path": "p.yaml"}]})
    )
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(patch))
    (tmp_path / "base").symlink_to(INSTALL)
    (deployment,) = (manifest for manifest in kustomize(tmp_path) if manifest["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environment = {item["name"]: item.get("value") for item in container["env"]}
    assert container["image"] == environment["CHECKPOINTSTORE_IMAGE_OPERATOR"] == "registry.example/operator:1"
    assert environment["CHECKPOINTSTORE_IMAGE_POSTGRES"].startswith("docker.io/checkpointstore/postgres:")


@pytest.mark.parametrize("generate", [sync.crd_copies, sync.argo, sync.install])
def test_generated_files_are_up_to_date(generate: sync.Generator) -> None:
    if generate is sync.install:
        need("helm")
    assert sync.differences(generate()) == []


def test_check_sees_a_file_that_was_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "ROOT", tmp_path)
    file = tmp_path / "file.yaml"
    sync.write({file: "one: 1\n"})
    assert sync.differences({file: "one: 1\n"}) == []
    file.write_text("one: 2\n")
    assert "+one: 1" in sync.differences({file: "one: 1\n"})
