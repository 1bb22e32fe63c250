// A producer in another language: pushes an image tar through the HTTP API of the queue.
// Needs Node.js 18 or newer, and no package.
//
//     PUSH_QUEUE_SERVER=http://127.0.0.1:15080 node examples/producer.mjs app.tar reg.example.com/team/app:1.0
//
// PUSH_QUEUE_TOKEN holds the token, if the server wants one. Ends with 0 if the image was pushed.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";

const server = process.env.PUSH_QUEUE_SERVER ?? "http://127.0.0.1:15080";
const token = process.env.PUSH_QUEUE_TOKEN;
const [tar, ...targets] = process.argv.slice(2);

async function call(method, path, { headers = {}, ...rest } = {}) {
  const authorization = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(`${server}/api/v1/${path}`, {
    method,
    headers: { ...authorization, ...headers },
    ...rest,
  });
  const body = await answer.json();
  // Errors are problem+json (RFC 9457): `detail` is for people, `type` for programs.
  if (!answer.ok) throw new Error(body.detail);
  return body;
}

async function upload() {
  const { size } = await stat(tar);
  const { source } = await call("PUT", `uploads/${encodeURIComponent(basename(tar))}`, {
    headers: { "Content-Length": String(size) },
    body: createReadStream(tar),
    duplex: "half",
  });
  return source;
}

async function enqueue(source) {
  return call("POST", "jobs", {
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ source, targets, labels: { producer: "node" } }),
  });
}

async function finished({ id }) {
  for (;;) {
    // The server answers as soon as the job has ended, or after 60 s.
    const job = await call("GET", `jobs/${encodeURIComponent(id)}?wait=60`);
    if (job.finished_at) return job;
    console.error(`${id} ${job.state}: ${job.bytes_done} of ${job.bytes_total} bytes`);
  }
}

if (!tar || !targets.length) {
  console.error("usage: node producer.mjs TAR REGISTRY/REPOSITORY:TAG...");
  process.exit(2);
}
try {
  const job = await finished(await enqueue(await upload()));
  if (job.digest) console.log(job.digest);
  if (job.error) console.error(`${job.id} ${job.state}: ${job.error}`);
  process.exit(["succeeded", "superseded"].includes(job.state) ? 0 : 1);
} catch (error) {
  console.error(`producer: ${error.cause?.message ?? error.message}`);
  process.exit(1);
}
