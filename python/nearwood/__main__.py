"""``python -m nearwood``: the command line."""

from __future__ import annotations

import sys


def main(args: list[str] | None = None) -> int:
    """Runs the ``nearwood`` command; its exit code.

    Args:
        args: What stands after the command's name; None: the process's arguments.
    """
    from nearwood._core import run_cli

    return run_cli([sys.executable, "-m", "nearwood"], sys.argv[1:] if args is None else args)


if __name__ == "__main__":
    sys.exit(main())
