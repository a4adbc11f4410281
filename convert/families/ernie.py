"""ERNIE as transformers has it: BERT, with a task-type embedding if the configuration asks for one."""

from dataclasses import replace

from convert.families.bert import BACKBONE, BERT, CONFIG, H, tasks
from convert.family import Family
from convert.fields import Field
from convert.rules import Embedding, If

TASK_TYPES = Embedding("embeddings.task_type_embeddings", "embeddings.task_type_embeddings", "task_type_vocab_size", H)

FAMILIES: tuple[Family, ...] = (
    replace(
        BERT,
        model_type="ernie",
        paddle_type="ernie",
        hf_prefix="ernie.",
        paddle_prefix="ernie.",
        config=(*CONFIG, Field("use_task_id", default=False), Field("task_type_vocab_size", default=3)),
        backbone=(*BACKBONE, If(lambda config: config["use_task_id"], (TASK_TYPES,))),
        tasks=tasks("Ernie"),
        harmless=("task_id",),
    ),
)
