"use strict";
// Everything that is shown is put there as text: whatever a query or a claim holds, it stays what it says.
const byId = (id) => document.getElementById(id);

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null));
  return made;
}

function list(pairs) {
  const made = element("dl", "");
  for (const [name, value] of pairs) {
    made.append(element("dt", "", name), element("dd", "", element("code", "", value)));
  }
  return made;
}

function section(title, ...content) {
  return [element("h3", "", title), ...content];
}

function call(sent) {
  const lines = element("div", "code", `${sent.method} ${sent.path}`);
  for (const argument of sent.arguments) {
    lines.append("\n", `${argument.name}=`);
    for (const piece of argument.value) {
      lines.append(piece.inserted ? element("mark", "", piece.text) : piece.text);
    }
  }
  if (sent.body !== null) lines.append("\n", sent.body);
  return lines;
}

function outcome(told) {
  const made = element("div", `outcome ${told.outcome}`);
  const heading = (text) => element("h2", "", text);
  if (told.outcome === "refused") {
    made.append(heading(`Refused: ${told.kind}`), element("p", "", told.text));
  } else if (told.outcome === "answered") {
    made.append(heading("Answered by Palisade itself"), element("div", "code", told.body));
  } else {
    made.append(heading(told.calls.length > 1 ? `Sent, in ${told.calls.length} calls` : "Sent"));
    made.append(...told.calls.map(call));
    const inserted = told.calls.some((sent) => sent.arguments.some((one) => one.value.some((piece) => piece.inserted)));
    if (inserted) {
      made.append(element("p", "legend", element("mark", "", "Marked"), " is what Palisade put in."));
    }
    if (told.cut_to !== null) made.append(element("p", "", "The answer is cut to ", element("code", "", told.cut_to)));
  }
  made.firstChild.tabIndex = -1;
  return made;
}

function rule(told) {
  const said = told.when === null ? [] : [["when", told.when]];
  for (const [dimension, expression] of told.scope) said.push([`scope.${dimension}`, expression]);
  for (const what of told.not_for) said.push(["not for", what]);
  const made = element("li", told.applies ? "applies" : "");
  made.append(element("div", "name", told.name), element("div", "why", `${told.applies ? "✓" : "✗"} ${told.why}`));
  if (said.length > 0) made.append(list(said));
  return made;
}

function explanation(told) {
  const shown = [outcome(told.outcome)];
  if (told.scope) {
    shown.push(...section("Scope", list([["scope", told.scope.scope], ["granted by", told.scope.rules.join(", ")]])));
  }
  if (told.limits && told.limits.length > 0) {
    shown.push(...section("Limits", element("ul", "", ...told.limits.map((line) => element("li", "", line)))));
  }
  if (told.rules) {
    const rules = told.rules.map(rule);
    shown.push(...section("Rules", rules.length > 0 ? element("ul", "rules", ...rules) : element("p", "", "There are none.")));
  }
  if (told.claims) {
    const claims = Object.entries(told.claims).map(([name, value]) => [name, JSON.stringify(value)]);
    if (told.issuer) claims.unshift(["issued by", told.issuer], ["token in", told.header]);
    shown.push(...section("Claims", claims.length > 0 ? list(claims) : element("p", "", "There are none.")));
  }
  return shown;
}

function failed(text) {
  const made = element("div", "outcome failed", element("h2", "", "Cannot be explained"), element("p", "", text));
  made.firstChild.tabIndex = -1;
  return [made];
}

function question() {
  const asked = { backend: byId("backend").value, request: byId("request").value.replace(/\s*\n\s*/g, " "), headers: [] };
  const caller = byId("caller").value.trim();
  if (caller.startsWith("{")) asked.claims = JSON.parse(caller);
  else asked.token = caller;
  asked.headers = byId("headers").value.split("\n").filter((line) => line.trim() !== "");
  if (byId("form").value !== "") asked.form = byId("form").value;
  if (byId("admin-token")) asked.admin_token = byId("admin-token").value;
  return asked;
}

async function explained() {
  let body;
  try {
    body = JSON.stringify(question());
  } catch {
    return failed("The claims are no JSON object.");
  }
  try {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch("/-/explain", { method: "POST", headers, body, cache: "no-store", credentials: "omit", redirect: "error" });
    const told = await answer.json();
    return answer.ok ? explanation(told) : failed(told.error);
  } catch {
    return failed("The server gave no answer.");
  }
}

let asking = false;
byId("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (asking) return;
  asking = true;
  byId("submit").setAttribute("aria-disabled", "true");
  const shown = await explained();
  byId("result").replaceChildren(...shown);
  byId("submit").removeAttribute("aria-disabled");
  asking = false;
  byId("result").querySelector("h2").focus();
});
