// The page: what the stream and the forms bring goes to the picture, the story and the tally.

import { clock, counted, element, isolated, number, prepend, shortened } from "./dom.js";
import { Entries } from "./entries.js";
import { Picture } from "./picture.js";
import { Structures } from "./structures.js";
import { Story } from "./story.js";
import { Stream } from "./stream.js";
import { Tally } from "./tally.js";

const MOST_LINES = 50;
const TICK = 250; // milliseconds
const LONGEST_WAIT = 10_000;

const find = (id) => document.getElementById(id);
const picture = new Picture(find("picture"));
const story = new Story();
const tally = new Tally();
const entries = new Entries((partition, key) => {
  picture.mark(partition, key);
  showPlace();
});
const structures = new Structures();
let replica = "";
let members = "";
let paused = false;
let awaited = ""; // why entries are looked for again: told once all of them are found

function say(state, sentence) {
  const status = find("status");
  if (status.textContent !== sentence) status.textContent = sentence;
  status.dataset.state = state;
  document.body.dataset.state = state;
}

function tell(lines) {
  for (const line of lines) prepend(find("story"), element("li", {}, clock(), ` ${line}`), MOST_LINES);
}

function summary({ members: addresses, owners }) {
  const ownerless = owners.filter((owner) => owner < 0).length;
  const owned = picture.shares.join(" + ");
  if (ownerless === owners.length) return `${counted(addresses.length, "member")}; no partition has an owner yet.`;
  const rest = ownerless ? `; ${number.format(ownerless)} without an owner` : "";
  return `${counted(addresses.length, "member")}, ${counted(owners.length, "partition")}: ${owned}${rest}.`;
}

function showPlace() {
  if (!picture.marked) return;
  const { partition, key, owner } = picture.marked;
  const sentence = owner ? ` is in partition ${partition}, which ${owner} owns.` : ` is in partition ${partition}, without an owner.`;
  find("where").replaceChildren(isolated(`“${shortened(key, 60)}”`, "quoted"), sentence);
}

function recheckAfterChange(cluster) {
  const list = cluster.members.join(" ");
  if (members && members !== list && tally.kept) {
    awaited = "the members changed";
    tally.recheck();
  }
  members = list;
}

new Stream({
  picture(cluster) {
    replica = cluster.replica;
    if (document.body.dataset.state !== "live") structures.refresh();
    find("title").textContent = `Hazelcast ${cluster.local === null ? "as a cluster of its own" : "beside every replica"}`;
    say("live", `Live, from replica ${replica}`);
    find("away").hidden = true;
    picture.show(cluster);
    showPlace();
    find("summary").textContent = summary(cluster);
    tell(story.see(cluster, performance.now()));
    recheckAfterChange(cluster);
  },
  away(state) {
    replica = state.replica;
    say("away", `Replica ${replica} is up, its member is away`);
    find("away").textContent = state.sentence;
    find("away").hidden = false;
    const seen = find("summary");
    if (seen.textContent.match(/^\d/)) seen.textContent = `Last seen: ${seen.textContent}`;
    tell(story.seeAway(state));
  },
  said({ text }) {
    structures.hear(text);
  },
  written(entry) {
    picture.flash(entry.partition);
    entries.offer(entry);
  },
  lost() {
    const sentence = replica ? `Replica ${replica} does not answer. Connecting again …` : "Connecting to a replica …";
    if (document.body.dataset.state !== "connecting") tell(replica ? [`Replica ${replica} does not answer this page.`] : []);
    say("connecting", sentence);
  },
});

find("pause").addEventListener("click", () => {
  paused = !paused;
  find("pause").setAttribute("aria-pressed", paused);
});

function showTally() {
  const { written, found, lost, unanswered, again, toFind } = tally;
  find("written").textContent = number.format(written);
  find("lost").textContent = number.format(lost);
  document.body.classList.toggle("loss", lost > 0);
  const goal = again + toFind.size;
  const bar = find("again");
  bar.max = Math.max(1, goal);
  bar.value = goal ? again : 1;
  const open = unanswered ? ` ${counted(unanswered, "question")} went unanswered, and count as neither.` : "";
  const whole = `Each of the last ${number.format(tally.kept)} is read again and again: found ${number.format(found)} times.${open}`;
  const part = `Since ${awaited}: ${number.format(again)} of ${number.format(goal)} entries found again.${open}`;
  find("again-text").textContent = toFind.size ? part : whole;
}

function showLoss(before, answer) {
  if (tally.lost === before) return;
  const loss = find("loss");
  loss.hidden = false;
  const entriesLost = counted(tally.lost, "entry", "entries");
  loss.textContent = `${entriesLost} that this page wrote, gone: says replica ${answer.replica}.`;
  if (before === 0) tell(["Entries are lost, as when more members go at once than an entry has backups."]);
}

async function ask(request) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request) };
  try {
    const response = await fetch("tally", { ...options, signal: AbortSignal.timeout(LONGEST_WAIT) });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

async function count() {
  const request = tally.request(Date.now());
  const before = tally.lost;
  const answer = await ask(request);
  tally.count(request, answer, Date.now());
  showTally();
  showLoss(before, answer);
  if (awaited && !tally.toFind.size) {
    if (tally.lost === before && tally.again) tell([`All ${counted(tally.again, "entry", "entries")} from before were found again.`]);
    awaited = "";
  }
}

async function run() {
  for (;;) {
    const live = document.body.dataset.state === "live";
    if (!paused && !document.hidden && live) await count();
    await new Promise((resolve) => setTimeout(resolve, TICK));
  }
}

setInterval(() => tell(story.settle(performance.now())), TICK);
setInterval(() => {
  picture.refresh();
  if (!document.hidden && document.body.dataset.state === "live") structures.refresh(); // others add, too
}, 5_000);
say("connecting", "Connecting to a replica …");
run();
