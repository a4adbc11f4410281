"""Make the optimizer, compute the learning rate, clip gradients, and define how processes synchronise gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from paddle_ft.config.schema import TrainSection


def warmup_steps(section: TrainSection, num_steps: int) -> int:
    """Return train.warmup_steps if it is set, else the share train.warmup_proportion of all steps."""
    return section.warmup_steps or int(num_steps * section.warmup_proportion)


def learning_rate(step: int, peak: float, warmup: int, num_steps: int, schedule: str = "linear") -> float:
    """Return the learning rate of a step: linear from 0 to `peak` over `warmup` steps, then as the schedule says.

    Args:
        step: number of finished optimizer steps.
        peak: train.learning_rate.
        warmup: number of warmup steps.
        num_steps: number of steps of the whole training.
        schedule: train.lr_scheduler_type. linear: linear to 0 at `num_steps`; constant_with_warmup: `peak`.
    """
    if step < warmup:
        return peak * step / warmup
    if schedule == "constant_with_warmup":
        return peak
    return peak * max(0.0, (num_steps - step) / max(1, num_steps - warmup))


def describe_warmup(section: TrainSection, num_steps: int) -> list[str]:
    """Return what is said about a warm-up that is not shorter than the training. train.warmup_proportion is always shorter."""
    warmup = warmup_steps(section, num_steps)
    if warmup < num_steps:
        return []
    highest = learning_rate(num_steps - 1, section.learning_rate, warmup, num_steps)
    return [
        f"train.warmup_steps: the warm-up of {warmup:,} steps is not shorter than the training of {num_steps:,}: the learning rate"
        f" reaches {highest:.2g} at most, and not train.learning_rate={section.learning_rate:g}"
    ]


def decayed_names(model) -> set[str]:
    """Return Paddle's names of the parameters that have weight decay: all except biases and layer norms."""
    import paddle

    norms = (paddle.nn.LayerNorm, paddle.nn.GroupNorm)
    exempt = {id(p) for layer in model.sublayers(include_self=True) if isinstance(layer, norms) for p in layer.parameters()}
    return {
        parameter.name for name, parameter in model.named_parameters() if id(parameter) not in exempt and not name.endswith("bias")
    }


def trained_parameters(model) -> list:
    """Return the parameters that are not frozen, in the model's order."""
    return [p for p in model.parameters() if not p.stop_gradient]


def make_optimizer(model, section: TrainSection, parameters: list | None = None):
    """Make an AdamW optimizer (Loshchilov and Hutter, 2019). It has no schedule: each step sets its learning rate.

    Paddle runs one fused kernel for each parameter. Its kernel for many parameters at once exists for Adam only.

    Args:
        model: the model to train.
        section: the configuration's train section.
        parameters: the parameters to update; default: all that are not frozen.
    """
    import paddle

    decayed = decayed_names(model)
    return paddle.optimizer.AdamW(
        learning_rate=section.learning_rate,
        beta1=section.adam_beta1,
        beta2=section.adam_beta2,
        epsilon=section.adam_epsilon,
        parameters=trained_parameters(model) if parameters is None else parameters,
        weight_decay=section.weight_decay,
        apply_decay_param_fun=lambda name: name in decayed,
        multi_precision=section.use_amp and section.amp_level == "O2",
    )


class FrozenRows:
    """Rows of parameters that training must not change, such as the embedding of the padding token.

    Their gradient is zero (models.vocabulary.freeze_row), but AdamW's weight decay applies to whole parameters.
    """

    def __init__(self, rows: Iterable[tuple]):
        """Store the current values of (parameter, row number) pairs."""
        self.rows = [(parameter, row, parameter[row].detach().clone()) for parameter, row in rows]

    def restore(self) -> None:
        """Set the rows back to their stored values after an optimizer step."""
        import paddle

        with paddle.no_grad():
            for parameter, row, values in self.rows:
                parameter[row] = values


def squared_norm(gradient, on_cpu: bool):
    """Return the square of a gradient's L2 norm, a float32 scalar tensor. On a CPU a matrix product makes no array of squares."""
    import paddle

    flat = gradient.astype("float32").reshape([1, -1])
    return paddle.matmul(flat, flat, transpose_y=True).sum() if on_cpu else flat.square().sum()


def clip_gradients(parameters: Iterable, max_norm: float, norm=None, on_cpu: bool = False):
    """Scale all gradients down so that their joint L2 norm is at most max_norm.

    Args:
        parameters: the parameters whose gradients are scaled.
        max_norm: the limit; 0 turns clipping off.
        norm: the norm if it includes gradients of other processes; default: computed here.
        on_cpu: whether the gradients are on the CPU. Reading the norm is free there, but multiplying all gradients by 1 is not, so
            gradients within the limit are not touched, and multiplying by a number is five times as fast as by a tensor.

    Returns:
        The norm before scaling, a float32 scalar tensor.
    """
    import paddle

    gradients = [p.grad for p in parameters if p.grad is not None]
    with paddle.no_grad():
        if norm is None:
            norm = paddle.stack([squared_norm(gradient, on_cpu) for gradient in gradients]).sum().sqrt()
        if max_norm <= 0 or (on_cpu and float(norm) <= max_norm):
            return norm
        factor = paddle.clip(max_norm / (norm + 1e-6), max=1.0)
        for gradient in gradients:
            if on_cpu:
                gradient.scale_(float(factor))
            else:
                gradient.multiply_(factor.astype(gradient.dtype))
    return norm


class GradientSync:
    """Synchronise gradients and weights of several processes around an optimizer step. This class does nothing: one process.

    The strategies for several processes (data parallel, ZeRO stages 1 to 3) are subclasses in training/distributed/. The training
    step calls the methods in the order in which they are defined here.

    Attributes:
        owned: the parameters that this process clips and updates.
    """

    def __init__(self, model):
        self.owned = trained_parameters(model)

    def wrap_optimizer(self, optimizer):
        """Return what updates the weights, made of an optimizer for `owned`. Called once, before the first step."""
        return optimizer

    def sum_over_ranks(self, values: list[float]) -> list[float]:
        """Return the sum over all ranks of each of the values."""
        return values

    def before_step(self) -> None:
        """Prepare the weights for the forward and backward passes of a step."""

    def before_backward(self, is_last: bool) -> None:
        """Prepare for a backward pass. Every rank calls this equally often, even without a batch.

        Args:
            is_last: whether it is the last one of the step.
        """

    def after_backward(self) -> None:
        """Process the gradients of one backward pass. Every rank calls this equally often, even without a batch."""

    def reduce_gradients(self) -> None:
        """Set the gradients of `owned` to the sums over all ranks."""

    def agree_on_overflow(self, scaler) -> None:
        """Make all ranks skip the step if a gradient of any rank is not finite (float16 only)."""

    def grad_norm(self):
        """Return the L2 norm of all ranks' gradients, or None if this rank has all of them in `owned`."""
        return None

    def after_step(self) -> None:
        """Send the updated weights to all ranks."""

    def gather_weights(self) -> None:
        """Make all weights available on every rank, for evaluating and saving. Every rank must call this."""

    def gather_optimizer_states(self, collect: Callable[[], dict]) -> dict:
        """Return the optimizer states of all ranks on rank 0. Every rank must call this.

        Args:
            collect: returns this rank's own states, NumPy arrays by name.
        """
        return collect()
