"""The tests."""

import os

# Its threads would only wait for each other: every test worker and gateway process has its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Without bytecode each of the many gateways would compile every module at its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
