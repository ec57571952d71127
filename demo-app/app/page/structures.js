// More than a map: a counter, a queue, a topic, and SQL over the map's entries.

import { clock, counted, element, isolated, number, prepend } from "./dom.js";

const MOST_SAID = 6;
const LONGEST_WAIT = 10_000; // milliseconds

export class Structures {
  #find = (id) => document.getElementById(id);

  constructor() {
    this.#on("counter", async () => this.#showCount(await this.#ask("counter", "counter", "POST", 1)));
    this.#on("queue", (form, button) => (button?.value === "take" ? this.#take() : this.#add(form.text.value)));
    this.#on("topic", (form) => this.#ask("topic", "topic", "POST", form.text.value));
    this.#on("sql", (form) => this.#search(form.part.value));
  }

  /** Show the counter as the replica has it now. */
  async refresh() {
    this.#showCount(await this.#ask("counter", "counter", "GET"));
  }

  /** Show what a replica said. */
  hear(text) {
    prepend(this.#find("said"), element("li", {}, clock(), " ", isolated(text)), MOST_SAID);
  }

  #on(id, act) {
    this.#find(id).addEventListener("submit", (event) => {
      event.preventDefault();
      act(event.target.elements, event.submitter);
    });
  }

  #showCount(answer) {
    if (answer) this.#find("count").textContent = number.format(answer.value);
  }

  async #add(text) {
    const answer = await this.#ask("queue", "queue", "POST", text);
    if (answer) this.#say("queue", ["Added ", isolated(text, "quoted"), `; the queue has ${counted(answer.size, "text")}.`]);
  }

  async #take() {
    const answer = await this.#ask("queue", "queue", "DELETE");
    if (!answer) return;
    if (answer.text === null) this.#say("queue", ["The queue is empty. Add a text, here or on another page."]);
    else this.#say("queue", ["Took ", isolated(answer.text, "quoted"), `; ${counted(answer.size, "text")} left.`]);
  }

  async #search(part) {
    this.#find("found").replaceChildren();
    const answer = await this.#ask("sql", `sql?part=${encodeURIComponent(part)}`, "GET");
    if (!answer) return;
    this.#say("sql", [`${counted(answer.entries.length, "entry", "entries")} found, by replica ${answer.replica}.`]);
    const lines = answer.entries.map(([key, value]) => element("li", {}, isolated(key, "quoted"), " ", isolated(value)));
    this.#find("found").replaceChildren(...lines);
  }

  /** Return the answer, or null after saying why there is none. */
  async #ask(which, path, method, body) {
    const options = { method, cache: "no-store", signal: AbortSignal.timeout(LONGEST_WAIT) };
    if (body !== undefined) Object.assign(options, { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    try {
      const response = await fetch(path, options);
      if (response.ok) {
        this.#say(which, []);
        return await response.json();
      }
      this.#say(which, [(await response.text()).trim()], "failed");
    } catch {
      this.#say(which, ["No replica answered. Try again when this page is connected."], "failed");
    }
    return null;
  }

  #say(which, parts, state = "") {
    const place = document.querySelector(`[data-of="${which}"]`);
    place.replaceChildren(...parts);
    place.dataset.state = state;
  }
}
