"""Proves on this host that `up` repairs what was killed at any moment and that `down` restores the host.

`python3 -m localcluster.trial [ROUNDS]` takes the host's cluster away, whatever is in it, and ends without one.
"""

import difflib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from localcluster import cluster, daemon, fleet, network
from localcluster.command import lines, run
from localcluster.errors import CommandFailed
from localcluster.layout import BRIDGE, NODES, STATE, nodes
from localcluster.progress import say

ROUNDS = 10
# Buildah's images are a cache, like the programs: they stay.
IMAGES = ("/run/containers", "/var/lib/containers")
UP = [sys.executable, "-m", "localcluster", "up"]


def snapshot() -> list[str]:
    """What a cluster changes on a host: links, namespaces, routes, rules, mounts, control groups, settings, files."""
    found = [f"link {line.split()[0]}" for line in lines(run("ip", "-brief", "link"))]
    found += [f"netns {line}" for line in lines(run("ip", "netns"))]
    found += [f"route {line}" for line in lines(run("ip", "route"))]
    for family in ("iptables", "ip6tables"):
        # An empty table that was made by looking at it is no rule.
        rules = [line for line in lines(run(f"{family}-save")) if line.startswith(("-A", ":KUBE"))]
        found += [f"{family} {rule}" for rule in rules]
    mounts = [line.split()[:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    found += [f"mount {' '.join(fields)}" for fields in mounts if "/containers/storage/" not in fields[1]]
    found += [f"cgroup {line}" for line in lines(run("find", "/sys/fs/cgroup", "-maxdepth", "2", "-type", "d"))]
    found += [f"sysctl {line}" for line in lines(run("sysctl", "net.ipv4.ip_forward", "vm", "kernel.panic"))]
    for folder in ("/var/lib", "/var/log", "/run", "/opt", "/usr/libexec", "/etc"):
        found += [f"file {path}" for path in Path(folder).iterdir() if str(path) not in IMAGES]
    return sorted(found)


def killed_while_coming_up(after: float) -> None:
    """Start `up` and kill it, without mercy, after so many seconds."""
    process = subprocess.Popen(UP, stderr=subprocess.DEVNULL)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()


def killed_in_the_middle() -> None:
    cluster.sweep()
    killed_while_coming_up(random.uniform(0.2, 9.0))


def killed_twice_in_the_middle() -> None:
    killed_in_the_middle()
    killed_while_coming_up(random.uniform(0.2, 4.0))


def all_processes_killed() -> None:
    daemon.stop_all()


def some_processes_killed() -> None:
    for each in random.sample(fleet.everything(nodes(NODES)), 4):
        if process := daemon.recorded(each.record):
            daemon.kill(process)


def state_deleted() -> None:
    """The processes live on; what is mounted cannot be deleted."""
    shutil.rmtree(STATE, ignore_errors=True)


def killed_and_state_deleted() -> None:
    daemon.stop_all()
    shutil.rmtree(STATE, ignore_errors=True)


def started_anew() -> None:
    """As after a reboot: no processes, mounts or links, only files; the boot is another one."""
    daemon.stop_all()
    for point in cluster.mounts():
        run("umount", "--lazy", point)
    network.remove()
    cluster.BOOT.write_text("another boot\n")


def network_lost() -> None:
    run("ip", "link", "delete", BRIDGE)
    run("ip", "link", "delete", nodes(2)[1].namespace)


def namespace_lost() -> None:
    """Its programs and pods live on in a namespace that has no name any more."""
    run("ip", "netns", "delete", nodes(2)[1].namespace)


DISASTERS: tuple[Callable[[], None], ...] = (
    all_processes_killed,
    some_processes_killed,
    state_deleted,
    killed_and_state_deleted,
    started_anew,
    network_lost,
    namespace_lost,
    killed_in_the_middle,
    killed_twice_in_the_middle,
)


def survives(disaster: Callable[[], None]) -> bool:
    """Whether one `up` after the disaster gives a cluster on which a pod runs on every node."""
    disaster()
    begun = time.monotonic()
    done = subprocess.run(UP, capture_output=True, text=True, check=False)
    try:
        if done.returncode:
            raise CommandFailed(UP, done.returncode, done.stderr)
        run_pods()
    except CommandFailed as error:
        say(f"{disaster.__name__}: NOT REPAIRED: {error}")
        return False
    say(f"{disaster.__name__}: repaired in {time.monotonic() - begun:.1f} s")
    return True


def run_pods() -> None:
    """Run one new pod on each node, until it has ended well."""
    for node in cluster.known():
        name = f"trial-{node.name}-{random.randrange(10**6)}"
        command = ["run", name, "--image=docker.io/library/debian:trixie-slim", "--restart=Never"]
        place = f'--overrides={{"spec": {{"nodeName": "{node.name}"}}}}'
        cluster.kubectl(*command, place, "--command", "--", "getent", "hosts", "kubernetes.default")
        phase = "--for=jsonpath={.status.phase}=Succeeded"
        cluster.kubectl("wait", f"pod/{name}", phase, "--timeout=60s", "--request-timeout=70s")
        cluster.kubectl("delete", "pod", name, "--wait=false")


def main() -> int:
    """Every disaster once, then random ones; then the host before and after; 0 when all went well."""
    rounds = max(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS, len(DISASTERS))
    seed = random.randrange(10**6)
    random.seed(seed)
    cluster.down()
    before = snapshot()
    subprocess.run(UP, check=True)
    chosen = [*DISASTERS, *(random.choice(DISASTERS) for _ in range(rounds - len(DISASTERS)))]
    repaired = sum(survives(disaster) for disaster in chosen)
    cluster.down()
    changes = list(difflib.unified_diff(before, snapshot(), "before", "after", lineterm="", n=0))
    say("\n".join(changes) or "the host before `up` and after `down`: no difference")
    say(f"{repaired} of {len(chosen)} disasters repaired (seed {seed}), {len(changes)} lines of difference")
    return 0 if repaired == len(chosen) and not changes else 1


if __name__ == "__main__":
    sys.exit(main())
