"""What a stock saver's calls cost at 4 KB, one at a time, through the pooler and direct to the primary."""

from benchmarks.sample import at, difference, median, ratio
from benchmarks.stage import ASYNCHRONOUS, SYNCHRONOUS, Stage

CALLS = ("put", "put_writes", "get_tuple", "list1", "list10", "list10_rows")
PROMISED = CALLS[:4]
P99_BOUND, ADDED_BOUND, RATIO_BOUND = "<5", "<=0.3", "<=1.5"


def measure(stage: Stage) -> None:
    """p50 and p99 of put, put_writes, get_tuple, list(1), list(10) through the pooler and direct"""
    rounds = 3000 if stage.full else 600
    with stage.scene("saver") as scene:
        for mode, spec in (("async", ASYNCHRONOUS), ("sync", SYNCHRONOUS)):
            name = f"agents-{mode}"
            scene.store(name, spec)
            samples, _ = scene.run("saver_latency.py", name, ROUNDS=rounds)
            for call in CALLS:
                figures(stage, mode, call, samples)
            scene.clear()


def figures(stage: Stage, mode: str, call: str, samples: dict[str, list[float]]) -> None:
    """All figures of one call."""
    pooled, direct = samples[f"{call}.pooler"], samples[f"{call}.direct"]
    promised = mode == "async" and call in PROMISED
    for way, values in (("pooler", pooled), ("direct", direct)):
        name = f"saver.{mode}.{call}.{way}"
        stage.report.note(f"{name}.p50", median(values), "ms")
        stage.report.note(f"{name}.p99", at(values, 0.99), "ms", P99_BOUND if promised and way == "pooler" else "")
    added, times = f"saver.{mode}.{call}.pooler_adds", f"saver.{mode}.{call}.pooler_ratio"
    stage.report.note(added, difference(pooled, direct), "ms", ADDED_BOUND if promised else "")
    stage.report.note(times, ratio(pooled, direct), "x", RATIO_BOUND if promised and call == "put" else "")
