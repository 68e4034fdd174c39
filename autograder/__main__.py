"""The command `autograder`, which is `python -m autograder`, too."""

import io
import sys


def main() -> None:
    """Run the command; an interrupt while all is imported ends it without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not every encoding has a check mark
            stream.reconfigure(errors="replace")
    try:
        from autograder.cli import app

        app(prog_name="autograder")
    except KeyboardInterrupt:
        print("autograder: interrupted", file=sys.stderr)
        sys.exit(130)
    finally:
        # Python remembers an interrupt that came while text was executed, as `dataclass` does on
        # import, and ends by the signal whatever was made of it. The next text makes it forget, so
        # that the exit status is the command's.
        exec("")


if __name__ == "__main__":
    main()
