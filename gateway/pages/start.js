// The live index on the start page: two minutes of history, then every tick.
// A lost connection is made again, each time after a longer wait.

const SYMBOL = "1HZ100V";
const SHOWN = 120;
const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const address = `${scheme}//${location.host}/websockets/v3?app_id=1089`;
const element = (id) => document.getElementById(id);

element("address").textContent = address;
element("snippet").textContent = `const socket = new WebSocket(
  "${address}");
socket.onopen = () =>
  socket.send(JSON.stringify({ ticks: "${SYMBOL}", subscribe: 1 }));
socket.onmessage = (event) =>
  console.log(JSON.parse(event.data).tick);`;

let prices = [];
let digits = 2;
let attempts = 0;

function draw() {
  element("quote").textContent = prices.at(-1).toFixed(digits);
  const low = Math.min(...prices);
  const span = Math.max(...prices) - low || 1;
  element("line").setAttribute(
    "points",
    prices
      .map((price, index) => {
        const x = (600 * index) / (SHOWN - 1);
        const y = 152 - (144 * (price - low)) / span;
        return `${x.toFixed(1)},${y.toFixed(1)}`;
      })
      .join(" "),
  );
}

function connect() {
  const socket = new WebSocket(address);
  socket.onopen = () => {
    attempts = 0;
    element("state").textContent = "Live, one tick a second.";
    socket.send(
      JSON.stringify({ ticks_history: SYMBOL, end: "latest", count: SHOWN, subscribe: 1 }),
    );
  };
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.history) {
      prices = message.history.prices;
      digits = message.pip_size;
      draw();
    } else if (message.tick) {
      prices = [...prices, message.tick.quote].slice(-SHOWN);
      draw();
    }
  };
  socket.onclose = () => {
    attempts += 1;
    const seconds = Math.min(2 ** attempts, 30);
    element("state").textContent = `The connection is lost; trying again in ${seconds} s.`;
    setTimeout(connect, seconds * 1000);
  };
}

connect();
