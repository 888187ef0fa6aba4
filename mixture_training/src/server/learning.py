"""A server that learns from its feedback: `moe update` from time to time, in a process of its own.

The process takes none of the worker's time or memory, has the same gate, lock and versions as the command, and leaves
the router as it was wherever it is ended. Workers, and other servers on the same folder, take the new version up as
they take up any other.
"""

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixture_training.src.server.serve_config import ServeConfig

#: Seconds after which an update is ended.
LONGEST_S = 900.0
#: How much less urgent than serving it is.
_NICENESS = 10
_COMMAND = [sys.executable, "-m", "mixture_training.src.server.learning"]


async def update(config: "ServeConfig") -> dict[str, Any]:
    """Update the router once, quickly, and return what became of it: `promoted`, `version`, `canary` and `reason`.

    A failure has `failed` instead. Cancelling ends the process.
    """
    from mixture_training.src.feedback_store import feedback_path

    setup = {
        "router": config.router,
        "feedback": config.feedback or str(feedback_path(Path(config.router))),
        "canary": config.update_canary,
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*_COMMAND, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(LONGEST_S):
            out, problem = await process.communicate(json.dumps(setup).encode())  # a URL in it may hold a password
    except TimeoutError:
        return {"failed": f"it took more than {LONGEST_S:g} s"}
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode:
        return {"failed": problem.decode("utf-8", "replace").strip() or f"it ended with {process.returncode}"}
    found: dict[str, Any] = json.loads(out)
    return found


def main() -> None:
    """Update as stdin says."""
    from dataset_build import ToolkitError
    from mixture_training.src.feedback_store import FeedbackStore
    from mixture_training.src.updating import update_router

    os.nice(_NICENESS)
    setup = json.load(sys.stdin)
    try:
        with FeedbackStore(setup["feedback"]) as store:
            report = update_router(setup["router"], store, kind="quick", canary=setup["canary"])
    except ToolkitError as problem:
        raise SystemExit(str(problem)) from None
    except Exception as problem:  # its message may quote what people wrote, and this goes into the log
        raise SystemExit(f"{type(problem).__name__}; `moe update --router {setup['router']}` shows where") from None
    said = {name: getattr(report, name) for name in ("promoted", "version", "canary", "reason", "judgements")}
    sys.stdout.write(json.dumps({**said, "findings": len(report.findings)}))


if __name__ == "__main__":
    main()
