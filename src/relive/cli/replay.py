"""`relive replay`: make a run again from its recipe alone, and judge the copy."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import click

from relive.cli.output import err, escape, json_option, number, out, plural, print_json, print_table
from relive.cli.replay_drill import end_drill, replay_drill
from relive.cli.replay_offline import hub_for_replay, offline_sentence
from relive.cli.replay_pool import replay_on_pool, set_schedule
from relive.cli.replay_spots import announce_spots, with_spots
from relive.cli.verdicts import WORDS
from relive.client.hub import HubClient
from relive.core.compare import within
from relive.core.ids import short_id
from relive.core.recipe import Recipe
from relive.core.spots import MOST_SEED
from relive.core.tolerance import parse_tolerance
from relive.core.trajectory import (
    FirstDivergence,
    StepPlace,
    StepRecord,
    StepWindow,
    Verdict,
    VerdictLevel,
)
from relive.errors import CommandFailed, InvalidInput
from relive.replay.archived import is_archive, replay_archive
from relive.replay.execute import execute
from relive.replay.plan import ReplayPlan, make_plan
from relive.replay.report import Terms, judge_replay
from relive.replay.spots import SpotWatch, recorded_of
from relive.replay.substitutes import Substitutes
from relive.replay.watch import Seen, Stop, Watch
from relive.wire.runs import PlacedReplay

_EXIT = {
    VerdictLevel.BIT_EXACT: 0,
    VerdictLevel.WITHIN_TOLERANCE: 0,
    VerdictLevel.SPOT_CHECKED: 0,
    VerdictLevel.UNRESOLVED: 1,
    VerdictLevel.DIVERGED: 3,
    VerdictLevel.NOT_COMPARABLE: 3,
}
# What each takes beside it; --json goes with everything.
_TAKES = {
    "every": (("pool",), "--schedule takes --pool and --json: its replays are whole and as recorded."),
    "step": (
        ("substitutes", "against", "quiet"),
        "--drill takes --substitute, --against, --quiet and --json: it judges nothing.",
    ),
    "pool": (
        ("tolerances", "substitutes", "offline", "quiet", "every"),
        "--pool takes --tolerance, --substitute, --offline, --quiet: a replay is followed on this machine.",
    ),
    "steps": (
        ("substitutes", "until_divergence", "offline", "quiet"),
        "--steps judges steps by their bits and no metric, so --tolerance has nothing to say there.",
    ),
    "spot_check": (
        ("seed", "substitutes", "offline", "quiet"),
        "--spot-check takes --seed, --substitute, --offline, --quiet: it judges segments, and no metric.",
    ),
}
_MOST_INPUTS = 20
_FEW = 3
_LIBRARY = re.compile(r"^[^:]+\.(so(\.[\d.]+)?|dylib|pyd|dll): ")
_STYLES = {
    VerdictLevel.BIT_EXACT: "green",
    VerdictLevel.WITHIN_TOLERANCE: "green",
    VerdictLevel.DIVERGED: "red",
    VerdictLevel.UNRESOLVED: "yellow",
    VerdictLevel.NOT_COMPARABLE: "yellow",
    VerdictLevel.SPOT_CHECKED: "cyan",
}


@click.command()
@click.argument("target")
@click.option(
    "--tolerance",
    "tolerances",
    multiple=True,
    metavar="METRIC=LIMIT",
    help="How far a metric may be off: acc=0.01 in its unit, loss=2% of the recorded value.  [repeatable]",
)
@click.option(
    "--substitute",
    "substitutes",
    multiple=True,
    metavar="WHAT",
    help="Accept another than the recorded: python==3.12.1, torch==2.3.1, cpu, gpu.  [repeatable]",
)
@click.option("--steps", "steps", metavar="A..B", help="Judge only these steps, and end after the last one.")
@click.option(
    "--spot-check",
    "spot_check",
    type=click.IntRange(min=1),
    metavar="K",
    help="Make K random segments between the run's checkpoints again, and judge only these.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, MOST_SEED),
    help="Draw the segments with it, such as those of an earlier spot check; default: a new one.",
)
@click.option("--until-divergence", is_flag=True, help="End at the first step that differs.")
@click.option("--drill", "step", metavar="STEP", help="Name the first operation that differs in this step.")
@click.option("--against", default="", metavar="RUN", help="The other side of a drill: another run.")
@click.option("--offline", is_flag=True, help="Ask no package index, and give the command no network.")
@click.option("--pool", default="", help="Run it there as a job, and wait for the verdict.")
@click.option(
    "--schedule",
    "every",
    metavar="TIME",
    help="TARGET is a project: make its champions again every TIME (12h, 7d, 2w), or never (off).",
)
@click.option("--quiet", is_flag=True, help="Do not show what the command prints.")
@json_option
def replay(
    target: str,
    tolerances: tuple[str, ...],
    substitutes: tuple[str, ...],
    steps: str | None,
    spot_check: int | None,
    seed: int | None,
    until_divergence: bool,
    step: str | None,
    against: str,
    offline: bool,
    pool: str,
    every: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Make a run or a model again from its recipe alone, in an empty place, and judge the copy.

    TARGET is a run's id (or its beginning), or a model version: NAME@ALIAS, NAME@NUMBER. Code, data and
    wheels come from the hub by their digests. Steps are compared while it runs.
    It may be a FILE, too, that `relive export --self-contained` wrote: then no hub is asked for anything.

    A metric is within tolerance if it differs by at most what --tolerance says; else by what the run's own
    noise explains, once it was repeated twice with equal inputs; else by 2 percentage points where both
    values lie in [0, 1], and by 2 % elsewhere. The verdict says which of them it was.

    What cannot be the same here is said before the start. Where the recorded Python, a wheel or a GPU is
    missing, nothing starts until --substitute accepts another; the verdict says what was accepted.

    With --offline no package index is asked, and the command reaches no network but the hub, where this
    machine can shut it out (see `relive doctor`). What is not kept is named before the start: a run without
    a lock is replayed once without it, and then the hub has its wheels. Without a hub, replay an archive that
    `relive export --self-contained` wrote.

    With --spot-check only some of a long training is made again, in a part of its time. Between two of the
    checkpoints that `relive run --checkpoints N` keeps lies a segment. K of them are drawn, made from the
    state where they begin, and compared up to the state where they end. All else is left out, so metrics and
    outs are not judged, and the verdict is "spot-checked": it never stands for the whole run. It says how
    probable it was to miss a single changed segment.

    With --drill nothing is judged: the run is made again twice up to STEP (or STREAM@STEP), every operation
    around it is written down, and the first that differs is named: with --substitute the second time has the
    substitutes, with --against it is another run. PyTorch is looked into operation by operation; of other
    libraries, the steps that relive records.

    With --schedule the hub makes the champions of a project again by itself; where one no longer can be, that
    is an event (model.rotted).

    \b
    Exit codes: 0 bit-exact, within tolerance or spot-checked, 3 diverged or not comparable, 1 the replay
    itself failed.

    \b
    Examples:
      relive replay digits@champion
      relive replay 7f3a --tolerance accuracy=0.005 --tolerance loss=1%
      relive replay 7f3a --steps 0..100 --until-divergence
      relive replay 7f3a --spot-check 2
      relive replay 7f3a --spot-check 2 --seed 1234
      relive replay 7f3a --substitute python==3.12.1 --substitute gpu
      relive replay 7f3a --drill 7 --substitute torch==2.3.1
      relive replay 7f3a --drill loss@7 --against 81c2
      relive replay 7f3a --offline
      relive replay digits@champion --pool gpu-small
      relive replay digits --schedule 7d
      relive replay 7f3a --json
      relive replay digits.zip
    """
    terms = Terms(limits=dict(map(parse_tolerance, tolerances)), window=_window(steps))
    _check_options(click.get_current_context())
    if is_archive(target):
        _end(replay_archive(Path(target), terms.limits, quiet=quiet or as_json), target, as_json=as_json)
    hub = hub_for_replay(offline=offline)
    if every is not None:
        set_schedule(hub, target, every, pool, as_json=as_json)
        return
    accepted = Substitutes.parse(substitutes)
    echo = None if quiet or as_json else _show
    if step is not None:
        end_drill(replay_drill(hub, target, step, against, accepted, echo), as_json=as_json)
    if pool:
        request = PlacedReplay(pool=pool, substitutes=accepted.texts, tolerances=tolerances, offline=offline)
        _end(*replay_on_pool(hub, target, request, quiet=quiet or as_json), as_json=as_json)
    plan = make_plan(hub, target, accepted, offline=offline)
    terms.check(plan)
    terms = with_spots(terms, plan, hub, spot_check, seed)
    if not as_json:
        _announce(plan)
        announce_spots(terms.spots)
    watch = _watch(plan, terms, hub, until_divergence=until_divergence, quiet=as_json)
    repeated = execute(plan, hub, echo=echo, watch=watch)
    _end(hub.record_verdict(judge_replay(plan, repeated, hub, terms)), repeated.url, as_json=as_json)


