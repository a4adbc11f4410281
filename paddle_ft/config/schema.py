"""The sections of the configuration. Each field has a type, a default, an allowed range and a one-line description.

BaseConfig contains the sections of all recipes. The tasks that generate text add GenerationSection. The `task` section, and
everything else that only one task needs, is declared with that task in paddle_ft/tasks/. `--print-config` shows the descriptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from paddle_ft.system.encodings import text_encoding


class Section(BaseModel):
    """Base class of all sections. Types are strict ("18" is not 18, true is not 1), and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, validate_default=False, allow_inf_nan=False)


class LoRASection(Section):
    """Low-rank adapters on layers of the encoder and decoder; all other weights stay unchanged."""

    rank: int = Field(8, ge=1, description="rank of each adapter")
    alpha: int = Field(16, ge=1, description="an adapter's output is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout on the input of the adapters")
    targets: list[str] | None = Field(
        None,
        min_length=1,
        description="names of the layers that get an adapter, such as [q_proj, v_proj, linear1] (null: all layers of attention)",
    )


class ModelSection(Section):
    """Which model is fine-tuned."""

    pretrained: str | None = Field(
        None,
        description="a directory with a model, a PaddleNLP name (bart-base) or a Hugging Face id (fnlp/bart-base-chinese);"
        " null: a new model with the sizes in model.config",
    )
    config: dict[str, Any] | None = Field(
        None, description="for a new model: the architecture's sizes, by PaddleNLP's configuration names (d_model, ...)"
    )
    tokenizer: str | None = Field(
        None,
        description="a directory or name for the tokenizer; null: the model's own or, for a new model, one of characters that is"
        " built from the training texts",
    )
    new_vocabulary: int | None = Field(
        None,
        ge=50,
        description="for a new model without a tokenizer: build one of words and parts of words with this many"
        " entries, for languages with spaces (null: one of characters)",
    )
    head: Literal["auto", "keep"] = Field(
        "auto", description="auto: a head that the checkpoint lacks starts anew, which is said; keep: stop if it would"
    )
    attention: Literal["auto", "plain", "sdpa"] = Field(
        "auto",
        description="plain: PaddleNLP's own code; sdpa: scaled_dot_product_attention, the same results with flash or"
        " memory-efficient kernels; auto: sdpa on a GPU, plain on a CPU (where it is as fast)",
    )
    lora: LoRASection | None = Field(
        None,
        description="train low-rank adapters only: {rank: 8, alpha: 16, dropout: 0.0, targets: null}; they are merged into"
        " the weights in best/ and last/ (null: train all weights)",
    )

    @model_validator(mode="after")
    def _check_pretrained_or_config(self):
        if (self.pretrained is None) == (self.config is None):
            number_set = "neither is" if self.pretrained is None else "both are"
            raise ValueError(
                f"exactly one of pretrained and config must be set, {number_set}: a pretrained model, or the sizes of a new one"
            )
        if self.head == "keep" and self.pretrained is None:
            raise ValueError("head is keep, but a new model (config) has no trained head: set pretrained, or head to auto")
        return self


class DataSection(Section):
    """Where the rows come from and what the columns are called."""

    source: str | None = Field(
        None,
        description="a PaddleNLP built-in (lcsts_new, glue), a Hugging Face datasets id (org/name), a collection in its authors'"
        " layout (aclimdb, booksummaries, quora, treebank: downloaded, or with :PATH your copy), songs (your song texts), a folder"
        " of datasets' save_to_disk, sample:NAME (generated text); null: local files, named in train, validation, test",
    )
    name: str | None = Field(None, description="subset of the source, if it has subsets")
    data_files: dict[str, str] | None = Field(
        None, description="your own files in the layout of a PaddleNLP built-in: {train: ..., validation: ...}"
    )
    train: str | list[str] | dict[str, str] | None = Field(
        None, description="file or glob (.tsv .csv .json .jsonl .parquet .xlsx .txt, each also .gz), or a split's name"
    )
    validation: str | list[str] | dict[str, str] | None = Field(None, description="like train")
    test: str | list[str] | dict[str, str] | None = Field(
        None, description="like train; none: no test split, even if the source has one (GLUE's has no labels)"
    )
    columns: dict[str, str | int] = Field(
        default_factory=dict,
        description="field -> column of the file, by name, or by number from 0 if the file has no header",
    )
    separator: Literal["auto", ",", ";", "tab", "|"] = Field(
        "auto", description="what is between the fields of .csv and .tsv files; auto: commas or tabs, or the one of the four with"
        " which the header has the columns",
    )  # fmt: skip
    encoding: str = Field(
        "auto", description="encoding of text files: utf-8, gb18030 (also for GBK), big5, utf-16, ...; auto: utf-8, and a message"
        " that names the likely one where it is not",
    )  # fmt: skip
    field: str | None = Field(
        None, min_length=1, description="for a .json file that is one object: where its list of rows is, as in data or result.rows"
    )
    on_bad_row: Literal["error", "skip"] = Field(
        "error", description="error: stop at a bad row and name its file and line; skip: leave it out, count and report it"
    )
    limit_train: int | None = Field(None, ge=1, description="use only the first N rows (null: all)")
    limit_validation: int | None = Field(None, ge=1, description="use only the first N rows (null: all)")
    limit_test: int | None = Field(None, ge=1, description="use only the first N rows (null: all)")
    cache: bool = Field(
        True, description="keep the rows of large files and tokenised data on disk, and reuse them as long as nothing has changed"
    )

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, name):
        return name if name == "auto" else text_encoding(name)

    @model_validator(mode="after")
    def _check_training_data(self):
        if self.source is None and self.train is None:
            raise ValueError("no training data: set source, or train to a file")
        if self.data_files is not None and self.source is None:
            raise ValueError("data_files are files in the layout of a built-in: set source to its name (lcsts_new)")
        return self


