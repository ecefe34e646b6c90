import click
import pytest

from app.commands.list_jobs import label_query


@pytest.mark.parametrize(
    ("label", "query"),
    [("team=vision", "team:vision"), ("team:vision", "team:vision"), ("a=b=c:d", "a:b=c:d"), ("a=", "a:")],
)
def test_a_label_is_found_as_it_was_given_to_submit(label: str, query: str) -> None:
    """``--label team=vision`` was answered with the service's regular expression."""
    assert label_query(label) == query


@pytest.mark.parametrize("label", ["team", "=vision", "", "a b=c", "a=" + "x" * 257])
def test_what_is_no_label_is_refused(label: str) -> None:
    with pytest.raises(click.UsageError, match="takes KEY=VALUE"):
        label_query(label)
