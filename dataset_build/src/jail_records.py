"""What a program in a jail may use, how it ended, and what protects the machine from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dataset_build.src.errors import ToolkitError


class JailError(ToolkitError):
    """The jail itself failed, or this machine cannot confine a program well enough; says nothing of the program."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use, its descendants included.

    Attributes:
        wall_s: Seconds until everything is killed.
        cpu_s: Seconds of one core, for each process.
        memory_mb: Address space of each process, and resident memory of all together.
        processes: Processes and threads at one time.
        open_files: Open files of each process.
        file_mb: Size of one file.
        disk_mb: Size of all files together (each jail has a disk of its own, in memory).
        output_mb: Bytes read of stdout and stderr, each; a program that writes more is killed.
    """

    wall_s: float = 10.0
    cpu_s: float = 10.0
    memory_mb: int = 512
    processes: int = 32
    open_files: int = 64
    file_mb: int = 16
    disk_mb: int = 64
    output_mb: float = 4.0

    def as_request(self) -> dict[str, Any]:
        """Return what the server needs of them."""
        return {
            "wall_s": self.wall_s,
            "memory_bytes": self.memory_mb * 2**20,
            "processes": self.processes,
            "disk_bytes": self.disk_mb * 2**20,
            "disk_files": 4096,
            "resources": {
                "RLIMIT_AS": self.memory_mb * 2**20,
                "RLIMIT_CPU": max(1, round(self.cpu_s)),
                "RLIMIT_NPROC": self.processes,
                "RLIMIT_NOFILE": self.open_files,
                "RLIMIT_FSIZE": self.file_mb * 2**20,
                "RLIMIT_CORE": 0,
                "RLIMIT_MEMLOCK": 0,
                "RLIMIT_MSGQUEUE": 0,
            },
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended.

    Attributes:
        exit_code: Its exit code, negative for a signal; None when it was killed for what it used.
        stdout: What it wrote, cut at the limit.
        stderr: The same of errors.
        killed: Why it was killed, in words; None when it ended by itself.
        wall_s: Seconds from its start to its end.
        cpu_s: Seconds of CPU the program itself used, as far as known.
    """

    exit_code: int | None
    stdout: str
    stderr: str
    killed: str | None
    wall_s: float
    cpu_s: float | None = None


@dataclass(frozen=True, slots=True)
class JailReport:
    """What protects this machine from the programs in a jail.

    Attributes:
        active: Protection -> how it is done here.
        missing: Protection -> why there is none.
    """

    active: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return one line for each protection."""
        return [f"{name}: {how}" for name, how in self.active.items()] + [
            f"{name}: NOT protected ({why})" for name, why in self.missing.items()
        ]


def report_of(told: Mapping[str, Any]) -> JailReport:
    """Return the report of what the jail's server told about itself."""
    spaces, reasons = told["namespaces"], told["reasons"]
    why = reasons.get("namespaces", "namespaces were not asked for")
    landlock = f"Landlock version {told['landlock']}" if told["landlock"] else None
    active = {"limits": "CPU time, memory, processes, open files, file sizes and core dumps of each process (rlimits)"}
    missing: dict[str, str] = {}

    def put(name: str, *ways: str | None) -> None:
        found = [way for way in ways if way]
        if found:
            active[name] = " and ".join(found)
        else:
            missing[name] = "; ".join([why, *(reasons[key] for key in ("filter", "landlock") if key in reasons)])

    put("files", "a read-only root directory of its own" if spaces else None, landlock)
    put("disk", "a disk of its own, of limited size" if spaces else None)
    put("network", "an empty network namespace" if spaces else None, "no sockets (seccomp)" if told["filter"] else None)
    put("processes", "a PID namespace, killed as a whole" if spaces else "adoption of orphans, killed one by one")
    put(
        "signals",
        "a PID namespace" if spaces else None,
        "signals to itself only (seccomp)" if told["filter"] and not spaces else None,
    )
    put(
        "privileges",
        "a user of its own" if told["user"] else None,
        "a user namespace" if spaces and not told["root"] else None,
        "an ordinary user" if not told["root"] else None,
    )
    put("system calls", "a filter (seccomp)" if told["filter"] else None)
    return JailReport(active, missing)


#: Without these a program is not run, unless told to.
NEEDED = ("files", "network", "signals", "privileges")
