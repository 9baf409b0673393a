// Times, lengths and names in words. Times are shown in the zone of whoever looks.

const HOUR_CYCLE = { hourCycle: "h23", hour: "2-digit", minute: "2-digit" };

export function clock(moment, withSeconds) {
  return new Date(moment).toLocaleTimeString([], withSeconds ? { ...HOUR_CYCLE, second: "2-digit" } : HOUR_CYCLE);
}

export function day(moment) {
  const at = new Date(moment);
  const year = at.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return at.toLocaleDateString([], { weekday: "short", day: "numeric", month: "short", year });
}

export function dayTime(moment, withSeconds) {
  return `${day(moment)}, ${clock(moment, withSeconds)}`;
}

export function sameDay(first, second) {
  return new Date(first).toDateString() === new Date(second).toDateString();
}

export function range(start, end, withSeconds) {
  const last = sameDay(start, end) ? clock(end, withSeconds) : dayTime(end, withSeconds);
  return `${dayTime(start, withSeconds)} – ${last}`;
}

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  if (whole < 5_400) return `${Math.round(whole / 60)} min`;
  if (whole >= 36_000 && whole < 172_800) return `${Math.round(whole / 3_600)} h`;
  if (whole < 172_800) return `${Math.floor(whole / 3_600)} h ${Math.round((whole % 3_600) / 60)} min`;
  return `${Math.round(whole / 86_400)} days`;
}

export function exactSpan(seconds) {
  return seconds < 10 ? `${seconds.toFixed(seconds < 1 ? 2 : 1)} s` : span(seconds);
}

export function share(part, whole) {
  if (!whole) return null;
  return part >= whole ? 100 : Math.floor((part / whole) * 1_000) / 10;
}

export function nameOf(session) {
  return session.event_name || session.session_id;
}

export function detailsOf(session) {
  const place = [session.location, session.country].filter(Boolean).join(", ");
  return [session.session_type, place, session.event_name ? session.session_id : ""].filter(Boolean).join(" · ");
}

export function plain(name) {
  const text = String(name).replace(/[_.]/g, " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function size(bytes) {
  if (!bytes) return "";
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

// A value of an answer as text: lists with commas, times as times.
export function shown(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map(shown).join(", ");
  if (typeof value === "object") return Object.entries(value).map(([key, each]) => `${plain(key)}: ${shown(each)}`).join(" · ");
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(value) ? dayTime(value, true) : String(value);
}