class TrainSection(Section):
    """Optimisation with AdamW, a schedule of the learning rate, and gradient clipping."""

    train_batch_size: int = Field(18, ge=1, description="rows per batch and device")
    gradient_accumulation_steps: int = Field(1, ge=1, description="batches whose gradients are summed for one optimizer step")
    num_train_epochs: float = Field(3, gt=0, description="passes over the training rows")
    max_steps: int = Field(-1, ge=-1, description="stop after this many optimizer steps; -1: num_train_epochs decides")
    learning_rate: float = Field(1e-5, gt=0, description="peak learning rate, reached after the warm-up")
    lr_scheduler_type: Literal["linear", "constant_with_warmup"] = Field(
        "linear",
        description="the learning rate after the warm-up. linear: falls to 0 at the last step; constant_with_warmup: stays, so"
        " --resume can lengthen the training",
    )
    warmup_proportion: float = Field(0.1, ge=0, lt=1, description="share of all steps for the warm-up, if warmup_steps is 0")
    warmup_steps: int = Field(0, ge=0, description="optimizer steps of linear warm-up; 0: use warmup_proportion")
    adam_epsilon: float = Field(1e-6, gt=0, description="AdamW's epsilon")
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's beta1")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="AdamW's beta2")
    weight_decay: float = Field(0.01, ge=0, description="decay of weights, except biases and layer norms")
    max_grad_norm: float = Field(1.0, ge=0, description="gradients are scaled down to this global norm; 0: no clipping")
    use_amp: bool = Field(False, description="mixed precision: on a GPU, and with amp_dtype=bfloat16 on CPUs that compute in it")
    amp_dtype: Literal["float16", "bfloat16"] = Field("float16", description="number format if use_amp is set")
    amp_level: Literal["O1", "O2"] = Field("O1", description="O1: fp32 weights; O2: weights in amp_dtype, fp32 masters")
    scale_loss: float = Field(2.0**15, gt=0, description="initial loss scale for float16, adapted during training")
    group_by_length: bool = Field(
        False, description="make batches of rows of similar length, shuffled in buckets of 100 batches: less padding, more speed"
    )
    max_tokens_per_batch: int | None = Field(
        None,
        ge=1,
        description="fill each batch with as many rows of similar length as fit in this many tokens, padding"
        " included (null: train_batch_size rows)",
    )
    pad_to_multiple_of: int | None = Field(
        None, ge=1, le=128, description="pad batches to a multiple of this length (null: 8 on a GPU, 1 on a CPU)"
    )
    recompute: bool = Field(
        False,
        description="keep only the inputs of each layer and compute the rest again in the backward pass: less memory, one"
        " more forward pass, the same gradients",
    )
    sharding: Literal["none", "stage1", "stage2", "stage3"] = Field(
        "none",
        description="with several processes, each keeps only its share of AdamW's states (stage1), also of the summed"
        " gradients (stage2), also of the layers' weights, with recompute (stage3): the same training in less memory",
    )
    sharding_engine: Literal["own", "fleet"] = Field(
        "own",
        description="own: paddle_ft's code; fleet: for stage1, Paddle's DygraphShardingOptimizer (docs/distributed.md)",
    )
    compile: bool = Field(
        False,
        description="train with encoder and decoder as static programs (paddle.jit.to_static): the same losses; meant for"
        " GPUs that wait for Python, slower on a CPU (docs/speed.md)",
    )
    logging_steps: int = Field(200, ge=1, description="optimizer steps between two lines of the log")
    save_steps: int = Field(3000, ge=1, description="optimizer steps between two saves of last/ (also after each epoch)")
    keep_checkpoints: int = Field(1, ge=1, description="how many checkpoints to keep besides best/: last/ and the ones before it")

    @model_validator(mode="after")
    def _check_combinations(self):
        if self.max_steps == 0:
            raise ValueError("max_steps is 0: use -1 (num_train_epochs decides) or at least 1")
        if self.sharding_engine == "fleet" and self.sharding != "stage1":
            raise ValueError(
                "sharding_engine=fleet is for sharding=stage1: Paddle's stage2 and stage3 do not compute the same training"
                f" (docs/distributed.md), and sharding is {self.sharding}: set it to stage1, or sharding_engine to own"
            )
        if self.sharding_engine == "fleet" and self.use_amp and self.amp_dtype == "float16":
            raise ValueError("sharding_engine=fleet does not go with float16, whose overflows ranks must agree on: use bfloat16")
        if self.compile and self.recompute:
            raise ValueError("compile and recompute cannot be combined: a static program keeps its activations")
        if self.compile and self.sharding == "stage3":
            raise ValueError("compile and sharding=stage3 cannot be combined: a static program keeps its weights; use stage2")
        return self


