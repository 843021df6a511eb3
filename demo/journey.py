"""The demo itself: a store, an agent that talks, a primary that dies, and an agent that forgot nothing."""

import json
from typing import Any

from demo import agentjob, bucket, prometheus, store, visitor
from demo.agentjob import Line
from demo.clock import Clock
from demo.installation import CONSOLE, Installation, access, chosen, install, uninstall
from demo.installation import NAMESPACE as OPERATOR_NAMESPACE
from demo.kubectl import Kubectl, wait_for
from localcluster.errors import Unsupported

QUICKSTART = "manifests/samples/quickstart.yaml"
NAMESPACE = "demo"
STORE = "agents"
VISITOR = "visitor"
MESSAGES = 60
KILL_AT = 20
READY_SECONDS = 300


def up() -> bool:
    """Bring everything up and hold the conversations; whether every acknowledged message was kept."""
    clock = Clock()
    installation = install(chosen(), clock)
    kubectl = installation.kubectl
    kubectl.namespace(NAMESPACE)
    with clock.step("store", f"kubectl apply -n {NAMESPACE} -f {QUICKSTART}, wait for Ready"):
        kubectl("apply", "-n", NAMESPACE, "-f", QUICKSTART)
        store.wait_ready(kubectl, STORE, NAMESPACE, READY_SECONDS, lambda line: clock.say("store", line))
    with clock.step("prometheus", f"in the namespace {prometheus.NAMESPACE}, with our alert rules"):
        prometheus.install(kubectl, installation.prometheus_image, "5s")
    kept = conversations(installation, clock)
    follows(kubectl, clock)
    backed_up(installation, clock)
    clock.say("kubectl", "kubectl get cps,cpb -A\n" + kubectl("get", "cps,cpb", "-A"))
    clock.say("conditions", store.described(kubectl.find("checkpointstore", STORE, NAMESPACE)))
    visitor.make(kubectl, VISITOR, NAMESPACE)
    clock.say("next", what_next(kubectl))
    return kept


def follows(kubectl: Kubectl, clock: Clock) -> None:
    """Let the pooler follow its load, and wait until the load is seen."""
    spec = json.dumps({"spec": {"pooler": {"instances": None, "autoscaling": {"minInstances": 2, "maxInstances": 6}}}})

    def limited() -> dict[str, Any]:
        return store.conditions(kubectl.find("cps", STORE, NAMESPACE)).get("AutoscalingLimited", {})

    with clock.step("pooler", f"kubectl patch cps/{STORE}: spec.pooler.autoscaling, 2 to 6 pods"):
        kubectl("patch", "cps", STORE, "-n", NAMESPACE, "--type=merge", "-p", spec)
        wait_for("the load", lambda: limited().get("reason") == "WithinLimits", READY_SECONDS, every=1)
    pooler = (kubectl.find("cps", STORE, NAMESPACE) or {})["status"]["pooler"]
    clock.say("pooler", f"{pooler['instances']} pods of {pooler['poolSize']} server connections each")


def backed_up(installation: Installation, clock: Clock) -> None:
    """Switch backups on, to the cluster's own S3 server, and wait until one has been proven by restoring it."""
    kubectl = installation.kubectl
    try:
        server = installation.cluster.object_store()
    except Unsupported as reason:
        clock.say("backup", f"left out: {reason}")
        return
    bucket.give(kubectl, NAMESPACE, server)
    place = bucket.object_store(server, "demo")
    spec = json.dumps({"spec": {"backup": {"objectStore": place}}})
    with clock.step("backup", f"kubectl patch cps/{STORE}: spec.backup.objectStore {place['url']}"):
        kubectl("patch", "cps", STORE, "-n", NAMESPACE, "--type=merge", "-p", spec)
        proof = ["--for=condition=BackupVerified", f"--timeout={READY_SECONDS}s"]
        kubectl("wait", f"cps/{STORE}", "-n", NAMESPACE, *proof, timeout=READY_SECONDS + 10)
    told = store.conditions(kubectl.find("checkpointstore", STORE, NAMESPACE))["BackupVerified"]["message"]
    clock.say("backup", told)


