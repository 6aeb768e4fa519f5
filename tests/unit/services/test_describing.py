"""A version that a client registered is described by jobs of its first revision, as the rows say."""

import platform
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from relive.core.digest import canonical_json
from relive.core.endpoint import Revision, RevisionState
from relive.core.job import Job, JobKind, JobState
from relive.core.model import ModelVersion
from relive.core.recipe import Code, Declared, EnvironmentLock, LockedPackage, Recipe
from relive.core.run import Artifact, Run, RunStatus
from relive.errors import Conflict, EnvironmentFailed, InvalidInput
from relive.services import jobs as job_calls
from relive.services import runs
from relive.services.describing import DOING
from relive.services.endpoints import cancel_deployment, deploy_version, find_running
from relive.services.ids import new_id
from relive.services.registry import NewVersion, find_same_version
from relive.wire.jobs import (
    DescribeReport,
    DescribeWork,
    EnvironmentReport,
    EnvironmentWork,
    Progress,
    ServeWork,
    StageReport,
)
from tests.support.bench import SIGNATURE, Bench

both = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)

MLMODEL = b"""\
flavors:
  python_function:
    loader_module: mlflow.sklearn
    python_version: 3.11.7
  sklearn:
    pickled_model: model.pkl
saved_input_example_info:
  artifact_path: input_example.json
  serving_input_path: serving_input_example.json
"""
FILES = {
    "MLmodel": MLMODEL,
    "model.pkl": b"...",
    "python_env.yaml": b"python: 3.11.7\n",
    "requirements.txt": b"mlflow==3.17.2\nscikit-learn==1.9.1\n",
    "serving_input_example.json": b'{"inputs": [[1.0, 2.0]]}',
}


def uploaded(bench: Bench, run: Run | None = None, **changes: bytes | None) -> ModelVersion:
    """Register a version as an MLflow client does: files, and no contract; None takes a file away."""
    named = {name.replace("__", "."): data for name, data in changes.items()}
    files = {name: data for name, data in (FILES | named).items() if data is not None}
    store = bench.services.store
    model = store.ensure_model(bench.project.id, "iris")
    new = ModelVersion(
        id=new_id(),
        model_id=model.id,
        model="iris",
        version=0,
        run_id=run.id if run else new_id(),
        manifest=bench.keep(files),
        sha256="0" * 64,
        source="runs:/x/model",
        created_by="local",
    )
    return store.create_version(new)


def lock_of(bench: Bench, *packages: tuple[str, str], tag: str = "") -> str:
    """Keep an environment of these packages, for this machine unless told otherwise."""
    lock = EnvironmentLock(
        python="3.11.7",
        implementation="cpython",
        platform=tag or f"manylinux_2_17_{platform.machine()}",
        source="",
        packages=tuple(
            LockedPackage(name=name, version=version, filename="x.whl", sha256="0" * 64, size_bytes=1)
            for name, version in packages
        ),
    )
    return bench.services.blobs.put(canonical_json(lock)).digest


def recorded(bench: Bench, lock: str) -> Run:
    """Make a run that was recorded in an environment."""
    created = bench.by_hand()
    recipe = Recipe(declared=Declared(command="train", code=Code(manifest=""), environment=lock))
    report = StageReport(
        fence=0,
        status=RunStatus.FINISHED,
        exit_code=0,
        recipe=bench.services.blobs.put(canonical_json(recipe)).digest,
        recipe_digest="x",
    )
    return runs.finish(bench.services, bench.services.store.get_run(created.run_id), report)


def again(bench: Bench, revision: Revision) -> Revision:
    """Read a revision again."""
    return bench.services.store.get_revision(revision.id)


def job_of(bench: Bench, revision: Revision) -> Job:
    """Give the job that now works for a revision."""
    return bench.services.store.get_job(again(bench, revision).job_id)


def work_of(bench: Bench, revision: Revision, kind: Any) -> Any:
    """Give what that job is asked."""
    return msgspec.convert(job_of(bench, revision).payload["work"], kind)


def resolve(bench: Bench, revision: Revision) -> str:
    """Report an environment as its runner would; gives its lock."""
    job = job_of(bench, revision)
    assert job.kind is JobKind.ENVIRONMENT
    lock = lock_of(bench)
    job_calls.finish(bench.services, job.id, EnvironmentReport(fence=job.fence, lock=lock))
    bench.tick()
    return lock


