// Command create makes Pods in one API server, over one kept connection for each client, and prints what it saw as
// JSON. With -rate it starts that many a second, however long the others take; without it, as many as it can. With
// -update it patches objects instead, each client one of its own, with another number each time.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Seen is what the run saw; times in seconds.
type Seen struct {
	Created int     `json:"created"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
}

type target struct {
	url, token string
	body       []byte
	update     bool
	tls        *tls.Config
}

func main() {
	url := flag.String("url", "", "of the Pods of a namespace")
	authority := flag.String("ca", "", "PEM file of who signed the API server's certificate")
	token := flag.String("token", "", "to log in with")
	body := flag.String("body", "", "file with a Pod that has a generateName")
	clients := flag.Int("clients", 16, "with a connection each")
	count := flag.Int("count", 1000, "Pods to create in all")
	rate := flag.Int("rate", 0, "Pods a second to start; 0: as many as the clients can")
	update := flag.Bool("update", false, "patch the object CLIENT of the url, a number, with the body, in which NUMBER is one")
	flag.Parse()
	goal := target{url: *url, token: *token, update: *update}
	seen, err := run(goal, *authority, *body, *clients, *count, *rate)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		os.Exit(1)
	}
}

func run(goal target, authority, file string, clients, count, rate int) (Seen, error) {
	pem, err := os.ReadFile(authority)
	if err != nil {
		return Seen{}, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	body, err := os.ReadFile(file)
	if err != nil {
		return Seen{}, err
	}
	goal.body, goal.tls = body, &tls.Config{RootCAs: roots}
	// Each start has its moment; a client that comes late to it counts the delay as well.
	moments := make(chan time.Time)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	began := time.Now()
	go func() {
		defer close(moments)
		for number := range count {
			moment := time.Now()
			if rate > 0 {
				moment = began.Add(time.Duration(number) * time.Second / time.Duration(rate))
				time.Sleep(time.Until(moment))
			}
			select {
			case moments <- moment:
			case <-ctx.Done():
				return
			}
		}
	}()
	times, errs := make([][]time.Duration, clients), make([]error, clients)
	var group sync.WaitGroup
	for index := range clients {
		group.Go(func() {
			times[index], errs[index] = goal.of(index).create(moments, rate > 0)
			if errs[index] != nil {
				cancel()
			}
		})
	}
	group.Wait()
	seconds := time.Since(began).Seconds()
	for _, err := range errs {
		if err != nil {
			return Seen{}, err
		}
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	at := func(share float64) float64 { return all[int(share*float64(len(all)-1))].Seconds() }
	return Seen{len(all), seconds, at(0.5), at(0.99)}, nil
}

// of returns the target of one client.
func (t target) of(client int) target {
	t.url = strings.ReplaceAll(t.url, "CLIENT", strconv.Itoa(client))
	return t
}

func (t target) create(moments <-chan time.Time, fromTheMoment bool) ([]time.Duration, error) {
	client := http.Client{Transport: &http.Transport{TLSClientConfig: t.tls, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	var times []time.Duration
	for moment := range moments {
		if !fromTheMoment {
			moment = time.Now()
		}
		if err := t.send(&client); err != nil {
			return nil, err
		}
		times = append(times, time.Since(moment))
	}
	return times, nil
}

func (t target) send(client *http.Client) error {
	method, kind, body, wanted := http.MethodPost, "application/json", t.body, http.StatusCreated
	if t.update {
		number := strconv.AppendInt(nil, time.Now().UnixNano(), 10)
		body = bytes.ReplaceAll(t.body, []byte("NUMBER"), number)
		method, kind, wanted = http.MethodPatch, "application/merge-patch+json", http.StatusOK
	}
	request, err := http.NewRequest(method, t.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+t.token)
	request.Header.Set("Content-Type", kind)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != wanted {
		err = fmt.Errorf("status %d: %s", response.StatusCode, answer[:min(len(answer), 300)])
	}
	return err
}
