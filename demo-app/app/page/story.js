// What happened, in sentences: from one picture of the cluster to the next.

import { counted } from "./dom.js";

/** Milliseconds without a change after which a move of partitions counts as over. */
const QUIET = 700;

export class Story {
  #replica = null;
  #members = null;
  #owners = []; // addresses, or null
  #before = null; // owners before the partitions began to move
  #began = 0;
  #changed = 0;
  #away = false;

  /** Take a picture {replica, members, owners} at a time in milliseconds, and return sentences. */
  see({ replica, members, owners }, now) {
    const next = owners.map((owner) => members[owner] ?? null);
    const lines = [];
    if (this.#members === null) {
      lines.push(`Replica ${replica} serves this page. ${counted(members.length, "member")}.`);
    } else {
      if (replica !== this.#replica) lines.push(`Replica ${replica} serves this page now, in place of ${this.#replica}.`);
      else if (this.#away) lines.push(`Replica ${replica} is connected to its cluster again.`);
      lines.push(...this.#memberships(members));
      // The cluster of a replica that was away may be another one, and nothing moved from one to the other.
      if (!this.#away) this.#notePartitions(next, now);
    }
    this.#away = false;
    [this.#replica, this.#members, this.#owners] = [replica, members, next];
    return lines;
  }

  /** Note that a replica has no member to ask; return a sentence. */
  seeAway({ replica }) {
    if (this.#away && replica === this.#replica) return [];
    [this.#away, this.#replica] = [true, replica];
    return [`Replica ${replica} is up, but its member is away.`];
  }

  /** Return what came of a move of partitions, once it is over. */
  settle(now) {
    if (!this.#before || now < this.#changed + QUIET) return [];
    const milliseconds = this.#changed - this.#began;
    const lines = this.#moves(milliseconds < 100 ? "at once" : `within ${(milliseconds / 1000).toFixed(1)} s`);
    this.#before = null;
    return lines;
  }

  #memberships(members) {
    const left = this.#members.filter((member) => !members.includes(member));
    const joined = members.filter((member) => !this.#members.includes(member));
    const size = counted(members.length, "member");
    return [
      ...left.map((member) => {
        const owned = this.#owners.filter((owner) => owner === member).length;
        return `Member ${member} is gone, which owned ${counted(owned, "partition")}. ${size} left.`;
      }),
      ...joined.map((member) => `Member ${member} joined. ${size}.`),
    ];
  }

  #notePartitions(next, now) {
    const same = next.length === this.#owners.length && next.every((owner, index) => owner === this.#owners[index]);
    if (same) return;
    if (!this.#before) [this.#before, this.#began] = [this.#owners, now];
    this.#changed = now;
  }

  #moves(time) {
    const moved = new Map();
    const from = new Set();
    this.#owners.forEach((owner, partition) => {
      const before = this.#before[partition] ?? null;
      if (!owner || owner === before) return;
      moved.set(owner, (moved.get(owner) ?? 0) + 1);
      if (before) from.add(before);
    });
    const ownerless = this.#owners.filter((owner) => !owner).length;
    const rescued = [...from].some((owner) => !this.#members.includes(owner));
    const lines = [...moved].map(([owner, count]) => {
      const partitions = counted(count, "partition");
      return rescued ? `${owner} took over ${partitions} ${time}.` : `${partitions} moved to ${owner} ${time}.`;
    });
    if (moved.size && !from.size) return [`The first entry gave all partitions an owner: ${[...moved.values()].join(" + ")}.`];
    if (ownerless) lines.push(`${counted(ownerless, "partition")} without an owner.`);
    return lines;
  }
}
