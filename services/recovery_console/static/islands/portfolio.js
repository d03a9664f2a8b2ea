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
