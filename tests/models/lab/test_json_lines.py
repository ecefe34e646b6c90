from models.lab.json_lines import append_line, read_lines


def test_a_torn_line_is_skipped_and_the_next_begins_anew(tmp_path):
    path = tmp_path / "new" / "results.jsonl"
    assert list(read_lines(path)) == []
    append_line(path, {"b": 1, "a": 2})
    with path.open("ab") as file:
        file.write(b'{"torn": "\xff')
    append_line(path, {"c": 3})
    assert list(read_lines(path)) == [{"a": 2, "b": 1}, {"c": 3}]
    assert path.read_bytes().startswith(b'{"a": 2, "b": 1}\n')
