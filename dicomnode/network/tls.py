"""TLS contexts after the BCP 195 profile (PS3.15 B.9): TLS 1.2 or 1.3, both sides known."""

import ssl
from pathlib import Path

from dicomnode.errors import SettingsError

__all__ = ["client_context", "server_context"]

_TLS_1_2_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL"


def server_context(
    *, certificate: Path, key: Path, client_ca: Path | None = None
) -> ssl.SSLContext:
    """Make the receiver's context.

    Parameters
    ----------
    client_ca : Path, optional
        Authority whose certificates callers must show. Without it callers stay anonymous to
        TLS, and AE title and host are all that is known of them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context)
    _load(context, certificate, key)
    if client_ca is not None:
        _trust(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(
    *, ca: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Make the sender's context: the peer's certificate must be valid and name its host.

    Parameters
    ----------
    ca : Path, optional
        Authority that signed the peers' certificates; the system's when not given.
    certificate, key : Path, optional
        What this node shows to peers that want to know who calls.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _restrict(context)
    if ca is None:
        context.load_default_certs()
    else:
        _trust(context, ca)
    if certificate is not None and key is not None:
        _load(context, certificate, key)
    return context


def _restrict(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS_1_2_CIPHERS)


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_one_to_ask)
    except OSError as error:
        raise SettingsError(
            f"expected a certificate and its key in {certificate} and {key}: {error}"
        ) from error


def _no_one_to_ask() -> bytes:
    """Give no password for a key that wants one: OpenSSL would wait for someone to type it."""
    return b""


def _trust(context: ssl.SSLContext, ca: Path) -> None:
    try:
        context.load_verify_locations(ca)
    except OSError as error:
        raise SettingsError(f"expected certificates of an authority in {ca}: {error}") from error
