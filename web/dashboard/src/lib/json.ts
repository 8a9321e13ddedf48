/** What a person typed, as a message for the socket, or where it goes wrong. */

/** Types that are the protocol's own: PROTOCOL.md, sections 4.2 and 12. */
const RESERVED = new Set([
  "auth",
  "ping",
  "pong",
  "subscribe",
  "unsubscribe",
  "publish",
  "history",
  "presence",
]);

export type Draft =
  | { readonly kind: "empty" }
  | { readonly kind: "message"; readonly message: object }
  | { readonly kind: "syntax"; readonly line: number; readonly column: number }
  /** It is right as far as it goes. */
  | { readonly kind: "unfinished" }
  /** JSON, but no object: no message, but good for a channel. */
  | { readonly kind: "other"; readonly value: unknown }
  /** Likewise. */
  | { readonly kind: "reserved"; readonly type: string; readonly value: object };

export function read(text: string): Draft {
  if (text.trim() === "") return { kind: "empty" };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return wrong(text);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { kind: "other", value };
  const type = "type" in value ? value.type : undefined;
  if (typeof type === "string" && RESERVED.has(type)) return { kind: "reserved", type, value };
  return { kind: "message", message: value };
}

/** What may be published: any JSON. */
export function dataOf(draft: Draft): { readonly data: unknown } | null {
  if (draft.kind === "message") return { data: draft.message };
  return draft.kind === "other" || draft.kind === "reserved" ? { data: draft.value } : null;
}

function wrong(text: string): Draft {
  const position = faultIn(text);
  if (position >= text.trimEnd().length) return { kind: "unfinished" };
  const before = text.slice(0, position).split("\n");
  return { kind: "syntax", line: before.length, column: (before.at(-1) ?? "").length + 1 };
}

// Browsers tell where it goes wrong each in words of its own, or not at all, so it is found here.

type Expected = "value" | "value or ]" | "key" | "key or }" | "colon" | "next";
type Token = "{" | "}" | "[" | "]" | "," | ":" | "string" | "scalar";

const TOKEN =
  /([{}[\],:])|("(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*")|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.])/uy;
const UNFINISHED_STRING = /"(?:[^"\\\p{Cc}]|\\.)*\\?$/uy;

const OPENS: Readonly<Partial<Record<Token, Expected>>> = { "{": "key or }", "[": "value or ]" };
const VALUE: Readonly<Partial<Record<Token, Expected>>> = { ...OPENS, string: "next", scalar: "next" };
const EXPECTED: Readonly<Record<Expected, Readonly<Partial<Record<Token, Expected>>>>> = {
  value: VALUE,
  "value or ]": { ...VALUE, "]": "next" },
  key: { string: "colon" },
  "key or }": { string: "colon", "}": "next" },
  colon: { ":": "value" },
  next: { ",": "value", "}": "next", "]": "next" },
};

/** The place of the first character that no JSON text could have there; the text's length if it only stops too early. */
function faultIn(text: string): number {
  const open: Token[] = [];
  let expected: Expected = "value";
  let position = 0;
  for (;;) {
    position += /^\s*/.exec(text.slice(position))?.[0].length ?? 0;
    const found = tokenAt(text, position);
    if (found === null) return position;
    const next: Expected | undefined = EXPECTED[expected][found.token];
    if (next === undefined || !fits(found.token, expected, open)) return position;
    expected = found.token === "," && open.at(-1) === "{" ? "key" : next;
    position += found.length;
  }
}

/** Whether brackets match; keeps account of those that are open. */
function fits(token: Token, expected: Expected, open: Token[]): boolean {
  if (token === "{" || token === "[") open.push(token);
  if (token === "}" || token === "]") return open.pop() === (token === "}" ? "{" : "[");
  return expected !== "next" || open.length > 0;
}

function tokenAt(text: string, position: number): { token: Token; length: number } | null {
  TOKEN.lastIndex = position;
  const found = TOKEN.exec(text);
  if (found === null) {
    UNFINISHED_STRING.lastIndex = position;
    const rest = UNFINISHED_STRING.exec(text);
    return rest === null ? null : { token: "string", length: rest[0].length };
  }
  const [whole, mark, string] = found;
  const token = (mark as Token | undefined) ?? (string === undefined ? "scalar" : "string");
  return { token, length: whole.length };
}
