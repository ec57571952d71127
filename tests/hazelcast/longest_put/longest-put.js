// Puts until standard input ends, many at once, and prints how many milliseconds the longest took.
// It prints "putting" when it begins. node longest-put.js [in-a-pod]

import hazelcast from "hazelcast-client";

const AT_ONCE = 60;
const IN_A_POD = {
  backupAckToClientEnabled: false,
  properties: { "hazelcast.client.heartbeat.timeout": 4000, "hazelcast.client.invocation.timeout.millis": 4000 },
};
const inAPod = process.argv[2] === "in-a-pod";
const client = await hazelcast.Client.newHazelcastClient({
  ...(inAPod ? IN_A_POD : {}),
  network: { clusterMembers: [process.env.HAZELCAST_ADDRESS], redoOperation: inAPod },
});
const entries = await client.getMap("longest-put");
let done = false;
let longest = 0;
process.stdin.on("end", () => (done = true)).resume();

async function put(number) {
  while (!done) {
    const began = performance.now();
    await entries.put(String(number), "v").catch(() => {}); // its time counts all the same
    longest = Math.max(longest, performance.now() - began);
    number += AT_ONCE;
  }
}

console.log("putting");
await Promise.all(Array.from({ length: AT_ONCE }, (_, first) => put(first)));
console.log(`longest ${Math.round(longest)}`);
process.exit();
