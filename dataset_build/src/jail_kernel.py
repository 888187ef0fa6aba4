"""What the jail asks of the Linux kernel: namespaces, mounts, Landlock rules and a filter of system calls.

Everything here works without privileges where the kernel lets ordinary users make namespaces; each function raises
`OSError` where it does not. Structures and numbers are those of the kernel's own headers.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Iterable

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
#: Every flag of `clone` that makes a namespace, NEWCGROUP included.
_ANY_NAMESPACE = 0x7E020000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_RELATIME = 1 << 21
_MNT_DETACH = 2

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2

#: Landlock's system calls have the same numbers on every architecture.
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_MOUNT_SETATTR = 442
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

#: Machine -> its audit number and the column of `_SYSTEM_CALLS` that holds its numbers.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
#: System calls that no program needs to answer a question: (x86_64, aarch64); -1 where there is none.
_SYSTEM_CALLS: dict[str, tuple[int, int]] = {
    "accept": (43, 202), "accept4": (288, 242), "acct": (163, 89), "add_key": (248, 217), "bind": (49, 200),
    "bpf": (321, 280), "chroot": (161, 51), "clock_settime": (227, 112), "connect": (42, 203),
    "delete_module": (176, 106), "finit_module": (313, 273), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fsopen": (430, 430), "fspick": (433, 433), "init_module": (175, 105), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "io_uring_setup": (425, 425), "ioprio_set": (251, 30), "kcmp": (312, 272),
    "kexec_file_load": (320, 294), "kexec_load": (246, 104), "keyctl": (250, 219), "listen": (50, 201),
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "migrate_pages": (256, 238), "mount": (165, 40), "mount_setattr": (442, 442), "move_mount": (429, 429),
    "move_pages": (279, 239), "mq_open": (240, 180), "msgget": (68, 186), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pivot_root": (155, 41),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117), "quotactl": (179, 60),
    "reboot": (169, 142), "request_key": (249, 218), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "semget": (64, 190), "setdomainname": (171, 162), "sethostname": (170, 161),
    "setns": (308, 268), "setpriority": (141, 140), "settimeofday": (164, 170), "shmget": (29, 194),
    "socket": (41, 198), "swapoff": (168, 225), "swapon": (167, 224), "syslog": (103, 116), "umount2": (166, 39),
    "unshare": (272, 97), "userfaultfd": (323, 282), "vhangup": (153, 58),
}  # fmt: skip
_CLONE, _CLONE3, _PRLIMIT = (56, 220), (435, 435), (302, 261)
_KILLS = ((62, 129), (200, 130), (234, 131))  # kill, tkill, tgkill
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_LOAD, _EQUAL, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _call(number: int, what: str, *arguments: object) -> int:
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments), what)


def _prctl(option: int, value: int, what: str, pointer: object = None) -> None:
    longs = (ctypes.c_ulong(value), pointer or ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    _checked(_libc.prctl(ctypes.c_int(option), *longs), what)


def unshare(flags: int) -> None:
    """Leave the namespaces that `flags` names for new ones."""
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def become(proc: int, inside: int, user: int, group: int) -> None:
    """Be known as `inside` in a new user namespace, and go on as before beyond it.

    Args:
        proc: A descriptor of a proc file system.
        inside: The number of the user and of the group within.
        user: The caller's own user, as the parent namespace numbers it.
        group: The same of the group.
    """
    for name, text in (("setgroups", "deny"), ("uid_map", f"{inside} {user} 1"), ("gid_map", f"{inside} {group} 1")):
        descriptor = os.open(f"self/{name}", os.O_WRONLY, dir_fd=proc)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str = "") -> None:
    """Put a file system at a place of the tree; the arguments are those of the system call."""
    names = [None if name is None else os.fsencode(name) for name in (source, target, kind, data or None)]
    _checked(_libc.mount(*names[:3], ctypes.c_ulong(flags), names[3]), f"mount {target}")


def bind_read_only(source: str, target: str) -> None:
    """Show `source`, and what is mounted below it, at `target`, where nothing can be written."""
    mount(source, target, None, MS_BIND | MS_REC)
    attributes = struct.pack("QQQQ", MS_RDONLY | MS_NOSUID | MS_NODEV, 0, 0, 0)
    try:
        _call(
            _MOUNT_SETATTR, "mount_setattr", -100, os.fsencode(target), 0x8000, attributes, ctypes.c_size_t(32)
        )  # AT_FDCWD, AT_RECURSIVE
    except OSError:  # before Linux 5.12; the flags a mount has cannot be taken off by others than its owner
        kept = os.statvfs(target).f_flag & (MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME)
        mount(target, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | kept)


def change_root(path: str) -> None:
    """Make `path`, a mount, the root directory, and forget the old one."""
    os.chdir(path)
    number = {"x86_64": 155, "aarch64": 41}.get(platform.machine())
    if number is None:
        raise OSError(_ENOSYS, f"pivot_root is not known for {platform.machine()}")
    _call(number, "pivot_root", b".", b".")
    _checked(_libc.umount2(b".", ctypes.c_int(_MNT_DETACH)), "umount2")
    os.chdir("/")


def die_with_parent() -> None:
    """Be killed when the parent process ends; undone by a change of user."""
    _prctl(_PR_SET_PDEATHSIG, 9, "PR_SET_PDEATHSIG")


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, "PR_SET_CHILD_SUBREAPER")


def hide_memory() -> None:
    """Let no process of the same user read this one's memory, or leave a core dump of it."""
    _prctl(_PR_SET_DUMPABLE, 0, "PR_SET_DUMPABLE")


