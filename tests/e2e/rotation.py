"""The rotation of an authority: it takes five minutes, most of them waiting, so other tests run meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass

from demo.agentjob import Agent
from demo.kubectl import Kubectl
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject, stamp
from tests.e2e.writing import Mark, Writer

NAME = "rotating"


@dataclass(frozen=True)
class Rotation:
    """One that was begun under a writer, and how the store was before."""

    subject: Subject
    writer: Writer
    since: Mark
    authority: str
    lives: set[tuple[str, str, str]]


def begin(kubectl: Kubectl, namespace: str, start_agent: Callable[..., Agent], figures: Figures) -> Rotation:
    """Make a store of two instances, let a writer write, and command the rotation."""
    subject = Subject(kubectl, namespace, NAME)
    subject.apply({"postgres": {"instances": 2}})
    subject.ready()
    writer = Writer.start(start_agent, figures, NAME, "authority")
    begun = Rotation(subject, writer, writer.mark(), subject.secret(f"{NAME}-ca")["ca.crt"], subject.lives())
    subject.command("rotate-authority", stamp())
    return begun
