"""Fuzzing: feed broken and random input to what reads input. `python -m tests.fuzz` runs it. CONTRIBUTING.md says how to add to it.

target.py says what a target is, mutation.py makes inputs, guard.py runs one case and watches it, search.py runs many in a process
of their own, and corpus/ has the inputs that once broke something. tests/fuzz/targets/ holds the targets.
"""
