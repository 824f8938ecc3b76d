// Requests to our own origin. The key stays with the server: the session's cookie stands for it.

/** A request that was refused: `status` is 0 where no answer came. */
export class ApiError extends Error {
  constructor(status, code, message, place) {
    super(message);
    this.status = status;
    this.code = code;
    this.line = place?.line ?? null;
    this.column = place?.column ?? null;
  }
}

const expired = new Set();

/** Calls `listener` when an answer says that there is no session. */
export function onExpired(listener) {
  expired.add(listener);
}

/** Tells all listeners that the session is over. */
export function sessionIsOver() {
  for (const listener of expired) {
    listener();
  }
}

/** The answer to a request, unless it is refused: then an ApiError. */
export async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (cause) {
    if (cause.name === "AbortError") {
      throw cause;
    }
    throw new ApiError(0, "unreachable", "the server does not answer");
  }
  if (answer.ok) {
    return answer;
  }
  const error = await refusal(answer);
  if (answer.status === 401 && !path.startsWith("/console/login")) {
    await checkSession(path);
  }
  throw error;
}

// A 401 may also be the word of a service behind the server, whose key is wrong: only the server knows of sessions.
async function checkSession(path) {
  const answer =
    path === "/console/session" ? null : await fetch("/console/session", { cache: "no-store" }).catch(() => null);
  if (answer?.status === 401 || path === "/console/session") {
    sessionIsOver();
  }
}

/** What an answer with an error says, in the forms that our services have. */
async function refusal(answer) {
  const text = await answer.text().catch(() => "");
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = text.slice(0, 1000);
  }
  const error = body?.error;
  if (error && typeof error === "object") {
    return new ApiError(answer.status, error.code, error.message, error);
  }
  const message = typeof body === "string" && body ? body : (error ?? `the answer is ${answer.status}`);
  return new ApiError(answer.status, body?.errorType ?? `http_${answer.status}`, message);
}

function withQuery(path, parameters) {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters ?? {})) {
    if (value !== null && value !== undefined && value !== "") {
      search.set(key, value);
    }
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/** GET of the query service: `/v1/kinds` and the like. */
export async function query(path, parameters, signal) {
  const answer = await request(withQuery(`/console/api${path}`, parameters), { signal });
  return answer.json();
}

/** GET of the alerts service. */
export async function alerts(path, parameters, signal) {
  const answer = await request(withQuery(`/console/alerts${path}`, parameters), { signal });
  return answer.json();
}

/** POST or DELETE of the alerts service; the answer as JSON, or null where it has none. */
export async function tellAlerts(method, path, body) {
  const answer = await request(`/console/alerts${path}`, {
    method,
    headers: body ? { "content-type": "application/json" } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

/**
 * Rows of a statement: `{columns, rows, truncated}`, and `freshUntil` in ms if the answer has it. Whole numbers past
 * 2^53 are BigInt, where the browser can tell.
 */
export async function sql(statement, { parameters, full, signal } = {}) {
  const answer = await request("/console/api/v1/sql", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ sql: statement, params: parameters, full: full || undefined }),
    signal,
  });
  const result = parse(await answer.text());
  result.freshUntil = answer.headers.get("x-headwater-fresh-until");
  return result;
}

/** The same as objects by column name. */
export async function sqlObjects(statement, options) {
  const { columns, rows } = await sql(statement, options);
  return rows.map((row) => Object.fromEntries(columns.map((column, index) => [column.name, row[index]])));
}

function parse(text) {
  if (!/[[,:\s]-?\d{16,}[\s,\]}]/.test(text)) {
    return JSON.parse(text);
  }
  return JSON.parse(text, (_key, value, context) => {
    const isLarge = typeof value === "number" && !Number.isSafeInteger(value);
    return isLarge && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context.source) : value;
  });
}

let kindsAnswer = null;

/** Kinds with their signals, asked for at most once a minute. */
export async function kinds() {
  if (!kindsAnswer || performance.now() - kindsAnswer.at > 60_000) {
    const { kinds: list } = await query("/v1/kinds");
    kindsAnswer = { at: performance.now(), list };
  }
  return kindsAnswer.list;
}

/** A text as a literal of SQL. */
export function literal(text) {
  return `'${String(text).replaceAll("'", "''")}'`;
}

/** A name as an identifier of SQL. */
export function identifier(text) {
  return `"${String(text).replaceAll('"', '""')}"`;
}
