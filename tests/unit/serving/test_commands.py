"""The commands of a model's process, run as the runner and the supervisor run them."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from relive.serving.main import main
from tests.unit.serving.models import Registered, iris_classifier, iris_rows
from tests.unit.serving.processes import (
    DEADLINE_S,
    eventually,
    get,
    is_alive,
    post,
    running,
    serve_command,
)


def run(*arguments: Any, **more: Any) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "relive.serving", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        **more,
    )


def test_a_model_is_described_and_keeps_its_contract(tmp_path):
    model, rows = iris_classifier(tmp_path), iris_rows(tmp_path / "rows.csv")
    described = run("describe", "--model", model, "--example", rows, "--out", tmp_path / "contract")
    assert described.returncode == 0, described.stderr
    assert json.loads(described.stdout) == {
        "platform": "sklearn_joblib",
        "source": "model.joblib",
        "layout": "array",
        "inputs": ["input-0"],
        "outputs": ["predict", "probabilities"],
    }
    checked = run("check", "--model", model, "--signature", tmp_path / "contract/signature.json")
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout) == {
        "contract": "kept",
        "values": 24,
        "largest_relative_difference": 0.0,
    }


def test_a_broken_contract_is_an_exit_code_and_a_sentence(iris, tmp_path):
    expected = json.loads((iris.contract / "expected.json").read_text())
    expected["outputs"][0]["data"][2] += 1
    (tmp_path / "expected.json").write_text(json.dumps(expected))
    signature = iris.contract / "signature.json"
    done = run(
        "check", "--model", iris.model, "--signature", signature, "--expected", tmp_path / "expected.json"
    )
    assert done.returncode == 1
    assert "output 'predict', element 2" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("describe", "--model", "absent", "--example", "rows.csv", "--out", "out"), "absent does not exist"),
        (("check", "--model", ".", "--signature", "absent.json"), "absent.json cannot be read"),
        (
            (
                "serve",
                "--model",
                ".",
                "--signature",
                "absent.json",
                "--name",
                "m",
                "--version",
                "1",
                "--port",
                "0",
            ),
            "absent.json",
        ),
    ],
)
def test_what_goes_wrong_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [(), ("serve",), ("serve", "--uds", "a", "--port", "1"), ("fly",)])
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_an_environment_without_numpy_gets_one_clear_line(tmp_path):
    (tmp_path / "numpy.py").write_text("raise ModuleNotFoundError('No module named numpy', name='numpy')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = run("check", "--model", ".", "--signature", "s.json", env=environment)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith(
        "Package 'numpy' cannot be imported, and serving a model needs it"
    )
    assert "Traceback" not in done.stderr


def test_a_served_model_listens_only_once_it_is_ready_and_drains_on_sigterm(iris, sockets):
    with running(serve_command(iris, "--uds", str(sockets / "m"), version="7")) as process:
        address = process.announced()
        assert get(address, "/v2/health/ready").status == 200
        assert json.loads(get(address, "/v2/models/iris/versions/7").body)["versions"] == ["7"]
        assert (
            post(address, "/invocations", {"instances": [[5, 3.5, 1.4, 0.2]]}).body == b'{"predictions":[0]}'
        )
        assert process.end() == 0


def test_a_taken_socket_is_one_sentence(iris, sockets):
    with running(serve_command(iris, "--uds", str(sockets / "m"))) as process:
        process.announced()
        second = subprocess.run(
            serve_command(iris, "--uds", str(sockets / "m")),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
    assert second.returncode == 1
    assert "Cannot listen on" in second.stderr
    assert "Traceback" not in second.stderr


PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:])
print(child.pid, flush=True)
child.wait()
"""


def test_a_model_told_to_die_with_its_parent_does_so(iris, sockets):
    command = serve_command(iris, "--uds", str(sockets / "m"), "--die-with-parent")
    with running([sys.executable, "-c", PARENT, *command]) as parent:
        parent.announced()
        child = int(parent.lines[0])
        assert is_alive(child)
        parent.popen.send_signal(signal.SIGKILL)
        eventually("the child has ended", lambda: not is_alive(child))


def test_a_model_that_cannot_predict_its_example_does_not_listen(iris, tmp_path, sockets):
    signature = json.loads((iris.contract / "signature.json").read_text())
    signature["example"]["inputs"][0]["datatype"] = "BYTES"
    (tmp_path / "signature.json").write_text(json.dumps(signature))
    command = serve_command(Registered(iris.model, tmp_path), "--uds", str(sockets / "m"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 1
    assert "the example does not fit its signature" in done.stderr
    assert not (sockets / "m").exists()
