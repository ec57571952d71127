// The cluster as a picture: a card for each member, and on it the partitions that it owns.

import { counted, shortened, svg } from "./dom.js";
import { arrange, cellPlace, COLOURS, Slots } from "./places.js";

const BASE = 20; // the size of a cell before it is scaled
const SPREAD = 350; // milliseconds from the first cell that moves to the last

export class Picture {
  #root;
  #slots = new Slots();
  #cells = [];
  #cards = new Map();
  #layers = { cards: svg("g"), cells: svg("g"), marker: svg("g", { class: "marker" }) };
  #cluster = null;
  #holders = []; // for each partition the address of its card, which is its last owner's while it has none
  #marked = null; // {partition, key}
  #order = []; // addresses, as their cards are drawn
  #width = 0;

  constructor(root) {
    this.#root = root;
    root.append(...Object.values(this.#layers));
    new ResizeObserver(([entry]) => {
      const width = Math.floor(entry.contentRect.width);
      if (width === this.#width) return;
      this.#width = width;
      this.#draw();
    }).observe(root.parentElement);
  }

  /** Show the cluster: {members: [addresses], local: index or null, owners: [indexes, or -1]}. */
  show(cluster) {
    this.#cluster = cluster;
    this.#holders = cluster.owners.map((owner, partition) => cluster.members[owner] ?? this.#holders[partition] ?? null);
    this.#draw();
  }

  /** Draw again, without the members that have been gone for long. */
  refresh() {
    this.#draw();
  }

  /** Show where a key is. */
  mark(partition, key) {
    this.#marked = { partition, key };
    this.#draw();
  }

  /** How many partitions each member owns, in the order of the cards. */
  get shares() {
    const { members, owners } = this.#cluster;
    const inOrder = this.#order.filter((address) => members.includes(address));
    return inOrder.map((address) => owners.filter((owner) => members[owner] === address).length);
  }

  /** The key that is marked, its partition and the member that owns it now (or null); null where none is. */
  get marked() {
    if (!this.#marked || !this.#cluster) return null;
    const { members, owners } = this.#cluster;
    return { ...this.#marked, owner: members[owners[this.#marked.partition]] ?? null };
  }

  /** Let the partition of a key that was written light up. */
  flash(partition) {
    const cell = this.#cells[partition];
    if (!cell) return;
    cell.classList.remove("flash");
    cell.getBoundingClientRect(); // so that the animation begins again
    cell.classList.add("flash");
  }

  #draw() {
    if (!this.#cluster || this.#width <= 0) return;
    const { members, local, owners } = this.#cluster;
    const cards = this.#slots.update(members, performance.now());
    this.#order = cards.map(({ address }) => address);
    const held = this.#partitionsOf(cards);
    const wide = this.#width > 480;
    const plan = arrange(held.map((partitions) => partitions.length), this.#width, wide ? 380 : 330);
    this.#root.setAttribute("viewBox", `0 0 ${this.#width} ${plan.height}`);
    this.#root.style.height = `${plan.height}px`;
    this.#drawCards(cards, plan, held, members[local]);
    cards.forEach((card, index) => {
      held[index].forEach((partition, nth) => {
        this.#placeCell(partition, card, cellPlace(plan.cards[index], nth, plan.pitch), plan.pitch, owners);
      });
    });
    while (this.#cells.length > owners.length) this.#cells.pop().remove();
    this.#drawMarker(plan.pitch);
  }

  /** For each card its partitions, in order; those that never had an owner lie on the first. */
  #partitionsOf(cards) {
    const held = new Map(cards.map(({ address }) => [address, []]));
    this.#holders.forEach((address, partition) => (held.get(address) ?? held.values().next().value)?.push(partition));
    return [...held.values()];
  }

  #drawCards(cards, plan, held, local) {
    const seen = new Set();
    cards.forEach(({ address, slot, gone }, index) => {
      seen.add(address);
      const { x, y, width, height } = plan.cards[index];
      const card = this.#cards.get(address) ?? this.#newCard(address);
      card.root.setAttribute("class", `card colour-${slot % COLOURS}${gone ? " gone" : ""}`);
      card.root.style.transform = `translate(${x}px, ${y}px)`;
      card.frame.setAttribute("width", width);
      card.frame.setAttribute("height", height);
      const narrow = width < 175;
      card.name.style.fontSize = narrow ? "12px" : "";
      card.name.textContent = shortened(address, Math.floor((width - 24) / (narrow ? 7.3 : 8)));
      const what = gone ? "away" : counted(held[index].length, "partition");
      const beside = width > 220 ? " · beside this replica" : " · here";
      card.what.textContent = address === local ? what + beside : what;
    });
    for (const [address, { root }] of this.#cards) {
      if (seen.has(address)) continue;
      root.remove();
      this.#cards.delete(address);
    }
  }

  #newCard(address) {
    const card = {
      root: svg("g", { "data-member": address }),
      frame: svg("rect", { class: "frame", rx: 10 }),
      name: svg("text", { class: "name", x: 12, y: 22 }),
      what: svg("text", { class: "what", x: 12, y: 40 }),
    };
    card.root.append(card.frame, card.name, card.what);
    this.#layers.cards.append(card.root);
    this.#cards.set(address, card);
    return card;
  }

  #placeCell(partition, card, { x, y }, pitch, owners) {
    this.#cells[partition] ??= this.#newCell(partition, owners.length);
    const cell = this.#cells[partition];
    const base = owners[partition] < 0 ? "cell ownerless" : "cell";
    const flash = cell.classList.contains("flash") ? " flash" : "";
    cell.setAttribute("class", `${base} colour-${card.slot % COLOURS}${flash}`);
    cell.dataset.owner = owners[partition] < 0 ? "" : card.address;
    cell.style.transform = `translate(${x}px, ${y}px) scale(${(pitch - Math.max(1, pitch / 8)) / BASE})`;
  }

  #newCell(partition, count) {
    const cell = svg("rect", { width: BASE, height: BASE, rx: 4 });
    cell.style.transitionDelay = `${Math.round((partition / count) * SPREAD)}ms`;
    cell.dataset.partition = partition;
    cell.addEventListener("animationend", () => cell.classList.remove("flash"));
    this.#layers.cells.append(cell);
    return cell;
  }

  #drawMarker(pitch) {
    const cell = this.#marked && this.#cells[this.#marked.partition];
    this.#layers.marker.replaceChildren();
    if (!cell) return;
    const [x, y] = cell.style.transform.match(/-?[\d.]+(?=px)/g).map(Number);
    const size = pitch - Math.max(1, pitch / 8);
    const right = x > this.#width / 2;
    const label = svg("text", {
      class: "key",
      x: right ? size + 3 : -3,
      y: -7,
      "text-anchor": right ? "end" : "start",
    });
    label.textContent = shortened(this.#marked.key, 18);
    const ring = svg("rect", { class: "ring", x: -3, y: -3, width: size + 6, height: size + 6, rx: 6 });
    this.#layers.marker.append(ring, label);
    this.#layers.marker.style.transform = `translate(${x}px, ${y}px)`;
  }
}
