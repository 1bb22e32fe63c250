// Doing something again while a view is shown: when there is news, but not too often, and now and then.

const LEAST_MS = 1500;
const SHARE = 4;

// Runs `work` now, whenever `soon` is called, and at the latest after `quiet` ms, one at a time. It takes
// at most a share of the time, so that an answer that is slow to make is asked for less often.
export function refresher(work, quiet) {
  let stopped = false;
  let running = false;
  let wanted = false;
  let timer;

  function plan(ms) {
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(run, ms);
  }

  async function run() {
    const started = performance.now();
    running = true;
    wanted = false;
    await work();
    running = false;
    const rest = Math.max(LEAST_MS, SHARE * (performance.now() - started));
    plan(wanted ? rest : Math.max(rest, quiet));
    earliest = performance.now() + rest;
  }

  let earliest = 0;
  const done = run();
  return {
    done,
    soon() {
      wanted = true;
      if (!running) plan(Math.max(0, earliest - performance.now()));
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
