"""`python -m autograder` is the command `autograder`."""

from autograder.cli import app

try:
    app(prog_name="autograder")
finally:
    # Python remembers an interrupt that came while text was executed, as `dataclass` does on
    # import, and ends by the signal whatever was made of it. The next text makes it forget, so that
    # the exit status is the command's.
    exec("")
