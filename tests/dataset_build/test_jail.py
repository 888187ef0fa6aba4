"""The jail: what programs may do in it, what hostile ones try, and that neither the machine nor others notice."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataset_build.src import jail as jail_module
from dataset_build.src.jail import Jail, describe_jail
from dataset_build.src.jail_records import NEEDED, JailError, JailReport, Limits, Outcome

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="programs are confined on Linux only")
SHORT = Limits(wall_s=2.0, cpu_s=2.0, memory_mb=256, processes=32, file_mb=2, disk_mb=8, output_mb=0.5)
SECRET = "sk-canary-of-the-parent"


@pytest.fixture(scope="module", params=[True, False], ids=["namespaces", "no namespaces"])
def jail(request: pytest.FixtureRequest) -> Iterator[Jail]:
    """A jail of each kind that this machine has."""
    os.environ["CANARY_API_KEY"] = SECRET
    try:
        made = Jail(use_namespaces=request.param)
    except JailError as reason:
        pytest.skip(str(reason))
    finally:
        del os.environ["CANARY_API_KEY"]
    with made:
        if request.param and "disk" in made.report.missing:
            pytest.skip("no namespaces here")
        try:
            made.run({"program.py": ""})
        except JailError as reason:  # the interpreter is where no other user may read it
            pytest.skip(str(reason))
        yield made


def run(jail: Jail, program: str, *, stdin: str = "", limits: Limits = SHORT) -> Outcome:
    return jail.run({"program.py": program}, stdin=stdin, limits=limits)


def attempts(jail: Jail, *statements: str) -> list[str]:
    """Run each statement in the jail and return what became of it: "done: …" or the name of the error."""
    program = "import ctypes, os, signal, socket, subprocess, shutil\n" + "".join(
        f"try:\n    result = {statement}\n    print('done:', result)\n"
        "except BaseException as problem:\n    print(type(problem).__name__)\n"
        for statement in statements
    )
    return run(jail, program).stdout.splitlines()


def living(marker: str) -> list[int]:
    """Return the processes whose command line holds a marker."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (folder / "cmdline").read_text():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def gone(marker: str) -> bool:
    """Return whether all processes with that marker end within some seconds."""
    for _ in range(200):
        if not living(marker):
            return True
        time.sleep(0.05)
    return False


def test_a_program_reads_its_input_and_its_end_is_told(jail: Jail) -> None:
    outcome = run(jail, "import sys\nprint(input()[::-1])\nprint(repr(sys.stdin.read()))\nsys.exit(3)", stdin="abc\n")
    assert (outcome.stdout, outcome.exit_code, outcome.killed) == ("cba\n''\n", 3, None)


def test_it_starts_in_an_empty_directory_with_an_empty_environment_and_leaves_nothing(jail: Jail) -> None:
    program = (
        "import json, os\nprint(json.dumps([os.listdir(), dict(os.environ), os.getcwd()]))\nopen('x', 'w').close()"
    )
    seen = [json.loads(run(jail, program).stdout) for _ in range(2)]
    for files, environment, folder in seen:
        assert files == ["program.py"]
        assert environment["HOME"] == folder
        assert set(environment) <= {"PATH", "LANG", "HOME", "TMPDIR", "PYTHONHASHSEED", "OMP_NUM_THREADS",
                                    "OPENBLAS_NUM_THREADS", "LC_CTYPE"}  # fmt: skip
        assert not Path(folder, "program.py").exists()


def test_it_runs_as_nobody_in_particular(jail: Jail) -> None:
    assert int(run(jail, "import os\nprint(os.getuid())").stdout) != 0 or os.getuid() != 0
    assert not attempts(jail, "os.setuid(0)")[0].startswith("done")


@pytest.mark.parametrize(
    ("program", "killed"),
    [
        pytest.param("while True: pass", "longer than 2 s", id="infinite loop"),
        pytest.param("import time\ntime.sleep(60)", "longer than 2 s", id="sleep"),
        pytest.param(
            "import signal, time\nfor n in range(1, 32):\n    if n not in (9, 19): signal.signal(n, signal.SIG_IGN)\n"
            "while True: time.sleep(1)",
            "longer than 2 s",
            id="deaf to signals",
        ),
        pytest.param("import sys\nwhile True: sys.stdout.write('x' * 65536)", "wrote more than", id="endless output"),
        pytest.param("import sys\nwhile True: sys.stderr.write('x' * 65536)", "wrote more than", id="endless errors"),
        pytest.param(
            "import os, time\nos.close(1)\nos.close(2)\ntime.sleep(60)", "longer than 2 s", id="closed output"
        ),
    ],
)
def test_what_does_not_end_is_ended(jail: Jail, program: str, killed: str) -> None:
    outcome = run(jail, program)
    assert outcome.exit_code is None
    assert killed in str(outcome.killed)
    assert len(outcome.stdout) <= SHORT.output_mb * 2**20


