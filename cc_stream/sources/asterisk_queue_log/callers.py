"""Callers: a number never passes, only a keyed hash by which the same caller is known again."""

from hashlib import blake2b
from typing import Final

_WITHHELD: Final = frozenset(
    {"", "anonymous", "unknown", "<unknown>", "unavailable", "restricted", "private", "none", "s"}
)


def hash_caller(caller: str, key: bytes) -> str | None:
    """32 hex digits, equal for the same caller and key; None without a key or a number.

    Those who withhold their number are not one caller.
    """
    caller = caller.strip()
    if not key or caller.lower() in _WITHHELD:
        return None
    if len(key) > blake2b.MAX_KEY_SIZE:
        key = blake2b(key).digest()
    return blake2b(caller.encode(), key=key, digest_size=16).hexdigest()
