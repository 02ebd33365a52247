"""A PostgreSQL server of the tests' own: a fresh cluster in a temporary directory, on a free port of this machine alone."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

WAIT = 60


class Postgres:
    """Started when it is made. Nothing of the system's own clusters is touched, and none is started.

    `is_durable` waits for the disk at every commit, as an ordinary server does.
    """

    def __init__(self, is_durable: bool = False) -> None:
        self._options = ["-c", "max_connections=200", *([] if is_durable else ["-c", "fsync=off"])]
        self._programs = _programs()
        self._directory = Path(tempfile.mkdtemp(prefix="loupe-postgres-"))
        self._identity = _unprivileged()
        if self._identity:
            os.chown(self._directory, self._identity.pw_uid, self._identity.pw_gid)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        setting_up = [
            "-D",
            self._directory / "data",
            "-U",
            "loupe",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run(self._command("initdb", *setting_up), check=True, capture_output=True, cwd="/")
        self.start()

    def start(self) -> None:
        """Start the server, also after `kill`: it waits until it answers."""
        place = ["-D", self._directory / "data", "-k", self._directory, "-h", "127.0.0.1", "-p", str(self.port)]
        deadline = time.monotonic() + WAIT
        while True:
            with open(self._directory / "log", "ab") as log:
                command = self._command("postgres", *place, *self._options)
                self._server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
            while self._server.poll() is None and time.monotonic() < deadline:
                with suppress(psycopg.OperationalError):
                    psycopg.connect(self._address("postgres")).close()
                    return
                time.sleep(0.05)
            assert time.monotonic() < deadline, (self._directory / "log").read_text()[-2000:]
            time.sleep(0.2)  # killed before: what is left of it still holds the memory

    def kill(self) -> None:
        """Let the server and every process of it die without a word, in the middle of whatever they do."""
        family = psutil.Process(self._server.pid).children(recursive=True)
        self._server.send_signal(signal.SIGKILL)
        for child in family:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self._server.wait(WAIT)
        psutil.wait_procs(family, WAIT)

    @property
    def is_running(self) -> bool:
        return self._server.poll() is None

    def make_database(self) -> str:
        """Address, as LOUPE_DATABASE_URL takes it, of a database that holds nothing yet."""
        name = f"loupe_{uuid.uuid4().hex}"
        self._execute(f'create database "{name}" template template0')
        return f"postgresql+psycopg://loupe@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._execute(f'drop database "{url.rpartition("/")[2]}" with (force)')

    def close(self) -> None:
        """Stop the server and remove all of it."""
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(WAIT)
        shutil.rmtree(self._directory)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]  # the names are ours

    def _address(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=loupe dbname={database} connect_timeout=5"

    def _command(self, program: str, *arguments: str | Path) -> list[str | Path]:
        """The program as a user whom PostgreSQL accepts, which ends with these tests however they end."""
        words: list[str | Path] = ["setpriv", "--pdeathsig", "QUIT"]
        if self._identity:
            words += ["--reuid", str(self._identity.pw_uid), "--regid", str(self._identity.pw_gid), "--clear-groups"]
        return [*words, self._programs / program, *arguments]


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom to be instead of root, whom PostgreSQL refuses to serve."""
    if os.getuid() != 0:
        return None
    known = {each.pw_name: each for each in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _programs() -> Path:
    """Directory of postgres and initdb: on the PATH, or where Debian keeps them, the newest version first."""
    on_path = shutil.which("postgres")
    kept = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: -float(path.parts[-3]))
    for found in [*([Path(on_path).resolve()] if on_path else []), *kept]:
        if found.with_name("initdb").exists():
            return found.parent
    raise RuntimeError("PostgreSQL is not installed: run `make services`, or install the package `postgresql`.")