def gain_no_privileges() -> None:
    """Let no program started from here on gain rights it has not got, set-user-id programs included."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")


def landlock_version() -> int:
    """Return the version of Landlock this kernel has, 0 for none."""
    try:
        return _call(_LANDLOCK_CREATE, "landlock", None, ctypes.c_size_t(0), ctypes.c_uint(1))
    except OSError:
        return 0


def landlock(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Allow reading (and executing) below `readable` and everything below `writable`, and no other file.

    From version 4 on, no TCP either; from version 6 on, no signals to processes that started outside.
    """
    version = landlock_version()
    handled = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    fields = [handled, *([3] if version >= 4 else []), *([3] if version >= 6 else [])]
    attributes = struct.pack(f"{len(fields)}Q", *fields)
    rules = _call(_LANDLOCK_CREATE, "landlock", attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        for paths, allowed in ((readable, _EXECUTE | _READ_FILE | _READ_DIR), (writable, handled)):
            for path in paths:
                try:
                    descriptor = os.open(path, os.O_PATH)
                except FileNotFoundError:
                    continue
                fitting = allowed & handled if os.path.isdir(path) else allowed & handled & _ON_FILES
                rule = struct.pack("=Qi", fitting, descriptor)
                try:
                    _call(_LANDLOCK_ADD, f"landlock {path}", rules, ctypes.c_int(1), rule, ctypes.c_uint(0))
                finally:
                    os.close(descriptor)
        _call(_LANDLOCK_RESTRICT, "landlock", rules, ctypes.c_uint(0))
    finally:
        os.close(rules)


def filter_system_calls(own_pid: int | None = None) -> None:
    """Refuse sockets, tracing, mounts, namespaces and everything else that reaches beyond the process.

    Args:
        own_pid: Where given, signals may go to this process and its group only; for jails without a PID namespace.

    Raises:
        OSError: the kernel has no such filters, or the machine is of a kind whose system calls are not known here.
    """
    machine = platform.machine()
    if machine not in _MACHINES or struct.calcsize("P") != 8:
        raise OSError(_ENOSYS, f"no filter of system calls is known for {machine}")
    audit, column = _MACHINES[machine]
    refuse = struct.pack("HBBI", _RETURN, 0, 0, _ERRNO | _EPERM)
    program = [
        struct.pack("HBBI", _LOAD, 0, 0, 4),
        struct.pack("HBBI", _EQUAL, 1, 0, audit),
        struct.pack("HBBI", _RETURN, 0, 0, _KILL_PROCESS),
        struct.pack("HBBI", _LOAD, 0, 0, 0),
    ]
    if machine == "x86_64":  # the 32-bit variants of the calls have numbers of their own
        program += [struct.pack("HBBI", _AT_LEAST, 0, 1, 0x40000000), refuse]
    for numbers in _SYSTEM_CALLS.values():
        program += [struct.pack("HBBI", _EQUAL, 0, 1, numbers[column]), refuse]
    # clone3 hides its flags from filters; told that there is none, the C library uses clone.
    program += [
        struct.pack("HBBI", _EQUAL, 0, 1, _CLONE3[column]),
        struct.pack("HBBI", _RETURN, 0, 0, _ERRNO | _ENOSYS),
        struct.pack("HBBI", _EQUAL, 0, 3, _CLONE[column]),
        struct.pack("HBBI", _LOAD, 0, 0, 16),
        struct.pack("HBBI", _HAS_BIT, 0, 1, _ANY_NAMESPACE),
        refuse,
        struct.pack("HBBI", _LOAD, 0, 0, 0),
        struct.pack("HBBI", _EQUAL, 0, 4, _PRLIMIT[column]),  # of oneself only
        struct.pack("HBBI", _LOAD, 0, 0, 16),
        struct.pack("HBBI", _EQUAL, 1, 0, 0),
        refuse,
        struct.pack("HBBI", _LOAD, 0, 0, 0),
    ]
    if own_pid is not None:
        for numbers in _KILLS:
            program += [
                struct.pack("HBBI", _EQUAL, 0, 5, numbers[column]),
                struct.pack("HBBI", _LOAD, 0, 0, 16),
                struct.pack("HBBI", _EQUAL, 2, 0, own_pid),
                struct.pack("HBBI", _EQUAL, 1, 0, 0),
                refuse,
                struct.pack("HBBI", _LOAD, 0, 0, 0),
            ]
    program.append(struct.pack("HBBI", _RETURN, 0, 0, _ALLOW))
    instructions = ctypes.create_string_buffer(b"".join(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(instructions)))
    gain_no_privileges()
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, "PR_SET_SECCOMP", ctypes.byref(header))
