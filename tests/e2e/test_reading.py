"""What the tests read of the cluster is what a person reads with kubectl."""

import json

import pytest

from demo import installation
from demo.kubectl import CommandFailed, Kubectl, wait_for

WHERE = ("-n", installation.NAMESPACE)


@pytest.mark.parametrize(
    "question",
    [
        ("nodes",),
        ("storageclasses",),
        ("deploy", installation.OPERATOR, *WHERE),
        ("pods", *WHERE, "-l", installation.PODS),
        ("pods", *WHERE, "--field-selector=status.phase=Running"),
        ("customresourcedefinitions",),
        ("cps", "-A"),
        ("deployments,services,secrets", *WHERE),
    ],
    ids=" ".join,
)
def test_an_answer_is_kubectls(kubectl: Kubectl, question: tuple[str, ...]) -> None:
    def answers() -> bool:
        theirs = json.loads(kubectl("get", *question, "-o", "json"))
        ours = kubectl.get(*question)
        return bool(ours.get("items", ours) == theirs.get("items", theirs))

    # What other tests make may change between the two.
    wait_for("two answers that are the same", answers, 10)


def test_what_is_not_there_is_nothing_and_what_cannot_be_asked_is_told(kubectl: Kubectl) -> None:
    assert kubectl.find("pods", "nobody", installation.NAMESPACE) is None
    if kubectl.reader() is None:
        pytest.skip("only kubectl can log in to this cluster, and is asked itself")
    for question, why in (
        (("pods", "nobody", *WHERE), "not found"),
        (("unicorns", *WHERE), "no unicorns"),
        (("pods",), "in which namespace"),
        (("pods", *WHERE, "--sort-by=.metadata.name"), "no --sort-by"),
    ):
        with pytest.raises(CommandFailed, match=why):
            kubectl.get(*question)
