"""The end of a rotation that was begun while other tests ran: three stages with two minutes between them."""

from cryptography import x509

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
    (leaf,) = subject.served()
    x509.load_pem_x509_certificate(leaf.encode()).verify_directly_issued_by(
        x509.load_pem_x509_certificate(trusted.encode())
    )
    assert subject.secret(f"{NAME}-app")["ca.crt"].strip() == trusted
    assert subject.lives() == rotation.lives, "PostgreSQL takes certificates up without a restart"
