// What admins do to the queue, to a registry or to a worker.

import { post } from "./api.js";
import { announce, el, resting } from "./dom.js";

// `key` tells the button from others, also from one that takes its place.
function actionButton(verb, what, key, act, { onRefusal, refresh }) {
  const button = el("button", { type: "button", "data-key": key }, verb, el("span", { class: "unseen" }, ` ${what}`));

  async function run() {
    onRefusal(null);
    try {
      await act();
    } catch (problem) {
      onRefusal(problem);
    }
    refresh();
  }

  button.addEventListener("click", () => resting(button, run));
  return button;
}

// Pauses what is at the path, without end, or ends its pause.
export function pauseButton(what, path, paused, after) {
  async function pause() {
    const reason = prompt(`Why is ${what} to be paused? All who see it are told.`);
    if (reason === null) return;
    await post(`${path}/pause`, reason.trim() ? { reason: reason.trim() } : {});
    announce(`${what} is paused`);
  }

  async function resume() {
    await post(`${path}/resume`);
    announce(`${what} is resumed`);
  }

  return actionButton(paused ? "Resume" : "Pause", what, path, paused ? resume : pause, after);
}

export function drainButton(worker, after) {
  const path = `/workers/${encodeURIComponent(worker.id)}/drain`;

  async function drain() {
    if (!confirm(`Drain ${worker.id}? It ends the jobs that it runs, takes no others, and then ends itself.`)) return;
    await post(path);
    announce(`${worker.id} is drained`);
  }

  return actionButton("Drain", worker.id, path, drain, after);
}
