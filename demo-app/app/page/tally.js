// The tally: entries that this page writes and looks for again. An entry is written once, and counts as written when
// a replica said so; it is lost when a replica answers that it is not there. An unanswered question is neither.

const KEPT = 1_000;
const WRITES = 20;
const READS = 40;
const DROPS = 50;
/** The members forget an entry after an hour; before that this page no longer counts on it. */
const LONGEST = 50 * 60_000;

export class Tally {
  written = 0;
  found = 0;
  lost = 0;
  unanswered = 0;
  /** Of the entries that were there at the last `recheck`: how many have been found since, and those to be found. */
  again = 0;
  toFind = new Set();
  #kept = new Map(); // number -> {when it was written, whether it was found since}; the one read last at the end
  #drops = [];
  #next = 0;
  #page = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  /** How many entries are looked for, in turn. */
  get kept() {
    return this.#kept.size;
  }

  /** Begin to look for all that is there again. */
  recheck() {
    this.toFind = new Set(this.#kept.keys());
    this.again = 0;
  }

  /** Return the next request at a time in milliseconds. */
  request(now) {
    this.#makeRoom(now);
    const write = Array.from({ length: Math.min(WRITES, KEPT - this.#kept.size) }, () => this.#next++);
    const read = [...new Set([...this.toFind, ...this.#kept.keys()])].slice(0, READS);
    return { page: this.#page, write, read, drop: this.#drops.splice(0, DROPS) };
  }

  /** Count what came of a request; `answer` is null where there was none. */
  count(request, answer, now) {
    const { written, found, absent } = answer ?? { written: [], found: [], absent: [] };
    for (const number of written) this.#kept.set(number, { when: now, found: false });
    for (const number of found) {
      const { when } = this.#kept.get(number);
      this.#kept.delete(number);
      this.#kept.set(number, { when, found: true });
      if (this.toFind.delete(number)) this.again += 1;
    }
    for (const number of absent) this.#forget(number);
    this.written += written.length;
    this.found += found.length;
    this.lost += absent.length;
    this.unanswered += request.write.length - written.length + request.read.length - found.length - absent.length;
    // What was not answered may be there all the same.
    this.#drops.push(...request.write.filter((number) => !written.includes(number)));
    if (!answer) this.#drops.push(...request.drop);
    this.#drops.splice(KEPT); // the members forget the rest by themselves
  }

  /** Drop the oldest entries, but none that is still to be found; and all that the members may forget. */
  #makeRoom(now) {
    const entries = [...this.#kept].sort(([one], [other]) => one - other);
    const expired = entries.filter(([, { when }]) => when < now - LONGEST);
    const done = entries.filter(([number, { found }]) => found && !this.toFind.has(number));
    for (const [number] of [...expired, ...done.slice(0, Math.max(0, entries.length + WRITES - KEPT))]) {
      this.#forget(number);
      this.#drops.push(number);
    }
  }

  #forget(number) {
    this.#kept.delete(number);
    this.toFind.delete(number);
  }
}
