// Questions to the interface, with the token where one is needed.

export function tokenOf(kind) {
  return sessionStorage.getItem(kind) || "";
}

export function headers(token = tokenOf("token") || tokenOf("write-token")) {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function answered(answer) {
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({ detail: `${answer.status} ${answer.statusText}` }));
  throw Object.assign(new Error(problem.detail || problem.title), { status: answer.status });
}

async function sent(path, options) {
  try {
    return await answered(await fetch(path, { cache: "no-store", ...options }));
  } catch (error) {
    if (error.name === "TypeError") throw new Error("The server does not answer.");
    throw error;
  }
}

// Parameters without a value are left out.
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  return new URLSearchParams(given).toString();
}

export async function ask(path, values, signal) {
  const asked = values ? query(values) : "";
  return (await sent(asked ? `${path}?${asked}` : path, { headers: headers(), signal })).json();
}

export async function change(path, body) {
  const answer = await sent(path, {
    method: "PUT", body: JSON.stringify(body),
    headers: { ...headers(tokenOf("write-token")), "Content-Type": "application/json" },
  });
  return answer.json();
}

// A file behind a token cannot be a plain link: it is fetched and handed over.
export function fileLink(link, path, name) {
  link.href = path;
  link.addEventListener("click", async (event) => {
    if (!headers().Authorization) return;
    event.preventDefault();
    const answer = await sent(path, { headers: headers() });
    const address = URL.createObjectURL(await answer.blob());
    const handed = Object.assign(document.createElement("a"), { href: address, target: name ? "" : "_blank" });
    if (name) handed.download = name;
    handed.click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  });
  return link;
}

const kept = new Map();

// What hardly changes, kept for a minute.
export async function askOnce(path) {
  const found = kept.get(path);
  if (found && Date.now() - found.at < 60_000) return found.answer;
  const answer = ask(path);
  kept.set(path, { at: Date.now(), answer });
  answer.catch(() => kept.delete(path));
  return answer;
}

export async function channelNames() {
  const found = await askOnce("channels").catch(() => ({ items: [] }));
  return new Map(found.items.map((each) => [each.channel_id, each.name]));
}
