from datetime import UTC, datetime

import httpx
import pytest

from app.client.errors import UnreachableError
from app.client.retry import RetryPolicy, delay_s, retry_after_s, send_with_retries

POLICY = RetryPolicy(attempts=4, first_delay_s=0.25, max_delay_s=8.0, max_retry_after_s=60.0)


class Answers:
    """Gives prepared answers in turn; an exception among them is raised."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.sent = 0

    def __call__(self) -> httpx.Response:
        self.sent += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_passing_statuses_are_asked_again(status: int) -> None:
    answers = Answers(httpx.Response(status), httpx.Response(200))
    assert send_with_retries(answers, policy=POLICY, sleep=lambda s: None).status_code == 200


@pytest.mark.parametrize("status", [200, 400, 401, 404, 409, 422, 500])
def test_final_statuses_are_returned_at_once(status: int) -> None:
    answers = Answers(httpx.Response(status))
    assert send_with_retries(answers, policy=POLICY, sleep=lambda s: None).status_code == status
    assert answers.sent == 1


def test_a_request_that_is_still_being_answered_is_sent_again() -> None:
    """Who repeats a submit whose answer was lost gets 409 for a moment; the job is made, and its id comes."""
    answers = Answers(httpx.Response(409, json={"code": "idempotency_key_in_use"}), httpx.Response(202))
    assert send_with_retries(answers, policy=POLICY, sleep=lambda s: None).status_code == 202


def test_a_machine_without_a_sandbox_is_asked_once() -> None:
    """An upload of gigabytes was sent seven times, to be refused each time."""
    answers = Answers(httpx.Response(503, json={"code": "sandbox_unavailable"}))
    assert send_with_retries(answers, policy=POLICY, sleep=lambda s: None).status_code == 503


@pytest.mark.parametrize("code", ["time_limit", "out_of_memory", "child_killed", "program_missing"])
def test_an_upload_whose_inspection_failed_is_not_sent_again_by_itself(code: str) -> None:
    answers = Answers(httpx.Response(503, json={"code": code}))
    assert send_with_retries(answers, policy=POLICY, sleep=lambda s: None).status_code == 503
    assert answers.sent == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"code": []}'])
def test_a_passing_answer_of_a_proxy_may_have_any_body(body: bytes) -> None:
    answers = Answers(httpx.Response(503, content=iter([body])), httpx.Response(503, content=body))
    last = httpx.Response(200)
    answers.answers.append(last)
    assert send_with_retries(answers, policy=POLICY, sleep=lambda s: None) is last


def test_a_lost_connection_is_tried_again() -> None:
    answers = Answers(httpx.ConnectError("refused"), httpx.ReadError("reset"), httpx.Response(200))
    assert send_with_retries(answers, policy=POLICY, sleep=lambda s: None).status_code == 200


def test_giving_up_names_what_to_do() -> None:
    answers = Answers(*[httpx.ConnectError("refused")] * 4)
    with pytest.raises(UnreachableError, match="refused") as caught:
        send_with_retries(answers, policy=POLICY, sleep=lambda s: None)
    assert "proctor serve" in caught.value.hint
    assert answers.sent == 4


def test_the_last_passing_answer_is_returned() -> None:
    answers = Answers(*[httpx.Response(503)] * 4)
    assert send_with_retries(answers, policy=POLICY, sleep=lambda s: None).status_code == 503


def test_retry_after_decides_the_pause() -> None:
    pauses: list[float] = []
    answers = Answers(httpx.Response(429, headers={"Retry-After": "7"}), httpx.Response(200))
    send_with_retries(answers, policy=POLICY, sleep=pauses.append)
    assert pauses == [7.0]


def test_retry_after_is_bounded() -> None:
    assert delay_s(POLICY, 1, httpx.Response(503, headers={"Retry-After": "86400"})) == 60.0


def test_retry_after_as_a_date() -> None:
    response = httpx.Response(503, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})
    assert retry_after_s(response, now=datetime(2026, 10, 21, 7, 27, 30, tzinfo=UTC)) == 30.0


def test_unreadable_retry_after_is_ignored() -> None:
    for value in ("soon", "\u00b2", "Mon, 01 Jan 999999999999999 00:00:00 GMT"):
        response = httpx.Response(503, headers={"Retry-After": value.encode("latin-1")})  # type: ignore[dict-item]
        assert retry_after_s(response) is None


def test_pauses_grow_and_stay_bounded() -> None:
    pauses = [delay_s(POLICY, attempt, None) for attempt in range(1, 12)]
    assert 0.125 <= pauses[0] <= 0.25
    assert 4.0 <= pauses[-1] <= 8.0
