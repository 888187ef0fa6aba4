"""A PostgreSQL server of its own for tests, in a folder of its own, from the binaries that are installed.

    with start_postgres() as server:
        url = server.new_database()
        server.stop()                         # as when the database goes away
        server.start()                        # and comes back, with everything it had

PostgreSQL refuses to run as root, so that root runs it as the user `postgres`.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Where Debian keeps the binaries, which are not on the path of users.
_DEBIAN = Path("/usr/lib/postgresql")
#: The password in the URLs; the server trusts everybody on this machine and asks for none.
PASSWORD = "pw-that-nobody-may-see"


def find_binaries() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`; None where there is none."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


class PostgresServer:
    """One server on 127.0.0.1."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._folder = binaries, folder
        self._data = folder / "data"
        self._as = []
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "-D", self._data, "-U", "moe", "-A", "trust", "--no-sync", "-E", "UTF8")
        self.start()

    def _run(self, program: str, *arguments: object) -> None:
        command = [*self._as, str(self._binaries / program), *map(str, arguments)]
        with (self._folder / "output").open("a+b") as output:
            done = subprocess.run(command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            output.seek(0)
            assert done.returncode == 0, output.read().decode("utf-8", "replace")

    def start(self) -> None:
        """Start and wait until it answers."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off "
            "-c max_connections=60"
        )
        self._run("pg_ctl", "-D", self._data, "-w", "-t", "60", "-l", self._folder / "log", "-o", options, "start")

    def stop(self) -> None:
        """Stop at once: connections are closed, what was committed is there after the next start."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "fast", "stop")

    def kill(self) -> None:
        """End it as `kill -9` does; the next start recovers."""
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists():
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self._run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "moe", name)
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql://moe:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def query(self, url: str, statement: str) -> list[tuple[object, ...]]:
        """Run a statement past everything the project has of its own."""
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def start_postgres() -> Iterator[PostgresServer]:
    """Run a server while the block lasts.

    Raises:
        LookupError: no binaries are installed, or there is no user to run them as.
    """
    binaries = find_binaries()
    if binaries is None:
        raise LookupError("no PostgreSQL binaries are installed (Debian: apt-get install postgresql)")
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            raise LookupError("PostgreSQL does not run as root, and there is no user postgres") from None
    folder = Path(tempfile.mkdtemp(prefix="moe-postgres-"))
    try:
        server = PostgresServer(binaries, folder)
        try:
            yield server
        finally:
            if (server._data / "postmaster.pid").exists():
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
