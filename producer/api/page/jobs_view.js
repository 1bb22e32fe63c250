// The list of jobs: filters in the address bar, a page at a time, live.

import { EVENTS, cancelJob, follow, listJobs, retryJob } from "./api.js";
import { bulkButtons } from "./bulk.js";
import { announce, el, reference, resting, show, time } from "./dom.js";
import { count } from "./format.js";
import { progressBar } from "./progress.js";
import { refresher } from "./refresh.js";
import { throughput } from "./throughput.js";
import { STATES, badge, effort, isFinal, reason } from "./wording.js";

const QUIET_MS = 15000;
const PLOT_MS = 5000;

const FILTERS = [
  { name: "registry", label: "Registry", hint: "reg.example.com" },
  { name: "repository", label: "Repository", hint: "team/app" },
  { name: "label", label: "Label", hint: "name=value" },
  { name: "error_kind", label: "Error kind", hint: "denied" },
];

// Parameters of the address that the list of the API takes, too.
function filtersOf(query) {
  const names = ["state", ...FILTERS.map((filter) => filter.name)];
  return names.flatMap((name) => query.getAll(name).filter(Boolean).map((value) => [name, value]));
}

export function jobsView(main, { query, go, mayChange, onConnection, onProblem, onRefusal }) {
  const filters = filtersOf(query);
  const cursor = query.get("cursor");
  const rows = new Map();
  const body = el("tbody");
  const nothing = filters.length || cursor ? "No job fits these filters." : HOW_TO_BEGIN;
  const empty = el("p", { class: "empty", hidden: true }, nothing);
  const pager = el("nav", { class: "pager", "aria-label": "Pages" });
  const plot = throughput();
  const table = el(
    "table",
    { class: "jobs" },
    el("caption", { class: "unseen" }, "Jobs, the last enqueued first"),
    el("thead", {}, el("tr", {}, HEADINGS.map((text) => el("th", { scope: "col" }, text)))),
    body,
  );
  const bulk = filters.length && mayChange ? bulkButtons(filters, () => refresh(), onRefusal) : null;
  const form = filterForm(query, go);
  show(main, el("h1", { class: "unseen" }, "Jobs"), plot.element, form, bulk, table, empty, pager);

  let told = false;
  async function load() {
    try {
      const page = await listJobs(filters, cursor);
      if (!main.contains(table)) return;
      put(page.jobs);
      showPager(page.next);
      const none = page.jobs.length === 0;
      table.hidden = none;
      empty.hidden = !none;
      form.hidden = none && !filters.length && !cursor;
      if (bulk) bulk.hidden = none && !page.next;
      if (!told) announce(page.jobs.length ? `${count(page.jobs.length, "job")} shown` : empty.textContent);
      told = true;
      onProblem(null);
    } catch (problem) {
      onProblem(problem);
    }
  }

  function put(jobs) {
    for (const [id, row] of rows) {
      if (!jobs.some((job) => job.id === id)) {
        row.element.remove();
        rows.delete(id);
      }
    }
    jobs.forEach((job, place) => {
      if (!rows.has(job.id)) rows.set(job.id, jobRow(job.id, mayChange, refresh, onRefusal));
      const row = rows.get(job.id);
      row.update(job);
      // Only what is not there yet is moved, so that the focus stays.
      if (body.children[place] !== row.element) body.insertBefore(row.element, body.children[place] ?? null);
    });
  }

  function showPager(next) {
    const link = (text, value) => {
      const target = new URLSearchParams(query);
      target.delete("cursor");
      if (value) target.set("cursor", value);
      return el("a", { href: `/?${target}`, "data-view": "" }, text);
    };
    show(pager, cursor ? link("Newest", null) : null, next ? link("Older", next) : null);
  }

  const jobs = refresher(load, QUIET_MS);
  const refresh = () => jobs.soon();
  const figures = refresher(() => plot.load().catch(() => plot.hide()), PLOT_MS);
  const unfollow = follow(EVENTS, {
    open: () => (onConnection(true), refresh()),
    lost: () => (onConnection(false), refresh()),
    reset: refresh,
    state: refresh,
    progress: (progress) => rows.get(progress.id)?.progress(progress),
  });
  return () => {
    unfollow();
    jobs.stop();
    figures.stop();
  };
}

