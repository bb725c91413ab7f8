// The self-contained page holds its files in scripts that are only data.
export function inline(name) {
  const element = document.getElementById(name);
  if (!element) return null;
  switch (element.type) {
    case "application/json":
      return JSON.parse(element.textContent);
    case "application/base64":
      return Uint8Array.from(atob(element.textContent), (character) => character.charCodeAt(0));
    default:
      return element.textContent;
  }
}

// A file of the page as JSON; null if the host has no such file.
export async function loadJSON(name) {
  const found = inline(name);
  if (found || location.protocol === "file:") return found;
  const answer = await fetch(name, { cache: "no-cache", credentials: "same-origin" });
  return answer.ok ? answer.json() : null;
}
