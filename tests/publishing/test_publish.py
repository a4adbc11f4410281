"""Test `publish` through the hubs' own SDKs, in processes of their own, against a local server with the hubs' endpoints."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import yaml

from convert.files import file_digest
from paddle_ft import cli
from paddle_ft.publishing import aistudio
from paddle_ft.publishing.failures import AGAIN, explain
from paddle_ft.runs.directory import RunDirectory
from paddle_ft.runs.integrity import write_directory
from tests.support.paths import ROOT
from tests.support.prepared import Preparation, PreparedProcess
from tests.support.stub_hubs import TOKEN, StubHubs

LONG = 100  # seconds after which a test that hangs fails
HUBS = ("aistudio", "huggingface")
REPO = "me/tiny"
BEST = {"README.md", "config.json", "model.safetensors", "vocab.txt", "generation/options.json"}
TEXTS = {"run/report.html", "run/predictions-test.jsonl"}
SDKS = ("paddle_ft.cli", "paddle_ft.publishing.publish", "paddle_ft.reporting.card", "aistudio_sdk.hub", "huggingface_hub.hf_api",
        "huggingface_hub.utils")  # fmt: skip
WEIGHTS = random.Random(0).randbytes(3_000_000)

Process = subprocess.Popen | PreparedProcess


def write_run(folder: Path) -> Path:
    """Write the directory of a finished run without a model card."""

    def fill(best: Path) -> None:
        (best / "generation").mkdir()
        (best / "trainer").mkdir()
        (best / "config.json").write_text(json.dumps({"architectures": ["BartForConditionalGeneration"], "model_type": "bart"}))
        (best / "vocab.txt").write_text("[PAD]\n[UNK]\n")
        (best / "generation" / "options.json").write_text("{}")
        (best / "trainer" / "state.json").write_text("{}")
        (best / "model.safetensors").write_bytes(WEIGHTS)

    run = folder / "run"
    run.mkdir(parents=True)
    write_directory(run / "best", fill)
    (run / "best" / ".hidden").write_text("hidden")
    (run / "config.yaml").write_text(yaml.safe_dump({"recipe": "bart_lcsts", "task": {"name": "summarization"}}))
    results = {"status": "finished", "task": "summarization", "metrics": {"test": {"rouge1": 1.0}}}
    (run / "results.json").write_text(json.dumps(results))
    (run / "metrics.jsonl").write_text("")
    (run / "report.html").write_text("a report")
    (run / "predictions-test.jsonl").write_text('{"prediction": "a text of the data"}\n')
    return run


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path)


@pytest.fixture(scope="module")
def server():
    with StubHubs() as hubs:
        yield hubs


@pytest.fixture
def hubs(server):
    """The server of all tests, without what earlier tests have sent."""
    server.reset()
    return server


def variables(hubs: StubHubs, home: Path) -> dict[str, str]:
    """Return the environment that makes the server both hubs."""
    return {"HOME": str(home), "HF_HOME": str(home / "hf"), "HF_ENDPOINT": hubs.url, "STUDIO_GIT_HOST": hubs.url,
            "STUDIO_MODEL_API_URL_PREFIX": hubs.url}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def preparation(tmp_path_factory, server):
    """A process that has imported the SDKs, which takes longer than an upload here. They read the environment when imported."""
    global _preparation
    _preparation = Preparation(SDKS, **variables(server, tmp_path_factory.mktemp("home")))
    yield
    _preparation.close()


def start(hubs: StubHubs, run: Path, hub: str, *flags: str, token: str | None = TOKEN, afresh: bool = False) -> Process:
    """Start `publish` with the server as both hubs. `afresh`: in a new Python, which imports the SDKs with this environment."""
    keep = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy") and "TOKEN" not in name}
    home = run.parent / "home"
    home.mkdir(exist_ok=True)
    environment = {**keep, **variables(hubs, home), "PYTHONPATH": str(ROOT)}
    if token is not None:
        environment |= {"HF_TOKEN": token, "AISTUDIO_ACCESS_TOKEN": token}
    command = ["-m", "paddle_ft", "publish", str(run), "--to", hub, "--repo", REPO, *flags]
    if not afresh:
        return _preparation.start(command, cwd=home, env=environment)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, *command], cwd=home, env=environment, text=True, encoding="utf-8", **pipes)


def publish(*arguments, **options) -> tuple[str, str]:
    """Publish a run. Return what was printed to stdout and to stderr."""
    process = start(*arguments, **options)
    try:
        output, errors = process.communicate(timeout=LONG)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert TOKEN not in output + errors
    return output, errors


def fail(*arguments, **options) -> str:
    """Return the message of a `publish` that must exit with 2. There must be one, which comes last, and no traceback."""
    token = options.get("token", TOKEN)
    process = start(*arguments, **options)
    try:
        output, errors = process.communicate(timeout=LONG)
    finally:
        process.kill()
    assert process.returncode == 2, output + errors
    assert "Traceback" not in errors and errors.count("error: ") == 1
    assert not token or token not in output + errors
    message = errors[errors.index("error: ") :]
    assert message.count("\n") == 1, errors
    return message


def fail_here(capsys, run: Path, hub: str, *flags: str, repo: str = REPO) -> str:
    """Return the message of a `publish` in this process, which must exit with 2."""
    assert cli.main(["publish", str(run), "--to", hub, "--repo", repo, *flags]) == 2
    return capsys.readouterr().err


def local_files(run: Path) -> dict[str, bytes]:
    """Return what a repository must have after a plain upload."""
    return {name: (run / "best" / name).read_bytes() for name in BEST}


# ------------------------------------------------------------------------------------------------------- what is uploaded
@pytest.mark.parametrize("hub", HUBS)
def test_best_is_uploaded_to_a_private_repository(hubs, run, hub):
    output, errors = publish(hubs, run, hub, afresh=True)
    assert hubs.repos[REPO]["private"] is True
    assert hubs.content(REPO) == local_files(run)
    assert hubs.content(REPO)["README.md"].startswith(b"---\nlibrary_name: paddlenlp")
    assert f"published: {hubs.url}/{REPO}" in output and f'BartForConditionalGeneration.from_pretrained("{REPO}"' in output
    assert "created me/tiny, private" in errors and "  model.safetensors          3.0 MB\n" in errors
    assert list((run.parent / "home").glob("sha256*")) == []


@pytest.mark.parametrize("hub", HUBS)
def test_texts_are_added_only_if_asked_for(hubs, run, hub):
    publish(hubs, run, hub, "--with-texts", "--public")
    texts = {name: (run / Path(name).name).read_bytes() for name in TEXTS}
    assert hubs.content(REPO) == {**local_files(run), **texts}
    assert hubs.repos[REPO]["private"] is False


@pytest.mark.parametrize("hub", HUBS)
def test_an_edited_card_is_kept(hubs, run, hub):
    (run / "best" / "README.md").write_text("my own words")
    publish(hubs, run, hub)
    assert hubs.content(REPO)["README.md"] == b"my own words"


@pytest.mark.parametrize("hub", HUBS)
def test_a_dry_run_contacts_nobody_and_writes_nothing(hubs, run, hub):
    output, _ = publish(hubs, run, hub, "--dry-run", token=None)
    assert hubs.requests == [] and not (run / "best" / "README.md").exists()
    assert f"would upload to {hubs.url}/{REPO}, private" in output and "README.md would be written first" in output
    assert "model.safetensors" in output and "3.0 MB" in output and "trainer" not in output
    assert "left out, because the training has not written them: .hidden. To upload one: --add NAME\n" in output


def list_here(capsys, run: Path, *flags: str) -> tuple[list[str], str]:
    """Return the names of the files that would be uploaded, and what is printed after them."""
    capsys.readouterr()
    assert cli.main(["publish", str(run), "--to", "aistudio", "--repo", REPO, "--dry-run", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = [line.split()[0] for line in lines if line.startswith("  ") and line.endswith("B")]
    return table[:-1], "\n".join(lines[-2:])


def test_what_the_training_has_not_written_is_named_and_stays_here(run, capsys):
    (run / "best" / "train.jsonl").write_text('{"text": "a text of the data"}')
    (run / "best" / "notes").mkdir()
    (run / "best" / "notes" / "LICENSE").write_text("mine")
    (run / "best" / "notes" / "secret").symlink_to(run / "predictions-test.jsonl")
    names, left_out = list_here(capsys, run)
    assert set(names) == BEST - {"README.md"}
    assert "written them: .hidden, notes/LICENSE, notes/secret, train.jsonl. To upload one: --add NAME" in left_out
    names, left_out = list_here(capsys, run, "--add", "notes/LICENSE", "--add", "vocab.txt", "--with-texts")
    assert sorted(names) == sorted((BEST - {"README.md"}) | TEXTS | {"notes/LICENSE"})
    assert "written them: .hidden, notes/secret, train.jsonl. To upload one" in left_out
    for number in range(20):
        (run / "best" / f"x{number:02}").touch()
    assert "train.jsonl, x00, x01, x02, x03, x04, x05 and 14 more. To" in list_here(capsys, run)[1]


@pytest.mark.parametrize(("name", "message"), [
    ("none", "--add none: there is no such file in "), ("../config.yaml", "there is no such file in "),
    ("generation", "--add generation: this is a folder; name the files in it"), ("link", "link: this leads out of the folder, to "),
    ("trainer/state.json", "--add trainer/state.json: trainer/ is what only a training needs"),
    ("generation/../trainer/state.json", "there is no such file in "), ("/etc/hostname", "there is no such file in "),
])  # fmt: skip
def test_a_file_that_cannot_be_added_is_refused_before_anything_is_written(run, capsys, name, message):
    (run / "best" / "link").symlink_to(run / "config.yaml")
    assert message in fail_here(capsys, run, "aistudio", "--add", name)
    assert not (run / "best" / "README.md").exists()


@pytest.mark.parametrize("name", ["best/vocab.txt", "best/README.md", "best/generation", "report.html"])
def test_a_link_out_of_the_run_is_not_followed(run, tmp_path, capsys, name):
    """Even one that leads to a file with the same content, because it could be exchanged for another."""
    moved = tmp_path / "moved"
    (run / "best" / "README.md").write_text("my card")
    (run / name).rename(moved)
    (run / name).symlink_to(moved)
    message = fail_here(capsys, run, "huggingface", "--with-texts", "--dry-run")
    assert f"leads out of the folder, to {moved}" in message and "Nothing was uploaded" in message


def test_a_list_of_files_that_leads_out_of_the_run_is_refused(run, capsys):
    """A run that somebody else has made could name files of this machine in its checksums."""
    path = run / "best" / "trainer" / "checksums.json"
    sums = json.loads(path.read_text())
    path.write_text(json.dumps({**sums, "../config.yaml": file_digest(run / "config.yaml")}))
    assert "best/../config.yaml: this leads out of the folder" in fail_here(capsys, run, "aistudio", "--dry-run")


def test_links_within_the_run_and_a_best_on_another_disk_are_uploaded(run, tmp_path, capsys):
    (run / "best" / "vocab.txt").rename(run / "best" / "words")
    (run / "best" / "vocab.txt").symlink_to("words")
    (run / "best").rename(tmp_path / "large")
    (run / "best").symlink_to(tmp_path / "large")
    assert set(list_here(capsys, run)[0]) == BEST - {"README.md"}


# ------------------------------------------------------------------------------------------------------------- again
@pytest.mark.parametrize("hub", HUBS)
def test_nothing_is_sent_twice(hubs, run, hub):
    publish(hubs, run, hub)
    sent, hubs.requests[:] = len(hubs.uploads), []
    _, errors = publish(hubs, run, hub)
    assert len(hubs.uploads) == sent == 2
    assert [line for line in hubs.requests if "commit" in line or ("contents" in line and not line.startswith("GET"))] == []
    assert "nothing was sent" in errors or errors.count("is there already") == len(BEST)


@pytest.mark.parametrize("hub", HUBS)
def test_a_changed_file_alone_is_sent(hubs, run, hub):
    publish(hubs, run, hub)
    hubs.uploads.clear()
    (run / "best" / "README.md").write_text("new words")
    publish(hubs, run, hub, "--message", "a better card")
    assert hubs.content(REPO) == local_files(run) and hubs.uploads == []
    assert any(b"a better card" in body for body in hubs.bodies.values())


@pytest.mark.parametrize("hub", HUBS)
def test_after_a_kill_in_the_middle_of_the_weights_the_next_run_completes(hubs, run, hub):
    hubs.hold = True
    process = start(hubs, run, hub)
    assert hubs.held.wait(LONG)
    process.kill()
    process.communicate(timeout=LONG)
    assert hubs.repos[REPO]["files"] == {}
    publish(hubs, run, hub)
    assert hubs.content(REPO) == local_files(run)


def test_a_cut_connection_is_reported_by_ai_studio_and_the_next_run_completes(hubs, run):
    hubs.cut = 1
    message = fail(hubs, run, "aistudio")
    assert "model.safetensors did not reach the storage of AI Studio" in message and "Run the same command again" in message
    assert hubs.repos[REPO]["files"] == {}
    _, errors = publish(hubs, run, "aistudio")
    assert hubs.content(REPO) == local_files(run) and "exists and is private; it stays so" in errors


def test_a_cut_connection_is_made_again_on_hugging_face(hubs, run):
    hubs.cut = 1
    publish(hubs, run, "huggingface")
    assert hubs.content(REPO) == local_files(run)


def test_what_arrived_before_an_error_is_not_sent_again(hubs, run):
    hubs.answers = {f"POST /api/v1/repos/{REPO}/contents/vocab.txt": (503, "busy")}
    assert "AI Studio has a problem of its own (status 503)" in fail(hubs, run, "aistudio")
    assert set(hubs.content(REPO)) == {"model.safetensors", "config.json"}
    hubs.answers = {}
    publish(hubs, run, "aistudio")
    assert hubs.content(REPO) == local_files(run) and len(hubs.uploads) == 2


def test_a_pointer_without_its_content_is_mended(hubs, run):
    publish(hubs, run, "aistudio")
    (oid,) = (oid for oid, content in hubs.objects.items() if content == WEIGHTS)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(WEIGHTS)}".encode()
    del hubs.objects[oid]
    hubs.repos[REPO]["files"]["model.safetensors"] = pointer
    publish(hubs, run, "aistudio")
    assert hubs.content(REPO) == local_files(run)


# ------------------------------------------------------------------------------------------------------------ refusals
def test_a_public_repository_is_refused_unless_asked_for(hubs, run):
    hubs.repos[REPO] = {"private": False, "files": {}}
    message = fail(hubs, run, "huggingface")
    assert f"{hubs.url}/{REPO} is public" in message and "Nothing was uploaded" in message
    assert hubs.requests == [f"GET /api/models/{REPO}"]
    publish(hubs, run, "huggingface", "--public")
    assert hubs.content(REPO) == local_files(run)


def test_a_private_repository_stays_private(hubs, run):
    hubs.repos[REPO] = {"private": True, "files": {}}
    _, errors = publish(hubs, run, "huggingface", "--public")
    assert hubs.repos[REPO]["private"] is True and "exists and is private; it stays so" in errors


def test_a_repository_that_became_public_against_our_will_gets_nothing(hubs, run):
    answer = {"errorCode": 0, "result": {"modelName": "t", "repoName": "t", "repoType": 1, "desc": "", "license": ""}}
    hubs.answers = {"POST /studio": (200, json.dumps(answer))}
    assert "but not as a private repository. Nothing was uploaded" in fail(hubs, run, "aistudio")
    assert len(hubs.requests) == 1
    hubs.answers = {}
    hubs.repos[REPO] = {"private": False, "files": {}}  # what the first run has left behind
    assert "exists on AI Studio and is not known to be private. Nothing was uploaded." in fail(hubs, run, "aistudio")
    hubs.answers = {f"GET /api/v1/repos/{REPO}": (404, "{}")}
    assert "is not known to be private" in fail(hubs, run, "aistudio")
    assert hubs.repos[REPO]["files"] == {}
    publish(hubs, run, "aistudio", "--public")
    assert hubs.content(REPO) == local_files(run)


@pytest.mark.parametrize("hub", HUBS)
def test_a_damaged_model_is_refused(run, hub, capsys):
    (run / "best" / "vocab.txt").write_text("other")
    assert "vocab.txt does not match its checksum. Nothing was uploaded" in fail_here(capsys, run, hub)


def test_an_unfinished_run_says_so(hubs, run):
    (run / "results.json").unlink()
    (run / "config.yaml").write_text("recipe: bart_lcsts\nextends: bart_lcsts\n")
    (run / "metrics.jsonl").write_text('{"event": "train", "step": 5, "epoch": 0.5}\n')
    _, errors = publish(hubs, run, "huggingface", "--dry-run")
    assert f"{run}: this run has not finished (epoch 0.50 of " in errors and "its best checkpoint so far" in errors


def test_a_run_without_best_is_refused(run, capsys):
    (run / "best").rename(run / "last")
    assert "no best checkpoint yet" in fail_here(capsys, run, "aistudio")


# -------------------------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize(("hub", "variable"), zip(HUBS, ("AISTUDIO_ACCESS_TOKEN", "HF_TOKEN"), strict=True))
def test_a_missing_token_is_named(hubs, run, hub, variable):
    before = sorted((run / "best").rglob("*"))
    message = fail(hubs, run, hub, token=None)
    assert f"export {variable}=YOUR_TOKEN" in message and hubs.requests == []
    assert sorted((run / "best").rglob("*")) == before, "nothing was written"


def test_a_run_that_is_being_trained_gets_nothing_written_and_is_not_published(run, monkeypatch, capsys):
    monkeypatch.setenv("AISTUDIO_ACCESS_TOKEN", TOKEN)
    (run / "config.yaml").write_text("recipe: bart_lcsts\nextends: bart_lcsts\n")
    before, training = sorted(run.rglob("*")), RunDirectory.open_for_training(str(run), resume=True, overwrite=False)
    message = fail_here(capsys, run, "aistudio")
    assert f"{run}: a training is running in this directory and may replace best/ during the upload. Nothing was written" in message
    assert list_here(capsys, run)[0], "--dry-run works"
    training.release()
    assert sorted(run.rglob("*")) == before


@pytest.mark.parametrize("hub", HUBS)
def test_a_wrong_token_is_not_shown(hubs, run, hub):
    assert "does not accept the token" in fail(hubs, run, hub, token="hub_secret_9876543210")
    assert hubs.repos == {} and hubs.uploads == []


@pytest.mark.parametrize(("hub", "request_", "status", "text", "expected"), [
    ("huggingface", "POST /api/repos/create", 403, "{}", "may not write to me/tiny"),
    ("huggingface", "POST /api/repos/create", 409, "{}", "reports a conflict"),
    ("huggingface", f"POST /api/models/{REPO}/commit", 413, "{}", "does not take a file of this size"),
    ("huggingface", f"POST /api/models/{REPO}/preupload", 429, "{}", "too many requests"),
    ("huggingface", f"POST /api/models/{REPO}/preupload", 200, "<html>", "an answer that is not understood"),
    ("huggingface", f"POST /api/models/{REPO}/preupload", 200, "{}", "an answer that is not understood"),
    ("huggingface", "POST /api/validate-yaml", 400, '{"errors": [{"message": "bad tag"}], "warnings": []}', "bad tag"),
    ("huggingface", f"POST /api/models/{REPO}/commit", 500, "<html>", "a problem of its own (status 500)"),
    ("huggingface", f"POST /api/models/{REPO}/commit", 0, "", "the connection to http://"),
    ("aistudio", f"POST /api/v1/repos/{REPO}/contents/config.json", 0, "", "failed while sending config.json"),
    ("aistudio", "POST /studio", 200, f'{{"errorCode": 1, "errorMsg": "bad {TOKEN}", "logId": "1"}}', "(bad [token])"),
    ("aistudio", "POST /studio", 502, "<html>", "a problem of its own (status 502)"),
    ("aistudio", "POST /studio", 403, '{"errorCode": 3, "errorMsg": "no", "logId": "1"}', "may not write to me/tiny"),
    ("aistudio", "POST /studio", 200, "<html>", "an answer that is not understood"),
    ("aistudio", "PUT /lfs", 507, "full", "model.safetensors did not reach the storage of AI Studio"),
    ("aistudio", f"POST /{REPO}/preupload", 403, "no", "may not write to me/tiny"),
    ("aistudio", f"POST /{REPO}/preupload", 200, "<html>", "an answer that is not understood"),
    ("aistudio", f"POST /{REPO}/preupload", 200, "[]", "an answer that is not understood"),
    ("aistudio", f"GET /api/v1/repos/{REPO}/contents", 401, "no", "does not accept the token"),
    ("aistudio", f"POST /api/v1/repos/{REPO}/contents/config.json", 409, "no", "reports a conflict"),
    ("aistudio", f"POST /{REPO}.git/info", 200, '{"objects": [{"error": {"message": "quota"}}]}', "refused the content"),
    ("aistudio", "POST /verify", 404, "{}", "model.safetensors did not reach the storage of AI Studio"),
])  # fmt: skip
def test_errors_of_the_hubs_are_messages(hubs, run, hub, request_, status, text, expected, monkeypatch, capsys):
    """In this process, because importing the SDKs takes longer than everything else; the other tests start the command."""
    for variable in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(variable)
    for variable in ("HF_TOKEN", "AISTUDIO_ACCESS_TOKEN"):
        monkeypatch.setenv(variable, TOKEN)
    for variable in ("HF_ENDPOINT", "STUDIO_GIT_HOST", "STUDIO_MODEL_API_URL_PREFIX"):
        monkeypatch.setenv(variable, hubs.url)
    hubs.answers = {request_: (status, text)}
    message = fail_here(capsys, run, hub)
    assert expected in message and TOKEN not in message


@pytest.mark.parametrize("hub", HUBS)
def test_a_hub_that_cannot_be_reached_is_named(run, hub):
    with StubHubs() as hubs:
        hubs.server.server_close()
        message = fail(hubs, run, hub, afresh=True)
    assert f"the connection to {hubs.url} failed" in message
    assert message.endswith(f"{AGAIN} (Connection refused)\n")


def test_the_host_that_failed_is_named_and_not_the_hubs_main_one():
    target = aistudio.find_target(REPO)
    with pytest.raises(requests.ConnectionError) as caught:
        requests.get("http://127.0.0.1:9/api", timeout=5, proxies={"http": ""})
    message = str(explain(target, caught.value, TOKEN, "creating the repository"))
    expected = "the connection to http://127.0.0.1:9 failed while creating the repository. Check it, and HTTPS_PROXY."
    assert message == f"{expected} {AGAIN} (Connection refused)"


@pytest.mark.parametrize(("repo", "hub"), [
    ("tiny", "aistudio"), ("me/a/b", "aistudio"), ("me/", "huggingface"), ("me/a b", "aistudio"), ("me/a--b", "huggingface"),
    ("me/-a", "huggingface"), ("我/a", "huggingface"),
])  # fmt: skip
def test_a_wrong_name_is_refused(run, repo, hub, capsys):
    assert f"--repo {repo}: " in fail_here(capsys, run, hub, repo=repo)


def test_the_token_that_huggingface_hub_has_stored_is_used(hubs, run):
    (run.parent / "home" / "hf").mkdir(parents=True)
    (run.parent / "home" / "hf" / "token").write_text(TOKEN)
    publish(hubs, run, "huggingface", token=None, afresh=True)
    assert hubs.content(REPO) == local_files(run)


def test_help_and_wrong_usage_import_neither_paddle_nor_the_sdks():
    code = (
        "import sys; from paddle_ft import cli\n"
        "codes = [cli.main(['publish', 'x', '--to', 'nowhere', '--repo', 'a/b']), cli.main(['publish', 'x', '--to', 'aistudio',"
        " '--repo', 'a']), cli.main(['publish', 'x', '--to', 'huggingface', '--repo', 'a/b'])]\n"
        "print(codes, [name for name in ('paddle', 'paddlenlp', 'aistudio_sdk', 'huggingface_hub') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=LONG, check=True)
    assert result.stdout == "[2, 2, 2] []\n"
