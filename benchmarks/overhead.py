"""What exporters and their scraping cost a saver: windows of time with a scrape in each, against windows without."""

import threading
import time
import urllib.request
from collections.abc import Sequence

from benchmarks.sample import at, interval, median, one
from benchmarks.stage import Scene, Stage, Wrong

WINDOW = 15
PORTS = {"postgres": (9187, 9100), "pooler": (9127,)}
BOUND = "<=1.05"


def measure(stage: Stage) -> None:
    """p50 and p99 of put and get with every exporter scraped each 15 s, against none; 20 pairs, 60 with --full"""
    pairs = 60 if stage.full else 20
    with stage.scene("overhead") as scene:
        scene.store("agents", {})
        with Scraper(_pages(scene)) as scraper:
            samples, result = scene.run("windows.py", "agents", WINDOW=WINDOW, COUNT=2 * pairs)
        if scraper.failed or not scraper.took:
            raise Wrong(f"{scraper.failed} of {len(scraper.took) + scraper.failed} pages were not read")
        first = result["first"]
        for call in ("put", "get"):
            both = [_pair(samples, call, first + 2 * number) for number in range(pairs)]
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                ratios = [at(on, share).value / at(off, share).value for on, off in both]
                low, high = interval(ratios)
                told = f"overhead.{call}.{name}"
                stage.report.note(told, median(ratios), "x", BOUND if name == "p50" else "")
                stage.report.note(f"{told}.interval95_low", one(low), "x")
                stage.report.note(f"{told}.interval95_high", one(high), "x")
        stage.report.note("overhead.one_scrape_of_all_pages", median(scraper.took), "s")


def scraped(window: int) -> bool:
    """Whether a window of time has a scrape: which of two comes first changes with each pair."""
    return window % 4 in (0, 3)


def _pair(samples: dict[str, list[float]], call: str, window: int) -> tuple[list[float], list[float]]:
    """The calls of a window with a scrape and of its neighbour without."""
    start = window - window % 2
    on, off = (start, start + 1) if scraped(start) else (start + 1, start)
    return samples[f"{call}.{on}"], samples[f"{call}.{off}"]


def _pages(scene: Scene) -> list[str]:
    """Every page of metrics of the store's pods."""
    pages = []
    for component, ports in PORTS.items():
        chosen = f"checkpointstore.dev/store=agents,app.kubernetes.io/component={component}"
        for pod in scene.stage.kubectl.items("pods", "-n", scene.namespace, "-l", chosen):
            pages += [f"http://{pod['status']['podIP']}:{port}/metrics" for port in ports]
    return pages


class Scraper:
    """Reads every page once in each window that shall have a scrape, as a context manager."""

    def __init__(self, pages: Sequence[str]) -> None:
        self._pages, self._stop = pages, threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self.took: list[float] = []
        self.failed = 0

    def __enter__(self) -> "Scraper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _keep(self) -> None:
        done = 0
        while not self._stop.wait(0.1):
            window = int(time.time() // WINDOW)
            if window == done or not scraped(window) or time.time() % WINDOW < 1:
                continue
            done, began = window, time.monotonic()
            for page in self._pages:
                try:
                    with urllib.request.urlopen(page, timeout=10) as answer:
                        answer.read()
                except OSError:
                    self.failed += 1
            self.took.append(time.monotonic() - began)
