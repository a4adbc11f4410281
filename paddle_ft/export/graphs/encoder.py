"""Define the graphs of models that only have an encoder. Shapes: b batch, s sequence, n chosen positions, v vocabulary."""

from __future__ import annotations

from typing import Any

from paddle_ft.export.graphs.layer import Graph

IDS: tuple[list[int | None], Any] = ([None, None], "int64")


class Classifier(Graph):
    """Compute the logits [b, classes] of texts."""

    outputs = ("logits",)

    def __init__(self, model: Any, token_types: bool):
        super().__init__(model)
        names = ["input_ids", "attention_mask", *(["token_type_ids"] if token_types else [])]
        self.inputs = {name: IDS for name in names}

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
        """Return the logits. token_type_ids is only given if the model takes them."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        return self.model(**inputs).astype("float32")


class MaskedLanguageModel(Graph):
    """Compute the logits [n, v] at chosen positions [n] of the flattened input_ids [b, s]."""

    outputs = ("logits",)

    def __init__(self, model: Any, architecture: Any):
        super().__init__(model)
        self.architecture = architecture
        self.inputs = {"input_ids": IDS, "attention_mask": IDS, "positions": ([None], "int64")}

    def forward(self, input_ids: Any, attention_mask: Any, positions: Any) -> Any:
        """Return the logits."""
        return self.architecture.masked_lm_logits(self.model, input_ids, attention_mask, positions).astype("float32")
