// Doing something again while a view is looked at: when there is news, but not too often, and now and then.

const LEAST_MS = 1500;
const SHARE = 4;

// Runs `work` now, whenever `soon` is called, and at the latest after `quiet` ms, one at a time. It takes
// at most a share of the time, so that an answer that is slow to make is asked for less often. Nothing
// runs while the page is hidden.
export function refresher(work, quiet) {
  let running = false;
  let wanted = false;
  let earliest = 0;
  let timer;
  const ended = new AbortController();

  function plan(ms) {
    clearTimeout(timer);
    if (!ended.signal.aborted && !document.hidden) timer = setTimeout(run, ms);
  }

  async function run() {
    const started = performance.now();
    running = true;
    wanted = false;
    await work();
    running = false;
    const rest = Math.max(LEAST_MS, SHARE * (performance.now() - started));
    earliest = performance.now() + rest;
    plan(wanted ? rest : Math.max(rest, quiet));
  }

  function soon() {
    wanted = true;
    if (!running) plan(Math.max(0, earliest - performance.now()));
  }

  document.addEventListener("visibilitychange", soon, { signal: ended.signal });
  run();
  return {
    soon,
    stop() {
      ended.abort();
      clearTimeout(timer);
    },
  };
}
