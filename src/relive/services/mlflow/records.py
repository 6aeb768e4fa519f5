"""What clients log to runs: metrics, params and tags."""

from collections.abc import Sequence
from typing import Final

import msgspec

from relive.core.access import Caller
from relive.core.logged_model import ModelMetric
from relive.core.run import Metric, Run, RunRecords
from relive.errors import Conflict
from relive.services.context import Services
from relive.services.mlflow import keys
from relive.services.mlflow.faults import SEE_DOCS, invalid, invalid_value, missing, missing_value
from relive.services.mlflow.run_json import param_text
from relive.services.mlflow.runs import RUN_NAME, writable
from relive.wire.mlflow import tracking as wire
from relive.wire.mlflow.common import KeyValue

_MOST_METRICS: Final = 1000
_MOST_PAIRS: Final = 100
_MOST_ALL: Final = 1000


def log_metric(services: Services, message: wire.LogMetric, caller: Caller) -> None:
    """Keep one point.

    Raises:
        MlflowFault: It cannot be kept, or there is no such run, or it is deleted.
        AccessDenied: The run is another's.
    """
    point = wire.MetricPoint(
        key=message.key,
        value=message.value,
        timestamp=message.timestamp,
        step=message.step,
        model_id=message.model_id,
        dataset_name=message.dataset_name,
        dataset_digest=message.dataset_digest,
    )
    _check_point(point, "")
    run = writable(services, message.run_id, caller)
    _keep(services, run, RunRecords(metrics=_metrics([point])), _model_metrics(services, run, [point]))


def log_param(services: Services, message: wire.LogParameter, caller: Caller) -> None:
    """Keep a param, once.

    Raises:
        MlflowFault: It has another value already; or as `log_metric`.
        AccessDenied: The run is another's.
    """
    param = _checked_param(KeyValue(key=message.key, value=message.value), "key")
    run = writable(services, message.run_id, caller)
    differing = _keep(services, run, RunRecords(params={param.key: param.value}))
    if differing:
        raise invalid(
            f"Changing param values is not allowed. Param with key='{param.key}' was already logged with"
            f" value='{differing[0]['old_value']}' for run ID='{run.id}'. Attempted logging new value"
            f" '{param.value}'."
        )


def set_tag(services: Services, message: wire.SetTag, caller: Caller) -> None:
    """Set a tag; raises as `log_metric`."""
    tag = _checked_tag(KeyValue(key=message.key, value=message.value), "")
    _keep(services, writable(services, message.run_id, caller), RunRecords(tags={tag.key: tag.value}))


def delete_tag(services: Services, message: wire.DeleteTag, caller: Caller) -> None:
    """Take a tag away; raises as `log_metric`, and if there is none of that name."""
    run = writable(services, message.run_id, caller)
    if not services.store.delete_tag(run.id, message.key):
        raise missing(f"No tag with name: {message.key} in run with id {run.id}")


def log_batch(services: Services, message: wire.LogBatch, caller: Caller) -> None:
    """Keep metrics, params and tags, all or none; raises as `log_metric` and `log_param`."""
    keys.check_run_id(message.run_id)
    _check_named(message)
    _check_points(message.metrics)
    params = [_checked_param(param, f"params[{at}].key") for at, param in enumerate(message.params)]
    tags = [_checked_tag(tag, f"tags[{at}].") for at, tag in enumerate(message.tags)]
    _check_limits(message)
    _check_unique(params)
    run = writable(services, message.run_id, caller)
    batch = RunRecords(
        metrics=_metrics(message.metrics),
        params={param.key: param.value for param in params},
        tags={tag.key: tag.value for tag in tags},
    )
    if differing := _keep(services, run, batch, _model_metrics(services, run, message.metrics)):
        raise invalid(
            f"Changing param values is not allowed. Params were already logged='{differing}' for"
            f" run ID='{run.id}'."
        )


def _keep(
    services: Services, run: Run, batch: RunRecords, of_models: Sequence[ModelMetric] = ()
) -> list[dict[str, str]]:
    """Keep what was logged; gives the params that have another value already, and keeps nothing then."""
    store, fence, name = services.store, run.fence or None, batch.tags.get(RUN_NAME)
    try:
        if not name and not of_models:
            store.record_batch(run.id, batch, fence=fence)
            return []
        with store.transaction():
            store.record_batch(run.id, batch, fence=fence)
            if name:
                store.set_run(run.id, name=name, fence=fence)
            if of_models:
                store.record_model_metrics(of_models)
        return []
    except Conflict:
        known = store.list_params([run.id]).get(run.id, {})
        # What a stage declares has types; the text that a client writes of the same value is no other.
        texts = {key: param_text(value) for key, value in known.items() if key in batch.params}
        if not texts:
            raise
    differing = [
        {"key": key, "old_value": texts[key], "new_value": value}
        for key, value in batch.params.items()
        if key in texts and texts[key] != value
    ]
    if differing:
        return differing
    fresh = {key: value for key, value in batch.params.items() if key not in texts}
    return _keep(services, run, msgspec.structs.replace(batch, params=fresh), of_models)


