"""The filter of traces: MLflow's language for them, with OR, NOT and brackets as in every other search.

attributes  status, name, run_id, timestamp_ms, execution_time_ms, end_time_ms, request_id,
            client_request_id, prompt = 'NAME/VERSION', text LIKE '…'; alone or behind `trace.`
pairs       tag.KEY, metadata.KEY
spans       span.name, span.type, span.status, span.content, span.attributes.KEY
judgements  feedback.NAME, expectation.NAME, issue.id
"""

from collections.abc import Mapping
from typing import Final

from relive.core.search import Comparison, Condition, Field, Order, Side, Value
from relive.core.search_grammars import NULLS, Attribute, Grammar, Kind, Refusals
from relive.core.search_parser import MOST_COMPARISONS, FilterReader, parse_orders
from relive.core.search_tokens import Token
from relive.core.trace import COST_KEY, NAME_TAG, RUN_KEY, USAGE_KEY
from relive.errors import InvalidFilter

_PATTERNS: Final = ("=", "!=", "LIKE", "ILIKE", "RLIKE")
_LISTED: Final = (*_PATTERNS, "IN", "NOT IN")
_PAIRS: Final = (*_PATTERNS, *NULLS)
_ORDERED: Final = ("<", "<=", ">", ">=")
_JUDGED: Final = (*_PATTERNS, *_ORDERED, *NULLS)
_SPAN_KEYS: Final = ("name", "status", "type")
_OF_SPAN: Final = "attributes."

_NUMBERS: Final = ("timestamp_ms", "execution_time_ms", "end_time_ms")
_NUMBER_NAMES: Final = (*_NUMBERS, *(key.removesuffix("_ms") for key in _NUMBERS))
_ATTRIBUTES: Final[Mapping[str, Attribute]] = {
    "request_id": Attribute("request_id", comparators=_LISTED),
    "client_request_id": Attribute("client_request_id", comparators=_LISTED),
    "status": Attribute("status", comparators=_LISTED),
    # A tag and metadata in truth, which MLflow's language compares with no list.
    "name": Attribute("name", comparators=_PAIRS),
    "run_id": Attribute("run_id", comparators=_PAIRS),
    "prompt": Attribute("prompt", comparators=("=",)),
    "text": Attribute("text", comparators=("LIKE", "ILIKE")),
    **{name: Attribute(f"{name.removesuffix('_ms')}_ms", Kind.NUMBER) for name in _NUMBER_NAMES},
}
TRACES: Final = Grammar(
    refusals=Refusals(
        side=(
            "Invalid entity type '{side}'. Valid values are {{'attribute', 'attributes', 'expectation', "
            "'feedback', 'issue', 'metadata', 'request_metadata', 'span', 'tag', 'tags', 'trace'}}"
        ),
        clause="Invalid clause(s) in filter string: '{found}'",
        order_side="Invalid identifier type '{side}'",
        attribute_number=(
            "Expected a quoted string value or a list of quoted string values for attributes."
            " Got value {found}"
        ),
    ),
    sides={
        "tag": Side.TAG,
        "tags": Side.TAG,
        "attribute": Side.ATTRIBUTE,
        "attributes": Side.ATTRIBUTE,
        "trace": Side.ATTRIBUTE,
        "metadata": Side.METADATA,
        "request_metadata": Side.METADATA,
        "span": Side.SPAN,
        "feedback": Side.FEEDBACK,
        "expectation": Side.EXPECTATION,
        "issue": Side.ISSUE,
    },
    attributes=_ATTRIBUTES,
    orders={
        key: it.key for key, it in _ATTRIBUTES.items() if key in ("request_id", "status", "name", "run_id")
    }
    | {key: it.key for key, it in _ATTRIBUTES.items() if it.kind is Kind.NUMBER}
    | {"experiment_id": "experiment_id"},
    order_sides=frozenset({Side.ATTRIBUTE, Side.TAG, Side.METADATA}),
    lists=frozenset({"status", "request_id", "client_request_id"}),
    pairs={Side.TAG: _PAIRS, Side.METADATA: _PAIRS},
)


def parse_trace_filter(text: str) -> Condition | None:
    """Read a filter of traces; None if it asks for everything.

    Raises:
        InvalidFilter: It cannot be read; says at which character.
    """
    return _TraceReader(text, TRACES).read() if text.strip() else None


def parse_trace_orders(texts: list[str]) -> tuple[Order, ...]:
    """Read what to sort traces by; raises as `parse_trace_filter`."""
    orders = parse_orders(texts, TRACES)
    for order in orders:
        if order.field.side is Side.METADATA and order.field.key in (USAGE_KEY, COST_KEY):
            wanted = (
                f"Ordering by reserved metadata '{order.field.key}' is not supported because it is "
                "represented by multiple columns."
            )
            raise InvalidFilter(field="order_by", value=", ".join(texts), wanted=wanted)
    return tuple(Order(_as_kept(order.field), order.ascending) for order in orders)


def _as_kept(field: Field) -> Field:
    """Give where an attribute really is: the name is a tag, the run it came from metadata."""
    if field == Field(Side.ATTRIBUTE, "name"):
        return Field(Side.TAG, NAME_TAG)
    return Field(Side.METADATA, RUN_KEY) if field == Field(Side.ATTRIBUTE, "run_id") else field


