"""Set up the CPU as a user's training does, before any test imports paddle."""

from paddle_ft.system.runtime import prepare_cpu

prepare_cpu()
