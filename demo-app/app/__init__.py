"""The demo application: the entries of a Hazelcast map over HTTP, through the member beside it or elsewhere.

GET /                    a page: the cluster as a live picture
GET /put?key=K&value=V   puts an entry; answers the value it replaces, or an empty body
POST /put                the same, with key and value in a form: for values that are too long for a URL
GET /get?key=K           answers the value, or an empty body
GET /members             the cluster's members, and which of them is the one beside this application
GET /readyz              200 while connected to the cluster, else 503
GET /healthz             200 while this application is alive

What the page itself asks for is in `live`, `entries`, `tally` and `structures`.

Settings come from the environment:

HAZELCAST_ADDRESS        the member, 127.0.0.1:5701 by default; or any member of a separate cluster
HAZELCAST_CLUSTER_NAME   its cluster, dev by default
HOST, PORT               where to listen; every address and port 5000 by default
DRAIN_SECONDS            how long requests are still answered after SIGTERM; 2 by default
HAZELCAST_SMART_ROUTING  false: talk to this member alone, as where only its own Pod's clients are let in
HAZELCAST_NEAR_CACHE     true: keep entries that were read, and answer them without asking a member

With a near cache, /get may answer what the entry was up to 10 s ago (NEAR_CACHE_SECONDS). Members tell
who keeps an entry when it changes, but by default in batches, of 100 changes or of 10 s; with
-Dhazelcast.map.invalidation.batch.enabled=false among the members' java-opts they do so at once, and
10 s is for the case that word is lost. A put through this application drops the entry here, so a get
after it answers the new value, unless another get of the same key was on its way meanwhile.
"""
