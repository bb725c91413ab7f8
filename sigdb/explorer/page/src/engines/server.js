// Ask the server that this page came from.
import { tableFromIPC } from "apache-arrow";
import { AskError } from "../errors.js";
import { toResult } from "./result.js";

export function serverEngine(atlas) {
  return {
    kind: "server",
    async ask(sql, { signal } = {}) {
      const answer = await send("query", { sql, atlas, format: "arrow" }, signal);
      if (!answer.ok) throw await refusal(answer);
      return toResult(tableFromIPC(new Uint8Array(await answer.arrayBuffer())));
    },
    async close() {},
  };
}

// Exchange a token for a cookie, which scripts cannot read. Raises an error if the server refuses the token.
export async function logIn(token) {
  const answer = await send("login", { token });
  if (!answer.ok) throw await refusal(answer);
}

// Remove the cookie.
export async function logOut() {
  const answer = await send("logout", {});
  if (!answer.ok) throw await refusal(answer);
}

async function send(path, body, signal) {
  try {
    return await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      credentials: "same-origin",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new AskError("unreachable", `The server does not answer (${error.message}). Is it still running?`);
  }
}

export async function refusal(answer) {
  const text = await answer.text();
  try {
    const { kind, message } = JSON.parse(text).error;
    return new AskError(kind, message);
  } catch {
    const kind = answer.status === 401 ? "unauthenticated" : "failed";
    return new AskError(kind, `The server answers ${answer.status} ${answer.statusText}. ${text.slice(0, 500)}`);
  }
}
