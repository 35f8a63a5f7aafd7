"""Notebooks are compared with a numeric tolerance, see tests/nbval_tolerance.py."""

import os

# Before torch is imported: on small models more threads only wait for each other, and the number of
# threads decides the last bits of sums.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["nbval_tolerance"]
