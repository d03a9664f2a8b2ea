// The ranked table by keyboard: / searches, j and k move, Enter opens, Escape leaves the search.

function rows() {
  return [...document.querySelectorAll("table.ranking tbody tr a")];
}

function move(step) {
  const links = rows();
  if (links.length === 0) return;
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1);
  links[next].focus();
  links[next].closest("tr").scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const typing = event.target.closest("input, select, textarea, [contenteditable]");
  const search = document.getElementById("search");
  if (typing) {
    if (event.key === "Escape" && typing === search) search.blur();
    return;
  }
  if (event.key === "/" && search) {
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === "j") {
    event.preventDefault();
    move(1);
  } else if (event.key === "k") {
    event.preventDefault();
    move(-1);
  }
});

// Each filter is a step of the history. What is typed without a pause by another filter is one step together.
let typing = false; // the filter that is asked for comes from the search
let typed = false; // the last step came from it

function here() {
  return location.pathname + location.search;
}

function show(address) {
  const wanted = new URL(address, location.href).searchParams;
  for (const field of document.getElementById("filters").elements) {
    if (field.name && field.name !== "portfolio") field.value = wanted.get(field.name) ?? "";
  }
  wanted.set("portfolio", wanted.get("portfolio") ?? document.querySelector("#filters [name=portfolio]").value);
  htmx.ajax("GET", `/portfolio/ranking?${wanted}`, { target: "#results", swap: "outerMorph" });
}

document.addEventListener("input", (event) => {
  if (event.target.form?.id === "filters") typing = event.target.id === "search";
});
document.addEventListener("htmx:before:history:update", (event) => {
  if (event.detail.sourceElement?.id !== "filters" || event.detail.history.path === here()) {
    event.preventDefault();
    return;
  }
  if (typing && typed) event.detail.history.type = "replace";
  typed = typing;
});
document.addEventListener("htmx:before:history:restore", (event) => {
  event.preventDefault();
  typed = false;
  show(here());
});
