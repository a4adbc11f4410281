"""Runs before any test imports paddle: the same CPU set-up as a user's training has."""

from paddle_ft.system.runtime import prepare_cpu

prepare_cpu()
