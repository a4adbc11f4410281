"""What may end a training after an evaluation, besides early stopping. This module does without Paddle."""

from collections.abc import Callable

StopRule = Callable[[int, float, float], str]
"""Called after each evaluation on validation with the step, the share of the training that is done (1 if it ends here anyway), and
the value of the metric that chooses the best checkpoint. Return why the training ends here, or ""."""
