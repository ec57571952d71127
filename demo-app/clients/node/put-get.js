// Puts an entry or gets one: node put-get.js put KEY VALUE, or node put-get.js get KEY

import hazelcast from "hazelcast-client";

const { HAZELCAST_ADDRESS: address = "127.0.0.1:5701", HAZELCAST_CLUSTER_NAME: clusterName = "dev" } = process.env;
const [command, key, value] = process.argv.slice(2);

const client = await hazelcast.Client.newHazelcastClient({ clusterName, network: { clusterMembers: [address] } });
try {
  const entries = await client.getMap("map");
  if (command === "put") await entries.put(key, value);
  else console.log((await entries.get(key)) ?? "");
} finally {
  await client.shutdown();
}
