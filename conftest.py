"""Notebooks are compared with a numeric tolerance, see tests/nbval_tolerance.py."""

pytest_plugins = ["nbval_tolerance"]