def _check_options(context: click.Context) -> None:
    """Refuse what does not go together, rather than leave out what somebody asked for."""
    # A seed may be 0.
    given = {
        name for name, value in context.params.items() if value or (name == "seed" and value is not None)
    }
    given -= {"target", "as_json"}
    if is_archive(context.params["target"]) and not given <= {"tolerances", "quiet"}:
        raise click.UsageError("A FILE takes --tolerance, --quiet and --json; it asks no hub and no index.")
    for name, (beside, sentence) in _TAKES.items():
        if name in given and not given <= {name, *beside}:
            raise click.UsageError(sentence)
    if "seed" in given and "spot_check" not in given:
        raise click.UsageError("--seed draws the segments of --spot-check.")
    if "against" in given and "step" not in given:
        raise click.UsageError("--against is the other side of --drill.")


def _end(verdict: Verdict, place: str, *, as_json: bool) -> NoReturn:
    """Print the verdict and leave with its exit code."""
    if as_json:
        print_json(verdict)
    else:
        _print(verdict, place)
    if verdict.level is VerdictLevel.UNRESOLVED and not as_json:
        raise CommandFailed(command="relive replay", exit_code=1, reason=verdict.reason)
    raise SystemExit(_EXIT[verdict.level])


def _window(text: str | None) -> StepWindow | None:
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,15})\.\.([0-9]{1,15})", text)
    if found is None or int(found[1]) > int(found[2]):
        raise InvalidInput(field="--steps", value=text, wanted="A..B, such as 0..100")
    return StepWindow(first=int(found[1]), last=int(found[2]))


