// The fields of requests and replies, in words, from their JSON Schemas.

/**
 * `[{ name, required, type, values, description, byDefault }]` of an object's schema within an
 * AsyncAPI document. `values` are the texts of an enumeration; `type` is empty then.
 */
export function fieldsOf(schema, document) {
  const whole = resolved(schema, document);
  const required = new Set(whole.required ?? []);
  return Object.entries(whole.properties ?? {}).map(([name, field]) => ({
    name,
    required: required.has(name),
    ...described(field, document),
  }));
}

/** The fields of every reply of a call, those of nested objects by their path: `buy.payout`. */
export function replyFieldsOf(schema, document) {
  const found = new Map();
  for (const body of schema.anyOf ?? []) {
    if (body.title !== "error") {
      for (const field of nested(body, document, "", [])) {
        if (field.name !== "msg_type" && !found.has(field.name)) {
          found.set(field.name, field);
        }
      }
    }
  }
  return [...found.values()];
}

function* nested(schema, document, path, inside) {
  const pointers = [schema.$ref, ...(schema.allOf ?? []).map((part) => part.$ref)].filter(Boolean);
  if (pointers.some((pointer) => inside.includes(pointer))) {
    return; // a type within itself
  }
  const within = [...inside, ...pointers];
  const whole = resolved(schema, document);
  for (const choice of whole.anyOf ?? []) {
    yield* nested(choice, document, path, within);
  }
  if (whole.type === "array" && whole.items) {
    yield* nested(whole.items, document, `${path}[]`, within);
  }
  if (typeof whole.additionalProperties === "object") {
    yield* nested(whole.additionalProperties, document, `${path}.*`, within);
  }
  const required = new Set(whole.required ?? []);
  for (const [key, field] of Object.entries(whole.properties ?? {})) {
    const name = path ? `${path}.${key}` : key;
    yield { name, required: required.has(key), ...described(field, document) };
    yield* nested(field, document, name, within);
  }
}

function described(field, document) {
  const own = resolved(field, document);
  const values = own.enum?.map((value) => JSON.stringify(value)) ?? null;
  return {
    type: values ? "" : typeOf(own, document),
    values,
    description: own.description ?? "",
    byDefault: own.default,
  };
}

/** The schema itself where it is a reference; keys beside the reference take precedence. */
function resolved(schema, document) {
  const { $ref: pointer, allOf, ...own } = schema;
  const parts = [...(pointer ? [lookUp(pointer, document)] : []), ...(allOf ?? [])];
  return Object.assign({}, ...parts.map((part) => resolved(part, document)), own);
}

function lookUp(pointer, document) {
  const steps = pointer.slice(2).split("/");
  const name = (step) => step.replaceAll("~1", "/").replaceAll("~0", "~");
  return steps.reduce((part, step) => part?.[name(step)], document);
}

function typeOf(schema, document) {
  const whole = resolved(schema, document);
  if ("const" in whole) {
    return JSON.stringify(whole.const);
  }
  if (whole.enum) {
    return whole.enum.map((value) => JSON.stringify(value)).join(" | ");
  }
  const choices = whole.anyOf ?? whole.oneOf;
  if (choices) {
    return [...new Set(choices.map((one) => typeOf(one, document)))].join(" or ");
  }
  if (whole.type === "array") {
    return `list of ${whole.items ? typeOf(whole.items, document) : "anything"}`;
  }
  return `${[whole.type ?? "anything"].flat().join(" or ")}${bounds(whole)}`;
}

/** Bounds from this size on only limit the type, and are not shown. */
const UNBOUNDED = 1e9;

function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum, maxLength }) {
  const isShown = (bound) => bound !== undefined && Math.abs(bound) < UNBOUNDED;
  if (isShown(minimum) && isShown(maximum)) {
    return ` (${minimum} to ${maximum})`;
  }
  const texts = [
    isShown(minimum) && `at least ${minimum}`,
    isShown(exclusiveMinimum) && `more than ${exclusiveMinimum}`,
    isShown(maximum) && `at most ${maximum}`,
    isShown(exclusiveMaximum) && `less than ${exclusiveMaximum}`,
    isShown(maxLength) && `at most ${maxLength} characters`,
  ].filter(Boolean);
  return texts.length === 0 ? "" : ` (${texts.join(", ")})`;
}
