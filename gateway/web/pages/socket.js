// The Scopegate API over one plain WebSocket: requests, streams, and a connection that comes back.
// It depends on nothing; copy it into your own page.
//
//   const api = new Api({ appId: 1089 });
//   const { time } = await api.ask({ time: 1 });
//   const ticks = api.stream({ ticks: "R_100" }, (message) => console.log(message.tick.quote));
//   ticks.stop();
//
// Rules:
// - A reply belongs to the request with its `req_id`, and so does every later message of a stream.
// - What is asked while the first connection is being made waits for it. What is asked while the
//   connection is lost fails at once, and what was under way when it was lost fails then: whether
//   it was carried out is not known, so nothing is sent twice.
// - Streams are asked for again on a new connection, after `onOpen` has signed in.

const SHORTEST_WAIT = 500;
const FORGET_AGAIN = 5_000;
const LONGEST_WAIT = 15_000;
const PING_EVERY = 25_000;
const PATIENCE = 10_000;
const UNKNOWN_APP = 1008;
const RESTART = "ServiceRestart";

/** What a request or a stream fails with: `message` for people, `code` for programs. */
export class ApiError extends Error {
  constructor({ code, message, details }) {
    super(code === "Timeout" ? TIMEOUT : message); // the gateway's own text is one word
    this.name = "ApiError";
    this.code = code;
    this.details = details ?? {};
  }
}

