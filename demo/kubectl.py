"""kubectl and helm on one cluster, as a person would type them; what they only read comes as Python values."""

import functools
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from demo.reading import Login, NotRead, Question, Reader

ROOT = Path(__file__).resolve().parent.parent
DEMO_LABEL = "checkpointstore.dev/demo"
SLOW = 3
"""So many times what an idle machine needs is waited for."""
T = TypeVar("T")


class CommandFailed(Exception):
    """A program ended with an error; the text holds its command line and what it said."""


class NotInTime(Exception):
    """Something that was waited for did not happen; the text says what was seen last."""


def run(
    argv: Sequence[str],
    *,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> str:
    """Run a program in the project's root; gives its standard output, raises CommandFailed."""
    try:
        done = subprocess.run(
            argv, input=text, env=env, cwd=ROOT, timeout=SLOW * timeout, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{' '.join(argv)}: no end after {SLOW * timeout:.0f} s") from error
    if done.returncode:
        said = (done.stdout[-1000:] + done.stderr[-3000:]).strip()
        raise CommandFailed(f"{' '.join(argv)} ended with {done.returncode}: {said}")
    return done.stdout


@dataclass(frozen=True)
class Kubectl:
    """The cluster behind one kubeconfig, with the programs that reach it."""

    kubeconfig: Path
    kubectl: Path
    helm_program: Path

    def environment(self) -> dict[str, str]:
        """What a child program needs to reach the cluster."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def __call__(self, *arguments: str, text: str | None = None, timeout: float = 120) -> str:
        return self._run(self.kubectl, arguments, text, timeout)

    def helm(self, *arguments: str, timeout: float = 300) -> str:
        """Run helm."""
        return self._run(self.helm_program, arguments, None, timeout)

    def _run(self, program: Path, arguments: Sequence[str], text: str | None, timeout: float) -> str:
        # Both end before it is worth it to collect garbage, which is a fifth of what kubectl does.
        env = {**self.environment(), "GOGC": "off"}
        return run([str(program), *arguments], text=text, env=env, timeout=timeout)

    def get(self, *arguments: str) -> dict[str, Any]:
        """What `kubectl get` with these arguments answers. Raises CommandFailed."""
        found = self._read(*arguments)
        if found is None:
            raise CommandFailed(f"kubectl get {' '.join(arguments)}: not found")
        return found

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        """The items of a `get` that answers with a list. Raises CommandFailed."""
        found: list[dict[str, Any]] = self.get(*arguments)["items"]
        return found

    def find(self, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        """One object, or None where there is none. Raises CommandFailed."""
        return self._read(kind, name, "-n", namespace)

    def _read(self, *arguments: str) -> dict[str, Any] | None:
        reader = self.reader()
        if reader is None:
            answer = self("get", *arguments, "--ignore-not-found", "-o", "json")
            found: dict[str, Any] | None = json.loads(answer) if answer.strip() else None
            return found
        try:
            return reader.read(Question.of(*arguments))
        except NotRead as error:
            raise CommandFailed(f"kubectl get {' '.join(arguments)}: {error}") from error

    def raw(self, path: str) -> Any:
        """What a path of the API server answers, None where there is nothing. Raises CommandFailed."""
        reader = self.reader()
        if reader is None:
            return json.loads(self("get", "--raw", path))
        try:
            return reader.get(path)
        except NotRead as error:
            raise CommandFailed(str(error)) from error

    def reader(self) -> Reader | None:
        """None where another program logs in: then kubectl is asked each time."""
        return _reader(self, self.kubeconfig.stat().st_mtime)

    def watch(self, kind: str, name: str, namespace: str, timeout: float) -> Iterator[dict[str, Any]]:
        """One object as it is and each time it changes, until `timeout` seconds have passed.

        A watch that ends early, as every one does when its CRD changes, is begun again.
        """
        end = time.monotonic() + SLOW * timeout
        while (left := end - time.monotonic()) > 0:
            yield from self._watch_once(kind, name, namespace, left)
            time.sleep(0.5)

    def _watch_once(self, kind: str, name: str, namespace: str, timeout: float) -> Iterator[dict[str, Any]]:
        command = [str(self.kubectl), "get", kind, "-n", namespace, "--field-selector", f"metadata.name={name}"]
        arguments = [*command, "--watch", "-o", "json"]
        with subprocess.Popen(arguments, env=self.environment(), stdout=subprocess.PIPE, text=True) as watching:
            ending = threading.Timer(timeout, watching.terminate)
            ending.start()
            try:
                text: list[str] = []
                for line in watching.stdout or ():
                    text.append(line)
                    if line == "}\n":
                        yield json.loads("".join(text))
                        text.clear()
            finally:
                ending.cancel()
                watching.terminate()

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Server-side apply of manifests."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        self("apply", "--server-side", "--force-conflicts", "--field-manager=demo", "-f", "-", text=text)

    def namespace(self, name: str) -> None:
        """Make a namespace that refuses every pod that is not `restricted`."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted", DEMO_LABEL: "true"}
        metadata = {"name": name, "labels": labels}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


@functools.lru_cache(maxsize=4)
def _reader(kubectl: Kubectl, _changed: float) -> Reader | None:
    """A new one whenever the kubeconfig has changed."""
    login = Login.of(json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json")))
    return Reader(login) if login else None


def wait_for(
    what: str,
    look: Callable[[], T | None],
    timeout: float,
    *,
    every: float = 0.3,
    seen: Callable[[], str] = str,
) -> T:
    """Look again until the answer is neither None nor False; raises NotInTime with what `seen` tells.

    A command that fails is a look that saw nothing, unless it is the last.
    """
    end = time.monotonic() + SLOW * timeout
    while True:
        answer = None
        try:
            answer = look()
        except CommandFailed:
            if time.monotonic() > end:
                raise
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > end:
            raise NotInTime(f"{what}: not within {SLOW * timeout:.0f} s. {seen()}".strip())
        time.sleep(every)
