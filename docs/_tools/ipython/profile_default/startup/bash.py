"""Run ``%%bash`` cells in one go: IPython's own prints in chunks, which break lines."""

import subprocess
import sys

from IPython import get_ipython


def bash(line: str, cell: str) -> None:
    """Run a cell with bash; stdout and stderr in the order in which they were written."""
    command = ["bash", *line.split(), "-c", cell]
    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    sys.stdout.write(ran.stdout.decode())
    ran.check_returncode()


get_ipython().register_magic_function(bash, "cell")
