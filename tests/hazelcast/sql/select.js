// Puts entries with default settings, and selects some of them by their values.
import { Client } from 'hazelcast-client';

const client = await Client.newHazelcastClient({
  network: { clusterMembers: [process.env.HAZELCAST_ADDRESS] },
});
try {
  const map = await client.getMap('fruits');
  await map.putAll([['a', 'apple'], ['b', 'banana'], ['c', 'cherry']]);
  const sql = client.getSql();
  await sql.execute(
    "CREATE OR REPLACE MAPPING fruits TYPE IMap OPTIONS ('keyFormat' = 'varchar', 'valueFormat' = 'varchar')",
  );
  for await (const row of await sql.execute('SELECT __key, this FROM fruits WHERE this LIKE ?', ['b%'])) {
    console.log(`${row.__key}: ${row.this}`);
  }
} finally {
  await client.shutdown();
}
