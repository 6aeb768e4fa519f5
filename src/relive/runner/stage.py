"""A stage's job: make its world from digests alone, then execute it there."""

import errno
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from relive import settings
from relive.capture.agent import agent_environment, install_agent
from relive.core.paths import ROOT
from relive.core.recipe import Code, Declared
from relive.core.run import FailureReason
from relive.errors import EnvironmentFailed, ReliveError, StoreFull, Superseded
from relive.formats.manifest_io import Snapshot
from relive.runner.checkout import checkout, clear_outputs, lay_inputs, working_folder
from relive.runner.commands import CommandPlan
from relive.runner.environment.build import build_environment, build_own, fetch_lock
from relive.runner.environment.projects import ProjectLayer, lay_projects
from relive.runner.environment.wheels import WheelStore
from relive.runner.execution import Desk, Execution, execute, failed_report
from relive.runner.lease import Over
from relive.runner.opened import record_file
from relive.runner.repository import lay_repository
from relive.runner.results import Expected
from relive.runner.variables import (
    RunIdentity,
    fixed_variables,
    identity_variables,
    in_environment,
    machine_variables,
    uv_variables,
)
from relive.wire.jobs import StageReport, StageWork


@dataclass(frozen=True)
class Rebuild:
    """How a replay makes its world: from nothing, and digesting the steps that the record has.

    Attributes:
        environment: Where the environment is built; must not exist.
        digest_steps: Plan of the steps to digest; None if none were recorded.
        variables: What else the hooks are told.
        offline: Whether the command gets no network but the hub.
    """

    environment: Path
    digest_steps: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    offline: bool = False


def run_stage(work: StageWork, desk: Desk, hub: str, rebuild: Rebuild | None = None) -> StageReport:
    """Do a stage's work in a fresh folder and report it, however it went.

    Args:
        work: What is to be done.
        desk: To report with; the checkout and what belongs to it are laid out in its folder.
        hub: Address of the hub, for the command.
        rebuild: Given for a replay.

    Raises:
        Superseded: Another claim took over; nothing is to be reported.
        HubUnreachable: The hub was away for longer than the transport's patience.
    """
    try:
        execution = _prepare(work, desk, hub, rebuild)
    except Superseded:
        raise
    except ReliveError as error:
        return failed_report(desk, _failure_of(error), str(error))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        failure = FailureReason.STORE_FULL if full else FailureReason.FAILURE
        return failed_report(desk, failure, f"{error.filename or desk.folder}: {error.strerror}")
    if desk.lease.over is Over.CANCELLED:
        return failed_report(desk, FailureReason.CANCELLED, "cancelled")
    return execute(execution, desk)


def _prepare(work: StageWork, desk: Desk, hub: str, rebuild: Rebuild | None) -> Execution:
    tree = desk.folder / "tree"
    desk.say("checkout", "checking its commit out")
    code = checkout(desk.blobs, work.code, tree)
    if work.repository and (lack := lay_repository(tree, work.repository, code.size_bytes)):
        desk.say("checkout", lack)
    desk.say("data", "getting its data")
    inputs = lay_inputs(desk.blobs, work.deps, tree)
    expected = _expected(work)
    clear_outputs(tree, expected.paths, work.deps)
    desk.say("environment", "making its environment")
    prefix, layer = _environment(work, desk, rebuild)
    declared = {**fixed_variables(work.cpus), **work.env}
    environment = in_environment(_variables(work, desk, hub, declared), prefix, layer)
    if rebuild:
        environment = uv_variables(prefix) | environment
    return Execution(
        run_id=work.run_id,
        tree=tree,
        plan=_plan(work, desk, environment, rebuild),
        expected=expected,
        inputs=Snapshot(tree, expected.without_written(inputs)),
        declared=_declared(work, declared),
        prefix=prefix,
        code_files=frozenset(entry.path for entry in code.entries),
        # No cache depends on which of its code a replay reads.
        named=(ROOT, *_named(work)) if rebuild else _named(work),
        held=work.hermetic,
        network=work.network,
        offline=rebuild is not None and rebuild.offline,
    )


def _variables(work: StageWork, desk: Desk, hub: str, declared: dict[str, str]) -> dict[str, str]:
    # The repository that the job's folder may lie in is not the command's, nor is its commit.
    ceiling = {"GIT_CEILING_DIRECTORIES": str(desk.folder)}
    return {**machine_variables(os.environ), **ceiling, **declared, **work.secrets, **_identity(work, hub)}


def _plan(work: StageWork, desk: Desk, environment: dict[str, str], rebuild: Rebuild | None) -> CommandPlan:
    agent = install_agent(Path(settings.cache()) / "agent")
    steps, more = (rebuild.digest_steps, rebuild.variables) if rebuild else (None, {})
    return CommandPlan(
        commands=work.commands,
        workdir=working_folder(desk.folder / "tree", work.workdir),
        environment=agent_environment(agent, desk.spool, {**environment, **more}, digest_steps=steps),
        timeout_s=work.timeout_s,
        memory_bytes=work.memory_bytes,
        opened=record_file(desk.folder),
    )


def _named(work: StageWork) -> tuple[str, ...]:
    """Give the inputs that the stage names; one that names none depends on all of its code."""
    deps = tuple(dep.path for dep in work.deps) or (ROOT,)
    return (*deps, *(params.file for params in work.params_files))


def _identity(work: StageWork, hub: str) -> dict[str, str]:
    identity = RunIdentity(
        run_id=work.run_id,
        hub=hub,
        token=work.command_token,
        project=work.project,
        stage=work.stage,
        commit=work.commit,
        branch=work.branch,
    )
    return identity_variables(identity)


def _environment(work: StageWork, desk: Desk, rebuild: Rebuild | None) -> tuple[Path, ProjectLayer]:
    """Build the stage's environment; without one it is the interpreter that relive itself runs on."""
    if not work.environment:
        return Path(sys.base_prefix), ProjectLayer()
    lock = fetch_lock(work.environment, desk.blobs)
    wheels = WheelStore(desk.blobs)
    prefix = build_own(lock, wheels, rebuild.environment) if rebuild else build_environment(lock, wheels)
    layer = lay_projects(
        desk.folder / "tree",
        lock.source,
        desk.folder / "project",
        python=prefix / "bin/python",
        folders=lock.folders,
    )
    return prefix, layer


def _expected(work: StageWork) -> Expected:
    return Expected(
        outs=work.outs,
        plots=work.plots,
        metrics_files=work.metrics_files,
        junit=work.junit,
        out_limit_bytes=work.out_limit_bytes,
    )


def _declared(work: StageWork, env: dict[str, str]) -> Declared:
    return Declared(
        command="\n".join(work.commands),
        code=Code(manifest=work.code, commit=work.commit, branch=work.branch),
        workdir=work.workdir,
        env=env,
        secrets=tuple(sorted(work.secrets)),
        environment=work.environment,
        params=work.params,
        data=work.deps,
        outs=work.outs,
        metrics_files=work.metrics_files,
    )


def _failure_of(error: ReliveError) -> FailureReason:
    if isinstance(error, EnvironmentFailed):
        return FailureReason.ENVIRONMENT
    return FailureReason.STORE_FULL if isinstance(error, StoreFull) else FailureReason.FAILURE