class _TraceReader(FilterReader):
    def _comparison(self) -> Comparison:
        name, comparator_at = self.next(), self.peek()
        comparator = self._comparator()
        if name.kind in ("number", "text") and comparator:
            raise self.fault(name, "Invalid comparison clause. Expected 'Identifier' found '{found}'")
        if name.kind != "name" or not comparator:
            raise self._clause_fault(name)
        self.comparisons += 1
        if self.comparisons > MOST_COMPARISONS:
            raise self.fault(name, f"At most {MOST_COMPARISONS} comparisons may stand in one filter")
        side, key, attribute = self._field(name)
        if comparator not in (allowed := self._comparators(name, side, key, attribute)):
            raise self._refused(comparator_at, side, key, comparator, allowed)
        value: Value = None
        if comparator not in NULLS:
            value = self._compared(side, key, attribute, comparator)
        return self._kept(side, key, attribute, comparator, value)

    def _comparators(self, name: Token, side: Side, key: str, attribute: Attribute | None) -> tuple[str, ...]:
        if attribute is not None:
            return attribute.allowed
        if side is Side.SPAN:
            return self._of_span(name, key)
        if side is Side.ISSUE:
            if key != "id":
                raise self.fault(name, "Invalid issue attribute '{key}'. Supported attributes: id", key=key)
            return ("=",)
        return _PAIRS if side in (Side.TAG, Side.METADATA) else _JUDGED

    def _of_span(self, name: Token, key: str) -> tuple[str, ...]:
        if key == _OF_SPAN:
            raise self.fault(name, "Span attribute name cannot be empty after 'attributes.'")
        if key in _SPAN_KEYS or key.startswith(_OF_SPAN):
            return _LISTED
        if key == "content":
            return ("LIKE", "ILIKE")
        sentence = (
            "Invalid span attribute '{key}'. Supported attributes: name, status, type, "
            "attributes.<attribute_name>."
        )
        raise self.fault(name, sentence, key=key)

    def _refused(
        self, at: Token, side: Side, key: str, comparator: str, allowed: tuple[str, ...]
    ) -> InvalidFilter:
        valid = f"{{{', '.join(map(repr, sorted(allowed)))}}}"
        if side in (Side.SPAN, Side.ISSUE):
            sentence = "{side}.{key} comparator '{comparator}' not one of '{valid}'"
        elif side in (Side.FEEDBACK, Side.EXPECTATION):
            sentence = "assessment.{key} comparator '{comparator}' not one of '{valid}'"
        elif key == "prompt":
            sentence = (
                "Invalid comparator '{comparator}' for prompts filter. Only '=' is supported with format: "
                'prompt = "name/version"'
            )
        else:
            sentence = "Invalid comparator '{comparator}' not one of '{valid}'"
        return self.fault(at, sentence, side=side, key=key, comparator=comparator, valid=valid)

    def _compared(self, side: Side, key: str, attribute: Attribute | None, comparator: str) -> Value:
        token = self.peek()
        if comparator in ("IN", "NOT IN"):
            if token.kind != "open":
                raise self._clause_fault(token)
            return self._texts(self._bracketed(self.next()))
        if side in (Side.FEEDBACK, Side.EXPECTATION):
            return self._judged(self.next(), side, comparator)
        if attribute is not None and attribute.kind is not Kind.TEXT:
            return self._number(self.next(), attribute, key)
        if attribute is not None and token.kind == "number":
            valid = "{" + ", ".join(map(repr, sorted(_NUMBER_NAMES))) + "}"
            sentence = "Only the '{valid}' attributes support comparison with numeric values."
            raise self.fault(token, sentence, valid=valid)
        return self._text(self.next(), side)

    def _judged(self, token: Token, side: Side, comparator: str) -> Value:
        if comparator in _ORDERED:
            if token.kind == "number":
                return float(token.text)
            sentence = (
                "Expected a numeric value for {side} when using comparator '{comparator}'. Got value {found}"
            )
            raise self.fault(token, sentence, side=side, comparator=comparator)
        if token.quoted is None:
            sentence = "Expected a quoted string value for {side} (e.g. 'my-value'). Got value {found}"
            raise self.fault(token, sentence, side=side)
        return token.quoted

    def _kept(
        self, side: Side, key: str, attribute: Attribute | None, comparator: str, value: Value
    ) -> Comparison:
        if key == "prompt" and attribute is not None and str(value).count("/") != 1:
            sentence = "Invalid prompts filter value '{value}'. Expected format: prompt = \"name/version\""
            raise self.fault(self.peek(), sentence, value=value)
        if attribute is not None and attribute.key == "text":
            return Comparison(Field(Side.SPAN, "content"), comparator, value)
        field = Field(side, attribute.key if attribute is not None else key)
        if side is Side.SPAN and key.startswith(_OF_SPAN):
            field = Field(side, _OF_SPAN + key.removeprefix(_OF_SPAN).strip("`"))
        # Traces are of a run by a link as well, which only `=` can ask.
        if field.key != "run_id" or comparator != "=":
            field = _as_kept(field)
        return Comparison(field, comparator, value)
