// Puts an entry or gets one: go run . put KEY VALUE, or go run . get KEY
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/hazelcast/hazelcast-go-client"
)

func main() {
	// The client may lose an answer when a member ends, and waits for it until its context does.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	config := hazelcast.NewConfig()
	config.Cluster.Name = cmp.Or(os.Getenv("HAZELCAST_CLUSTER_NAME"), "dev")
	config.Cluster.Network.SetAddresses(cmp.Or(os.Getenv("HAZELCAST_ADDRESS"), "127.0.0.1:5701"))
	client := must(hazelcast.StartNewClientWithConfig(ctx, config))
	defer client.Shutdown(ctx)
	entries := must(client.GetMap(ctx, "map"))
	if os.Args[1] == "put" {
		must(entries.Put(ctx, os.Args[2], os.Args[3]))
	} else if value := must(entries.Get(ctx, os.Args[2])); value != nil {
		fmt.Println(value)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