@pytest.mark.parametrize(
    ("program", "error"),
    [
        pytest.param("a = 'x' * 10**10", "MemoryError", id="one large text"),
        pytest.param("a = [0]\nwhile True: a += a", "MemoryError", id="a growing list"),
        pytest.param(
            "with open('f', 'wb') as f:\n    while True: f.write(b'x' * 65536)", "File too large", id="a huge file"
        ),
        pytest.param("files = [open(str(n), 'w') for n in range(5000)]", "Too many open files", id="many files"),
        pytest.param("import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()", "", id="deep recursion"),
    ],
)
def test_what_takes_too_much_fails_by_itself(jail: Jail, program: str, error: str) -> None:
    outcome = run(jail, program)
    assert outcome.exit_code != 0
    assert error in outcome.stderr


def test_many_files_together_fill_only_the_jails_own_disk(jail: Jail) -> None:
    if "disk" in jail.report.missing:
        pytest.skip("this jail has no disk of its own, and says so")
    program = "for n in range(1000):\n    with open(str(n), 'wb') as f: f.write(b'x' * 2**20)"
    assert "No space left" in run(jail, program).stderr


def test_memory_of_all_processes_together_is_limited(jail: Jail) -> None:
    program = (
        "import os, time\nfor n in range(6):\n    if os.fork() == 0: break\n"
        "held = bytearray(120 * 2**20)\nfor at in range(0, len(held), 4096): held[at] = 1\ntime.sleep(60)"
    )
    assert "MB" in str(run(jail, program, limits=Limits(wall_s=20, memory_mb=256)).killed)


def test_memory_that_nobody_would_count_cannot_be_had(jail: Jail) -> None:
    assert attempts(jail, "os.memfd_create('x')", "ctypes.CDLL(None).syscall(447, 0) < 0 and 1/0") == [
        "PermissionError",
        "ZeroDivisionError",
    ]


def test_the_number_of_processes_is_limited_and_a_fork_bomb_harms_nobody(jail: Jail) -> None:
    children = (
        "import os, time\ncount = 0\ntry:\n    for _ in range(200):\n        if os.fork() == 0:\n"
        "            time.sleep(30)\n            os._exit(0)\n        count += 1\nexcept OSError: pass\nprint(count)"
    )
    assert int(run(jail, children).stdout) <= SHORT.processes
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    assert "longer than" in str(run(jail, bomb).killed) or "processes" in str(run(jail, bomb).killed)
    assert run(jail, "print(1)").stdout == "1\n"


def test_daemons_end_with_their_program(jail: Jail) -> None:
    marker = f"jail-marker-{os.getpid()}-{jail.report.missing == {}}"
    program = (
        "import os, sys\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        f"        os.execv(sys.executable, [sys.executable, '-S', '-c', 'import time; time.sleep(90) # {marker}'])\n"
        "    os._exit(0)\nos.wait()\nimport time\ntime.sleep(0.3)\nprint('left')"
    )
    assert run(jail, program).stdout == "left\n"
    assert gone(marker)


def test_files_outside_are_neither_changed_nor_removed(jail: Jail, tmp_path: Path) -> None:
    folder = tmp_path / "canary"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    canary = folder / "file.txt"
    canary.write_text("alive")
    canary.chmod(0o666)
    results = attempts(
        jail,
        f"os.remove({str(canary)!r})",
        f"open({str(canary)!r}, 'w').write('dead')",
        f"open({str(folder / 'new')!r}, 'w')",
        f"os.rename({str(canary)!r}, 'mine')",
        f"os.link({str(canary)!r}, 'mine')",
        f"os.chmod({str(canary)!r}, 0) if {jail.report.missing == {}} else 1/0",
        "open('/usr/lib/jail-canary', 'w')",
        "open('/tmp/../etc/jail-canary', 'w')",
        "open('/dev/shm/jail-canary', 'w')",
    )
    assert not [result for result in results if result.startswith("done")]
    run(jail, f"import shutil\nfor path in ('/', {str(tmp_path)!r}): shutil.rmtree(path, ignore_errors=True)")
    assert canary.read_text() == "alive"
    assert os.listdir(folder) == ["file.txt"]


def test_a_link_that_a_program_leaves_behind_leads_the_cleaning_nowhere(jail: Jail, tmp_path: Path) -> None:
    canary = tmp_path / "file.txt"
    canary.write_text("alive")
    run(jail, f"import os\nos.symlink({str(tmp_path)!r}, 'link')\nos.mkdir('d')\nos.chmod('d', 0)")
    assert canary.read_text() == "alive"


def test_nothing_of_the_machine_or_the_parent_can_be_read(jail: Jail, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o644)
    results = attempts(
        jail,
        "open('/etc/passwd').read()",
        "open('/etc/shadow').read()",
        f"open({str(secret)!r}).read()",
        f"open('/proc/{os.getpid()}/environ').read()",
        "open(f'/proc/{os.getppid()}/environ').read()",
        "open('/proc/1/environ').read()",
        f"open('/proc/{os.getpid()}/mem', 'rb').read(1)",
        f"os.listdir('/proc/{os.getpid()}/fd')",
        "os.listdir('/root')",
        "os.listdir('/home')",
    )
    assert not [result for result in results if result.startswith("done")]


