// On every page: times in the reader's zone, forms that are sent once, and whether the services answer.

const LOOK_MS = 4000;
const LOOK_AGAIN_MS = 1500;
const NAMES = { "risk-service": "risk service", "debt-service": "debt service" };
const inZone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

function showTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-shown])")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.dataset.shown = "";
    time.title = `${time.dateTime} (${exactly.format(at)})`;
    time.textContent = inZone.format(at);
  }
}

// An option holds text alone: the time that it ends with is then that of the reader's zone.
function showOptions() {
  for (const option of document.querySelectorAll("option[data-at]")) {
    const at = new Date(option.dataset.at);
    option.textContent = option.textContent.replace(/\S+ \S+ UTC$/, inZone.format(at));
  }
}

// A second click must not send a form twice; going back must not leave it dead.
function sendOnce(event) {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.method !== "post") return;
  if (form.dataset.sent !== undefined) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  form.dataset.sent = "";
}

function letSendAgain() {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
}

const status = document.getElementById("service-status");
const recovers = document.body.dataset.recovers;
let timer;

function say(text) {
  if (status && status.textContent !== text) status.textContent = text;
}

async function ask() {
  try {
    const answer = await fetch("/status", { cache: "no-store" });
    return answer.ok ? await answer.json() : { console: "The console does not answer as it should." };
  } catch {
    return { console: "The console does not answer. This page goes on by itself as soon as it does." };
  }
}

async function look() {
  const found = await ask();
  const wrong = Object.values(found).filter((text) => text);
  say(wrong.join(" "));
  document.body.dispatchEvent(new CustomEvent("services", { detail: found }));
  if (recovers && recovers in NAMES && found[recovers] === null) {
    location.reload();
    return;
  }
  plan(wrong.length > 0 || recovers ? LOOK_AGAIN_MS : LOOK_MS);
}

function plan(wait) {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(look, wait);
}

const again = Number(document.body.dataset.again || 0);
if (again > 0) setTimeout(() => location.reload(), again * 1000);

// What a request could not do is said until the next one.
document.addEventListener("htmx:before:request", () => document.getElementById("problem")?.replaceChildren());
document.addEventListener("submit", sendOnce, true);
document.addEventListener("htmx:finally:request", letSendAgain);
window.addEventListener("pageshow", letSendAgain);
document.addEventListener("change", (event) => {
  if (event.target.matches("select[data-submits]")) event.target.form.requestSubmit();
});
document.addEventListener("visibilitychange", () => plan(0));
// What is added has times to show; a part that is morphed in place loses the mark, and its times are as they were sent.
new MutationObserver((changes) => {
  if (changes.some((change) => change.type === "attributes" || change.addedNodes.length > 0)) showTimes(document);
}).observe(document.body, { childList: true, subtree: true, attributeFilter: ["data-shown"] });
showTimes(document);
showOptions();
plan(recovers !== undefined ? LOOK_AGAIN_MS : LOOK_MS);
