// One job: how far it is, its layers, its attempts.

import { cancelJob, eventsOf, follow, readJob, retryJob } from "./api.js";
import { announce, copyButton, el, reference, resting, show, time } from "./dom.js";
import { bytes, seconds, shortDigest } from "./format.js";
import { progressBar } from "./progress.js";
import { refresher } from "./refresh.js";
import { timeLine } from "./time_line.js";
import { badge, effort, isFinal, reason } from "./wording.js";

const QUIET_MS = 10000;

const OUTCOMES = {
  uploaded: "uploaded",
  mounted: "mounted from another repository",
  exists: "was there",
  waited: "sent by another job",
};

export function jobView(main, { id, mayChange, onConnection, onProblem, onRefusal }) {
  let job;
  const heading = el("h1", {}, id);
  const state = el("p", { class: "state" });
  const bar = progressBar();
  const spent = el("p", { class: "spent" });
  const facts = el("dl", { class: "facts" });
  const layers = el("section", { "aria-labelledby": "layers", hidden: true });
  const attempts = el("section", { "aria-labelledby": "attempts", hidden: true });
  const button = el("button", { type: "button", onclick: () => resting(button, act), hidden: true });
  show(
    main,
    el("p", {}, el("a", { href: "/", "data-view": "" }, "All jobs")),
    heading,
    el("div", { class: "headline" }, state, button),
    bar.element,
    spent,
    facts,
    layers,
    attempts,
  );

  async function act() {
    onRefusal(null);
    try {
      await (isFinal(job) ? retryJob(id) : cancelJob(id));
    } catch (problem) {
      onRefusal(problem);
    }
    refresh();
  }

  async function load() {
    try {
      const changed = await readJob(id);
      if (!main.contains(facts)) return;
      if (job && job.state !== changed.state) announce(`job ${id}: ${changed.state}`);
      if (JSON.stringify(changed) !== JSON.stringify(job)) {
        job = changed;
        put();
      }
      onProblem(null);
      followUnlessFinal();
    } catch (problem) {
      onProblem(problem);
    }
  }

  function put() {
    document.title = `${job.state}: ${job.targets[0]}`;
    show(heading, reference(job.targets[0]));
    putState();
    show(facts, factsOf(job));
    showSection(layers, layersOf(job));
    showSection(attempts, attemptsOf(job));
    button.hidden = !mayChange || job.cancel_requested;
    button.textContent = isFinal(job) ? "Retry" : "Cancel";
  }

  function putState() {
    show(state, badge(job.state), " ", ...reason(job));
    bar.update(job);
    spent.textContent = effort(job);
  }

  // The layers are read again now and then while the job runs.
  function tellProgress(news) {
    if (job?.state !== "running") return;
    job = { ...job, ...news };
    putState();
    refresh();
  }

  // A job's stream ends with the job; one that is enqueued again has a new one.
  function followUnlessFinal() {
    if (isFinal(job)) {
      unfollow?.();
      unfollow = null;
      onConnection(true);
    } else {
      unfollow ??= follow(eventsOf(id), {
        open: () => onConnection(true),
        // It may have ended because the job has.
        lost: () => (onConnection(false), refresh()),
        progress: tellProgress,
        job: () => refresh(),
      });
    }
  }

  let unfollow = null;
  const loading = refresher(load, QUIET_MS);
  const refresh = () => loading.soon();
  return () => {
    unfollow?.();
    loading.stop();
  };
}

function showSection(section, content) {
  section.hidden = !content.length;
  show(section, content);
}

function factsOf(job) {
  const results = new Map(job.results.map((result) => [result.target, result]));
  const targets = job.targets.map((target) => {
    const result = results.get(target);
    const what = result ? ` ${result.outcome}` : "";
    return el("div", {}, el("code", {}, reference(target)), what, copyButton(target, "the target"));
  });
  const source = [job.image, job.platform].filter(Boolean).join(", ");
  const labels = Object.entries(job.labels).map(([name, value]) =>
    el("a", { href: `/?${new URLSearchParams({ label: `${name}=${value}` })}`, "data-view": "" }, `${name}=${value}`),
  );
  const facts = [
    ["Targets", targets],
    ["Digest", job.digest && [el("code", {}, job.digest), copyButton(job.digest, "the digest")]],
    ["Job", [el("code", {}, job.id), copyButton(job.id, "the id")]],
    ["Source", [el("code", {}, job.source), source && ` (${source})`]],
    ["Notes", job.notes.length > 0 && job.notes.map((note) => el("p", {}, note))],
    ["Enqueued", [time(job.enqueued_at), job.enqueued_by && ` by ${job.enqueued_by}`]],
    ["Retried by", job.retried_by],
    ["Cancelled by", job.cancelled_by],
    ["Finished", job.finished_at && [time(job.finished_at)]],
    ["Worker", job.worker],
    ["Attempt", job.attempt > 0 && `${job.attempt} of ${job.max_attempts}`],
    ["Gives up", job.give_up_at && !isFinal(job) && [time(job.give_up_at)]],
    ["Priority", job.priority !== "normal" && job.priority],
    ["Source file", job.cleanup_outcome],
    ["Labels", labels.length > 0 && labels.flatMap((label, place) => (place ? [", ", label] : [label]))],
  ];
  return facts
    .filter(([, value]) => value)
    .flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, [value].flat().filter(Boolean))]);
}

function layersOf(job) {
  if (!job.blobs.length) return [];
  const largestFirst = [...job.blobs].sort((a, b) => b.size - a.size);
  const rows = largestFirst.map((blob) => {
    const done = blob.how
      ? OUTCOMES[blob.how]
      : el("span", { class: "layer" }, el("progress", { max: blob.size || 1, value: blob.done, "aria-label": "Layer" }), bytes(blob.done));
    return el(
      "tr",
      {},
      el("td", { "data-heading": "Layer" }, el("code", { title: blob.digest }, shortDigest(blob.digest))),
      el("td", { "data-heading": "Size", class: "number" }, bytes(blob.size)),
      el("td", { "data-heading": "Outcome", class: blob.how }, done),
    );
  });
  const heads = ["Layer", "Size", "Outcome"].map((text) => el("th", { scope: "col" }, text));
  return [
    el("h2", { id: "layers" }, "Layers and configs"),
    el("table", { class: "layers" }, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows)),
  ];
}

const lasted = (attempt) => (Date.parse(attempt.finished_at) - Date.parse(attempt.started_at)) / 1000;

function attemptsOf(job) {
  if (!job.attempts.length && !job.started_at) return [];
  const rows = job.attempts.map((attempt) =>
    el(
      "tr",
      {},
      el("td", { "data-heading": "Attempt", class: "number" }, String(attempt.number)),
      el("td", { "data-heading": "Outcome" }, el("span", { class: `badge ${attempt.outcome}` }, attempt.outcome)),
      el("td", { "data-heading": "Started" }, time(attempt.started_at)),
      el("td", { "data-heading": "Took", class: "number" }, seconds(lasted(attempt))),
      el("td", { "data-heading": "Worker" }, attempt.worker),
      el("td", { "data-heading": "Error", class: "why" }, attempt.error ? `${attempt.error} (${attempt.error_kind})` : "–"),
    ),
  );
  const heads = ["Attempt", "Outcome", "Started", "Took", "Worker", "Error"].map((text) => el("th", { scope: "col" }, text));
  return [
    el("h2", { id: "attempts" }, "Attempts"),
    timeLine(job),
    rows.length ? el("table", {}, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows)) : null,
  ];
}
