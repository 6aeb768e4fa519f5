"""What clients log to runs: metrics, params and tags."""

from collections.abc import Sequence
from typing import Final

import msgspec

from relive.core.access import Caller
from relive.core.logged_model import ModelMetric
from relive.core.run import Metric, Run
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
    _keep_points(services, writable(services, message.run_id, caller), [point])


def log_param(services: Services, message: wire.LogParameter, caller: Caller) -> None:
    """Keep a param, once.

    Raises:
        MlflowFault: It has another value already; or as `log_metric`.
        AccessDenied: The run is another's.
    """
    param = _checked_param(KeyValue(key=message.key, value=message.value), "key")
    run = writable(services, message.run_id, caller)
    differing = _keep_params(services, run, {param.key: param.value})
    if differing:
        raise invalid(
            f"Changing param values is not allowed. Param with key='{param.key}' was already logged with"
            f" value='{differing[0]['old_value']}' for run ID='{run.id}'. Attempted logging new value"
            f" '{param.value}'."
        )


def set_tag(services: Services, message: wire.SetTag, caller: Caller) -> None:
    """Set a tag; raises as `log_metric`."""
    tag = _checked_tag(KeyValue(key=message.key, value=message.value), "")
    _keep_tags(services, writable(services, message.run_id, caller), {tag.key: tag.value})


def delete_tag(services: Services, message: wire.DeleteTag, caller: Caller) -> None:
    """Take a tag away; raises as `log_metric`, and if there is none of that name."""
    run = writable(services, message.run_id, caller)
    if not services.store.delete_tag(run.id, message.key):
        raise missing(f"No tag with name: {message.key} in run with id {run.id}")


def log_batch(services: Services, message: wire.LogBatch, caller: Caller) -> None:
    """Keep metrics, params and tags, all or none; raises as `log_metric` and `log_param`."""
    keys.check_run_id(message.run_id)
    _check_named(message)
    for index, point in enumerate(message.metrics):
        _check_point(point, f"metrics[{index}].")
    params = [_checked_param(param, f"params[{at}].key") for at, param in enumerate(message.params)]
    tags = [_checked_tag(tag, f"tags[{at}].") for at, tag in enumerate(message.tags)]
    _check_limits(message)
    _check_unique(params)
    run = writable(services, message.run_id, caller)
    parts = sum(map(bool, (message.metrics, params, tags)))
    if parts > 1:
        with services.store.transaction():
            _keep(services, run, message.metrics, params, tags)
    elif parts:
        _keep(services, run, message.metrics, params, tags)


def _keep(
    services: Services,
    run: Run,
    metrics: Sequence[wire.MetricPoint],
    params: Sequence[KeyValue],
    tags: Sequence[KeyValue],
) -> None:
    if params and (differing := _keep_params(services, run, {item.key: item.value for item in params})):
        raise invalid(
            f"Changing param values is not allowed. Params were already logged='{differing}' for"
            f" run ID='{run.id}'."
        )
    if metrics:
        _keep_points(services, run, metrics)
    if tags:
        _keep_tags(services, run, {tag.key: tag.value for tag in tags})


def _keep_points(services: Services, run: Run, points: Sequence[wire.MetricPoint]) -> None:
    metrics = [Metric(point.key, point.value, point.step, point.timestamp / 1000) for point in points]
    services.store.record_metrics(run.id, metrics, fence=run.fence or None)
    of_models = [
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
    if of_models:
        services.store.record_model_metrics(of_models)


def _keep_params(services: Services, run: Run, params: dict[str, str]) -> list[dict[str, str]]:
    """Keep params; gives those that have another value already, and keeps none then."""
    store, fence = services.store, run.fence or None
    try:
        store.record_params(run.id, params, fence=fence)
        return []
    except Conflict:
        # What a stage declares has types; the text that a client writes of the same value is no other.
        known = store.list_params([run.id]).get(run.id, {})
    texts = {key: param_text(value) for key, value in known.items() if key in params}
    differing = [
        {"key": key, "old_value": texts[key], "new_value": value}
        for key, value in params.items()
        if key in texts and texts[key] != value
    ]
    if not differing:
        fresh = {key: value for key, value in params.items() if key not in known}
        store.record_params(run.id, fresh, fence=fence)
    return differing


def _keep_tags(services: Services, run: Run, tags: dict[str, str]) -> None:
    store, fence = services.store, run.fence or None
    if not (name := tags.get(RUN_NAME)):
        store.set_tags(run.id, tags, fence=fence)
        return
    with store.transaction():
        store.set_tags(run.id, tags, fence=fence)
        store.set_run(run.id, name=name, fence=fence)


def _check_named(message: wire.LogBatch) -> None:
    for what in ("metrics", "params", "tags"):
        names = [item.key for item in getattr(message, what)]
        if "" in names:
            raise invalid(missing_value(f"{what}[{names.index('')}].key") + SEE_DOCS)


def _check_point(point: wire.MetricPoint, path: str) -> None:
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
