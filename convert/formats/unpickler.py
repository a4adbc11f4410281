"""Define the unpickler for readers of pickled files. It can build only the parts of a state dict."""

from __future__ import annotations

import pickle


class StateUnpickler(pickle._Unpickler):
    """An unpickler based on Python's implementation in Python, whose opcodes can be replaced.

    Dictionary keys must be strings or integers, and sets are not supported, because hashing a tuple nested a million levels deep
    would crash the interpreter. Subclasses decide in `find_class` which names a file may use.
    """

    dispatch = dict(pickle._Unpickler.dispatch)
    for _opcode in (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET):
        del dispatch[_opcode[0]]

    def _set(self, target: object, items: list) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):
                raise pickle.UnpicklingError(f"a dictionary's key is a {type(key).__name__}")
            dict.__setitem__(target, key, value)

    def load_setitem(self):
        value, key = self.stack.pop(), self.stack.pop()
        self._set(self.stack[-1], [key, value])

    def load_setitems(self):
        items = self.pop_mark()
        self._set(self.stack[-1], items)

    def load_dict(self):
        items, result = self.pop_mark(), {}
        self._set(result, items)
        self.append(result)

    def load_build(self):
        if callable(self.stack[-2]):
            raise pickle.UnpicklingError("a function or a class is given attributes")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict
