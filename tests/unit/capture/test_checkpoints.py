"""Checkpoints inside a real Python: what is saved, and that a spot check makes the same steps of it."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from relive.capture.hooks import checkpoints as hooks
from relive.capture.hooks.checkpoints import Checkpoints, State
from relive.capture.hooks.spool import Spool
from relive.core.spots import CHECKPOINT, steps_of
from relive.core.trajectory import Segment, Trajectory
from relive.formats.spool import read_spool
from relive.formats.trajectory import write_digest_steps
from tests.conftest import require

HAS_TORCH = importlib.util.find_spec("torch") is not None

TORCH = """
import copy, random, torch
from torch import nn
torch.manual_seed(0); random.seed(0); torch.set_num_threads(1)
BODY
data = torch.utils.data.TensorDataset(torch.randn(64, 8), torch.randint(0, 2, (64,)))
step = 0
for epoch in range(5):
    for X, y in torch.utils.data.DataLoader(data, 16, shuffle=True):
        step += 1
        PLANT
        STEP
print("ended", step)
"""
PLAIN = """
model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.AdamW(model.parameters(), 0.01)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
"""
STEP = """
        optimizer.zero_grad(); loss = nn.functional.cross_entropy(model(X), y); loss.backward()
        optimizer.step(); scheduler.step()
"""
DROPOUT = PLAIN.replace("nn.ReLU()", "nn.Dropout(0.3)")
AVERAGED = PLAIN + "average = copy.deepcopy(model).requires_grad_(False)\n"
AVERAGED_STEP = (
    STEP
    + """
        with torch.no_grad():
            for mine, theirs in zip(average.parameters(), model.parameters()): mine.lerp_(theirs, 0.1)
        if step % 5 == 0: optimizer.param_groups[0]["lr"] *= 1 + float(average[0].weight.sum()) / 1e4
"""
)
TWO = """
made = nn.Linear(8, 8); judge = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
one = torch.optim.Adam(made.parameters(), 0.01)
other = torch.optim.SGD(judge.parameters(), 0.01, momentum=0.9)
"""
TWO_STEP = """
        fake = made(torch.randn(16, 8))
        one.zero_grad(); other.zero_grad()
        judge(fake).mean().backward()
        (judge(X) - judge(fake.detach())).mean().backward()
        one.step(); other.step()
"""
CLOSURE = """
model = nn.Linear(8, 2)
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
"""
CLOSURE_STEP = """
        def closure():
            optimizer.zero_grad(); loss = nn.functional.cross_entropy(model(X), y); loss.backward()
            return loss
        optimizer.step(closure).item()
"""
SCALED = PLAIN.replace(
    "optimizer =", "scaler = torch.amp.GradScaler('cpu', init_scale=8.0, growth_interval=3)\noptimizer ="
)
SCALED_STEP = """
        optimizer.zero_grad(); loss = nn.functional.cross_entropy(model(X), y); scaler.scale(loss).backward()
        scaler.unscale_(optimizer); nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer); scaler.update(); scheduler.step()
"""
COUNTING = """
class Counting(nn.Module):
    def __init__(self):
        super().__init__(); self.inside = nn.Linear(8, 2); self.calls = 0
    def forward(self, X):
        self.calls += 1
        return self.inside(X) / self.calls
model = Counting()
optimizer = torch.optim.SGD(model.parameters(), 0.1)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
"""
LOADED = (
    PLAIN
    + """
frozen = nn.Linear(8, 8).requires_grad_(False)
"""
)
KINDS = {
    "batch norm, scheduler": (PLAIN, STEP),
    "dropout": (DROPOUT, STEP),
    "averaged copy": (AVERAGED, AVERAGED_STEP),
    "two optimizers": (TWO, TWO_STEP),
    "closure": (CLOSURE, CLOSURE_STEP),
    "scaled gradients": (SCALED, SCALED_STEP),
    "counting module, plateau": (COUNTING, STEP.replace("scheduler.step()", "scheduler.step(loss.item())")),
    "frozen features": (LOADED, STEP.replace("model(X)", "model(frozen(X))")),
}


def script(kind: str, plant: str = "pass") -> str:
    body, step = KINDS[kind]
    return TORCH.replace("BODY", body).replace("STEP", step).replace("PLANT", plant)


@pytest.fixture
def recorded(record: Any, spool_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that records a script with a checkpoint every four steps, and keeps its states."""

    def run(text: str, every: int = 4) -> Any:
        require(HAS_TORCH, "PyTorch is not installed: the CPU build of torch")
        _clean(spool_folder)
        monkeypatch.setenv("RELIVE_CHECKPOINTS", str(every))
        done = record(text)
        assert done.returncode == 0, done.stderr
        folder = spool_folder / "checkpoints"
        if folder.is_dir():
            folder.rename(tmp_path / "states")
        return done

    return run


