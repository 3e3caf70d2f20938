const $ = (id) => document.getElementById(id);
const say = (text) => { if ($("status").textContent !== text) $("status").textContent = text; };
const isAccount = location.pathname === "/account";
let turn = 0; // Only the newest action goes on.

// Sends JSON and returns the status and the JSON of the response.
const post = async (path, body) => {
  try {
    const response = await fetch(path, { method: "POST", body: JSON.stringify(body) });
    return [response.status, await response.json()];
  } catch {
    return [0, { text: "This website does not respond. Please try again." }];
  }
};

// Nulls confuse browsers, and the service may use either alphabet of base64.
const standard = (options) => JSON.parse(JSON.stringify(options), (name, value) =>
  value === null ? undefined
  : name === "challenge" || name === "id"
    ? value.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
    : value);

const passkey = async ({ get, create }) => {
  const credential = get
    ? { publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(standard(get)) }
    : { publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(standard(create)) };
  return JSON.stringify(await navigator.credentials[get ? "get" : "create"](credential));
};

const showPhone = ({ qr, value }) => {
  $("phone").hidden = !qr;
  if (qr) $("qr").src = `data:image/svg+xml,${encodeURIComponent(qr)}`;
  $("compare").hidden = !value;
  $("value").textContent = value ?? "";
};

// Posts, and goes on as the server says.
const act = async (path, body, mine = ++turn) => {
  const [status, reply] = await post(path, body);
  const { id = body.id, text } = reply;
  if (mine !== turn) return;
  if (reply.go || status === 401) return location.replace(reply.go ?? "/");
  if (reply.get || reply.create) {
    const input = await passkey(reply).catch(() => null);
    if (!input) return say("No passkey was used. You can try again.");
    return act("/continue", { id, input }, mine);
  }
  if (reply.qr) showPhone(reply);
  // An outage may pass.
  if (!$("phone").hidden && (reply.qr || status === 202 || status === 503)) {
    say(text ?? "Waiting for your phone …");
    await new Promise((done) => setTimeout(done, 1500));
    return act("/continue", { id }, mine);
  }
  showPhone({});
  say(text);
  if (isAccount) await showAccount();
};

const methods = {
  AuthArmorAuthenticator: "Phone", Magiclink_Email: "Mail", WebAuthN: "Passkey",
  autharmor_authenticator: "Phone", magiclink_email: "Mail", webauthn: "Passkey",
};
const outcomes = { 2: "approved", 3: "declined", 5: "no response", 9: "too late" };

const add = (parent, tag, values = {}) =>
  parent.appendChild(Object.assign(document.createElement(tag), values));

const addLine = (list, title, note) => {
  const line = add(list, "li");
  add(line, "strong", { textContent: title });
  add(line, "span", { textContent: note });
  return line;
};

const showAccount = async () => {
  const [status, account] = await post("/account", {});
  if (status === 401) return location.replace("/");
  if (status !== 200) return say(account.text);
  const focused = document.activeElement;
  $("user").textContent = account.name;
  $("credentials").replaceChildren();
  $("history").replaceChildren();
  for (const { credential_id, device_type, enabled, name } of account.credentials) {
    const title = methods[device_type] ?? device_type;
    const line = addLine($("credentials"), title, enabled ? name : `${name} (disabled)`);
    if (!enabled) continue;
    const form = add(line, "form");
    form.dataset.credential = credential_id;
    const ariaLabel = `Disable ${title} ${name}`;
    add(form, "button", { value: "/account/disable", textContent: "Disable", ariaLabel });
  }
  for (const { auth_response: end } of account.history) {
    const request = end?.auth_details?.request_details ?? {};
    const date = new Date(request.date).toLocaleString();
    const note = `${outcomes[end?.result_code] ?? "open"}, ${date}`;
    addLine($("history"), methods[request.auth_method] ?? "Request", note);
  }
  if (!focused.isConnected) $("status").focus();
};

addEventListener("submit", (event) => {
  event.preventDefault();
  showPhone({});
  say("One moment …");
  scrollTo(0, 0);
  const { dataset } = event.target;
  act(event.submitter.value, { ...dataset, ...Object.fromEntries(new FormData(event.target)) });
});
// A page out of the browser's memory may be another user's.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

const section = document.querySelector(`[data-page="${location.pathname}"]`);
section.hidden = false;
document.title = `${section.querySelector("h1").textContent} · Example`;
$("query").value = location.search;
if (!globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON) {
  document.querySelectorAll("[value$=passkey]").forEach((button) => { button.hidden = true; });
}
if (isAccount) await showAccount();
