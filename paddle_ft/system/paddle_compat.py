"""placeholder"""


def is_initialized(tensor) -> bool:
    return tensor._is_initialized()


def register_backward_hook(parameter, hook):
    parameter._register_backward_hook(hook)


def overflow_found(scaler):
    return scaler._found_inf


def set_overflow_found(scaler, value):
    scaler._found_inf = value


def share_buffer(source, target):
    source._share_buffer_to(target)


def free_data(tensor):
    tensor._clear_data()


def replace_forward(layer, forward):
    layer.__dict__["forward"] = forward


def original_forward(layer):
    return getattr(layer.__dict__.get("forward"), "__wrapped__", layer.forward)
