// Puts until standard input ends, many at once, and prints how many milliseconds the longest took.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hazelcast/hazelcast-go-client"
	"github.com/hazelcast/hazelcast-go-client/types"
)

const (
	atOnce   = 60
	patience = 4 * time.Second
)

func main() {
	ctx := context.Background()
	config := hazelcast.NewConfig()
	config.Cluster.Network.SetAddresses(os.Getenv("HAZELCAST_ADDRESS"))
	deadline := time.Hour
	if len(os.Args) > 1 {
		deadline = patience
		config.Cluster.RedoOperation = true
		config.Cluster.HeartbeatTimeout = types.Duration(patience)
		config.Cluster.InvocationTimeout = types.Duration(patience)
	}
	client, err := hazelcast.StartNewClientWithConfig(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	entries, err := client.GetMap(ctx, "longest-put")
	if err != nil {
		log.Fatal(err)
	}
	var done atomic.Bool
	var longest atomic.Int64
	var all sync.WaitGroup
	for first := range atOnce {
		all.Add(1)
		go func() {
			defer all.Done()
			for number := first; !done.Load(); number += atOnce {
				began := time.Now()
				bounded, cancel := context.WithTimeout(ctx, deadline)
				_, _ = entries.Put(bounded, strconv.Itoa(number), "v") // the time of one that fails counts all the same
				cancel()
				took := time.Since(began).Milliseconds()
				for known := longest.Load(); took > known && !longest.CompareAndSwap(known, took); {
					known = longest.Load()
				}
			}
		}()
	}
	fmt.Println("putting")
	_, _ = io.Copy(io.Discard, os.Stdin)
	done.Store(true)
	all.Wait()
	fmt.Printf("longest %d\n", longest.Load())
}