class EvalSection(Section):
    """When and how the model is evaluated."""

    eval_batch_size: int = Field(16, ge=1, description="rows per batch in evaluation and prediction")
    eval_steps: int | None = Field(None, ge=1, description="optimizer steps between evaluations (null: after each epoch only)")
    limit: int | None = Field(
        None,
        ge=1,
        description="evaluate on this many rows of validation during the training, drawn once with a fixed seed; the scores"
        " after it are those of all rows (null: all)",
    )
    before_training: bool | Annotated[int, Field(ge=1)] = Field(
        True, description="also score the model before training, for comparison; with a number, on this many rows of each split"
    )
    best_metric: str | None = Field(
        None, description="the validation metric that decides which checkpoint becomes best/ (null: the task's own, e.g. rougeL)"
    )
    early_stopping_patience: int | None = Field(
        None, ge=1, description="stop after this many evaluations in a row without a better best_metric (null: never)"
    )
    bootstrap_samples: int = Field(1000, ge=100, description="resamples for the 95 % intervals")


class TrackingSection(Section):
    """Experiment trackers. A tracker that fails never stops a run."""

    wandb: Literal["off", "offline", "online"] = Field("off", description="Weights & Biases")
    wandb_project: str = Field("paddle_ft", min_length=1, description="project in Weights & Biases")
    visualdl: bool = Field(False, description="write VisualDL logs into the run directory")


class BaseConfig(Section):
    """The complete configuration of a run: a recipe with its defaults and overrides."""

    recipe: str = Field("custom", min_length=1, description="name of the recipe that this run comes from")
    sample: bool = Field(False, description="true for a --sample run, on generated text with a small model")
    seed: int = Field(2022, ge=0, lt=2**32, description="fixes initial weights, shuffling, dropout and noise")
    device: Literal["auto", "cpu", "gpu", "xpu", "npu"] = Field("auto", description="auto: a GPU if there is one")
    output_dir: str = Field("runs/custom", min_length=1, description="the run's directory; never overwritten silently")
    model: ModelSection
    data: DataSection
    train: TrainSection = Field(default_factory=TrainSection)
    eval: EvalSection = Field(default_factory=EvalSection)
    tracking: TrackingSection = Field(default_factory=TrackingSection)

    if TYPE_CHECKING:  # sections that the schema of a task adds (load.build_schema), for type checkers
        task: Any
        generation: Any


class GenerationSection(Section):
    """How text is generated in evaluation and prediction."""

    num_beams: int = Field(4, ge=1, le=64, description="number of beams; 1: greedy search")
    length_penalty: float = Field(1.0, description="beam scores are divided by length ** length_penalty")
    no_repeat_ngram_size: int = Field(0, ge=0, description="allow no n-gram of this size twice in one output; 0: off")
    early_stopping: bool = Field(True, description="stop the search for a row as soon as num_beams outputs are finished")
