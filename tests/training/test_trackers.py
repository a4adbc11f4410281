"""Test what trackers log by reading their files: wandb's offline log and VisualDL's records."""

import json
import struct

import pytest

from paddle_ft.config.load import load_config
from paddle_ft.training.trackers import Trackers
from tests.support.tiny_runs import overrides

ROWS = [{"source": "今天北京", "prediction": "北京"}, {"source": "上海下雨", "prediction": "上海"}]
BLOCK = 32768  # bytes in a block of a LevelDB log, the format that wandb writes


def config(folder, *settings):
    return load_config("bart_lcsts", overrides(folder, *settings))


def track(trackers: Trackers) -> None:
    figures = {"loss": 2.5, "learning_rate": 0.01, "tokenizer": "characters", "loss_ci": [2, 3], "best": True}
    trackers.log_scalars("train", 3, figures)
    trackers.log_scalars("validation", 4, {"rougeL": 41.25})
    trackers.log_samples("validation", 4, ROWS)
    trackers.log_samples("validation", 4, [])
    trackers.close()


# ---------------------------------------------------------------------------------------------------- wandb
def records(path) -> list:
    """Return the records of an offline run. The file has a header of 7 bytes and a LevelDB log (checksum, length, kind, data)."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, parsed, part, position = path.read_bytes(), [], b"", 7
    assert data.startswith(b":W&B")
    while position + 7 <= len(data):
        if BLOCK - position % BLOCK < 7:
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        part += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a complete record, or its last part
            parsed.append(Record.FromString(part))
            part = b""
    return parsed


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """Track a run with the real library, offline. Return its directory, Trackers.ids, and whether wandb had a run open."""
    folder = tmp_path_factory.mktemp("offline") / "my_run"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
            patch.setenv(name, str(folder.parent / name))
        patch.setenv("WANDB_SILENT", "true")
        import wandb

        settings = config(folder.parent, "tracking.wandb=offline", "tracking.wandb_project=news", "train.weight_decay=0.125")
        trackers = Trackers(settings, folder, {"wandb": "abc123"})
        ids = trackers.ids
        track(trackers)
        left_open = wandb.run is not None
        wandb.finish()
        wandb.teardown()  # waits for wandb's own process to write its log to the end
    return folder, ids, left_open


def test_wandb_continues_the_run_of_the_checkpoint(offline):
    folder, ids, _ = offline
    assert ids == {"wandb": "abc123"}
    assert len(list(folder.glob("wandb/offline-run-*-abc123/run-abc123.wandb"))) == 1


def test_wandb_gets_project_settings_and_figures(offline):
    (log,) = offline[0].glob("wandb/offline-run-*/*.wandb")
    log_records = records(log)
    (run,) = [record.run for record in log_records if record.WhichOneof("record_type") == "run"]
    assert (run.run_id, run.project, run.display_name) == ("abc123", "news", "my_run")
    settings = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert settings["train"]["weight_decay"] == 0.125
    assert settings["recipe"] == "bart_lcsts"
    steps = []
    for record in log_records:
        if record.WhichOneof("record_type") == "history":
            items = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            steps.append({name: value for name, value in items.items() if "predictions" not in name and name[0] != "_"})
            assert items["_step"] == record.history.step.num
    assert [record.history.step.num for record in log_records if record.WhichOneof("record_type") == "history"] == [3, 4]
    assert steps == [{"train/loss": 2.5, "train/learning_rate": 0.01}, {"validation/rougeL": 41.25}]


def test_wandb_gets_the_predictions_as_a_table(offline):
    (table,) = offline[0].glob("wandb/offline-run-*/files/media/table/validation/*.table.json")
    assert json.loads(table.read_text(encoding="utf-8")) == {
        "columns": ["source", "prediction"],
        "data": [["今天北京", "北京"], ["上海下雨", "上海"]],
    }


def test_wandb_is_closed(offline):
    assert offline[2] is False


# ---------------------------------------------------------------------------------------------------- VisualDL
def test_visualdl_gets_settings_figures_and_predictions(tmp_path):
    from visualdl import LogReader

    trackers = Trackers(config(tmp_path, "tracking.visualdl=true", "train.weight_decay=0.125"), tmp_path)
    assert trackers.ids == {}
    track(trackers)
    (log,) = (tmp_path / "visualdl").glob("*.log")
    reader = LogReader(file_path=str(log))
    (record,) = reader.get_data("hyper_parameters", "hparam")
    settings = {}
    for info in record.hparam.hparamInfos:
        settings[info.name] = getattr(info, info.WhichOneof("type"))
    assert settings["weight_decay"] == 0.125
    assert settings["train_batch_size"] == 4
    assert settings["learning_rate"] == pytest.approx(0.01)
    assert "use_amp" not in settings  # no number
    scalars = {tag.replace("%", "/"): reader.get_data("scalar", tag) for tag in reader.get_tags()["scalar"]}
    assert {tag: [(item.id, item.value) for item in items] for tag, items in scalars.items()} == {
        "train/loss": [(3, 2.5)],
        "train/learning_rate": [(3, pytest.approx(0.01))],
        "validation/rougeL": [(4, 41.25)],
    }
    (text,) = reader.get_data("text", "validation/predictions")
    assert text.id == 4
    assert text.text.encoded_text_string == "source: 今天北京\nprediction: 北京\n\nsource: 上海下雨\nprediction: 上海"


# ---------------------------------------------------------------------------------------------------- none, or broken ones
def test_without_trackers_nothing_is_written(tmp_path):
    before = set(tmp_path.iterdir())
    trackers = Trackers(config(tmp_path), tmp_path)
    track(trackers)
    assert set(tmp_path.iterdir()) - before == {tmp_path / "pairs.tsv"}
    assert trackers.ids == {}


def test_a_tracker_that_fails_later_is_switched_off_with_one_warning(tmp_path, capsys):
    """VisualDL raises for a tag with a per cent sign."""
    trackers = Trackers(config(tmp_path, "tracking.visualdl=true"), tmp_path)
    trackers.log_scalars("train", 1, {"loss": 3.5})
    trackers.log_scalars("50%", 2, {"loss": 3.0})
    trackers.log_scalars("50%", 3, {"loss": 2.75})
    track(trackers)
    lines = [line for line in capsys.readouterr().err.splitlines() if "switched off" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warning: VisualDL failed and is switched off for this run: RuntimeError: ")
