// The live stream: server-sent events, and another connection whenever one ends.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5_000;
const LONGEST_SILENCE = 25_000; // milliseconds; a replica says something every ten seconds, unless its node is gone

export class Stream {
  #handlers;
  #pause = FIRST_PAUSE;

  /** `handlers` has a function for each event, and `lost` for the end of a connection. */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#connect();
  }

  #connect() {
    // By itself EventSource gives up after any status but 200, and a replica that is about to end answers 503.
    const source = new EventSource("events");
    const lose = () => {
      clearTimeout(silence);
      source.close();
      this.#handlers.lost();
      setTimeout(() => this.#connect(), this.#pause);
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    };
    let silence = setTimeout(lose, LONGEST_SILENCE);
    for (const name of ["picture", "away", "written", "said", "alive"]) {
      source.addEventListener(name, (event) => {
        clearTimeout(silence);
        silence = setTimeout(lose, LONGEST_SILENCE);
        this.#pause = FIRST_PAUSE;
        this.#handlers[name]?.(JSON.parse(event.data));
      });
    }
    source.addEventListener("error", lose);
  }
}
