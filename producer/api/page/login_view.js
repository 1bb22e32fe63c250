// Logging in with a token.

import { post } from "./api.js";
import { el, show } from "./dom.js";

export function loginView(main, onDone) {
  const wrong = el("p", { class: "problem", role: "alert", hidden: true });
  const token = el("input", { type: "password", name: "token", autocomplete: "current-password", required: "" });
  const form = el(
    "form",
    { class: "login" },
    el("h1", {}, "Log in"),
    el("label", {}, "Token", token),
    el("p", { class: "hint" }, "Whoever runs this server makes tokens: ", el("code", {}, "push-queue token NAME")),
    wrong,
    el("button", { type: "submit" }, "Log in"),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await post("/session", { token: token.value.trim() });
      onDone();
    } catch (problem) {
      wrong.textContent = problem.message;
      wrong.hidden = false;
      token.select();
    }
  });
  show(main, form);
  token.focus();
}