@pytest.fixture
def checked(record: Any, spool_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that makes only some segments of what was recorded."""

    def run(text: str, recording: Trajectory, *segments: tuple[int, int]) -> Any:
        _clean(spool_folder)
        plan = tmp_path / "plan.json"
        write_digest_steps(recording, plan)
        asked = {"states": str(tmp_path / "states"), "segments": segments}
        monkeypatch.setenv("RELIVE_SPOT", json.dumps(asked))
        done = record(text, plan=plan)
        assert done.returncode == 0, done.stderr
        return done

    return run


def _clean(spool: Path) -> None:
    for file in (spool / "checkpoints").glob("*"):
        file.unlink()
    if (spool / "checkpoints").is_dir():
        (spool / "checkpoints").rmdir()


def segment(found: Any, first: int, last: int) -> Trajectory:
    steps = steps_of(found.spool.trajectory(), Segment(first=first, last=last))
    assert steps is not None, found.spool.notes
    return steps


@pytest.mark.parametrize("kind", KINDS)
def test_a_segment_from_its_checkpoint_is_the_recorded_one(recorded: Any, checked: Any, kind: str) -> None:
    one = recorded(script(kind))
    assert "checkpoints," in " ".join(one.spool.notes)
    other = checked(script(kind), one.spool.trajectory(), (8, 12))
    assert other.spool.notes == ()
    assert "ended 20" in other.stdout
    assert segment(other, 9, 12) == segment(one, 9, 12)


def test_what_is_left_out_is_not_recorded_and_changes_no_weight(recorded: Any, checked: Any) -> None:
    text = script("batch norm, scheduler")
    one = recorded(text)
    other = checked(text, one.spool.trajectory(), (8, 12))
    steps = other.spool.trajectory().steps
    assert [it.step for it in steps if it.stream == "loss"] == [8, 9, 10, 11]
    assert [it.step for it in steps if it.stream == CHECKPOINT] == [8, 12]
    assert steps[0].stream.startswith("weights:AdamW")
    assert steps[0].step == 0


@pytest.mark.parametrize(("step", "is_found"), [(10, True), (6, False), (14, False)])
def test_a_planted_change_is_found_in_its_segment_and_only_there(
    recorded: Any, checked: Any, step: int, is_found: bool
) -> None:
    kind = "batch norm, scheduler"
    one = recorded(script(kind))
    plant = f"model[0].weight.data[0, 0] += 1e-3 if step == {step} else 0.0"
    other = checked(script(kind, plant), one.spool.trajectory(), (8, 12))
    assert (segment(other, 9, 12) != segment(one, 9, 12)) is is_found


def test_a_segment_at_the_start_and_one_to_the_end_need_no_checkpoint_there(
    recorded: Any, checked: Any
) -> None:
    text = script("batch norm, scheduler")
    one = recorded(text, every=8)
    other = checked(text, one.spool.trajectory(), (0, 8), (16, 20))
    assert segment(other, 1, 8) == segment(one, 1, 8)
    last = segment(other, 17, 20)
    assert last == segment(one, 17, 20)
    assert last.steps[-1].stream.endswith(" final")


def test_a_whole_replay_takes_the_digests_again_and_saves_nothing(
    recorded: Any, record: Any, spool_folder: Path, tmp_path: Path
) -> None:
    text = script("dropout")
    one = recorded(text)
    write_digest_steps(one.spool.trajectory(), tmp_path / "plan.json")
    other = record(text, plan=tmp_path / "plan.json")
    assert other.spool.trajectory() == one.spool.trajectory()
    assert not (spool_folder / "checkpoints").exists()


def test_a_state_that_cannot_be_loaded_is_said_and_its_segment_not_made(
    recorded: Any, checked: Any, tmp_path: Path
) -> None:
    text = script("batch norm, scheduler")
    one = recorded(text)
    (tmp_path / "states/8.state").write_bytes(b"no state")
    other = checked(text, one.spool.trajectory(), (8, 12))
    assert other.spool.notes[0].startswith("state of step 8: ")
    assert not [it for it in other.spool.trajectory().steps if it.stream in (CHECKPOINT, "loss")]


def test_a_program_with_other_modules_does_not_take_the_state(recorded: Any, checked: Any) -> None:
    kind = "batch norm, scheduler"
    one = recorded(script(kind))
    wider = script(kind).replace("8, 16", "8, 17").replace("16, 2)", "17, 2)").replace("1d(16)", "1d(17)")
    other = checked(wider, one.spool.trajectory(), (8, 12))
    assert "other tensors than at the checkpoint" in other.spool.notes[0]


class Counted(State):
    """A state that is the number of the step."""

    def __init__(self) -> None:
        self.step = 0
        self.loaded: list[str] = []
        self.size_bytes = 10

    def collect(self) -> dict[str, Any]:
        return {"weights": self.step}

    def save(self, state: Any, path: str) -> None:
        Path(path).write_bytes(b"x" * self.size_bytes)

    def load(self, path: str) -> None:
        self.loaded.append(Path(path).name)


def stepped(checkpoints: Checkpoints, training: Counted, steps: int) -> None:
    for step in range(1, steps + 1):
        training.step = step
        checkpoints.stepped(training)


def files(folder: Path) -> list[int]:
    return sorted(int(it.stem) for it in (folder / "checkpoints").iterdir())


class TestRoom:
    @pytest.fixture
    def training(self) -> Counted:
        return Counted()

    def test_every_second_file_goes_where_there_would_be_too_many(self, tmp_path: Path, training: Counted):
        checkpoints = Checkpoints(Spool(str(tmp_path)), 1)
        stepped(checkpoints, training, 65)
        assert files(tmp_path) == list(range(2, 65, 2))
        stepped(Checkpoints(Spool(str(tmp_path)), 1), training, 3)
        assert "only the first process" in read_spool(tmp_path).notes[0]

    def test_and_where_they_would_take_too_much(
        self, tmp_path: Path, training: Counted, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(hooks, "MOST_BYTES", 45)
        stepped(Checkpoints(Spool(str(tmp_path)), 10), training, 100)
        assert files(tmp_path) == [40, 80]

    def test_none_is_kept_where_one_is_too_large(
        self, tmp_path: Path, training: Counted, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(hooks, "MOST_BYTES", 5)
        stepped(Checkpoints(Spool(str(tmp_path)), 10), training, 100)
        assert files(tmp_path) == []
        assert "one is larger than" in read_spool(tmp_path).notes[0]

    def test_a_full_disk_ends_them_and_not_the_training(
        self, tmp_path: Path, training: Counted, monkeypatch: pytest.MonkeyPatch
    ):
        def full(state: Any, path: str) -> None:
            Path(path).write_bytes(b"x")
            raise OSError(28, "No space left on device")

        stepped(checkpoints := Checkpoints(Spool(str(tmp_path)), 10), training, 20)
        monkeypatch.setattr(training, "save", full)
        for _ in range(30):
            checkpoints.stepped(training)
        assert files(tmp_path) == [10, 20]
        assert "No space left" in read_spool(tmp_path).notes[0]

    def test_ranks_have_none_and_hear_why(
        self, tmp_path: Path, training: Counted, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("RANK", "0")
        monkeypatch.setenv("WORLD_SIZE", "2")
        stepped(Checkpoints(Spool(str(tmp_path)), 10), training, 20)
        assert not (tmp_path / "checkpoints").exists()
        assert "distributed" in read_spool(tmp_path).notes[0]


class TestSegments:
    def test_it_skips_up_to_a_segment_loads_its_state_and_skips_behind_it(self, tmp_path: Path):
        training = Counted()
        planned = frozenset((10, 20, 30))
        checkpoints = Checkpoints(Spool(str(tmp_path)), 0, planned, [(10, 20)], "/states")
        seen = []
        for step in range(1, 31):
            training.step = step
            seen.append(checkpoints.is_skipping)
            checkpoints.stepped(training)
        assert [n for n, is_left_out in enumerate(seen, 1) if not is_left_out] == list(range(11, 21))
        assert training.loaded == ["10.state"]
        assert [it.step for it in read_spool(tmp_path).trajectory().steps] == [10, 20]

    def test_a_segment_that_follows_another_goes_on_from_its_own_state(self, tmp_path: Path):
        training = Counted()
        segments = [(0, 10), (10, 20)]
        checkpoints = Checkpoints(Spool(str(tmp_path)), 0, frozenset((10, 20)), segments, "/states")
        stepped(checkpoints, training, 25)
        assert training.loaded == ["10.state"]
        assert checkpoints.is_skipping
