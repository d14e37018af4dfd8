// The start page: a live index, the demo token, and three programs to paste.

import { byId, codeBlock, fill, notice, secretLine, skeleton, tabs } from "/assets/dom.js";
import { PLACEHOLDER, tokenView } from "/assets/how-to-connect.js";
import { liveChart } from "/assets/live-chart.js";
import { api, pageInfo } from "/assets/session.js";
import { addressFor } from "/assets/socket.js";

const SYMBOL = "1HZ100V";

// The live index.

function showIndex() {
  const label = "Volatility 100 (1s) Index: the last two minutes of simulated ticks";
  liveChart(byId("chart"), SYMBOL, label, {
    onPrice: (price) => (byId("quote").textContent = price),
    onLive: () => (byId("state").textContent = "Live. Times are in your time zone."),
    onError: (error) => (byId("state").textContent = `Prices are unavailable. ${error.message}`),
  });
}

// The programs. Each signs in and prints the balance, then ten ticks.

const pythonProgram = (address, token) => `# pip install websockets
import asyncio
import json

import websockets


async def main():
    async with websockets.connect("${address}") as socket:
        await socket.send(json.dumps({"authorize": "${token}"}))
        await socket.send(json.dumps({"balance": 1}))
        await socket.send(json.dumps({"ticks": "${SYMBOL}", "subscribe": 1}))
        ticks = 0
        async for text in socket:
            message = json.loads(text)
            if "error" in message:
                print("error:", message["error"]["message"])
            elif message["msg_type"] == "balance":
                print("balance:", message["balance"]["balance"], message["balance"]["currency"])
            elif message["msg_type"] == "tick":
                print("tick:", message["tick"]["quote"])
                ticks += 1
                if ticks == 10:
                    break


asyncio.run(main())
`;

const listener = (print) => `socket.onmessage = (event) => {
  const message = JSON.parse(event.data);
  if (message.error) {
    ${print}("error: " + message.error.message);
  } else if (message.msg_type === "balance") {
    ${print}("balance: " + message.balance.balance + " " + message.balance.currency);
  } else if (message.msg_type === "tick" && ticks < 10) {
    ${print}("tick: " + message.tick.quote);
    ticks += 1;
    if (ticks === 10) socket.close();
  }
};`;

const requests = (token) => `socket.onopen = () => {
  socket.send(JSON.stringify({ authorize: "${token}" }));
  socket.send(JSON.stringify({ balance: 1 }));
  socket.send(JSON.stringify({ ticks: "${SYMBOL}", subscribe: 1 }));
};`;

const nodeProgram = (address, token) => `// npm install ws
import WebSocket from "ws";

const socket = new WebSocket("${address}");
let ticks = 0;

${requests(token)}

${listener("console.log")}
`;

const browserProgram = (address, token) => `<!doctype html>
<meta charset="utf-8">
<title>Ticks</title>
<pre id="out"></pre>
<script type="module">
const out = document.getElementById("out");
const print = (line) => out.append(line + "\\n");
const socket = new WebSocket("${address}");
let ticks = 0;

${requests(token)}

${listener("print")}
</script>
`;

function showPrograms(token) {
  const address = addressFor(1089);
  const program = (title, how, text) => ({ title, content: codeBlock(text, how) });
  const panes = [
    program("Python", "ticks.py (requires websockets)", pythonProgram(address, token)),
    program("Node", "ticks.mjs (requires ws)", nodeProgram(address, token)),
    program("Browser", "ticks.html (open in a browser)", browserProgram(address, token)),
  ];
  fill(byId("snippets"), tabs("Programs", panes));
}

async function showHowToConnect() {
  try {
    const { demo } = await pageInfo();
    fill(byId("token"), tokenView(demo));
    showPrograms(demo === null ? PLACEHOLDER : demo.token);
  } catch (error) {
    fill(byId("token"), notice("error", error.message));
  }
}

fill(byId("address"), secretLine(addressFor(1089), "address"));
fill(byId("token"), skeleton(1));
showIndex();
showHowToConnect();
api.onState((state) => {
  if (state === "open") {
    showHowToConnect(); // another start of the gateway has another token
  }
});
