// How far a job is, as a bar and in words.

import { el } from "./dom.js";
import { bytes, seconds } from "./format.js";

// `45 %, 12.3 MB of 29.0 MB, 5.1 MB/s, 3 s left`
export function inWords(job) {
  if (!job.bytes_total) return "";
  const parts = [
    `${Math.floor((job.bytes_done * 100) / job.bytes_total)} %`,
    `${bytes(job.bytes_done)} of ${bytes(job.bytes_total)}`,
  ];
  if (job.state === "running" && job.bytes_done < job.bytes_total) {
    if (job.bytes_per_second !== null) parts.push(`${bytes(job.bytes_per_second)}/s`);
    if (job.seconds_left !== null) parts.push(`${seconds(job.seconds_left)} left`);
  }
  return parts.join(", ");
}

// The element that shows it, with `update(job)`.
export function progressBar() {
  const bar = el("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const words = el("span", { class: "figures" });
  const element = el("div", { class: "bar", hidden: true }, bar, words);
  return {
    element,
    update(job) {
      element.hidden = !job.bytes_total || !["running", "retrying", "failed"].includes(job.state);
      if (element.hidden) return;
      bar.max = job.bytes_total;
      bar.value = job.bytes_done;
      words.textContent = inWords(job);
    },
  };
}