def conversations(installation: Installation, clock: Clock) -> bool:
    """Two stock savers talk at once while the primary's pod is killed; whether both kept every message."""
    kubectl = installation.kubectl
    settings = {"MESSAGES": str(MESSAGES), "PAUSE": "0.15"}
    agents = [
        agentjob.start(
            kubectl,
            NAMESPACE,
            installation.agent_image,
            script,
            store=STORE,
            environment={**settings, "THREAD": f"{name}-{int(clock.started)}"},
            heard=Teller(clock, name),
        )
        for name, script in (("async agent", "conversation.py"), ("sync agent", "conversation_sync.py"))
    ]
    for agent in agents:
        agent.follow()
    for agent in agents:
        agent.wait_line(f"message {KILL_AT}", lambda line: line.get("message") == KILL_AT)
    victim = store.primary(kubectl, STORE, NAMESPACE)
    clock.say("fault", f"kubectl delete pod {victim} --grace-period=0 --force   (the primary)")
    kubectl("delete", "pod", victim, "-n", NAMESPACE, "--grace-period=0", "--force", "--wait=false")
    results = [agent.result() for agent in agents]
    store.wait_ready(kubectl, STORE, NAMESPACE, READY_SECONDS)
    clock.say("store", f"whole again, and {store.primary(kubectl, STORE, NAMESPACE)} leads")
    return all(result["ok"] for result in results)


class Teller:
    """Tells what an agent says: every tenth message, the first failure of a message, its answer, and the end."""

    def __init__(self, clock: Clock, name: str) -> None:
        self._clock, self._name = clock, name
        self._tries = 0

    def __call__(self, line: Line) -> None:
        number: int = line.get("message", 0)
        if line["event"] == "retry":
            self._tries += 1
            if self._tries == 1:
                self._say(f"message {number} failed and is tried again: {line['error']}: {line['detail']}")
        elif line["event"] == "turn" and (number % 10 == 0 or line["seconds"] > 0.5 or self._tries):
            tries = f" after {self._tries} failed tries" if self._tries else ""
            self._say(f'message {number} answered in {line["seconds"]} s{tries}: "{line["reply"]}"')
            self._tries = 0
        elif line["event"] == "result":
            self._say(verdict(line))

    def _say(self, what: str) -> None:
        self._clock.say(self._name, what.splitlines()[0])


def verdict(result: Line) -> str:
    """The end of a conversation in one sentence."""
    if "error" in result:
        return f"FAILED: {result['error']}"
    if not result["ok"]:
        return f"FORGOTTEN: {', '.join(result['forgotten'])}"
    return f"{result['acknowledged']} messages acknowledged, {result['retries']} failed tries, nothing forgotten"


def what_next(kubectl: Kubectl) -> str:
    """Commands to go on with on the cluster that is left running."""
    return f"""\
The cluster is left running. To use it from here:
  export KUBECONFIG={kubectl.kubeconfig} PATH={kubectl.kubectl.parent}:$PATH
  kubectl get cps,pods -n {NAMESPACE}
  kubectl explain checkpointstore.spec
  kubectl port-forward -n {prometheus.NAMESPACE} svc/{prometheus.NAME} 9090   # Prometheus, with our alert rules
  kubectl annotate cps/{STORE} -n {NAMESPACE} checkpointstore.dev/restart=$(date -u +%FT%TZ)
The console is at https://localhost:8443 while the first runs, and takes the token that the second prints:
  kubectl port-forward -n {OPERATOR_NAMESPACE} service/{CONSOLE} 8443:443
  kubectl create token {VISITOR} -n {NAMESPACE}
To leave nothing behind:
  make demo-down"""


def down() -> bool:
    """Remove the cluster, or from a cluster that was given only what the demo put there."""
    clock = Clock()
    cluster = chosen()
    if cluster.name == "given":
        with clock.step("operator", "uninstall"):
            uninstall(access(cluster))
    with clock.step("cluster", f"down ({cluster.name})"):
        cluster.down()
    return True
