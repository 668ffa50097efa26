"""What the servers refuse: who has no token, files, and code; and when the web page's one ends."""

import os
import re
from urllib.parse import urlsplit

import nbformat
import psutil
import pytest
from nbformat import v4

from qoe_core.serving import free_port, serving

SOME_KERNEL = "0123abcd-0123-0123-0123-0123456789ab"
FORBIDDEN, NOT_FOUND = 403, 404
OFFERED_BY_LAB = [
    "/lab",
    "/api/kernels",
    "/api/contents/07_explorer.ipynb",
    "/files/07_explorer.ipynb",
    f"/api/kernels/{SOME_KERNEL}/channels",
]
OFFERED_ON_PAGE = ["/", f"/api/kernels/{SOME_KERNEL}", f"/api/kernels/{SOME_KERNEL}/channels"]
NOT_OFFERED = [
    "/00_data.ipynb",
    "/voila/render/00_data.ipynb",
    "/voila/tree",
    "/api/contents",
    "/api/kernels",
    f"/voila/execution/{SOME_KERNEL}",
]
SEND = """([url, code]) => new Promise((done, failed) => {
    const socket = new WebSocket(url), answers = [];
    const send = (type, content) => socket.send(JSON.stringify({
        channel: "shell", parent_header: {}, metadata: {}, content: content,
        header: {msg_id: type, msg_type: type, session: "test", username: "", version: "5.3"}}));
    socket.onclose = (event) => failed(`closed, code ${event.code}, after ${answers}`);
    socket.onopen = () => {
        send("execute_request", {code: code, silent: false});
        send("kernel_info_request", {});
    };
    socket.onmessage = (event) => {
        const answer = JSON.parse(event.data);
        if (answer.channel === "shell") answers.push(answer.msg_type);
        if (answer.msg_type === "kernel_info_reply") done(answers);
    };
})"""


def refused(answer):
    """Whether it is an error or sends the browser to the login form, where the token is asked."""
    login = answer.status == 302 and answer.location.startswith("/login?")
    return login or answer.status == FORBIDDEN


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A web page as `make explore` sets it up, of a small notebook; unused after a second."""
    folder = tmp_path_factory.mktemp("small")
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("1")]), folder / "small.ipynb")
    unused = {"cull_idle_timeout": 1, "cull_interval": 6}
    flags = [f"--MappingKernelManager.{name}={value}" for name, value in unused.items()]
    settings = ["--Voila.config_file_paths=explore", f"--port={free_port()}", *flags]
    with serving(folder, ".venv/bin/voila", *settings, str(folder / "small.ipynb")) as server:
        yield server


@pytest.mark.parametrize("path", OFFERED_BY_LAB)
def test_jupyterlab_answers_nobody_without_its_token(lab, path):
    assert refused(lab.answer(path))
    assert not refused(lab.answer(path, Authorization=f"token {lab.token}"))


@pytest.mark.parametrize("path", OFFERED_ON_PAGE)
def test_the_web_page_answers_nobody_without_its_token(web, path):
    assert refused(web.answer(path))
    assert refused(web.answer(path, Authorization="token 0"))


def test_only_who_has_the_token_can_end_a_kernel_of_the_web_page(web):
    path = f"/voila/api/shutdown/{SOME_KERNEL}"
    assert refused(web.answer(path, "POST"))
    assert not refused(web.answer(path, "POST", Authorization=f"token {web.token}"))


def test_jupyterlab_has_no_pages_of_voila_whose_files_need_no_token(lab):
    assert lab.answer("/voila", Authorization=f"token {lab.token}").status == NOT_FOUND


@pytest.mark.parametrize("name", ["07_explorer.ipynb", "figure.png"])
def test_the_web_page_serves_no_file_beside_the_notebook(web, name):
    assert web.answer(f"/voila/files/{name}").status == FORBIDDEN


@pytest.mark.parametrize("path", NOT_OFFERED)
def test_the_web_page_serves_one_notebook_only(web, path):
    token = {"Authorization": f"token {web.token}"}
    answer = web.answer(path, **token)
    while answer.status == 302:
        answer = web.answer(answer.location, **token)
    assert answer.status in (FORBIDDEN, NOT_FOUND)


@pytest.mark.parametrize("name", ["lab", "web"])
def test_servers_listen_on_this_machine_only(request, name):
    server = request.getfixturevalue(name)
    parent = psutil.Process(server.process.pid)
    listening = {
        connection.laddr.ip
        for process in [parent, *parent.children(recursive=True)]
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_each_start_of_the_web_page_has_a_token_of_its_own(web, small):
    assert re.fullmatch("[0-9a-f]{48}", web.token)
    assert small.token != web.token


def test_code_that_a_browser_sends_to_the_kernel_of_the_page_is_not_run(on_page, tmp_path):
    (url,) = {url for url in on_page.sockets if "/channels" in url}
    code = f"open({str(tmp_path / 'run')!r}, 'w')"
    assert on_page.page.evaluate(SEND, [url.partition("?")[0], code]) == ["kernel_info_reply"]
    assert list(tmp_path.iterdir()) == []


def test_the_web_page_shows_no_source(on_page):
    assert "import" not in on_page.page.inner_text("body")


def test_the_web_page_asks_no_other_machine(on_page, web):
    asked = set(on_page.asked) - set(on_page.blocked)
    assert {urlsplit(url).netloc for url in asked if url.startswith("http")} == {web.host}


def test_the_web_page_ends_with_its_kernel_when_nobody_uses_it(small):
    page = small.answer("/", Authorization=f"token {small.token}")
    assert b"jp-OutputArea" in page.text
    kernels = psutil.Process(small.process.pid).children(recursive=True)
    assert len(kernels) > 0
    assert small.process.wait(30) == os.EX_OK
    assert psutil.wait_procs(kernels, timeout=5)[1] == []
