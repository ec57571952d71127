// Put and get by the forms, and the operations that came of them.

import { clock, element, isolated, number, prepend, shortened } from "./dom.js";

const MOST_OPERATIONS = 12;
const MOST_KEYS = 8;
const LONGEST_VALUE_SHOWN = 2_000;
const LONGEST_WAIT = 10_000; // milliseconds; a replica answers within four seconds, or says that it cannot

export class Entries {
  #find;
  #located;

  /** `located` is called with the partition and the key of each entry that was put or found. */
  constructor(located) {
    this.#find = (id) => document.getElementById(id);
    this.#located = located;
    this.#find("put").addEventListener("submit", (event) => {
      event.preventDefault();
      const { key, value } = event.target.elements;
      this.#find("get").elements.key.value = key.value;
      this.#put(key.value, value.value);
    });
    this.#find("get").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#get(event.target.elements.key.value);
    });
  }

  /** Offer a key that a replica wrote. */
  offer({ key, whole }) {
    if (!whole) return;
    const keys = this.#find("latest").querySelector("ul");
    if ([...keys.children].some((item) => item.textContent === key)) return;
    const button = element("button", { type: "button" }, isolated(key));
    button.addEventListener("click", () => {
      this.#find("get").elements.key.value = key;
      this.#get(key);
    });
    prepend(keys, element("li", {}, button), MOST_KEYS);
    this.#find("latest").hidden = false;
  }

  async #put(key, value) {
    const answer = await this.#ask("put", key, { method: "PUT", body: value });
    if (!answer) return;
    const before = answer.value === null ? ["; there was none before."] : ["; it replaces ", quoted(answer.value), "."];
    this.#say(["Put ", quoted(value), " at ", quoted(key), ...place(answer), ...before]);
  }

  async #get(key) {
    const answer = await this.#ask("get", key, {});
    if (!answer) return;
    if (answer.value === null) this.#say(["No entry has the key ", quoted(key), ". Put one, or get another."], null, "absent");
    else this.#say(["Got ", quoted(key), ...place(answer), ":"], answer.value);
  }

  /** Return the answer, or null after saying why there is none. */
  async #ask(what, key, options) {
    const began = performance.now();
    let row = { replica: "", note: "no answer" };
    try {
      const signal = AbortSignal.timeout(LONGEST_WAIT);
      const response = await fetch(`entry?key=${encodeURIComponent(key)}`, { signal, cache: "no-store", ...options });
      if (response.ok) {
        const answer = await response.json();
        row = { replica: answer.replica, note: answer.value === null && what === "get" ? "absent" : "" };
        if (answer.partition !== null) this.#located(answer.partition, key);
        return answer;
      }
      row.note = `${response.status}`;
      this.#say([(await response.text()).trim()], null, "failed");
    } catch {
      this.#say(["No replica answered. Try again when this page is connected."], null, "failed");
    } finally {
      this.#record(what, key, performance.now() - began, row);
    }
    return null;
  }

  #say(parts, value = null, state = "") {
    const result = this.#find("result");
    const [sentence, text] = result.children;
    sentence.replaceChildren(...parts);
    text.hidden = value === null;
    text.textContent = value === null ? "" : shownValue(value);
    result.dataset.state = state;
    result.hidden = false;
  }

  #record(what, key, milliseconds, { replica, note }) {
    const took = element("span", { className: "took", textContent: `${milliseconds.toFixed(1)} ms` });
    const row = element("li", {}, clock(), element("b", { textContent: what }), isolated(shortened(key, 24), "key"), took);
    row.append(element("span", { className: "by", textContent: [note, replica].filter(Boolean).join(" · ") }));
    prepend(this.#find("operations"), row, MOST_OPERATIONS);
    this.#find("no-operations").hidden = true;
  }
}

function quoted(text) {
  return isolated(`“${shortened(text, 60)}”`, "quoted");
}

function place({ partition, owner }) {
  return partition === null ? [] : [`, in partition ${partition} of ${owner ?? "no member yet"}`];
}

function shownValue(value) {
  const shown = shortened(value, LONGEST_VALUE_SHOWN);
  if (value === "") return "(an empty value)";
  return shown === value ? value : `${shown}\n(${number.format(value.length)} characters in all)`;
}
