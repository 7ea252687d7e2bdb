"""`kb`, and `python -m kb_assistant`, which runs it even if the script isn't on the search path."""

import sys


def main() -> None:
    """Run the command line. Ctrl-C ends it in order also while it is being loaded."""
    try:
        from kb_assistant.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
