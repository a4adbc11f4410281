"""Optimizer, learning rate schedule, gradient clipping, and what several processes do with gradients (here: nothing)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from paddle_ft.config.schema import TrainSection


def warmup_steps(section: TrainSection, num_steps: int) -> int:
    """Return warmup_steps if it is set, else warmup_proportion of all steps."""
    return section.warmup_steps or int(num_steps * section.warmup_proportion)


def learning_rate(step: int, peak: float, warmup: int, num_steps: int) -> float:
    """Return the learning rate of a step: linear from 0 to `peak` over `warmup` steps, then linear to 0 at `num_steps`.

    step: how many optimizer steps are finished.
    """
    if step < warmup:
        return peak * step / warmup
    return peak * max(0.0, (num_steps - step) / max(1, num_steps - warmup))


def decayed_names(model) -> set[str]:
    """Return Paddle's names of the parameters with weight decay: all but biases and the weights of layer norms."""
    import paddle

    norms = (paddle.nn.LayerNorm, paddle.nn.GroupNorm)
    exempt = {id(p) for layer in model.sublayers(include_self=True) if isinstance(layer, norms) for p in layer.parameters()}
    return {
        parameter.name
        for name, parameter in model.named_parameters()
        if id(parameter) not in exempt and not name.endswith("bias")
    }


def trained_parameters(model) -> list:
    """Return the parameters that are trained, in the model's order."""
    return [p for p in model.parameters() if not p.stop_gradient]


def make_optimizer(model, section: TrainSection, parameters: list | None = None):
    """Make AdamW (Loshchilov and Hutter, 2019). The learning rate is set before every step, so it holds no schedule.

    Paddle fuses AdamW's arithmetic into one kernel a parameter. Its kernel for many parameters at once exists for Adam only.

    Args:
        parameters: those to update, where this process does not update all that are trained.
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
    """Rows of parameters that training leaves as they are, such as the embedding of the padding token.

    They take no gradient (models.vocabulary.freeze_row), but AdamW's weight decay works on whole parameters.
    """

    def __init__(self, rows: Iterable[tuple]):
        """rows: (parameter, row number) pairs."""
        self.rows = [(parameter, row, parameter[row].detach().clone()) for parameter, row in rows]

    def restore(self) -> None:
        """Give the rows their values back after an optimizer step."""
        import paddle

        with paddle.no_grad():
            for parameter, row, values in self.rows:
                parameter[row] = values


def clip_gradients(parameters: Iterable, max_norm: float, norm=None, on_cpu: bool = False):
    """Scale all gradients down so that their joint L2 norm is at most max_norm (0 turns this off).

    Args:
        norm: the norm, where other processes hold gradients that count too.
        on_cpu: leave gradients alone that are small enough. Reading the norm to know this costs nothing on a CPU.

    Returns:
        The norm before scaling, an fp32 scalar tensor.
    """
    import paddle

    gradients = [p.grad for p in parameters if p.grad is not None]
    with paddle.no_grad():
        if norm is None:
            norm = paddle.stack([g.astype("float32").square().sum() for g in gradients]).sum().sqrt()
        if max_norm <= 0 or (on_cpu and float(norm) <= max_norm):
            return norm
        factor = paddle.clip(max_norm / (norm + 1e-6), max=1.0)
        for gradient in gradients:
            gradient.multiply_(factor.astype(gradient.dtype))
    return norm


class GradientSync:
    """What happens to gradients and weights around an optimizer step, besides the step. In one process this is nothing.

    The strategies for several processes (data parallel, ZeRO stages 1 to 3) are subclasses in training/distributed/. The step
    calls all of them alike, in the order of the methods below.

    Attributes:
        owned: the parameters that this process clips and updates.
    """

    def __init__(self, model):
        self.owned = trained_parameters(model)

    def sum_over_ranks(self, values: list[float]) -> list[float]:
        """Return the sums of each rank's numbers."""
        return values

    def before_step(self) -> None:
        """Prepare the weights for the forward and backward passes of a step."""

    def after_backward(self) -> None:
        """Take the gradients of one backward pass. Every rank calls this equally often; one without a batch does too."""

    def reduce_gradients(self) -> None:
        """Put the step's gradients, summed over all ranks, into `owned`."""

    def agree_on_overflow(self, scaler) -> None:
        """float16: make all ranks skip the step if a gradient of any rank is not finite."""

    def grad_norm(self):
        """Return the L2 norm of the gradients of all ranks' parameters, or None where `owned` is all there is."""
        return None

    def after_step(self) -> None:
        """Give all ranks the updated weights."""

    def gather_weights(self) -> None:
        """Put all weights into this process, to evaluate or save the model. Every rank must call this."""

    def gather_optimizer_states(self, collect: Callable[[], dict]) -> dict:
        """Return the optimizer states of all ranks on rank 0. Every rank must call this.

        collect: returns this rank's own states, NumPy arrays by name.
        """
        return collect()
