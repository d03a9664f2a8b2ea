// On the page of a run: follows it while the tab is seen, and again by itself after a lost connection.

const RETRY_MS = 1000;
const RETRY_AT_MOST_MS = 15000;
const run = document.getElementById("run");
let source;
let timer;
let wait = RETRY_MS;
let over = false;

function stop() {
  clearTimeout(timer);
  source?.close();
}

function end() {
  over = true;
  stop();
}

function follow() {
  stop();
  if (over || document.hidden) return;
  source = new EventSource(run.dataset.live);
  source.onmessage = (event) => {
    wait = RETRY_MS;
    htmx.swap({ text: event.data, target: run, sourceElement: run, swap: "innerMorph" });
  };
  source.addEventListener("over", end);
  source.addEventListener("signed-out", (event) => {
    end();
    htmx.swap({ text: event.data, target: document.getElementById("problem"), sourceElement: run, swap: "innerHTML" });
  });
  // A browser connects again by itself unless the console has answered with an error.
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) return;
    timer = setTimeout(follow, wait);
    wait = Math.min(2 * wait, RETRY_AT_MOST_MS);
  };
}

document.addEventListener("visibilitychange", follow);
window.addEventListener("pagehide", stop);
window.addEventListener("pageshow", (event) => {
  if (event.persisted) follow();
});
follow();