def describe(bench: Bench, revision: Revision, *, error: str = "") -> str:
    """Report a description as its job would; gives the contract."""
    job = job_of(bench, revision)
    assert job.kind is JobKind.DESCRIBE
    contract = "" if error else bench.keep({"expected.json": revision.id.encode()})
    report = DescribeReport(
        fence=job.fence, contract=contract, signature=None if error else SIGNATURE, error=error
    )
    job_calls.finish(bench.services, job.id, report)
    bench.tick()
    return contract


def lose(bench: Bench, revision: Revision) -> None:
    """Let the process of a revision's job die."""
    bench.executor.states[again(bench, revision).job_id] = "gone"
    bench.tick()


def deployed(bench: Bench, version: ModelVersion, endpoint: str = "iris") -> Revision:
    """Ask for a version, and let the scheduler look."""
    revision = deploy_version(bench.services, endpoint, version, by="ada")
    bench.tick()
    return revision


@both
def test_it_gets_an_environment_then_a_contract_then_its_process_and_the_traffic(bench: Bench) -> None:
    store, version = bench.services.store, uploaded(bench)
    revision = deployed(bench, version)
    work = work_of(bench, revision, EnvironmentWork)
    assert (work.env.lock, work.env.python) == ("requirements.txt", "3.11")
    assert [entry.path for entry in bench.manifest(work.code).entries] == ["requirements.txt"]
    lock = resolve(bench, revision)
    work = work_of(bench, revision, DescribeWork)
    assert (work.model, work.environment, work.loader) == (version.manifest, lock, "auto")
    assert [entry.path for entry in bench.manifest(work.example).entries] == ["serving_input_example.json"]
    contract = describe(bench, revision)
    described = store.get_version("iris", "1")
    assert (described.contract, described.signature) == (contract, SIGNATURE)
    work = work_of(bench, revision, ServeWork)
    assert (work.contract, work.environment, work.code) == (contract, lock, "")
    bench.ready(revision.id)
    assert store.get_endpoint("iris").live == revision.id
    assert (again(bench, revision).restarts, DOING in again(bench, revision).facts) == (0, False)


def test_the_event_says_who_registered_it_and_who_had_it_described(bench: Bench) -> None:
    revision = deployed(bench, uploaded(bench))
    resolve(bench, revision)
    describe(bench, revision)
    (event,) = bench.services.store.list_events(kind="model.described")
    assert event.actor == "ada"
    assert (event.facts["registered_by"], event.facts["environment_from"]) == ("local", "requirements.txt")


def test_registering_loads_nothing(bench: Bench) -> None:
    uploaded(bench)
    bench.tick()
    assert bench.executor.launched == []


def test_the_next_version_with_the_same_files_takes_the_environment_that_is_kept(bench: Bench) -> None:
    first = deployed(bench, uploaded(bench))
    lock = resolve(bench, first)
    second = deployed(bench, uploaded(bench), "other")
    assert work_of(bench, second, DescribeWork).environment == lock
    third = deployed(bench, uploaded(bench, requirements__txt=b"numpy\n"), "third")
    assert job_of(bench, third).kind is JobKind.ENVIRONMENT


def test_wheels_and_constraints_are_part_of_what_the_environment_is_made_of(bench: Bench) -> None:
    store, services = bench.services.store, bench.services
    files = FILES | {"constraints.txt": b"numpy<3\n", "wheels/mine-1-py3-none-any.whl": b"one"}
    first = uploaded(bench)
    revisions = []
    for number, data in enumerate((b"one", b"two")):
        manifest = bench.keep(files | {"wheels/mine-1-py3-none-any.whl": data})
        version = msgspec.structs.replace(first, id=new_id(), manifest=manifest)
        revisions.append(deployed(bench, store.create_version(version), f"e{number}"))
    first_work, second_work = (work_of(bench, it, EnvironmentWork) for it in revisions)
    paths = [entry.path for entry in bench.manifest(first_work.code).entries]
    assert paths == ["constraints.txt", "requirements.txt", "wheels/mine-1-py3-none-any.whl"]
    resolve(bench, revisions[0])
    assert first_work.code != second_work.code
    assert job_of(bench, revisions[1]).kind is JobKind.ENVIRONMENT
    assert services.store.get_job(again(bench, revisions[1]).job_id).state is JobState.RUNNING


