"""Test that the command lines and the PaddleJob of docs/distributed.md are valid."""

import re
import shlex

import yaml

from paddle_ft import cli
from tests.support.paths import ROOT


def page_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "docs/distributed.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_command_lines_of_the_page_are_understood(capsys):
    commands = [line for block in page_blocks("") for line in block.splitlines() if "train.py" in line]
    assert len(commands) == 5
    for line in commands:
        arguments = shlex.split(line.split("train.py", 1)[1])
        assert cli.main(["train", *arguments, "--print-config"]) == 0
        shown = capsys.readouterr().out
        assert all(f"{variable.partition('=')[2]}" in shown for variable in arguments if "=" in variable)
    assert "sharding: stage1" in shown


def test_the_pages_paddlejob_has_the_fields_of_the_resource():
    (block,) = page_blocks("yaml")
    job = yaml.safe_load(block)
    assert (job["apiVersion"], job["kind"]) == ("batch.paddlepaddle.org/v1", "PaddleJob")
    assert set(job["spec"]) <= {"cleanPodPolicy", "intranet", "worker", "withGloo", "schedulingPolicy", "elastic"}
    assert set(job["spec"]["worker"]) == {"replicas", "template"}
    pod = job["spec"]["worker"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert all(isinstance(variable["value"], str) for variable in container["env"])
    script = container["args"][0].replace("\\\n", " ")
    arguments = shlex.split(script.split("train.py", 1)[1])[:-1]  # without $resume
    assert cli.main(["train", *arguments, "--print-config"]) == 0