/** The address of the API on the host that this page came from. */
export function addressFor(appId) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}/websockets/v3?app_id=${encodeURIComponent(appId)}`;
}

const LOST = {
  code: "ConnectionLost",
  message: "The connection to the gateway was lost. Try again once it is back.",
};
const TIMEOUT =
  "The gateway took too long to answer. Check whether it was done anyway before you try again.";
const CLOSED = {
  code: "ConnectionClosed",
  message: "This connection to the gateway is closed.",
};

export class Api {
  #address;
  #onOpen;
  #onDenied;
  #socket = null;
  #state = "connecting";
  #lastRequest = 0;
  #attempts = 0;
  #retry = 0;
  #deadline = 0;
  #pending = new Map(); // req_id -> { resolve, reject }
  #streams = new Set(); // those that run
  #byRequest = new Map(); // req_id -> stream, on this very connection
  #forgottenLate = new Set(); // requests of streams that were stopped before they had a name
  #waiting = []; // asked before the first connection was there
  #stateListeners = new Set();
  #frameListeners = new Set();
  #pinger;
  #browser = new AbortController();

  /**
   * `onOpen(ask)` runs on each new connection before anything else is sent, to sign in with `ask`.
   * `onDenied(error)` is called when a request or a stream fails without a sign-in.
   */
  constructor({ appId = 1089, address = addressFor(appId), onOpen, onDenied } = {}) {
    this.#address = address;
    this.#onOpen = onOpen ?? (async () => {});
    this.#onDenied = onDenied ?? (() => {});
    const { signal } = this.#browser;
    window.addEventListener("online", () => this.#wake(), { signal });
    document.addEventListener("visibilitychange", () => this.#wake(), { signal });
    this.#pinger = setInterval(() => this.#ping(), PING_EVERY);
    this.#connect();
  }

  /** "connecting" (the first time), "open", "lost" (it is being made again) or "closed". */
  get state() {
    return this.#state;
  }

  /** Has `listener(state)` called at every change; returns a function that ends that. */
  onState(listener) {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Has `listener(direction, text)` called with every frame, "out" or "in". */
  onFrame(listener) {
    this.#frameListeners.add(listener);
    return () => this.#frameListeners.delete(listener);
  }

  /** Resolves once the connection is open. */
  ready() {
    if (this.#state === "open") {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const end = this.onState((state) => {
        if (state === "open") {
          end();
          resolve();
        }
      });
    });
  }

  /** The whole reply to a request. Rejects with an `ApiError`. */
  ask(request) {
    if (this.#state === "open") {
      return this.#transmit(request);
    }
    if (this.#state === "connecting") {
      return new Promise((resolve, reject) => this.#waiting.push({ request, resolve, reject }));
    }
    return Promise.reject(new ApiError(this.#state === "closed" ? CLOSED : LOST));
  }

  /**
   * Subscribes; `onMessage(message)` gets the first reply and all that follow it.
   *
   * `onError(error)` is called when the stream ends other than by `stop()`. With
   * `again: false` a lost connection ends it; a `buy` is never sent a second time.
   */
  stream(request, onMessage, onError = () => {}, { again = !("buy" in request) } = {}) {
    const stream = { request, onMessage, onError, again, stopped: false, ids: new Set() };
    if (this.#state === "closed") {
      queueMicrotask(() => onError(new ApiError(CLOSED)));
      return { stop() {} };
    }
    this.#streams.add(stream);
    if (this.#state === "open") {
      this.#subscribe(stream);
    }
    return { stop: () => this.#stop(stream) };
  }

  /** Ends the connection for good, with its streams. */
  close() {
    this.#end("closed");
  }

  #connect() {
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = (event) => this.#received(event.data);
    socket.onclose = (event) => this.#end(event.code === UNKNOWN_APP ? "closed" : "lost");
    this.#expectFrame();
  }

  async #opened(socket) {
    clearTimeout(this.#deadline);
    try {
      await this.#onOpen((request) => this.#transmit(request));
    } catch {
      if (socket === this.#socket) {
        this.#end("lost");
      }
    }
    if (socket !== this.#socket) {
      return;
    }
    this.#state = "open";
    // Before the listeners, who read what the streams then change: in between, nothing is missed.
    for (const stream of this.#streams) {
      this.#subscribe(stream);
    }
    this.#notifyListeners();
    for (const { request, resolve, reject } of this.#waiting.splice(0)) {
      this.#transmit(request).then(resolve, reject);
    }
  }

  #transmit(request) {
    return new Promise((resolve, reject) => {
      const reqId = this.#send(request);
      this.#pending.set(reqId, { resolve, reject });
    });
  }

  #subscribe(stream) {
    stream.ids.clear();
    const reqId = this.#send({ ...stream.request, subscribe: 1 });
    this.#byRequest.set(reqId, stream);
  }

  #send(request) {
    this.#lastRequest += 1;
    const text = JSON.stringify({ ...request, req_id: this.#lastRequest });
    this.#tellFrame("out", text);
    this.#socket.send(text);
    return this.#lastRequest;
  }

  #received(text) {
    if (this.#state === "open") {
      this.#attempts = 0; // not before: a sign-in that fails is tried less and less often
    }
    clearTimeout(this.#deadline);
    this.#tellFrame("in", text);
    const message = JSON.parse(text);
    const waiting = this.#pending.get(message.req_id);
    const stream = this.#byRequest.get(message.req_id);
    if (waiting) {
      this.#pending.delete(message.req_id);
      this.#settle(waiting, message);
    } else if (stream) {
      this.#tellStream(stream, message);
    }
  }

  #settle({ resolve, reject }, message) {
    if (!message.error) {
      resolve(message);
      return;
    }
    const error = new ApiError(message.error);
    reject(error);
    if (error.code === "AuthorizationRequired") {
      this.#onDenied(error);
    }
  }

  #tellStream(stream, message) {
    const id = message.subscription?.id;
    const isNew = id !== undefined && !stream.ids.has(id);
    if (isNew) {
      stream.ids.add(id);
    }
    if (stream.stopped) {
      if (isNew) {
        this.#forget(id); // it was stopped before it had a name
        this.#forgottenLate.add(JSON.stringify(stream.request));
      }
    } else if (
      message.error?.code === "AlreadySubscribed" &&
      this.#forgottenLate.delete(JSON.stringify(stream.request))
    ) {
      this.#subscribe(stream); // the earlier one, asked for just before, is forgotten by now
    } else if (message.error?.code === RESTART) {
      // The connection ends next. That ends the stream, or has it asked for again afterwards.
    } else if (message.error) {
      const error = new ApiError(message.error);
      this.#stop(stream);
      stream.onError(error);
      if (error.code === "AuthorizationRequired" || error.code === "InvalidToken") {
        this.#onDenied(error);
      }
    } else {
      stream.onMessage(message);
    }
  }

  #stop(stream) {
    if (stream.stopped) {
      return;
    }
    stream.stopped = true;
    this.#streams.delete(stream);
    if (this.#state === "open") {
      stream.ids.forEach((id) => this.#forget(id));
    }
  }

  #forget(id) {
    const socket = this.#socket;
    this.#transmit({ forget: id }).catch((error) => {
      // A stream that is not forgotten counts as one that runs. The connection's end ends it, too.
      if (error.code === "RateLimit") {
        setTimeout(() => socket === this.#socket && this.#forget(id), FORGET_AGAIN);
      }
    });
  }

  #ping() {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#transmit({ ping: 1 }).catch(() => {}); // a lost connection shows in the state
      this.#expectFrame();
    }
  }

  #expectFrame() {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#end("lost"), PATIENCE);
  }

  #wake() {
    if (document.visibilityState !== "visible") {
      return;
    }
    if (this.#state === "open") {
      this.#ping();
    } else if (this.#socket === null && this.#state === "lost") {
      clearTimeout(this.#retry);
      this.#connect();
    }
  }

  /** The connection is over: fails what was under way, and tries again unless that is for good. */
  #end(state) {
    clearTimeout(this.#deadline);
    clearTimeout(this.#retry);
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null) {
      // A dead peer may never confirm the end, so nothing waits for it.
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    this.#become(state);
    if (state === "closed") {
      clearInterval(this.#pinger);
      this.#browser.abort();
    } else {
      const wait = Math.min(SHORTEST_WAIT * 2 ** this.#attempts, LONGEST_WAIT);
      this.#attempts += 1;
      this.#retry = setTimeout(() => this.#connect(), wait);
    }
    const failed = [...this.#pending.values(), ...this.#waiting];
    this.#pending.clear();
    this.#waiting = [];
    this.#byRequest.clear();
    this.#forgottenLate.clear();
    const error = new ApiError(state === "closed" ? CLOSED : LOST);
    failed.forEach(({ reject }) => reject(error));
    for (const stream of [...this.#streams]) {
      if (state === "closed" || !stream.again) {
        this.#stop(stream);
        stream.onError(error);
      }
    }
  }

  #become(state) {
    if (state !== this.#state) {
      this.#state = state;
      this.#notifyListeners();
    }
  }

  #notifyListeners() {
    this.#stateListeners.forEach((listener) => listener(this.#state));
  }

  #tellFrame(direction, text) {
    this.#frameListeners.forEach((listener) => listener(direction, text));
  }
}
