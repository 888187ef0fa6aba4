"""Brings a database to the schema this version knows, once, however many processes open it at the same time."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from dataset_build import DataError

#: The newest schema this version knows.
NEWEST = 2
#: Where the number of the schema is kept.
VERSION_TABLE = "moe_schema"
#: Nobody else's lock in a PostgreSQL database.
_LOCK = 0x6D6F655F746F6F6C


def is_current(connection: Connection, place: str) -> bool:
    """Return whether the schema is the newest; costs one query and needs no lock.

    Raises:
        DataError: it was written by a newer version, or is none of ours.
    """
    found = _version(connection)
    if found > NEWEST:
        raise DataError(
            f"{place} has schema version {found}; this moe-toolkit knows up to {NEWEST}. Upgrade moe-toolkit."
        )
    return found == NEWEST


def migrate(connection: Connection, place: str) -> None:
    """Run what is missing, in the transaction of the connection; it holds SQLite's write lock already.

    Raises:
        DataError: the schema is newer than this version, or there are tables of the same names that are not ours.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    if is_current(connection, place):  # another process was faster
        return
    from alembic import command
    from alembic.config import Config

    found, tables = _version(connection), inspect(connection)
    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, version_table=VERSION_TABLE)
    if not tables.has_table(VERSION_TABLE):
        if found == 0 and (tables.has_table("decisions") or tables.has_table("feedback")):
            raise DataError(
                f"{place} is no feedback store (it has tables of the same names). Move it away or give another path."
            )
        if found:  # a file from before Alembic, which counted in `user_version`
            command.stamp(config, _revision(found))
    command.upgrade(config, _revision(NEWEST))
    if connection.dialect.name == "sqlite":  # what older versions look at, to say that they are too old
        connection.execute(text(f"PRAGMA user_version = {NEWEST}"))


def _version(connection: Connection) -> int:
    if connection.dialect.name == "sqlite":
        return int(connection.execute(text("PRAGMA user_version")).scalar_one())
    if connection.execute(text("SELECT to_regclass(:name)"), {"name": VERSION_TABLE}).scalar_one() is None:
        return 0
    return int(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none() or 0)


def _revision(number: int) -> str:
    return f"{number:04d}"