def _watch(
    plan: ReplayPlan, terms: Terms, hub: HubClient, *, until_divergence: bool, quiet: bool
) -> Watch | None:
    if plan.trajectory is None:
        return None
    if terms.spots is not None:
        return SpotWatch(plan, hub, terms.spots, told=_teller(quiet, recorded_of(plan, terms.spots)))
    steps = (within(plan.trajectory, terms.window) if terms.window else plan.trajectory).steps
    return Watch(
        plan.trajectory,
        window=terms.window,
        until_divergence=until_divergence,
        told=_teller(quiet, steps),
    )


def _teller(quiet: bool, steps: Sequence[StepRecord]) -> Callable[[Seen], None]:
    return (lambda seen: None) if quiet else _Progress(len(steps)).tell


class _Progress:
    """Says how far a replay agrees: a line for each tenth of the record, and one where they part."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._tenth = 0
        self._has_parted = False

    def tell(self, seen: Seen) -> None:
        """Say it, if it is news; called from another thread than the command's output."""
        if seen.first is not None and not self._has_parted:
            self._has_parted = True
            after = f", the last equal one is {_place(seen.last_equal)}" if seen.last_equal else ""
            names = ", ".join(seen.first.names)
            err.print(escape(f"parts from the record in {_place(seen.first)}: {names}{after}"))
        tenth = 10 * seen.compared // max(1, self._steps)
        if seen.last_equal is not None and not self._has_parted and tenth > self._tenth:
            self._tenth = tenth
            # The end of one segment of a spot check may be the beginning of the next, and is seen twice.
            done = f"{min(seen.compared, self._steps)} of {self._steps} steps equal"
            err.print(escape(f"{done}, the last one {_place(seen.last_equal)}"))
        if seen.stop is Stop.ALL_SEEN:
            err.print("all asked steps were seen; it is ended here")


