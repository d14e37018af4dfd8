// What the tests of the JavaScript client in Node share.

import assert from "node:assert/strict";

/** Returns the error, of this kind, with which a promise fails. */
export async function fails(promise, kind) {
  const problem = await promise.then(() => null, (error) => error);
  assert.ok(problem instanceof kind, `${problem?.stack}`);
  return problem;
}

/** Returns so many events of a stream. */
export async function taken(stream, count) {
  const events = [];
  while (events.length < count) {
    events.push((await stream.next()).value);
  }
  return events;
}
