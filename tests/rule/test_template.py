"""Expressions of steps: what they can say, and that nothing of Jinja or Python beyond that can be reached."""

from typing import Any

import pytest

from bridge.rule import template
from bridge.rule.template import EvaluationFailed, TemplateInvalid

PAYLOAD: dict[str, Any] = {
    "change": "CHG-7",
    "count": 3,
    "share": 0.5,
    "yes": True,
    "none": None,
    "result": "kept",
    "people": [{"name": "Ines", "age": 41}, {"name": "Bo", "age": 7}],
    "issue": {"key": "OPS-1", "items": ["a", "b"], "values": 4, "my-field": "dashed"},
}


def value(text: str) -> Any:
    return template.parse(text).value(PAYLOAD)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ count }}", 3),
        ("  {{ count }}\n", 3),
        ("{{ share }}", 0.5),
        ("{{ yes }}", True),
        ("{{ none }}", None),
        ("{{ people }}", PAYLOAD["people"]),
        ("{{ people | map(attribute='name') }}", ["Ines", "Bo"]),
        ("{{ people | selectattr('age', 'gt', 18) | map(attribute='name') | list }}", ["Ines"]),
        ("{{ people[0].name }}", "Ines"),
        ("{{ people[-1]['age'] + 1 }}", 8),
        ("{{ issue.items }}", ["a", "b"]),
        ("{{ issue.values }}", 4),
        ("{{ issue['my-field'] }}", "dashed"),
        ("{{ change == 'CHG-7' and count > 2 }}", True),
        ("{{ missing is defined }}", False),
        ("{{ missing | default('nobody') }}", "nobody"),
        ("{{ issue.missing | default('nothing') }}", "nothing"),
        ("{{ 'x' if yes else 'y' }}", "x"),
        ("{{ {'a': [count]} }}", {"a": [3]}),
        ("{{ '}}' }}", "}}"),
        ("{{ result }}", "kept"),
        ("{{ result ~ '!' }}", "kept!"),
    ],
)
def test_a_lone_expression_keeps_its_type(text: str, expected: Any) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ change }}: {{ count }}", "CHG-7: 3"),
        ("n={{ none }} y={{ yes }}", "n= y=true"),
        ("{{ issue.items }}!", '["a", "b"]!'),
        ("plain", "plain"),
        ("", ""),
        ("ends with a line\n", "ends with a line\n"),
        ("{{ change }}{# a remark #}!", "CHG-7!"),
        ("{{ people | map(attribute='name') | join(', ') }}.", "Ines, Bo."),
    ],
)
def test_everything_else_becomes_text(text: str, expected: str) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ chnge }}", "{{ chnge }}: the payload has no field 'chnge'; did you mean 'change'?"),
        ("{{ issue.kye }}", "there is no field 'kye'; did you mean 'key'?"),
        ("{{ missing.key }}", "the payload has no field 'missing'"),
        ("{{ people[7] }}", "there is no '7' in a list"),
        ("{{ change.name }}", "there is no 'name' in text"),
        ("{{ none.name }}", "there is no 'name' in null"),
        ("{{ count + 'x' }}", "unsupported operand"),
        ("{{ count / 0 }}", "division by zero"),
        ("{{ [missing] }}", "the payload has no field 'missing'"),
        ("{{ people | map(attribute='nme') | list }}", "there is no field 'nme'; did you mean 'name'?"),
        ("{{ 1e308 * 10 }}", "no finite number"),
        ("{{ 'a' * 999999999 }}", "* is for numbers"),
        ("{{ '%0999999999d' % 1 }}", "% is for numbers"),
        ("{{ 9 ** 9 ** 9 }}", "powers are not available"),
        ("{{ people | join('x' | replace('x', 'y')) | length }}{{ missing }}", "the payload has no field 'missing'"),
    ],
)
def test_what_cannot_be_evaluated_names_the_expression_and_the_nearest_field(text: str, expected: str) -> None:
    with pytest.raises(EvaluationFailed) as caught:
        value(text)
    assert expected in str(caught.value)
    assert str(caught.value).startswith("{{ ")


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ change.format() }}",
        "{{ range(10) }}",
        "{{ people | attr('append') }}",
        "{{ change | center(999999999) }}",
        "{{ people | batch(99999999, 'x') }}",
        "{{ cycler.next }}{{ lipsum() }}",
        "{% for x in people %}{{ x }}{% endfor %}",
        "{% raw %}{{ x }}{% endraw %}",
        "{{ a b }}",
        "{{ people | map('attr', 'x') | list }}{{ f() }}",
    ],
)
def test_what_could_do_harm_is_refused_before_it_runs(text: str) -> None:
    with pytest.raises(TemplateInvalid):
        template.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ change['__class__'] }}",
        "{{ people | map(attribute='__class__') | list }}",
        "{{ people | map('attr', '__class__') | list }}",
        "{{ cycler }}",
        "{{ self }}",
        "{{ issue['keys'] }}",
    ],
)
def test_no_attribute_of_a_python_object_can_be_reached(text: str) -> None:
    with pytest.raises(EvaluationFailed):
        value(text)


def test_text_cannot_be_grown_beyond_a_million_characters() -> None:
    long = {"long": "x" * 2000, "many": list(range(2000))}
    for text in ("{{ many | join(long) }}", "{{ long | replace('x', long) }}"):
        with pytest.raises(EvaluationFailed, match="longer than"):
            template.parse(text).value(long)


def test_the_message_of_an_error_does_not_carry_the_payload() -> None:
    secret = {"secret": "s3cr3t"}
    with pytest.raises(EvaluationFailed) as caught:
        template.parse("{{ secret.oops }}").value(secret)
    assert "s3cr3t" not in str(caught.value)


def test_fields_with_the_names_of_pythons_methods_are_fields() -> None:
    payload = {"issue": {"get": 1, "keys": 2, "update": 3, "count": 4}, "title": "t"}
    text = "{{ issue.get }}{{ issue.keys }}{{ issue.update }}{{ issue.count }}{{ title }}"
    assert template.parse(text).value(payload) == "1234t"
