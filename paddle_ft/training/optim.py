"""Optimizer, learning rate schedule, gradient norm."""

from __future__ import annotations

from collections.abc import Iterable

from paddle_ft.config.schema import TrainSection
from paddle_ft.system.runtime import on_cpu


def warmup_steps(section: TrainSection, total_steps: int) -> int:
    """warmup_steps if set, else warmup_proportion of all steps."""
    return section.warmup_steps or int(total_steps * section.warmup_proportion)


def learning_rate(step: int, peak: float, warmup: int, total: int) -> float:
    """Linear from 0 to `peak` over `warmup` steps, then linear to 0 at `total`. `step` counts finished optimizer steps."""
    if step < warmup:
        return peak * step / warmup
    return peak * max(0.0, (total - step) / max(1, total - warmup))


def decayed_names(model) -> set[str]:
    """Paddle's names of the parameters that weight decay applies to: all but biases and the weights of layer norms."""
    import paddle

    norms = (paddle.nn.LayerNorm, paddle.nn.GroupNorm)
    exempt = {id(p) for layer in model.sublayers(include_self=True) if isinstance(layer, norms) for p in layer.parameters()}
    return {
        parameter.name
        for name, parameter in model.named_parameters()
        if id(parameter) not in exempt and not name.endswith("bias")
    }


def make_optimizer(model, section: TrainSection, parameters: list | None = None):
    """AdamW (Loshchilov and Hutter, 2019). The learning rate is set before every step, so the optimizer holds no schedule.

    parameters: those it updates, where it is not all of the model's. Paddle fuses AdamW's arithmetic into one kernel a parameter;
    its kernel for many parameters at once exists for Adam alone.
    """
    import paddle

    decayed = decayed_names(model)
    return paddle.optimizer.AdamW(
        learning_rate=section.learning_rate,
        beta1=section.adam_beta1,
        beta2=section.adam_beta2,
        epsilon=section.adam_epsilon,
        parameters=[p for p in model.parameters() if not p.stop_gradient] if parameters is None else parameters,
        weight_decay=section.weight_decay,
        apply_decay_param_fun=lambda name: name in decayed,
        multi_precision=section.use_amp and section.amp_level == "O2",
    )


def frozen_rows(model) -> list[tuple]:
    """(parameter, row, its values) of the rows that lm_heads.freeze_row has fixed."""
    return [(p, p.frozen_row, p[p.frozen_row].detach().clone()) for p in model.parameters() if hasattr(p, "frozen_row")]


def put_back(rows: list[tuple]) -> None:
    """Gives frozen rows their values again after a step: AdamW decays the whole parameter, gradient or none."""
    import paddle

    with paddle.no_grad():
        for parameter, row, values in rows:
            parameter[row] = values


def clip_gradients(parameters: Iterable, max_norm: float, norm=None):
    """Scales all gradients down so that their joint L2 norm is at most max_norm (0: leaves them). Returns the norm, fp32 scalar.

    norm: where it is known, as other processes have gradients that count too.
    """
    import paddle

    gradients = [p.grad for p in parameters if p.grad is not None]
    with paddle.no_grad():
        if norm is None:
            norm = paddle.stack([g.astype("float32").square().sum() for g in gradients]).sum().sqrt()
        if max_norm <= 0 or (on_cpu() and float(norm) <= max_norm):
            return norm  # on a CPU reading the norm costs nothing, multiplying every gradient by 1 does
        factor = paddle.clip(max_norm / (norm + 1e-6), max=1.0)
        for gradient in gradients:
            gradient.multiply_(factor.astype(gradient.dtype))
    return norm