def _metrics(points: Sequence[wire.MetricPoint]) -> list[Metric]:
    return [Metric(point.key, point.value, point.step, point.timestamp / 1000) for point in points]


def _model_metrics(services: Services, run: Run, points: Sequence[wire.MetricPoint]) -> list[ModelMetric]:
    """Give the points that judge a logged model.

    Raises:
        MlflowFault: There is no such model.
    """
    judged = {point.model_id for point in points if point.model_id}
    if not judged:
        return []
    known = {model.id for model in services.store.list_logged_models(sorted(judged))}
    if unknown := sorted(judged - known):
        raise missing(f"Logged model with ID '{unknown[0]}' not found.")
    return [
        ModelMetric(
            model_id=point.model_id,
            key=point.key,
            run_id=run.id,
            value=point.value,
            step=point.step,
            at=point.timestamp / 1000,
            dataset_name=point.dataset_name,
            dataset_digest=point.dataset_digest,
        )
        for point in points
        if point.model_id
    ]


def _check_named(message: wire.LogBatch) -> None:
    for what in ("metrics", "params", "tags"):
        names = [item.key for item in getattr(message, what)]
        if "" in names:
            raise invalid(missing_value(f"{what}[{names.index('')}].key") + SEE_DOCS)


def _check_points(points: Sequence[wire.MetricPoint]) -> None:
    """Refuse the first point that cannot be kept; a batch has few keys, and each is looked at once."""
    faulty = {key for key in {point.key for point in points} if keys.is_bad(key)}
    for index, point in enumerate(points):
        if point.timestamp < 0 or point.key in faulty or _is_half_named(point):
            _check_point(point, f"metrics[{index}].")


def _is_half_named(point: wire.MetricPoint) -> bool:
    """Tell whether the data set of a point has a name without a digest, or the other way round."""
    return bool(point.dataset_name) != bool(point.dataset_digest)


def _check_point(point: wire.MetricPoint, path: str) -> None:
    if _is_half_named(point):
        raise invalid("Both dataset_name and dataset_digest must be provided if one is provided")
    keys.check_key(point.key, f"{path}name")
    if point.timestamp < 0:
        about = f"metric '{point.key}' (value={point.value})."
        hint = f"{about} Timestamp must be a nonnegative long (64-bit integer) "
        raise invalid(invalid_value(f"{path}timestamp", point.timestamp, hint))
    keys.check_length("Metric name", keys.LONGEST_KEY, point.key)


def _checked_param(param: KeyValue, path: str) -> KeyValue:
    """Give a param as it is kept: a value that is too long is cut, as MLflow does."""
    keys.check_key(param.key, path)
    keys.check_length("Param key", keys.LONGEST_KEY, param.key)
    return msgspec.structs.replace(param, value=param.value[: keys.LONGEST_PARAM])


def _checked_tag(tag: KeyValue, path: str) -> KeyValue:
    """Give a tag as it is kept: a value that is too long is cut, as MLflow does."""
    keys.check_key(tag.key, f"{path}key")
    keys.check_length(f"{path}key", keys.LONGEST_KEY, tag.key)
    return msgspec.structs.replace(tag, value=tag.value[: keys.LONGEST_TAG])


def _check_limits(message: wire.LogBatch) -> None:
    counts = (len(message.metrics), len(message.params), len(message.tags))
    _check_limit("metrics", _MOST_METRICS, counts[0])
    _check_limit("params", _MOST_PAIRS, counts[1])
    _check_limit("tags", _MOST_PAIRS, counts[2])
    _check_limit("metrics, params, and tags", _MOST_ALL, sum(counts))


def _check_limit(what: str, most: int, count: int) -> None:
    if count > most:
        raise invalid(
            f"A batch logging request can contain at most {most} {what}. Got {count} {what}. Please split"
            f" up {what} across multiple requests and try again."
        )


def _check_unique(params: Sequence[KeyValue]) -> None:
    if len({param.key for param in params}) == len(params):
        return
    names = [param.key for param in params]
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    raise invalid(
        f"Duplicate parameter keys have been submitted: {twice}. Please ensure the request contains"
        " only one param value per param key."
    )
