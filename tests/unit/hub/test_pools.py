"""A pool is kept only if its jobs could run and would find the hub."""

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest

from relive.core.job import Job, JobKind, JobState, Pool
from relive.errors import Conflict, InvalidInput, InvalidName, NotFound, PoolUnfit, PoolUnreachable
from relive.hub.pools import add_pool, remove_pool
from relive.services.context import Services
from relive.services.ids import new_id
from tests.support.bench import Bench
from tests.support.dashboard import Answers, answering
from tests.support.live import LiveHub


@pytest.fixture
def ray() -> Iterator[Answers]:
    """A server that claims to be Ray, at an address that is not the hub's."""
    with answering("127.0.0.2") as answers:
        yield answers


def pool(ray: Answers, **config: str) -> Pool:
    return Pool(name="gpu", executor="ray", config={"address": ray.url, **config}, slots=3)


def kept(bench: Bench) -> list[str]:
    return [it.name for it in bench.services.store.list_pools() if it.name != "local"]


def reached_at(bench: Bench, url: str) -> Services:
    """Give the services of a hub with this public address."""
    return replace(bench.services, place=replace(bench.services.place, public_url=url))


def test_a_pool_that_fits_is_kept(bench: Bench, ray: Answers) -> None:
    assert add_pool(bench.services, pool(ray, python="python3.12")) == pool(ray, python="python3.12")
    with pytest.raises(Conflict, match="the name is taken"):
        add_pool(bench.services, pool(ray))


def test_a_pool_whose_jobs_would_not_find_the_hub_is_refused(bench: Bench, ray: Answers) -> None:
    with pytest.raises(Conflict, match="where only this machine finds it") as raised:
        add_pool(reached_at(bench, "http://127.0.0.1:7878"), pool(ray))
    assert "relive up --public-url" in (raised.value.to_do() or "")
    assert kept(bench) == []


def test_a_pool_that_jobs_use_is_not_taken_away(bench: Bench, ray: Answers) -> None:
    add_pool(bench.services, pool(ray))
    job = Job(id=new_id(), kind=JobKind.STAGE, state=JobState.QUEUED, pool="gpu")
    bench.services.store.put(job)
    with pytest.raises(Conflict, match="1 of its jobs wait or run"):
        remove_pool(bench.services, "gpu")
    claimed = bench.services.store.claim("me", pools=["gpu"], kinds=[JobKind.STAGE], lease_s=60)
    assert claimed is not None
    bench.services.store.finish(job.id, claimed.fence, JobState.DONE, result={})
    remove_pool(bench.services, "gpu")
    assert kept(bench) == []
    with pytest.raises(NotFound):
        remove_pool(bench.services, "gpu")


def test_the_pool_of_this_machine_is_never_taken_away(bench: Bench) -> None:
    with pytest.raises(InvalidInput):
        remove_pool(bench.services, "local")


@pytest.mark.parametrize("hub", ["http://127.0.0.1:7878", "http://localhost:7878", "http://[::1]:7878"])
def test_a_cluster_on_the_same_machine_finds_it(bench: Bench, hub: str) -> None:
    with answering("127.0.0.1") as ray:
        add_pool(reached_at(bench, hub), pool(ray))
    assert kept(bench) == ["gpu"]


def test_a_pool_that_does_not_fit_is_not_kept(bench: Bench, ray: Answers) -> None:
    ray.says("GET /api/version", {"version": "3"})
    with pytest.raises(PoolUnfit):
        add_pool(bench.services, pool(ray))
    ray.says("GET /api/version", b"", 500)
    with pytest.raises(PoolUnreachable):
        add_pool(bench.services, pool(ray))
    with pytest.raises(InvalidInput, match=r"one of: .*ray"):
        add_pool(bench.services, Pool(name="gpu", executor="slurm9"))
    with pytest.raises(InvalidInput, match="address, token_file, python"):
        add_pool(bench.services, pool(ray, tokens="x"))
    with pytest.raises(InvalidName):
        add_pool(bench.services, msgspec.structs.replace(pool(ray), name="../gpu"))
    assert kept(bench) == []


def test_the_api_says_what_is_wrong(live: LiveHub, ray: Answers) -> None:
    asked = {"name": "gpu", "executor": "ray", "config": {"address": ray.url}, "slots": 2}
    ray.says("GET /api/version", {"version": "3", "ray_version": "1.2"})
    answer = live.ask("POST", "/api/v1/pools", asked)
    assert (answer.status, answer.code) == (422, "pool_unfit")
    ray.says("GET /api/version", b"<html>")
    answer = live.ask("POST", "/api/v1/pools", asked)
    assert (answer.status, answer.code) == (502, "pool_unreachable")
    assert "no dashboard of Ray" in answer.json["message"]