def test_the_environment_of_its_run_is_taken_if_it_has_what_the_folder_asks_for(bench: Bench) -> None:
    lock = lock_of(bench, ("mlflow-skinny", "3.17.2"), ("Scikit_Learn", "1.9.1"))
    revision = deployed(bench, uploaded(bench, recorded(bench, lock)))
    assert work_of(bench, revision, DescribeWork).environment == lock
    describe(bench, revision)
    assert work_of(bench, revision, ServeWork).environment == lock
    ((_, facts),) = bench.events("model.described")
    assert facts["environment_from"] == "its run"


@pytest.mark.parametrize(
    ("packages", "tag"),
    [
        ((("scikit-learn", "1.9.1"),), ""),
        ((("mlflow", "3.17.2"), ("scikit-learn", "1.8.0")), ""),
        ((("mlflow", "3.17.2"), ("scikit-learn", "1.9.1")), "macosx_14_0_arm64"),
    ],
)
def test_an_environment_that_is_another_or_for_another_machine_is_not_taken(
    bench: Bench, packages: Any, tag: str
) -> None:
    lock = lock_of(bench, *packages, tag=tag)
    revision = deployed(bench, uploaded(bench, recorded(bench, lock)))
    assert job_of(bench, revision).kind is JobKind.ENVIRONMENT


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"serving_input_example__json": None}, Conflict, "input_example=X[:5]"),
        ({"MLmodel": MLMODEL.partition(b"saved")[0]}, Conflict, "mlflow.sklearn.log_model"),
        ({"MLmodel": None}, Conflict, "log it as an MLflow model"),
        ({"MLmodel": b"{"}, InvalidInput, "MLmodel"),
        ({"requirements__txt": None}, EnvironmentFailed, "pip_requirements"),
    ],
)
def test_what_cannot_be_described_is_refused_at_once_and_says_what_to_do(
    bench: Bench, changes: dict[str, bytes | None], error: type[Exception], said: str
) -> None:
    version = uploaded(bench, None, **changes)
    with pytest.raises(error) as caught:
        deploy_version(bench.services, "iris", version, by="ada")
    assert said in str(caught.value)
    assert bench.services.store.list_revisions() == []


def test_a_version_whose_files_are_elsewhere_is_refused_with_their_address(bench: Bench) -> None:
    version = msgspec.structs.replace(uploaded(bench), manifest="", source="s3://bucket/m")
    with pytest.raises(Conflict, match="s3://bucket/m"):
        deploy_version(bench.services, "iris", version, by="ada")


@pytest.mark.parametrize("steps", [[], [resolve]])
def test_a_lost_job_is_tried_again_and_given_up_in_the_end(
    bench: Bench, steps: list[Callable[[Bench, Revision], str]]
) -> None:
    revision = deployed(bench, uploaded(bench))
    for step in steps:
        step(bench, revision)
    kind, first = job_of(bench, revision).kind, again(bench, revision).job_id
    lose(bench, revision)
    assert (job_of(bench, revision).kind, again(bench, revision).restarts) == (kind, 1)
    assert again(bench, revision).job_id != first
    for _ in range(5):
        lose(bench, revision)
    now = again(bench, revision)
    assert (now.state, now.restarts) == (RevisionState.FAILED, 5)
    assert "lost 5 times" in now.error


def test_a_model_that_cannot_be_described_fails_its_revision_and_asking_again_is_a_retry(
    bench: Bench,
) -> None:
    version = uploaded(bench)
    revision = deployed(bench, version)
    resolve(bench, revision)
    describe(bench, revision, error="No module named 'lightgbm'")
    now = again(bench, revision)
    assert now.state is RevisionState.FAILED
    assert now.error == "its model could not be described: No module named 'lightgbm'"
    retried = deployed(bench, version)
    assert (retried.number, job_of(bench, retried).kind) == (2, JobKind.DESCRIBE)
    describe(bench, retried)
    bench.ready(retried.id)
    assert bench.services.store.get_endpoint("iris").live == retried.id


def test_an_environment_that_cannot_be_resolved_fails_its_revision(bench: Bench) -> None:
    revision = deployed(bench, uploaded(bench))
    job = job_of(bench, revision)
    job_calls.finish(bench.services, job.id, EnvironmentReport(fence=job.fence, error="no such package"))
    bench.tick()
    now = again(bench, revision)
    assert (now.state, now.error) == (RevisionState.FAILED, "no such package")


