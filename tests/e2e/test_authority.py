"""The end of a rotation that was begun while other tests ran: three stages with two minutes between them."""

from cryptography import x509

from demo.kubectl import wait_for
from tests.e2e.rotation import NAME, Rotation


def test_authority_rotation(rotation: Rotation) -> None:
    """Certificates are only ever served to those who trust them."""
    subject = rotation.subject

    def retired() -> bool:
        ca = subject.secret(f"{NAME}-ca")
        return ca["ca.crt"] != rotation.authority and ca["trust.crt"].strip() == ca["ca.crt"].strip()

    subject.changed("only the new authority trusted", retired, 600)
    rotation.writer.note("authority_rotation", rotation.since)
    rotation.writer.stop()
    trusted = subject.secret(f"{NAME}-ca")["ca.crt"].strip()

    def only() -> str | None:
        found = subject.served()
        return found.pop() if len(found) == 1 else None

    leaf = wait_for("one certificate to be served by all", only, 60)
    x509.load_pem_x509_certificate(leaf.encode()).verify_directly_issued_by(
        x509.load_pem_x509_certificate(trusted.encode())
    )
    wait_for("the binding to trust it", lambda: subject.secret(f"{NAME}-app")["ca.crt"].strip() == trusted, 60)
    assert subject.lives() == rotation.lives, "PostgreSQL takes certificates up without a restart"
