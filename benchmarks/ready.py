"""How long a person waits: from `kubectl apply` to Ready, with two instances, pooler and schema."""

from benchmarks.sample import median
from benchmarks.stage import ASYNCHRONOUS, Stage

TIMES = 5


def measure(stage: Stage) -> None:
    """seconds from apply to Ready with two instances, pooler and schema, median of 5"""
    with stage.scene("ready") as scene:
        seconds = []
        for number in range(TIMES):
            seconds.append(scene.store(f"agents-{number}", ASYNCHRONOUS))
            print(f"    {number + 1} of {TIMES}: {seconds[-1]:.1f} s", flush=True)
            scene.clear()
        stage.report.note("ready.apply_to_ready", median(seconds), "s", "<=25")