def test_what_it_does_is_shown_until_it_is_ready(bench: Bench) -> None:
    revision = deployed(bench, uploaded(bench))
    assert again(bench, revision).facts[DOING] == "waits for its environment to be resolved"
    job = job_of(bench, revision)
    told = Progress(fence=job.fence, phase="environment", message="resolving requirements.txt")
    job_calls.progress(bench.services, job.id, told)
    assert again(bench, revision).facts[DOING] == "resolving requirements.txt"


def test_a_cancelled_deployment_ends_its_job_and_the_traffic_stays(bench: Bench) -> None:
    store = bench.services.store
    live = bench.deployed(bench.version("iris"), "iris")
    coming = deployed(bench, uploaded(bench))
    job = job_of(bench, coming)
    cancel_deployment(bench.services, "iris", by="ada")
    assert store.get_job(job.id).cancel_requested
    assert (again(bench, coming).state, again(bench, coming).error) == (
        RevisionState.STOPPED,
        "cancelled by ada",
    )
    bench.tick()
    assert store.get_endpoint("iris").live == live.id
    with pytest.raises(Conflict, match="on its way"):
        cancel_deployment(bench.services, "iris", by="ada")
    job_calls.finish(bench.services, job.id, EnvironmentReport(fence=job.fence, lock=lock_of(bench)))
    bench.tick()
    assert again(bench, coming).state is RevisionState.STOPPED


def test_of_two_that_describe_one_version_the_first_to_end_writes_the_contract(bench: Bench) -> None:
    version = uploaded(bench)
    first, second = deployed(bench, version, "a"), deployed(bench, version, "b")
    resolve(bench, first)
    resolve(bench, second)
    contract = describe(bench, second)
    describe(bench, first)
    assert bench.services.store.get_version("iris", "1").contract == contract
    assert {work_of(bench, it, ServeWork).contract for it in (first, second)} == {contract}
    assert len(bench.events("model.described")) == 1


def test_a_described_version_is_served_again_at_once_and_still_is_what_was_registered(bench: Bench) -> None:
    version = uploaded(bench, bench.finished_by_hand())
    revision = deployed(bench, version)
    resolve(bench, revision)
    describe(bench, revision)
    bench.ready(revision.id)
    store = bench.services.store
    described = store.get_version("iris", "1")
    assert find_running(bench.services, store.get_endpoint("iris"), described) is not None
    assert job_of(bench, deployed(bench, described, "other")).kind is JobKind.SERVE
    new = NewVersion(
        project=bench.project,
        model="iris",
        run_id=version.run_id,
        manifest=version.manifest,
        loader="auto",
    )
    store.set_version(version.id, provenance="blake3:" + "0" * 64)
    assert find_same_version(bench.services, new, statuses=("candidate",)) is not None


PIPELINE = """
version: 1
stages:
  train: {cmd: python train.py, deps: [train.py], outs: [model/]}
  register: {needs: [train], register: {model: iris, artifact: model/}}
  deploy: {needs: [register], deploy: {endpoint: iris}}
"""


def registered(bench: Bench, files: dict[str, bytes]) -> dict[str, Any]:
    """Push a pipeline that registers a folder of these files without an example; gives its stages."""
    pipeline = bench.start({"relive.yaml": PIPELINE, "train.py": "1"})
    train = bench.stages(pipeline)["train"]
    job, work = bench.running(train)
    manifest = bench.keep({f"model/{name}": data for name, data in files.items()})
    out = Artifact(run_id=work.run_id, path="model/", manifest=manifest, size_bytes=1, files=len(files))
    report = StageReport(
        fence=job.fence,
        status=RunStatus.FINISHED,
        exit_code=0,
        recipe=bench.recipe(work.commands[0], code=work.code),
        recipe_digest="x",
        artifacts=(out,),
    )
    bench.report(train, report)
    return bench.stages(pipeline)


def test_a_stage_that_registers_an_mlflow_folder_without_an_example_deploys_as_well(bench: Bench) -> None:
    stages = registered(bench, FILES)
    assert stages["register"].reason.endswith(
        "its contract is learned from its input example when it is first deployed"
    )
    revision = bench.services.store.get_revision(stages["deploy"].result["revision_id"])
    resolve(bench, revision)
    describe(bench, revision)
    bench.ready(revision.id)
    assert bench.services.store.get_endpoint("iris").live == revision.id


def test_a_stage_that_registers_any_other_folder_without_an_example_says_so(bench: Bench) -> None:
    stages = registered(bench, {"weights": b"1"})
    assert stages["register"].reason.endswith(
        "without an example it cannot be deployed: add `register.example`"
    )
    assert "without an example" in stages["deploy"].reason
