// What there is to say of a job besides its figures.

import { bytes, seconds, secondsRun } from "./format.js";
import { el, time } from "./dom.js";

export const STATES = ["queued", "running", "retrying", "succeeded", "failed", "cancelled", "superseded"];
const FINAL = new Set(["succeeded", "failed", "cancelled", "superseded"]);

export const isFinal = (job) => FINAL.has(job.state);

export function badge(state) {
  return el("span", { class: `badge ${state}` }, state);
}

// Why the job stands as it does: text and elements, none if there is nothing to explain.
export function reason(job) {
  if (job.cancel_requested) return ["its worker was asked to stop"];
  if (job.waiting_for) return [job.waiting_for];
  if (job.error && job.state !== "succeeded") {
    const next = job.next_attempt_at && !isFinal(job) ? ["; again at ", time(job.next_attempt_at)] : [];
    const whose = job.state === "running" ? "the attempt before: " : "";
    return [`${whose}${job.error} (${job.error_kind})`, ...next];
  }
  if (job.next_attempt_at && !isFinal(job)) return ["starts at ", time(job.next_attempt_at)];
  if (job.state === "queued") return ["waits for a worker"];
  return [];
}

// `ran 12 s, 5.1 MB sent, 24.0 MB saved`
export function effort(job) {
  const parts = [];
  if (job.started_at) parts.push(`ran ${seconds(secondsRun(job))}`);
  if (job.bytes_sent) parts.push(`${bytes(job.bytes_sent)} sent`);
  if (job.bytes_saved) parts.push(`${bytes(job.bytes_saved)} saved`);
  return parts.join(", ");
}

// `is paused by alice until 31.1.2026, 09:30: it gets new disks`, of what a person has paused.
export function howPaused(pause) {
  const when = pause.until ? `until ${moment(pause.until)}` : `since ${moment(pause.since)}`;
  return `is paused${pause.by ? ` by ${pause.by}` : ""} ${when}${pause.reason ? `: ${pause.reason}` : ""}`;
}

const moment = (text) => new Date(text).toLocaleString();
