// Where things are drawn: a place for each member, and for each partition one with its owner.

export const COLOURS = 8;
const MOST_GONE = 2;
const LONGEST_GONE = 60_000; // milliseconds
const PADDING = 12;
const GAP = 12;
const HEADER = 52;
const NARROWEST = 150;
const LARGEST_CELL = 26;

/** Gives each member a slot, and so a place and a colour that it keeps; one that is gone leaves its own to the next. */
export class Slots {
  #slots = []; // {address, gone: since when, or null}, or null for a free one

  /** Return the cards in order, {address, slot, gone}, at a time in milliseconds. */
  update(addresses, now) {
    for (const slot of this.#slots) {
      if (slot) slot.gone = addresses.includes(slot.address) ? null : (slot.gone ?? now);
    }
    const known = this.#slots.map((slot) => slot?.address);
    for (const address of addresses.filter((each) => !known.includes(each)).sort()) {
      const free = this.#slots.findIndex((slot) => !slot || slot.gone !== null);
      this.#slots[free < 0 ? this.#slots.length : free] = { address, gone: null };
    }
    this.#forget(now);
    return this.#slots.flatMap((each, slot) => (each ? [{ ...each, slot, gone: each.gone !== null }] : []));
  }

  #forget(now) {
    const gone = this.#slots.filter((slot) => slot && slot.gone !== null).sort((a, b) => b.gone - a.gone);
    const old = gone.filter((slot, index) => index >= MOST_GONE || slot.gone < now - LONGEST_GONE);
    this.#slots = this.#slots.map((slot) => (old.includes(slot) ? null : slot));
  }
}

/**
 * Place cards of members side by side, and in each its partitions row by row.
 *
 * @param {number[]} counts how many partitions each card holds
 * @param {number} width of the whole, in pixels
 * @param {number} height that the cards should have together, in pixels; many members get more
 * @returns {{height: number, pitch: number, cards: {x: number, y: number, width: number, height: number}[]}}
 */
export function arrange(counts, width, height) {
  const columns = Math.max(1, Math.min(counts.length, Math.floor((width + GAP) / (NARROWEST + GAP))));
  const rows = Math.max(1, Math.ceil(counts.length / columns));
  const cardWidth = (width - GAP * (columns - 1)) / columns;
  const cardHeight = Math.max((height - GAP * (rows - 1)) / rows, HEADER + 60);
  const inner = { width: cardWidth - 2 * PADDING, height: cardHeight - HEADER - PADDING };
  return {
    height: cardHeight * rows + GAP * (rows - 1),
    pitch: pitchFor(Math.max(1, ...counts), inner),
    cards: counts.map((_, index) => ({
      x: (index % columns) * (cardWidth + GAP),
      y: Math.floor(index / columns) * (cardHeight + GAP),
      width: cardWidth,
      height: cardHeight,
    })),
  };
}

/** The place of the index-th partition of a card. */
export function cellPlace(card, index, pitch) {
  const perRow = Math.max(1, Math.floor((card.width - 2 * PADDING + 0.01) / pitch));
  return {
    x: card.x + PADDING + (index % perRow) * pitch,
    y: card.y + HEADER + Math.floor(index / perRow) * pitch,
  };
}

/** The largest distance at which so many squares fit into an area. */
function pitchFor(count, { width, height }) {
  let best = 4;
  for (let perRow = 1; perRow <= count; perRow++) {
    const pitch = Math.min(width / perRow, height / Math.ceil(count / perRow));
    best = Math.max(best, pitch);
  }
  return Math.min(best, LARGEST_CELL);
}
