"""Names for studies that mean nothing outside this node."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from dicomnode.errors import StoreError

__all__ = ["secret_key", "short_uid", "study_label"]

_KEY_BYTES = 32
_SHOWN_END = 8
_ANEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


def secret_key(directory: Path) -> bytes:
    """Read the node's own key, or make it at the first start."""
    path = directory / "label.key"
    if not path.exists():
        _write_whole(path, secrets.token_bytes(_KEY_BYTES))
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise StoreError(
            f"expected a key of {_KEY_BYTES} bytes in {path}, found {len(key)}",
            hint="delete the file; labels of studies change",
        )
    return key


def _write_whole(path: Path, content: bytes) -> None:
    """Give a file its name when its bytes are on the disk: a part of a key would keep nobody up."""
    part = path.with_name(f".{path.name}.part")
    with os.fdopen(os.open(part, _ANEW, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def study_label(study_uid: str, key: bytes) -> str:
    """Give a study a short name that is the same every time and cannot be turned back."""
    digest = hmac.new(key, study_uid.encode(), hashlib.sha256).hexdigest().upper()
    return f"{digest[:4]}-{digest[4:8]}"


def short_uid(uid: str) -> str:
    """Show the end of a UID, enough to tell two apart."""
    return uid if len(uid) <= _SHOWN_END else f"…{uid[-_SHOWN_END:]}"
