// Which view the address names, and what all views share.

import { get, remove } from "./api.js";
import { el, show } from "./dom.js";
import { workersView } from "./workers_view.js";
import { jobView } from "./job_view.js";
import { jobsView } from "./jobs_view.js";
import { loginView } from "./login_view.js";
import { howPaused } from "./wording.js";
import { refresher } from "./refresh.js";

const main = document.getElementById("main");
const connection = document.getElementById("connection");
const trouble = el("p", { class: "problem", role: "alert", hidden: true });
const paused = el("p", { class: "paused", role: "status", hidden: true });
const refusal = el("p", { class: "problem", role: "alert", hidden: true });
const content = el("div");
const nav = document.querySelector("nav");
let caller = null; // None while nobody is logged in.
const PAUSE_MS = 5000;
let looking;
let leave = () => {};

const TITLES = { jobs: "Push queue", job: "Job", workers: "Workers and registries" };

function viewOf(query) {
  if (query.get("job")) return "job";
  return query.get("view") === "workers" ? "workers" : "jobs";
}

function onConnection(live) {
  const text = live ? "live" : "connecting again…";
  if (connection.textContent !== text) connection.textContent = text;
  connection.className = live ? "live" : "lost";
}

function tell(place, problem) {
  if (problem?.status === 401) {
    logIn();
    return;
  }
  place.hidden = !problem;
  place.textContent = problem ? problem.message : "";
}

// What keeps the view from being shown as it is, until it can be read; null if nothing does.
const onProblem = (problem) => tell(trouble, problem);
// Why a button did nothing, until another is used.
const onRefusal = (problem) => tell(refusal, problem);

const onPause = () => looking?.soon();

const allowed = () => ({ mayChange: caller.role !== "read", mayOperate: caller.role === "admin" });

function route() {
  if (!caller) return;
  leave();
  const query = new URLSearchParams(location.search);
  const view = viewOf(query);
  for (const link of nav.querySelectorAll("[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = TITLES[view];
  trouble.hidden = refusal.hidden = true;
  const shared = { query, go, ...allowed(), onConnection, onPause, onProblem, onRefusal };
  if (view === "job") leave = jobView(content, { ...shared, id: query.get("job") });
  else if (view === "workers") leave = workersView(content, shared);
  else leave = jobsView(content, shared);
}

function go(address) {
  history.pushState(null, "", address);
  route();
  main.focus();
  scrollTo(0, 0);
}

function showCaller() {
  nav.hidden = false;
  const place = document.getElementById("caller");
  if (!caller.name) {
    show(place);
    return;
  }
  const button = el("button", { type: "button", onclick: logOut }, "Log out");
  show(place, `${caller.name} (${caller.role}) `, button);
}

async function logOut() {
  await remove("/session").catch(() => {});
  logIn();
}

function logIn() {
  leave();
  looking?.stop();
  paused.hidden = true;
  leave = () => {};
  caller = null;
  nav.hidden = true;
  show(document.getElementById("caller"));
  connection.textContent = "";
  trouble.hidden = refusal.hidden = true;
  loginView(content, start);
}

// Nobody should wonder why nothing happens.
async function lookWhetherPaused() {
  const { pause } = await get("/queue").catch(() => ({}));
  if (pause === undefined) return;
  const text = pause ? `The queue ${howPaused(pause)}. Workers take no new job until it is resumed.` : "";
  if (paused.textContent !== text) paused.textContent = text;
  paused.hidden = !pause;
}

async function start() {
  try {
    caller = await get("/session");
  } catch (problem) {
    onProblem(problem);
    if (problem.status !== 401) setTimeout(start, 5000);
    return;
  }
  showCaller();
  route();
  looking?.stop();
  looking = refresher(lookWhetherPaused, PAUSE_MS);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-view]");
  const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (link && plain && event.button === 0) {
    event.preventDefault();
    go(link.getAttribute("href"));
  }
});
addEventListener("popstate", route);
main.append(paused, trouble, refusal, content);
start();
