// How figures read.

const UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"];

// `12.3 MB`, as the command line writes it.
export function bytes(count) {
  let unit = 0;
  let number = count;
  while (number >= 1000 && unit < UNITS.length - 1) {
    number /= 1000;
    unit += 1;
  }
  return `${unit ? number.toFixed(1) : number} ${UNITS[unit]}`;
}

// `4.2 s`, `42 s`, `3 min 20 s` or `2 h 5 min`.
export function seconds(count) {
  const whole = Math.max(0, Math.round(count));
  if (count < 10) return `${Math.max(0, count).toFixed(Number.isInteger(count) ? 0 : 1)} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}

// `sha256:0123456789ab…`
export function shortDigest(digest) {
  return digest.length > 19 ? `${digest.slice(0, 19)}…` : digest;
}

// Seconds that the job has run: its attempts that ended, and the one that runs.
export function secondsRun(job) {
  const running = job.state === "running" ? (Date.now() - Date.parse(job.started_at)) / 1000 : 0;
  return job.seconds_run + Math.max(0, running);
}
