"""Named tokens, in a file that holds only their hashes.

A token is 256 random bits. Nobody can guess it, so a single SHA-256 is enough. A slow hash with a salt protects
passwords that people choose. Here it would only cost time, at every request.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from filelock import FileLock

from sigdb.disk import now, sync
from sigdb.errors import OptionError, nearest, nearest_file

__all__ = ["Token", "Tokens", "add_token", "read_tokens", "revoke_token"]

# What a token starts with, so that people and scanners of secrets recognise it.
PREFIX = "sigdb_"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
# Only the file system of the owner says who may read a file; Windows has no such bits.
HAS_MODES = os.name != "nt"


@dataclass(frozen=True)
class Token:
    """A token as the file has it: whose it is, its hash, and when it was made (UTC)."""

    name: str
    hash: str
    made: str


class Tokens:
    """The tokens of a file. The file is read again when it changes, so that a revoked token is refused at once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Read a file of tokens. Raises OptionError if it cannot be used."""
        self.path = Path(path)
        self.lock = Lock()
        self.version: tuple[int, ...] = ()
        self.tokens: tuple[Token, ...] = ()
        self.refresh()

    def refresh(self) -> None:
        """Read the file if it has changed. Raises OptionError, and then admits nobody, if it cannot be read."""
        with self.lock:
            version = version_of(self.path)
            if version != self.version or not version:
                self.tokens, self.version = (), ()
                self.tokens, self.version = tuple(read_tokens(self.path)), version

    def whose(self, token: str) -> str | None:
        """The name of the person who has a token; None if there is no such token. Raises OptionError, as `refresh`."""
        self.refresh()
        given = hashed(token)
        # All hashes are compared, so that the time says nothing about which one is near.
        names = [each.name for each in self.tokens if hmac.compare_digest(each.hash, given)]
        return names[0] if names else None


def version_of(path: Path) -> tuple[int, ...]:
    """What changes when a file is written, replaced or opened to others; empty if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_ctime_ns, found.st_mtime_ns, found.st_size


def hashed(token: str) -> str:
    """The hash of a token, or of any other text that somebody sent as one."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def read_tokens(path: Path) -> list[Token]:
    """The tokens of a file. Raises OptionError if it is not such a file, or if others may read or write it."""
    if not path.is_file():
        raise OptionError(f"There is no token file {path}.{nearest_file(path)}")
    mode = stat.S_IMODE(path.stat().st_mode)
    if HAS_MODES and mode & 0o077:
        raise OptionError(f"{path} is open to other users of this machine (mode {mode:o}). Close it: chmod 600 {path}")
    try:
        return [Token(**each) for each in map(json.loads, path.read_text(encoding="utf-8").splitlines())]
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError) as error:
        raise OptionError(f"{path} is not a token file: each line is an object with name, hash and made.") from error


def add_token(path: Path, name: str) -> str:
    """Make a token for a person, keep its hash, and return the token, which nothing can show again.

    Raises OptionError if the person has one, or the name is not a name.
    """
    if not NAME.fullmatch(name):
        raise OptionError(
            f"A name has up to 64 letters, digits and . _ @ -, and starts with one of the first, not {name!r}."
        )
    with changed(path):
        tokens = read_tokens(path) if path.exists() else []
        if any(each.name == name for each in tokens):
            raise OptionError(f"{name} has a token already. Revoke it to give {name} another one.")
        token = PREFIX + secrets.token_urlsafe(32)
        write_tokens(path, [*tokens, Token(name, hashed(token), now().isoformat())])
    return token


def revoke_token(path: Path, name: str) -> None:
    """Remove the token of a person. Raises OptionError if there is none."""
    with changed(path):
        tokens = read_tokens(path)
        left = [each for each in tokens if each.name != name]
        if len(left) == len(tokens):
            raise OptionError(f"{name!r} has no token in {path}.{nearest(name, [each.name for each in tokens])}")
        write_tokens(path, left)


def changed(path: Path) -> Any:
    """Keep other processes from changing the file within the block."""
    if not path.absolute().parent.is_dir():
        raise OptionError(f"There is no folder {path.parent} to write {path.name} into.")
    return FileLock(path.with_name(f"{path.name}.lock"), mode=0o600)


def write_tokens(path: Path, tokens: list[Token]) -> None:
    """Write a file of tokens in one step, which only its owner may read."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.writelines(json.dumps(vars(each)) + "\n" for each in tokens)
    sync(unfinished)
    unfinished.replace(path)
