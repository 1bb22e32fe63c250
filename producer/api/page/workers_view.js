// The workers that are alive, and the registries in use.

import { get } from "./api.js";
import { el, show, time } from "./dom.js";
import { count } from "./format.js";
import { drainButton, pauseButton } from "./operate.js";
import { refresher } from "./refresh.js";
import { howPaused } from "./wording.js";

const QUIET_MS = 5000;

export function workersView(main, { mayOperate, onConnection, onPause, onProblem, onRefusal }) {
  const workers = el("section", { "aria-labelledby": "workers" });
  const registries = el("section", { "aria-labelledby": "registries" });
  let shown;
  const queue = el("div");
  const headline = el("div", { class: "headline" }, el("h1", {}, "Workers and registries"), queue);
  show(main, headline, workers, registries);
  // None for those who may change nothing.
  const after = mayOperate && { onRefusal, refresh: () => (loading.soon(), onPause()) };

  async function load() {
    try {
      const answers = await Promise.all([get("/workers"), get("/registries"), get("/queue")]);
      // Left as it is while nothing changes, so that the focus stays.
      if (JSON.stringify(answers) !== shown) {
        shown = JSON.stringify(answers);
        put(...answers);
      }
      onConnection(true);
      onProblem(null);
    } catch (problem) {
      onConnection(false);
      onProblem(problem);
    }
  }

  function put(found, used, { pause }) {
    const focused = document.activeElement?.dataset.key;
    if (after) show(queue, pauseButton("the queue", "/queue", pause, after));
    show(workers, workersTable(found.workers, after));
    show(registries, registriesTable(used.registries, after));
    registries.hidden = !used.registries.length;
    if (focused) main.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  const loading = refresher(load, QUIET_MS);
  return loading.stop;
}

function table(heads, rows) {
  return el(
    "table",
    {},
    el("thead", {}, el("tr", {}, heads.map((text) => el("th", { scope: "col" }, text)))),
    el(
      "tbody",
      {},
      rows.map((cells) =>
        el("tr", {}, cells.map((cell, place) => el("td", { "data-heading": heads[place] }, el("div", {}, [cell].flat())))),
      ),
    ),
  );
}

const canDrain = (worker) => worker.heeds && worker.state !== "draining";

function registryButton(registry, after) {
  const paused = registry.pause || registry.paused_until;
  return pauseButton(registry.name, `/registries/${encodeURIComponent(registry.name)}`, paused, after);
}

function workersTable(workers, after) {
  if (!workers.length) {
    return [el("p", { class: "empty" }, "No worker is running. Jobs wait until one is started: push-worker")];
  }
  const heads = ["Worker", "State", "Host", "Version", "Started", "Jobs", "Trouble", ...(after ? ["Actions"] : [])];
  const rows = workers.map((worker) => [
    el("code", {}, worker.id),
    worker.state,
    `${worker.host} (${worker.pid})`,
    worker.version,
    time(worker.started_at),
    jobsOf(worker),
    worker.problem ? el("span", { class: "why" }, worker.problem) : "–",
    ...(after ? [canDrain(worker) ? drainButton(worker, after) : "–"] : []),
  ]);
  return [el("h2", { id: "workers" }, count(workers.length, "worker")), table(heads, rows)];
}

function jobsOf(worker) {
  if (!worker.jobs.length) return String(worker.running);
  const links = worker.jobs.map((id) => el("a", { href: `/?job=${encodeURIComponent(id)}`, "data-view": "" }, id));
  return links.flatMap((link, place) => (place ? [", ", link] : [link]));
}

function registriesTable(registries, after) {
  if (!registries.length) return [];
  const heads = ["Registry", "Uploads", "Jobs that wait", "Paused", ...(after ? ["Actions"] : [])];
  const rows = registries.map((registry) => [
    el("a", { href: `/?${new URLSearchParams({ registry: registry.name })}`, "data-view": "" }, registry.name),
    `${registry.uploads} of ${registry.max_uploads}`,
    String(registry.waiting),
    pauseOf(registry),
    ...(after ? [registryButton(registry, after)] : []),
  ]);
  return [el("h2", { id: "registries" }, "Registries"), table(heads, rows)];
}

function pauseOf(registry) {
  if (registry.pause) return howPaused(registry.pause);
  return registry.paused_until ? ["until ", time(registry.paused_until), `: ${registry.pause_reason}`] : "–";
}
