// Cancelling or retrying all jobs that match the filters.

import { changeAll } from "./api.js";
import { announce, el, resting } from "./dom.js";
import { count } from "./format.js";
import { isFinal } from "./wording.js";

const ACTIONS = {
  cancel: { verb: "Cancel", done: "cancelled" },
  retry: { verb: "Retry", done: "enqueued again" },
};

// The buttons that make sense for these filters.
export function bulkButtons(filters, refresh, onRefusal) {
  const state = new Map(filters).get("state");
  const actions = Object.keys(ACTIONS).filter((action) => !state || isFinal({ state }) === (action === "retry"));
  const buttons = actions.map((action) => {
    const { verb, done } = ACTIONS[action];
    const button = el("button", { type: "button", onclick: () => resting(button, run) }, `${verb} all`);

    async function run() {
      onRefusal(null);
      try {
        const found = await changeAll(action, filters, true);
        if (!found) announce(`there is nothing to ${action}`);
        else if (confirm(`${verb} ${count(found, "job")}?`)) {
          announce(`${count(await changeAll(action, filters, false), "job")} ${done}`);
        }
      } catch (problem) {
        onRefusal(problem);
      }
      refresh();
    }

    return button;
  });
  return el("p", { class: "bulk" }, "All that match: ", buttons);
}
