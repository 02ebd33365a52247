"""Where kept results lie: files bounded in bytes, or Redis with short timeouts; both hold text, never a pickle."""

import io
import itertools
import os
import stat
from contextlib import suppress
from typing import Any

from cachelib.serializers import BaseSerializer
from flask import Flask
from flask_caching.backends.filesystemcache import FileSystemCache
from flask_caching.backends.rediscache import RedisCache

BOUND = 512 * 2**20
"""Bytes of all files together; where they are more, the oldest go until three quarters of it are left."""
LOOK_EVERY = 32  # files written by one worker between two looks at the folder
TIMEOUT_S = 0.25


class Text(BaseSerializer):
    """Strings as UTF-8. Reading a value runs no code, whoever wrote it."""

    def dump(self, value: Any, f: Any, protocol: int = 0) -> None:
        f.write(self.dumps(value))

    def load(self, f: io.BufferedIOBase) -> Any:  # type: ignore[override]
        return self.loads(f.read())

    def dumps(self, value: Any, protocol: int = 0) -> bytes:
        if not isinstance(value, str):
            raise TypeError(f"The cache keeps text: found {type(value).__name__}.")
        return value.encode()

    def loads(self, bvalue: bytes | None) -> Any:
        return None if bvalue is None else bvalue.decode(errors="replace")


class BoundedFiles(FileSystemCache):
    """A file for each result. (cachelib's own bound counts files and, once reached, reads all of them at each write.)"""

    serializer = Text()

    def __init__(self, folder: str, **options: Any) -> None:
        super().__init__(folder, threshold=0, **options)
        self._writes = itertools.count()
        self._prune()

    @classmethod
    def factory(cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> "BoundedFiles":
        return cls(config["CACHE_DIR"], default_timeout=config["CACHE_DEFAULT_TIMEOUT"])

    def _prune(self) -> None:
        if next(self._writes) % LOOK_EVERY:
            return
        found = []
        for entry in os.scandir(self._path):
            with suppress(FileNotFoundError):  # another worker removed it
                facts = entry.stat()
                if stat.S_ISREG(facts.st_mode):
                    found.append((facts.st_mtime, facts.st_size, entry.path))
        size = sum(bytes_ for _, bytes_, _ in found)
        if size <= BOUND:
            return
        for _, bytes_, path in sorted(found):
            with suppress(FileNotFoundError):
                os.remove(path)
            size -= bytes_
            if size <= BOUND * 3 // 4:
                break


class PlainRedis(RedisCache):
    """Redis, given up after a quarter of a second. Its memory is bounded by Redis (`maxmemory`, `allkeys-lru`)."""

    serializer = Text()

    @classmethod
    def factory(cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> "PlainRedis":
        from redis import from_url

        client = from_url(
            config["CACHE_REDIS_URL"], socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=None
        )
        return cls(host=client, default_timeout=config["CACHE_DEFAULT_TIMEOUT"], key_prefix=config["CACHE_KEY_PREFIX"])
