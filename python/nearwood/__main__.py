"""``python -m nearwood``: the command line."""

from __future__ import annotations

import signal
import sys
import threading


def main(args: list[str] | None = None) -> int:
    """Runs the ``nearwood`` command; its exit code.

    Ctrl-C ends the process at once, as it does the native command: files are written beside their
    target and renamed, so that nothing half-written stays.

    Args:
        args: What stands after the command's name; None: the process's arguments.
    """
    from nearwood._core import run_cli

    before = None
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return run_cli([sys.executable, "-m", "nearwood"], sys.argv[1:] if args is None else args)
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    sys.exit(main())
