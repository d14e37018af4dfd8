"""A web app with the gateway's address built in: through consent to its first authorised call.

The app knows but a host: `https://HOST/oauth2/authorize` and `wss://HOST/websockets/v3`, one port.
"""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, expect

from tests.browser.steps import sign_in_as_demo
from tests.browser.watch import Watch
from tests.served import Served

APP = """<!doctype html>
<title>A published web app</title>
<link rel="icon" href="data:,">
<a id="login">Log in</a> <output id="told"></output>
<script>
const HOST = "{host}";
const APP_ID = {app_id};
document.getElementById("login").href = `https://${{HOST}}/oauth2/authorize?app_id=${{APP_ID}}&l=EN`;
const given = new URLSearchParams(location.search);
if (given.has("token1")) {{
  const socket = new WebSocket(`wss://${{HOST}}/websockets/v3?app_id=${{APP_ID}}&l=EN&brand=`);
  socket.onopen = () => socket.send(JSON.stringify({{ authorize: given.get("token1") }}));
  socket.onmessage = (event) => {{
    const message = JSON.parse(event.data);
    if (message.msg_type === "authorize") {{
      socket.send(JSON.stringify({{ balance: 1 }}));
    }} else {{
      const {{ loginid, balance, currency }} = message.balance;
      document.getElementById("told").textContent = `${{loginid}} ${{balance}} ${{currency}}`;
    }}
  }};
}}
</script>
"""


@contextmanager
def serving(page: list[str]) -> Iterator[str]:
    """The app's own server; its address. It serves the one page that is put into the list."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page[0].encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/app"
        finally:
            server.shutdown()
            thread.join()


def test_a_web_app_that_knows_but_a_host_works(browser: Browser, watch: Watch, tmp_path) -> None:
    gateway = Served(tmp_path, "--seed", "tests", "--tls-self-signed")
    page_of_app = [""]
    try:
        host = urlsplit(gateway.page).netloc
        assert gateway.url == f"wss://{host}/websockets/v3"
        with serving(page_of_app) as address:
            app_id = gateway.command(
                *("app", "create", "--name", "Web app", "--scopes", "read,trade"),
                *("--redirect-uri", address),
            )
            page_of_app[0] = APP.format(host=host, app_id=app_id)
            context = browser.new_context(ignore_https_errors=True, locale="en-US")
            watch.follow(context)
            page = context.new_page()
            page.goto(address)
            page.get_by_role("link", name="Log in").click()
            sign_in_as_demo(page)
            page.get_by_role("button", name="Allow Web app").click()
            expect(page.locator("#told")).to_have_text("CR900001 10000 USD")
            context.close()
    finally:
        assert gateway.stop() == 0
    assert gateway.stderr == ""
