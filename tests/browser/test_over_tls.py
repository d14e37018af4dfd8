"""A web app with the gateway's address built in: through consent to its first authorised call.

The app knows but a host: `https://HOST/oauth2/authorize` and `wss://HOST/websockets/v3`, one port.
"""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.programs import registered, site
from tests.browser.steps import sign_in_as_demo
from tests.browser.watch import Watch
from tests.served import serving

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


@pytest.mark.lengthy
def test_a_web_app_that_knows_but_a_host_works(
    browser: Browser, watch: Watch, tmp_path: Path
) -> None:
    page_of_app = [""]
    with (
        serving(tmp_path, "--tls-self-signed") as gateway,
        site(lambda: page_of_app[0]) as address,
        registered(gateway, address, "read", "trade", name="Web app") as app_id,
    ):
        host = urlsplit(gateway.page).netloc
        assert gateway.url == f"wss://{host}/websockets/v3"
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
