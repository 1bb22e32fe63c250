// A job's attempts on a line, from when it was enqueued until it ended, or until now.

import { el, svg } from "./dom.js";
import { count, seconds } from "./format.js";

const WIDTH = 600;
const HEIGHT = 18;
const LEAST = 3;

export function timeLine(job) {
  const now = Date.now();
  const attempts = job.attempts.map((attempt) => ({
    from: Date.parse(attempt.started_at),
    to: Date.parse(attempt.finished_at),
    kind: attempt.outcome,
  }));
  if (job.state === "running") attempts.push({ from: Date.parse(job.started_at), to: now, kind: "running" });
  const start = Math.min(Date.parse(job.enqueued_at), ...attempts.map((attempt) => attempt.from));
  const end = Math.max(
    job.finished_at ? Date.parse(job.finished_at) : now,
    start + 1,
    ...attempts.map((attempt) => attempt.to),
  );
  const place = (moment) => ((moment - start) / (end - start)) * WIDTH;
  const bars = attempts.map(({ from, to, kind }) => {
    const width = Math.max(LEAST, place(to) - place(from));
    const x = Math.min(place(from), WIDTH - LEAST);
    const tip = `${kind} after ${seconds((to - from) / 1000)}`;
    return svg("rect", { x, y: 0, width, height: HEIGHT, class: kind }, svg("title", {}, tip));
  });
  const label = `${count(attempts.length, "attempt")} in ${seconds((end - start) / 1000)} since it was enqueued`;
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true", preserveAspectRatio: "none" },
    svg("rect", { x: 0, y: 0, width: WIDTH, height: HEIGHT, class: "background" }),
    ...bars,
  );
  return el("figure", { class: "time-line" }, el("figcaption", {}, label), drawing);
}
