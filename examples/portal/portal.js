const $ = (id) => document.getElementById(id);
const say = (text) => { if ($("status").textContent !== text) $("status").textContent = text; };
const isAccount = location.pathname === "/account";
let turn = 0; // Only the newest action goes on.
// Sends JSON and returns the status and the JSON of the response.
const post = (path, body) => fetch(path, { method: "POST", body: JSON.stringify(body) })
  .then(async (response) => [response.status, await response.json()])
  .catch(() => [0, { text: "This website does not respond. Please try again." }]);
// Nulls confuse browsers, and the service may use either alphabet of base64.
const standard = (options) => JSON.parse(JSON.stringify(options), (name, value) =>
  name === "challenge" || name === "id"
    ? value?.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
    : value ?? undefined);
const passkey = async ({ get, create }) => {
  const publicKey = get ? PublicKeyCredential.parseRequestOptionsFromJSON(standard(get))
    : PublicKeyCredential.parseCreationOptionsFromJSON(standard(create));
  return JSON.stringify(await navigator.credentials[get ? "get" : "create"]({ publicKey }));
};
const showPhone = ({ qr, value }) => {
  $("phone").hidden = qr === undefined;
  $("scan").hidden = !qr;
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
  if (reply.credentials) return showAccount(reply);
  if (reply.get || reply.create) {
    const input = await passkey(reply).catch(() => null);
    return input ? act("/continue", { id, input }, mine)
      : say("No passkey was used. You can try again.");
  }
  if ("qr" in reply) showPhone(reply);
  // An outage may pass.
  if (!$("phone").hidden && ("qr" in reply || [0, 202, 503].includes(status))) {
    say(text ?? "Waiting for your phone …");
    await new Promise((done) => setTimeout(done, 1500));
    return act("/continue", { id }, mine);
  }
  showPhone({});
  say(text);
  if (isAccount && path !== "/account") act("/account", {});
};

const method = (name) => /webauthn/i.test(name) ? "Passkey" : /mail/i.test(name) ? "Mail" : "Phone";
const outcomes = { 2: "approved", 3: "declined", 5: "no response", 9: "too late" };
const element = (tag, textContent, values) =>
  Object.assign(document.createElement(tag), { textContent, ...values });
const line = (title, note, ...more) => {
  const item = element("li");
  item.append(element("strong", title), element("span", note), ...more);
  return item;
};
const showAccount = ({ name, credentials, history }) => {
  const focused = document.activeElement;
  $("user").textContent = name;
  $("credentials").replaceChildren(...credentials.map((one) => {
    const title = method(one.device_type);
    if (!one.enabled) return line(title, `${one.name} (disabled)`);
    const values = { name: "credential", value: one.credential_id, formAction: "/account/disable" };
    const ariaLabel = `Disable ${title} ${one.name}`;
    return line(title, one.name, element("button", "Disable", { ariaLabel, ...values }));
  }));
  $("history").replaceChildren(...history.map(({ auth_response: end }) => {
    const request = end?.auth_details?.request_details ?? {};
    const date = new Date(request.date).toLocaleString();
    return line(method(request.auth_method), `${outcomes[end?.result_code] ?? "open"}, ${date}`);
  }));
  if (!focused.isConnected) $("status").focus();
};
addEventListener("submit", (event) => {
  event.preventDefault();
  showPhone({});
  say("One moment …");
  scrollTo(0, 0);
  const fields = Object.fromEntries(new FormData(event.target, event.submitter));
  act(new URL(event.submitter.formAction).pathname, fields);
});
// A page out of the browser's memory may be another user's.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

const section = document.querySelector(`[data-page="${location.pathname}"]`);
section.hidden = false;
document.title = `${section.querySelector("h1").textContent} · Example`;
$("query").value = location.search;
document.querySelectorAll("[formaction$=passkey]").forEach((button) => {
  button.hidden = !globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON;
});
if (isAccount) act("/account", {});
