"""What a command that does not serve leaves unloaded, so that it answers at once."""

import subprocess
import sys


def test_looking_after_accounts_takes_no_numpy() -> None:
    program = "import sys, scopegate.cli; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