def test_no_network_call_arrives(jail: Jail) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        results = attempts(
            jail,
            f"socket.create_connection(('127.0.0.1', {port}), timeout=1)",
            "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
            "socket.socket(socket.AF_UNIX)",
            "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
            "socket.create_connection(('192.0.2.1', 80), timeout=1)",
            "__import__('urllib.request').request.urlopen('http://192.0.2.1', timeout=1)",
        )
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()
    assert not [result for result in results if result.startswith("done")]


def test_signals_and_tracing_reach_nobody(jail: Jail) -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: received.append(number))
    try:
        results = attempts(
            jail,
            f"os.kill({os.getpid()}, signal.SIGUSR1)",
            f"os.killpg({os.getpgid(0)}, signal.SIGUSR1)",
            f"ctypes.CDLL(None).ptrace(16, {os.getpid()}, 0, 0) and 1/0",
            "ctypes.CDLL(None).unshare(0x10000000) and 1/0",
            "ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None) and 1/0",
            "ctypes.CDLL(None).syscall(425, 8, None) < 0 and 1/0",
        )
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not [result for result in results if result.startswith("done")]
    assert received == []


def test_killing_everything_it_can_leaves_other_programs_alone(jail: Jail) -> None:
    with open(os.devnull, "rb") as nothing:
        other = jail.start(
            {"program.py": "import time\ntime.sleep(0.6)\nprint('untouched')"},
            main="program.py",
            stdin=nothing.fileno(),
            limits=SHORT,
        )
        run(jail, "import os\nfor pid in (-1, 1, os.getppid()):\n    try: os.kill(pid, 9)\n    except OSError: pass")
        assert jail.wait(other).stdout == "untouched\n"


def test_a_server_that_is_killed_is_said_and_replaced() -> None:
    try:
        made = Jail()
    except JailError as reason:
        pytest.skip(str(reason))
    with made:
        assert made._process is not None
        made._process.kill()
        made._process.wait()
        with pytest.raises(JailError, match="server"):
            run(made, "print(1)")
        assert run(made, "print(1)").stdout == "1\n"


def test_programs_do_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    marker = f"jail-orphan-{os.getpid()}"
    script = (
        "from dataset_build.src.jail import Jail\n"
        "with Jail() as jail:\n    print('ready', flush=True)\n"
        f"    jail.run({{'{marker}.py': 'import time; time.sleep(60)'}}, main='{marker}.py')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert parent.stdout is not None
    if parent.stdout.readline() != b"ready\n":
        parent.wait()
        parent.stdout.close()
        pytest.skip("programs cannot be confined here")
    for _ in range(100):
        if living(marker):
            break
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(marker)


def test_it_finds_itself_where_an_import_hook_found_it(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [path for path in sys.path if not (Path(path) / "dataset_build").is_dir()]  # as an editable install has it
    monkeypatch.setattr(sys, "path", others)
    with Jail(allow_weak=True) as made:
        assert made.report.active


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["/usr/bin/no-such-python"], "No such file"),
        ([jail_module._base_python(), "--no-such-option"], "Try"),
    ],
)
def test_an_interpreter_that_cannot_be_used_in_the_jail_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, command: list[str], told: str
) -> None:
    monkeypatch.setattr(Jail, "python", command)
    try:
        made = Jail()
    except JailError as reason:
        pytest.skip(str(reason))
    with made, pytest.raises(JailError, match=rf"No program runs in the jail.*{told}.*by {command[0]}"):
        made.check()


def test_the_report_names_every_protection_once() -> None:
    report = describe_jail()
    assert set(NEEDED) <= set(report.active) | set(report.missing)
    assert not set(report.active) & set(report.missing)
    assert len(report.lines()) == len(report.active) + len(report.missing)


def test_a_machine_that_cannot_confine_is_refused_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    report = JailReport({"limits": "rlimits"}, {"network": "no filter", "disk": "no namespaces"})
    monkeypatch.setattr(jail_module, "report_of", lambda told: report)
    with pytest.raises(JailError, match=r"not protected: network \(no filter\)"):
        Jail()
    with Jail(allow_weak=True) as weak:
        assert weak.report is report


def test_elsewhere_than_on_linux_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(JailError, match="Linux only"):
        Jail()


@pytest.mark.parametrize("name", ["../x", "/etc/x", "", ".", ".."])
def test_files_go_into_the_programs_directory_only(jail: Jail, name: str) -> None:
    with pytest.raises(JailError, match="plain names"):
        jail.run({name: ""})


def test_any_text_can_be_a_program(jail: Jail) -> None:
    assert run(jail, "print('\ud800 \0 \u202e')").exit_code != 0
    assert run(jail, "print('é\u202e')").stdout == "é\u202e\n"
