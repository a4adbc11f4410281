"""Faults, each tried for real: killed processes, full disks, closed outputs, other locales. docs/reliability.md has the table."""
