// The start page of a gateway without the paper exchange: its address, a token, a program to paste,
// and the scopes that it declares.

import { byId, codeBlock, fill, notice, scopeList, secretLine, skeleton, tabs } from
  "/assets/dom.js";
import { PLACEHOLDER, tokenView } from "/assets/how-to-connect.js";
import { api, pageInfo } from "/assets/session.js";
import { addressFor } from "/assets/socket.js";

const pythonProgram = (address, token) => `# pip install websockets
import asyncio
import json

import websockets


async def main():
    async with websockets.connect("${address}") as socket:
        for request in ({"authorize": "${token}"}, {"ping": 1}):
            await socket.send(json.dumps(request))
            print(await socket.recv())


asyncio.run(main())
`;

const nodeProgram = (address, token) => `// Node 22 or newer
const socket = new WebSocket("${address}");
let replies = 0;

socket.onopen = () => {
  socket.send(JSON.stringify({ authorize: "${token}" }));
  socket.send(JSON.stringify({ ping: 1 }));
};

socket.onmessage = (event) => {
  console.log(event.data);
  replies += 1;
  if (replies === 2) socket.close();
};
`;

function showPrograms(token) {
  const address = addressFor(1089);
  const program = (title, how, text) => ({ title, content: codeBlock(text, how) });
  const panes = [
    program("Python", "first.py (requires websockets)", pythonProgram(address, token)),
    program("JavaScript", "first.mjs (Node 22 or newer, or a browser)", nodeProgram(address, token)),
  ];
  fill(byId("snippets"), tabs("Programs", panes));
}

async function show() {
  try {
    const info = await pageInfo();
    fill(byId("token"), tokenView(info.demo));
    showPrograms(info.demo === null ? PLACEHOLDER : info.demo.token);
    fill(byId("scopes"), scopeList(info.scopes.map(({ scope }) => scope), info));
  } catch (error) {
    fill(byId("token"), notice("error", error.message));
  }
}

fill(byId("address"), secretLine(addressFor(1089), "address"));
fill(byId("token"), skeleton(1));
show();
api.onState((state) => {
  if (state === "open") {
    show(); // another start of the gateway has another token
  }
});