const HOW_TO_BEGIN = [
  "There are no jobs yet. Enqueue one: ",
  el("code", {}, "push-queue enqueue app.tar --to reg.example.com/team/app:1.0"),
];

const HEADINGS = ["State", "Targets", "Progress", "Attempt", "Enqueued", "Actions"];

function jobRow(id, mayChange, refresh, onRefusal) {
  let job;
  const bar = progressBar();
  const state = el("td", { "data-heading": "State", class: "state" });
  const targets = el("td", { "data-heading": "Targets", class: "targets" });
  const why = el("p", { class: "why" });
  const spent = el("p", { class: "spent" });
  const progress = el("td", { "data-heading": "Progress", class: "progress" }, bar.element, why, spent);
  const attempt = el("td", { "data-heading": "Attempt", class: "number attempt" });
  const enqueued = el("td", { "data-heading": "Enqueued", class: "enqueued" });
  const button = el("button", { type: "button", onclick: () => resting(button, act) });
  const element = el("tr", {}, state, targets, progress, attempt, enqueued, el("td", { class: "actions" }, button));

  async function act() {
    onRefusal(null);
    try {
      const done = isFinal(job) ? await retryJob(id) : await cancelJob(id);
      announce(`job ${id}: ${done.cancel_requested ? "its worker was asked to stop" : done.state}`);
      update(done);
    } catch (problem) {
      onRefusal(problem);
    }
    refresh();
  }

  function update(changed) {
    if (JSON.stringify(changed) === JSON.stringify(job)) return;
    const moved = job?.state !== changed.state;
    if (!job) showFixed(changed);
    job = changed;
    if (moved) show(state, badge(job.state));
    bar.update(job);
    show(why, reason(job));
    spent.textContent = job.state === "running" ? "" : effort(job);
    attempt.textContent = job.attempt ? `${job.attempt} of ${job.max_attempts}` : "–";
    show(enqueued, time(job.enqueued_at));
    button.hidden = !mayChange || Boolean(job.cancel_requested);
    button.textContent = isFinal(job) ? "Retry" : "Cancel";
    button.setAttribute("aria-label", `${button.textContent} the push to ${job.targets[0]}`);
  }

  // The targets of a job stay as they are.
  function showFixed(first) {
    const [target, ...others] = first.targets;
    const more = others.length ? [el("span", { class: "more" }, ` and ${others.length} more`)] : [];
    const link = el("a", { href: `/?job=${encodeURIComponent(id)}`, "data-view": "" }, reference(target));
    show(targets, link, ...more);
  }

  return {
    element,
    update,
    progress(news) {
      if (job?.state === "running") update({ ...job, ...news });
    },
  };
}

function filterForm(query, go) {
  const options = ["", ...STATES].map((state) =>
    el("option", { value: state, selected: state === (query.get("state") ?? "") }, state || "any"),
  );
  const fields = FILTERS.map(({ name, label, hint }) =>
    el(
      "label",
      {},
      label,
      el("input", { name, value: query.getAll(name).join(" "), placeholder: hint, autocomplete: "off", spellcheck: "false" }),
    ),
  );
  const form = el(
    "form",
    { class: "filters", role: "search", "aria-label": "Filter the jobs" },
    el("label", {}, "State", el("select", { name: "state", onchange: () => form.requestSubmit() }, options)),
    fields,
    el("button", { type: "submit" }, "Filter"),
    filtersOf(query).length ? el("a", { href: "/", "data-view": "" }, "Show all") : null,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const target = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      // Labels hold no spaces in practice; several are written with spaces between them.
      const values = name === "label" ? value.split(/\s+/) : [value.trim()];
      for (const one of values.filter(Boolean)) target.append(name, one);
    }
    go(`/?${target}`);
  });
  return form;
}
