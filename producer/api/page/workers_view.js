// The workers that are alive, and the registries in use.

import { get } from "./api.js";
import { el, show, time } from "./dom.js";
import { count } from "./format.js";
import { refresher } from "./refresh.js";
import { howPaused } from "./wording.js";

const QUIET_MS = 5000;

export function workersView(main, { onConnection, onProblem }) {
  const workers = el("section", { "aria-labelledby": "workers" });
  const registries = el("section", { "aria-labelledby": "registries" });
  let shown;
  show(main, el("h1", {}, "Workers and registries"), workers, registries);

  async function load() {
    try {
      const [found, used] = await Promise.all([get("/workers"), get("/registries")]);
      const text = JSON.stringify([found, used]);
      // Left as it is while nothing changes, so that the focus stays.
      if (text !== shown) {
        show(workers, workersTable(found.workers));
        show(registries, registriesTable(used.registries));
        shown = text;
      }
      onConnection(true);
      onProblem(null);
    } catch (problem) {
      onConnection(false);
      onProblem(problem);
    }
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

function workersTable(workers) {
  if (!workers.length) {
    return [el("p", { class: "empty" }, "No worker is running. Jobs wait until one is started: push-worker")];
  }
  const heads = ["Worker", "State", "Host", "Version", "Started", "Jobs", "Trouble"];
  const rows = workers.map((worker) => [
    el("code", {}, worker.id),
    worker.state,
    `${worker.host} (${worker.pid})`,
    worker.version,
    time(worker.started_at),
    jobsOf(worker),
    worker.problem ? el("span", { class: "why" }, worker.problem) : "–",
  ]);
  return [el("h2", { id: "workers" }, count(workers.length, "worker")), table(heads, rows)];
}

function jobsOf(worker) {
  if (!worker.jobs.length) return String(worker.running);
  const links = worker.jobs.map((id) => el("a", { href: `/?job=${encodeURIComponent(id)}`, "data-view": "" }, id));
  return links.flatMap((link, place) => (place ? [", ", link] : [link]));
}

function registriesTable(registries) {
  if (!registries.length) return [];
  const heads = ["Registry", "Uploads", "Jobs that wait", "Paused"];
  const rows = registries.map((registry) => [
    el("a", { href: `/?${new URLSearchParams({ registry: registry.name })}`, "data-view": "" }, registry.name),
    `${registry.uploads} of ${registry.max_uploads}`,
    String(registry.waiting),
    pauseOf(registry),
  ]);
  return [el("h2", { id: "registries" }, "Registries"), table(heads, rows)];
}

function pauseOf(registry) {
  if (registry.pause) return howPaused(registry.pause);
  return registry.paused_until ? ["until ", time(registry.paused_until), `: ${registry.pause_reason}`] : "–";
}
