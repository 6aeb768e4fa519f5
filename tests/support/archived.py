"""A run with all that an archive can hold, made without running anything."""

from pathlib import Path

from relive.core.digest import canonical_json
from relive.core.recipe import (
    Code,
    DataInput,
    Declared,
    EnvironmentLock,
    Hardware,
    LockedPackage,
    Observed,
    Recipe,
)
from relive.core.run import Metric, RunStatus
from relive.formats.hashing import document_digest, hash_file
from relive.services import runs
from relive.services.registry import NewVersion, create_version
from relive.wire.jobs import Records, StageReport
from tests.support.bench import Bench
from tests.support.wheels import make_wheel


def registered(bench: Bench, tmp_path: Path) -> str:
    """A finished run with code, data and a wheel, of which a model was registered."""
    wheel = make_wheel(tmp_path / "wheels", "rlv-alpha")
    hashed = hash_file(wheel, sha256=True)
    package = LockedPackage(
        name="rlv-alpha",
        version="1.0",
        filename=wheel.name,
        sha256=str(hashed.sha256),
        size_bytes=hashed.size_bytes,
        blob=bench.services.blobs.put(wheel.read_bytes()).digest,
    )
    lock = EnvironmentLock(
        python="3.11.7", implementation="cpython", platform="linux_x86_64", source="", packages=(package,)
    )
    data = bench.keep({"data/rows.csv": b"1\n"})
    recipe = Recipe(
        declared=Declared(
            command="python train.py",
            code=Code(manifest=bench.keep({"train.py": b"print(1)\n"})),
            environment=bench.services.blobs.put(canonical_json(lock)).digest,
            params={"lr": 0.1},
            data=(DataInput(path="data", manifest=data, size_bytes=2, origin="file"),),
        ),
        observed=Observed(
            hardware=Hardware(
                cpu_model="x", cpu_vendor="y", cpu_flags_digest="z", cores=1, cores_allowed=1, memory_bytes=1
            )
        ),
    )
    services = bench.services
    report = StageReport(
        fence=0,
        status=RunStatus.FINISHED,
        exit_code=0,
        recipe=services.blobs.put(canonical_json(recipe)).digest,
        recipe_digest=document_digest(recipe.declared),
    )
    begun = services.store.get_run(bench.by_hand(name="one").run_id)
    runs.record(services, begun, Records(fence=0, batch="1", metrics=(Metric("accuracy", 0.5, 0, 1.0),)))
    run = runs.finish(services, begun, report)
    model = bench.keep({"weights": b"w"})
    create_version(
        services, NewVersion(project=bench.project, model="m", run_id=run.id, manifest=model, loader="auto")
    )
    return run.id
