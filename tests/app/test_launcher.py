import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app.launcher import PortError, answers, open_socket, url_of


def test_port_zero_takes_a_free_one() -> None:
    with open_socket("127.0.0.1", 0) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_port_in_use_is_named_with_a_way_out() -> None:
    with open_socket("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortError, match=f"Port {port} on 127.0.0.1 is already in use") as caught:
            open_socket("127.0.0.1", port)
    assert "--port" in caught.value.hint


def test_a_host_that_is_not_ours_is_refused() -> None:
    with pytest.raises(PortError, match="Cannot listen on"):
        open_socket("192.0.2.1", 0)


def test_all_interfaces_are_reached_over_the_loopback() -> None:
    with open_socket("0.0.0.0", 0) as listener:
        assert url_of(listener).startswith("http://127.0.0.1:")


def test_nobody_behind_a_socket_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = open_socket("127.0.0.1", 0)
    address = listener.getsockname()
    listener.close()

    class Closed:
        def getsockname(self) -> tuple[str, int]:
            return address

    assert not answers(Closed())  # type: ignore[arg-type]


@pytest.mark.parametrize(("path", "alive"), [("/livez", True), ("/other", False)])
def test_only_a_live_api_is_an_answer(path: str, alive: bool) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == path else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert answers(server.socket) is alive
        thread.join()


def test_sockets_are_closed_when_they_cannot_be_used(recwarn: pytest.WarningsRecorder) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PortError):
            open_socket("127.0.0.1", other.getsockname()[1])
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]
