// Command create makes Pods in one API server, over one kept connection for each client, and prints what it saw as
// JSON. With -rate it starts that many a second, however long the others take; without it, as many as it can.
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
	flag.Parse()
	seen, err := run(*url, *authority, *token, *body, *clients, *count, *rate)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		os.Exit(1)
	}
}

func run(url, authority, token, file string, clients, count, rate int) (Seen, error) {
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
	goal := target{url, token, body, &tls.Config{RootCAs: roots}}
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
			times[index], errs[index] = goal.create(moments, rate > 0)
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

func (t target) create(moments <-chan time.Time, fromTheMoment bool) ([]time.Duration, error) {
	client := http.Client{Transport: &http.Transport{TLSClientConfig: t.tls, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	var times []time.Duration
	for moment := range moments {
		if !fromTheMoment {
			moment = time.Now()
		}
		if err := t.post(&client); err != nil {
			return nil, err
		}
		times = append(times, time.Since(moment))
	}
	return times, nil
}

func (t target) post(client *http.Client) error {
	request, err := http.NewRequest(http.MethodPost, t.url, bytes.NewReader(t.body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+t.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusCreated {
		err = fmt.Errorf("status %d: %s", response.StatusCode, answer[:min(len(answer), 300)])
	}
	return err
}