def _place(at: StepPlace | FirstDivergence) -> str:
    return f"{at.stream} step {at.step}"


def _announce(plan: ReplayPlan) -> None:
    run = plan.detail.run
    name = f"{plan.model}, " if plan.model else ""
    out.print(escape(f"replaying {name}run {short_id(run.id)} ({run.name}) of {_code(plan.recipe)}"))
    packages = plural(len(plan.lock.packages), "package") + " from kept wheels" if plan.lock else "no lock"
    python = f"Python {plan.lock.python}, " if plan.lock else ""
    steps = f", {plural(len(plan.trajectory.steps), 'recorded step')}" if plan.trajectory else ""
    inputs = plural(len(plan.recipe.declared.data), "input")
    out.print(f"  {python}{packages}, {inputs}{steps}")
    if plan.offline:
        out.print(escape(f"  {offline_sentence()}"))
    for text in plan.substitutes:
        out.print(escape(f"  accepted instead of the recorded: {text}"))
    for obstacle in plan.obstacles:
        out.print(escape(f"  {obstacle.sentence}: bits may differ"))


def _code(recipe: Recipe) -> str:
    """Say which code it is, as the record has it."""
    code = recipe.declared.code
    if not code.commit:
        return "files that were of no commit"
    return f"commit {short_id(code.commit)}" + (", with what was not committed" if code.dirty else "")


def _print(verdict: Verdict, url: str) -> None:
    print_table(
        ("METRIC", "RECORDED", "REPLAYED", "DIFFERENCE", "LIMIT", "BY"),
        (
            (
                item.key,
                _value(item.recorded),
                _value(item.replayed),
                "" if item.difference is None else _amount(item.difference, relative=item.relative),
                "" if item.limit is None else _amount(item.limit, relative=item.relative),
                item.basis,
            )
            for item in verdict.metrics
        ),
        empty="",
    )
    for path, word in verdict.outs.items():
        out.print(f"out {escape(path)}: {word}")
    if verdict.first_divergence is not None:
        first = verdict.first_divergence
        out.print(escape(f"first difference: {first.stream}, step {first.step}, in {', '.join(first.names)}"))
    if verdict.last_equal is not None:
        out.print(escape(f"last equal step: {_place(verdict.last_equal)}"))
    for line in lines_of_inputs(verdict.inputs_differ):
        out.print(escape(line))
    if "offline" in verdict.facts:
        out.print(f"offline: {escape(verdict.facts['offline'])}")
    out.print(f"[bold {_STYLES[verdict.level]}]{WORDS[verdict.level]}[/]  {escape(verdict.reason)}")
    out.print(url)


def lines_of_inputs(differences: Sequence[str]) -> list[str]:
    """Say what else was different: many libraries, such as those of one package, in one line."""
    libraries = [it for it in differences if _LIBRARY.search(it)]
    many = libraries if len(libraries) > _FEW else []
    others = [it for it in differences if it not in many]
    lines = [f"input differs: {it}" for it in others[:_MOST_INPUTS]]
    if many:
        lines.append(f"inputs differ: {len(many)} loaded libraries, the first is {many[0]}")
    if len(others) > _MOST_INPUTS:
        lines.append(f"and {len(others) - _MOST_INPUTS} more, which --json names")
    return lines


def _amount(value: float, *, relative: bool) -> str:
    return f"{value * 100:.3g} %" if relative else f"{value:.3g}"


def _value(value: float | None) -> str:
    return "absent" if value is None else number(value)


def _show(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
