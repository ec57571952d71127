// The live stream: server-sent events, and another connection whenever one ends.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5_000;

export class Stream {
  #handlers;
  #pause = FIRST_PAUSE;
  #source = null;

  /** `handlers` has a function for each event, and `lost` for the end of a connection. */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#connect();
  }

  #connect() {
    // By itself EventSource gives up after any status but 200, and a replica that is about to end answers 503.
    const source = new EventSource("events");
    this.#source = source;
    for (const name of ["picture", "away", "written"]) {
      source.addEventListener(name, (event) => {
        this.#pause = FIRST_PAUSE;
        this.#handlers[name](JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => {
      source.close();
      this.#handlers.lost();
      setTimeout(() => this.#connect(), this.#pause);
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    });
  }
}
