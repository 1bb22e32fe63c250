// Calls of the HTTP API.

const V1 = "/api/v1";

// What is read is answered at once. A connection that is dead without a word, as after a laptop's sleep,
// would otherwise be waited for without end.
const READ_MS = 15000;

// How long to wait before a request whose connection broke is sent again: networks change. It may be, since
// all that this page asks for can be asked for twice.
const AGAIN_AFTER_MS = [300, 1500];

async function send(path, options) {
  for (const wait of AGAIN_AFTER_MS) {
    try {
      return await fetch(path, options);
    } catch (error) {
      if (options.signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
  return fetch(path, options);
}

// An answer that is a problem (RFC 9457): its detail is the message.
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function call(method, path, body) {
  const options = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const late = new AbortController();
  const timer = method === "GET" ? setTimeout(() => late.abort(), READ_MS) : undefined;
  let response;
  let answer = null;
  try {
    response = await send(V1 + path, { ...options, signal: late.signal });
    if (response.status !== 204) answer = await response.json();
  } catch (error) {
    // An answer that is no JSON, as of a proxy, is one for its status alone.
    if (!(error instanceof SyntaxError)) {
      throw new Problem(0, `the server ${late.signal.aborted ? "does not answer" : "cannot be reached"}; trying again`);
    }
  } finally {
    clearTimeout(timer);
  }
  if (!response.ok) throw new Problem(response.status, answer?.detail || response.statusText);
  return answer;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);

const job = (id) => `/jobs/${encodeURIComponent(id)}`;

export const readJob = (id) => get(job(id));
export const cancelJob = (id) => post(`${job(id)}/cancel`);
export const retryJob = (id) => post(`${job(id)}/retry`);

const PAGE = 50;
const MOST_REQUESTS = 12;

// A page of jobs that fit the filters, and the cursor of the next. The server looks at a bounded number
// of jobs for one answer, so a rare match takes several.
export async function listJobs(filters, cursor) {
  const jobs = [];
  let next = cursor;
  for (let asked = 0; asked < MOST_REQUESTS; asked += 1) {
    const query = new URLSearchParams(filters);
    query.set("limit", PAGE - jobs.length);
    if (next) query.set("cursor", next);
    const answer = await get(`/jobs?${query}`);
    jobs.push(...answer.jobs);
    next = answer.next;
    if (!next || jobs.length >= PAGE) break;
  }
  return { jobs, next };
}

// Cancel or retry all jobs that match the filters, or only count those that would be.
export async function changeAll(action, filters, dryRun) {
  let changed = 0;
  let next = null;
  do {
    const query = new URLSearchParams([...filters, ["dry_run", dryRun], ["limit", 500]]);
    if (next) query.set("cursor", next);
    const answer = await post(`/jobs/${action}?${query}`);
    changed += answer.jobs.length;
    next = answer.next;
  } while (next);
  return changed;
}

export const EVENTS = `${V1}/events`;
export const eventsOf = (id) => `${V1}${job(id)}/events`;

// Follow a stream of events; `handlers` by the name of the event, besides `open` and `lost`. The browser
// connects again by itself unless the server refuses; then this does, more slowly. A hidden page follows
// nothing: a browser has few connections to one server, for all of its tabs together.
export function follow(path, handlers) {
  const AGAIN_MS = 5000;
  const ended = new AbortController();
  let source = null;
  let timer;

  function connect() {
    source = new EventSource(path);
    source.onopen = () => handlers.open?.();
    source.onerror = () => {
      handlers.lost?.();
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, AGAIN_MS);
    };
    for (const name of ["state", "progress", "job", "reset"]) {
      source.addEventListener(name, (event) => handlers[name]?.(JSON.parse(event.data)));
    }
  }

  function disconnect() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }

  function lookedAt() {
    disconnect();
    if (!document.hidden) connect();
  }

  document.addEventListener("visibilitychange", lookedAt, { signal: ended.signal });
  lookedAt();
  return () => {
    ended.abort();
    disconnect();
  };
}
