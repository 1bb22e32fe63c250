// What was done in the last hour, drawn.

import { get } from "./api.js";
import { el, show, svg } from "./dom.js";
import { bytes } from "./format.js";

const WIDTH = 600;
const HEIGHT = 72;
const GAP = 2;

const sum = (minutes, name) => minutes.reduce((total, minute) => total + minute[name], 0);

export function throughput() {
  const words = el("figcaption");
  const place = el("div", { class: "drawing" });
  const ends = el("p", { class: "ends", "aria-hidden": "true" }, el("span", {}, "an hour ago"), el("span", {}, "now"));
  const element = el("figure", { class: "throughput", hidden: true }, words, place, ends);
  return {
    element,
    hide: () => (element.hidden = true),
    async load() {
      const { minutes } = await get("/throughput");
      const most = Math.max(...minutes.map((minute) => minute.bytes_sent));
      element.hidden = !minutes.some((minute) => minute.bytes_sent || minute.succeeded || minute.failed);
      words.textContent = [
        `Last hour: ${bytes(sum(minutes, "bytes_sent"))} sent`,
        `${bytes(most)} in the busiest minute`,
        `${sum(minutes, "succeeded").toLocaleString()} succeeded`,
        `${sum(minutes, "failed").toLocaleString()} failed`,
      ].join(", ");
      show(place, draw(minutes, most || 1));
    },
  };
}

// A column for each minute, as high as the bytes that were sent; a mark below where jobs failed.
function draw(minutes, most) {
  const step = WIDTH / minutes.length;
  const columns = minutes.flatMap((minute, place) => {
    const height = (minute.bytes_sent / most) * HEIGHT;
    const x = place * step;
    const at = new Date(minute.at).toLocaleTimeString(undefined, { timeStyle: "short" });
    const tip = `${at}: ${bytes(minute.bytes_sent)}, ${minute.succeeded} succeeded, ${minute.failed} failed`;
    const title = () => svg("title", {}, tip);
    const column = { x, width: step - GAP };
    return [
      svg("rect", { ...column, y: 0, height: HEIGHT, class: "background" }, title()),
      svg("rect", { ...column, y: HEIGHT - height, height, class: "sent" }, title()),
      ...(minute.failed ? [svg("rect", { ...column, y: HEIGHT + 2, height: 4, class: "failures" }, title())] : []),
    ];
  });
  const label = "Bytes sent in each minute of the last hour";
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT + 6}`, role: "img", "aria-label": label, preserveAspectRatio: "none" },
    ...columns,
  );
}
