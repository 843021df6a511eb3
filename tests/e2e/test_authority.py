"""The rotation of an authority under a writer: three stages with two minutes between them."""

from collections.abc import Callable

from cryptography import x509

from demo.agentjob import Agent
from demo.kubectl import Kubectl, wait_for
from tests.e2e.figure import Figures
from tests.e2e.subject import Subject, stamp
from tests.e2e.writing import Writer

NAME = "rotating"


def test_authority_rotation(
    kubectl: Kubectl, namespace: str, start_agent: Callable[..., Agent], figures: Figures
) -> None:
    """Certificates are only ever served to those who trust them."""
    subject = Subject(kubectl, namespace, NAME)
    subject.apply({"postgres": {"instances": 2}})
    subject.ready()
    writer = Writer.start(start_agent, figures, NAME, "authority")
    begun, authority, lives = writer.mark(), subject.secret(f"{NAME}-ca")["ca.crt"], subject.lives()
    subject.command("rotate-authority", stamp())

    def retired() -> bool:
        ca = subject.secret(f"{NAME}-ca")
        return ca["ca.crt"] != authority and ca["trust.crt"].strip() == ca["ca.crt"].strip()

    subject.changed("only the new authority trusted", retired, 600)
    writer.note("authority_rotation", begun)
    writer.stop()
    trusted = subject.secret(f"{NAME}-ca")["ca.crt"].strip()

    def only() -> str | None:
        found = subject.served()
        return found.pop() if len(found) == 1 else None

    leaf = wait_for("one certificate to be served by all", only, 60)
    x509.load_pem_x509_certificate(leaf.encode()).verify_directly_issued_by(
        x509.load_pem_x509_certificate(trusted.encode())
    )
    wait_for("the binding to trust it", lambda: subject.secret(f"{NAME}-app")["ca.crt"].strip() == trusted, 60)
    assert subject.lives() == lives, "PostgreSQL takes certificates up without a restart"
