// Elements of the page. All text comes in as text nodes: nothing that a job says is ever markup.

const SVG = "http://www.w3.org/2000/svg";

// What becomes a property of the element, because an attribute would not do.
const PROPERTIES = new Set(["value", "max", "disabled", "hidden", "className", "htmlFor", "selected"]);

function fill(element, settings, children) {
  for (const [name, value] of Object.entries(settings)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// An element with its attributes, listeners (`onclick`) and children; strings become text.
export function el(tag, settings = {}, ...children) {
  return fill(document.createElement(tag), settings, children);
}

// The same for a drawing. Its class is an attribute.
export function svg(tag, settings = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(settings)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Have the element hold these children and no others.
export function show(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

// Have a screen reader say it when it has nothing else to say.
export function announce(text) {
  document.getElementById("announcement").textContent = text;
}

// Have the button rest while the work is done. One that rests loses the focus, so it is given back.
export async function resting(button, work) {
  const focused = document.activeElement === button;
  button.disabled = true;
  await work();
  button.disabled = false;
  if (focused && document.activeElement === document.body) button.focus();
}

// A reference of an image, to be broken after its slashes where a line is too short.
export function reference(text) {
  return text.split("/").flatMap((part, place) => (place ? ["/", el("wbr"), part] : [part]));
}

// A button that copies a text.
export function copyButton(text, what) {
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      announce(`${what} copied`);
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  return button;
}

// A moment as it reads here, with the exact one for machines and on hover.
export function time(iso) {
  const moment = new Date(iso);
  const today = moment.toDateString() === new Date().toDateString();
  const format = today ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" };
  return el("time", { datetime: iso, title: iso }, moment.toLocaleString(undefined, format));
}
