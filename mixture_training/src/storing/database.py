"""The database of a store: SQLite in a file, or PostgreSQL by URL, with errors that say what to do."""

import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_build import ConfigError, DataError, MissingDependencyError

if TYPE_CHECKING:
    from sqlite3 import Connection as SQLiteConnection

    from sqlalchemy import URL, Connection, Engine, Table
    from sqlalchemy.dialects import postgresql, sqlite
    from sqlalchemy.exc import DBAPIError

logger = logging.getLogger(__name__)

#: Seconds a write waits for that of another process.
_BUSY_S = 30.0
#: Seconds compacting waits for readers to end.
_COMPACT_S = 10.0
#: How PostgreSQL is asked to notice within seconds that it is gone; what the URL says goes first.
_POSTGRES_OPTIONS = {
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "10",
    "application_name": "moe",
}
_SCHEMES = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


class StoreUnavailableError(ConfigError):
    """The database cannot be reached or written now; what was asked of it may be asked again later."""


class Database:
    """Connections to one database whose schema is the newest.

    Args:
        place: A file of SQLite (made with its folder when absent), or a URL: `postgresql://user:password@host/name`,
            `sqlite:///path`.

    Attributes:
        place: Where it is, to be shown: without password and options.
        path: The file; None for a server.

    Raises:
        ConfigError: the place cannot be written, or the URL is none.
        StoreUnavailableError: there is no answer from the server.
        DataError: it is no feedback store, or was written by a newer version.
        MissingDependencyError: the driver of the URL is not installed.
    """

    def __init__(self, place: str | Path) -> None:
        self._secrets: tuple[str, ...] = ()
        self._writing = threading.Lock()
        self._is_closed = False
        url = self._parse(place)
        self.path: Path | None = Path(url.database) if url.drivername == "sqlite" and url.database else None
        self.place = str(self.path) if self.path is not None else _shown(url)
        self._engine = self._connect(url)
        try:
            self._open()
        except BaseException:
            self._engine.dispose()
            raise

    def _parse(self, place: str | Path) -> "URL":
        from sqlalchemy import URL, make_url
        from sqlalchemy.exc import ArgumentError

        if isinstance(place, str) and "://" not in place and re.match(r"(postgres\w*|sqlite)(\+\w+)?:", place):
            raise ConfigError(
                "The URL of the feedback store is cut short: sqlite:///FILE or postgresql://user:password@host/name "
                "is expected."
            )
        if isinstance(place, Path) or "://" not in place:
            return URL.create("sqlite", database=str(place))
        try:
            url = make_url(place)
        except (ArgumentError, ValueError):
            raise ConfigError(
                "The URL of the feedback store cannot be read; it looks like postgresql://user:password@host:5432/name "
                "(special characters of the password as %XX)."
            ) from None
        url = url.set(drivername=_SCHEMES.get(url.drivername, url.drivername))
        if url.drivername == "sqlite" and url.database not in (None, "", ":memory:"):
            return URL.create("sqlite", database=url.database)
        if url.drivername != "postgresql+psycopg":
            raise ConfigError(
                f"A feedback store is a file, sqlite:///FILE or postgresql://user:password@host/name; "
                f"{url.drivername}:// was given."
            )
        if not url.database:
            raise ConfigError(f"The URL of the feedback store names no database: {_shown(url)}/NAME is expected.")
        hidden = [url.password, *(value for name, value in url.query.items() if "pass" in name)]
        self._secrets = tuple(str(value) for value in hidden if value)
        return url

    def _connect(self, url: "URL") -> "Engine":
        from sqlalchemy import create_engine, event

        if url.drivername != "sqlite":
            options = {name: value for name, value in _POSTGRES_OPTIONS.items() if name not in url.query}
            try:
                return create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=options)
            except ImportError:
                raise MissingDependencyError(
                    "PostgreSQL needs its driver: pip install 'moe-toolkit[postgres]'."
                ) from None
        assert self.path is not None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError as problem:
            raise ConfigError(
                f"Cannot open the feedback store {self.path}: {problem.strerror or problem}. Give another path."
            ) from None
        engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _BUSY_S, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _open(self) -> None:
        from sqlalchemy.exc import DBAPIError, OperationalError

        from mixture_training.src.storing import schema

        try:
            with self._engine.connect() as connection, connection.begin():
                current = schema.is_current(connection, self.place)
            if not current:
                with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
                    schema.migrate(connection, self.place)
        except DBAPIError as problem:
            why = self._why(problem)
            if self.path is None:
                raise StoreUnavailableError(
                    f"Cannot open the feedback store {self.place}: {why}. Start it, or give another URL."
                ) from None
            if isinstance(problem, OperationalError):
                raise ConfigError(f"Cannot write the feedback store {self.path}: {why}. Give another path.") from None
            raise DataError(f"{self.path} is no feedback store ({why}). Move it away or give another path.") from None

    @contextmanager
    def reading(self) -> "Iterator[Connection]":
        """Give a connection that sees one moment of the database.

        Raises:
            StoreUnavailableError: the database is away.
        """
        with self._translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> "Iterator[Connection]":
        """Give a connection whose changes are kept together when the block ends, or not at all.

        Raises:
            StoreUnavailableError: the database is away, locked or full.
            DataError: it does not take a value.
        """
        # SQLite has one writer at a time, and waiting for it in the process is fairer than polling the file.
        turn = nullcontext() if self.path is None else self._writing
        with (
            turn,
            self._translated(),
            self._engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from sqlalchemy.exc import DataError as WrongValue
        from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
        from sqlalchemy.exc import TimeoutError as NoConnectionError

        if self._is_closed:
            raise self._closed()
        try:
            yield
        except DBAPIError as problem:
            if isinstance(problem, WrongValue | IntegrityError | ProgrammingError) and not (
                problem.connection_invalidated
            ):
                raise DataError(f"The feedback store {self.place} does not take this: {self._why(problem)}.") from None
            raise StoreUnavailableError(
                f"The feedback store {self.place} is not available now: {self._why(problem)}. Try again later."
            ) from None
        except NoConnectionError:
            raise StoreUnavailableError(
                f"The feedback store {self.place} is not available now: all connections are busy. Try again later."
            ) from None

    def _closed(self) -> ConfigError:
        return ConfigError(f"The feedback store {self.place} is closed; open another.")

    def _why(self, problem: "DBAPIError") -> str:
        """Return the first line of what the driver says: neither statement nor values, and never the password."""
        lines = str(problem.orig or type(problem).__name__).strip().splitlines()
        text = lines[0].rstrip(". ") if lines else type(problem.orig).__name__
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def insert(self, table: "Table") -> "postgresql.Insert | sqlite.Insert":
        """Return the dialect's `INSERT`, which knows what to do on conflict."""
        if self.path is None:
            from sqlalchemy.dialects import postgresql

            return postgresql.insert(table)
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)

    def compact(self, *, shrink: bool = True) -> bool:
        """Let the bytes of deleted rows leave SQLite's file and its log; PostgreSQL may use their space again.

        Args:
            shrink: Whether the file is written anew, shorter, which nobody can write to meanwhile. The bytes are
                overwritten in it all the same.

        Returns:
            Whether it was done: another process that reads all the time can keep SQLite's log from being cut.
        """
        if self._is_closed:
            raise self._closed()
        if self.path is not None:
            return self._compact_sqlite(shrink)
        with self._translated(), self._engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql("VACUUM decisions, feedback")
        return True

    def _compact_sqlite(self, shrink: bool) -> bool:
        import sqlite3

        until = time.monotonic() + _COMPACT_S
        while True:
            with self._writing:
                connection = sqlite3.connect(str(self.path), timeout=1.0, isolation_level=None)
                try:
                    if shrink:
                        connection.execute("PRAGMA secure_delete=ON")
                        connection.execute("VACUUM")
                        shrink = False
                    if not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                        return True
                except sqlite3.OperationalError as problem:
                    logger.debug("%s is not compacted yet: %s", self.path, problem)
                finally:
                    connection.close()
            if time.monotonic() > until:
                return False
            time.sleep(0.05)

    def close(self) -> None:
        """Close all connections; the database is not used afterwards."""
        self._is_closed = True
        self._engine.dispose()


def _prepare_sqlite(connection: "SQLiteConnection", _: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says
    cursor = connection.cursor()
    until = time.monotonic() + _BUSY_S
    while True:
        try:  # no waiting is built in for this one
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode=WAL")
            break
        except connection.OperationalError as problem:
            if "locked" not in str(problem) or time.monotonic() > until:
                raise
            time.sleep(0.01)
    cursor.execute("PRAGMA synchronous=NORMAL")  # no fsync a decision; only a power cut may lose the last
    cursor.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten
    cursor.close()


def _begin_sqlite(connection: "Connection") -> None:
    immediate = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _shown(url: "URL") -> str:
    """Return the URL without its password and its options."""
    from sqlalchemy import URL

    shown = URL.create(url.get_backend_name(), url.username, None, url.host, url.port, url.database)
    return shown.render_as_string(hide_password=True)
