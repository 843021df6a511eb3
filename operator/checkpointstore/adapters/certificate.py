"""X.509 by `cryptography`: makes authorities and leaves, and reads the public facts of a certificate."""

import datetime as dt
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..kernel.errors import Refused
from ..kernel.observed import Certificate
from ..kernel.pki import AUTHORITY_LIFETIME, LEAF_LIFETIME

# Clocks of nodes may be behind the operator's.
_BACKDATE = dt.timedelta(minutes=5)


FILES = ("tls.crt", "tls.key", "ca.crt")


@contextmanager
def files(secret: Mapping[str, bytes]) -> Iterator[Path]:
    """A folder with a client certificate's FILES, for libraries that take them from files only; then it is gone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in FILES:
            (folder / file).touch(0o600)
            (folder / file).write_bytes(secret[file])
        yield folder


def authority(common_name: str) -> tuple[bytes, bytes]:
    """A new self-signed authority as (certificate, key), both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name)
    builder = (
        _builder(name, name, key.public_key(), AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pem(builder.sign(key, hashes.SHA256())), _key_pem(key)


def leaf(ca_certificate: bytes, ca_key: bytes, common_name: str, dns_names: tuple[str, ...]) -> tuple[bytes, bytes]:
    """A leaf for servers and clients, signed by the authority, as (certificate, key), both PEM.

    Raises Refused("BrokenAuthority") when the authority's Secret does not hold a usable pair.
    """
    try:
        issuer = x509.load_pem_x509_certificate(ca_certificate)
        signer = serialization.load_pem_private_key(ca_key, password=None)
    except ValueError:
        raise Refused("BrokenAuthority", "the authority's Secret holds no usable ca.crt and ca.key") from None
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise Refused("BrokenAuthority", "the authority's key is not an elliptic-curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(_name(common_name), issuer.subject, key.public_key(), LEAF_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(_signed_by(issuer), critical=False)
    )
    if dns_names:
        names = [x509.DNSName(name) for name in dns_names]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _pem(builder.sign(signer, hashes.SHA256())), _key_pem(key)


def facts(pem: bytes) -> Certificate | None:
    """The public facts of the first certificate in `pem`, or None when there is none."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        common_name=str(names[0].value) if names else "",
        dns_names=_dns_names(certificate),
        not_after=certificate.not_valid_after_utc,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        issuer_key=_issuer_key(certificate),
    )


def fingerprints(bundle: bytes) -> tuple[str, ...]:
    """SHA-256 fingerprints, in hex, of every certificate of a PEM bundle; none for what is no bundle."""
    try:
        found = x509.load_pem_x509_certificates(bundle)
    except ValueError:
        return ()
    return tuple(certificate.fingerprint(hashes.SHA256()).hex() for certificate in found)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, lifetime: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + lifetime)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _signed_by(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.get_values_for_type(x509.DNSName))


def _issuer_key(certificate: x509.Certificate) -> str:
    try:
        identifier = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    return (identifier or b"").hex()


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
