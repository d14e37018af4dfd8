// The fields of a request, in words, from its JSON Schema.

/** `[{ name, required, type, description, byDefault }]` of an object's schema within an AsyncAPI document. */
export function fieldsOf(schema, document) {
  const whole = resolved(schema, document);
  const required = new Set(whole.required ?? []);
  return Object.entries(whole.properties ?? {}).map(([name, field]) => {
    const own = resolved(field, document);
    return {
      name,
      required: required.has(name),
      type: typeOf(own, document),
      description: own.description ?? "",
      byDefault: own.default,
    };
  });
}

/** The schema itself where it is a reference; what stands beside the reference goes first. */
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

function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum, maxLength }) {
  if (minimum !== undefined && maximum !== undefined) {
    return Math.abs(maximum) < Number.MAX_SAFE_INTEGER ? ` (${minimum} to ${maximum})` : "";
  }
  if (minimum !== undefined && Math.abs(minimum) < Number.MAX_SAFE_INTEGER) {
    return ` (at least ${minimum})`;
  }
  if (exclusiveMinimum !== undefined) {
    return ` (more than ${exclusiveMinimum})`;
  }
  if (maximum !== undefined && Math.abs(maximum) < Number.MAX_SAFE_INTEGER) {
    return ` (at most ${maximum})`;
  }
  if (exclusiveMaximum !== undefined) {
    return ` (less than ${exclusiveMaximum})`;
  }
  return maxLength === undefined ? "" : ` (at most ${maxLength} characters)`;
}
