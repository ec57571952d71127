// Command load sends reviews of Pods to one webhook as an API server does, over kept connections, and prints what
// it saw as JSON.
//
// Every review has an uid of its own. Where the body holds the text of -name, each of -groups workloads has a
// name of its own there, of the same length.
package main

import (
	"bufio"
	"bytes"
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
	"sync/atomic"
	"time"
)

const uidLength = 36

// plan is what is sent, and where.
type plan struct {
	address, path string
	tls           *tls.Config
	parts         [][]byte // of the body, with an uid or a name between any two
	isUID         []bool   // what follows each part but the last
	length        int
	name          string
	groups        int64
	requests      int64
	handshakes    atomic.Int64
}

// Seen is what the run saw; times in seconds.
type Seen struct {
	Requests   int     `json:"requests"`
	Bytes      int     `json:"answerBytes"`
	Seconds    float64 `json:"seconds"`
	P50        float64 `json:"p50"`
	P99        float64 `json:"p99"`
	Longest    float64 `json:"longest"`
	Handshakes int64   `json:"handshakes"`
}

func main() {
	address := flag.String("address", "127.0.0.1:9443", "HOST:PORT of the webhook")
	path := flag.String("path", "/mutate/pods", "its path")
	authority := flag.String("ca", "", "PEM file of who signed its certificate")
	body := flag.String("body", "", "file with an AdmissionReview")
	name := flag.String("name", "checkout", "the workload's name in it")
	groups := flag.Int64("groups", 20, "how many names there are in turn")
	connections := flag.Int("connections", 16, "kept at the same time")
	requests := flag.Int64("requests", 10000, "to send in all")
	flag.Parse()
	seen, err := run(*address, *path, *authority, *body, *name, *groups, *connections, *requests)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		os.Exit(1)
	}
}

func run(address, path, authority, file, name string, groups int64, connections int, requests int64) (Seen, error) {
	pem, err := os.ReadFile(authority)
	if err != nil {
		return Seen{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return Seen{}, fmt.Errorf("%s: no certificate", authority)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return Seen{}, err
	}
	work := plan{
		address: address, path: path, name: name, groups: groups, requests: requests, length: len(body),
		tls: &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}},
	}
	if err := work.cut(body); err != nil {
		return Seen{}, fmt.Errorf("%s: %w", file, err)
	}
	return work.send(connections)
}

// cut finds the places of the uid and of the name.
func (p *plan) cut(body []byte) error {
	_, rest, found := bytes.Cut(body, []byte(`"request":{"uid":"`))
	if !found || len(rest) < uidLength {
		return fmt.Errorf("no review: it does not begin with its uid")
	}
	uid, name := rest[:uidLength], []byte(p.name)
	rest = body
	for {
		at, isUID := bytes.Index(rest, uid), true
		if other := bytes.Index(rest, name); other >= 0 && (at < 0 || other < at) {
			at, isUID = other, false
		}
		if at < 0 {
			p.parts = append(p.parts, rest)
			return nil
		}
		p.parts, p.isUID = append(p.parts, rest[:at]), append(p.isUID, isUID)
		if isUID {
			rest = rest[at+uidLength:]
		} else {
			rest = rest[at+len(name):]
		}
	}
}

func (p *plan) send(connections int) (Seen, error) {
	var next atomic.Int64
	var group sync.WaitGroup
	times, sizes, errs := make([][]time.Duration, connections), make([]int, connections), make([]error, connections)
	began := time.Now()
	for index := range connections {
		group.Go(func() { times[index], sizes[index], errs[index] = p.keep(&next) })
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
	bytes := 0
	for _, size := range sizes {
		bytes = max(bytes, size)
	}
	at := func(share float64) float64 { return all[int(share*float64(len(all)-1))].Seconds() }
	return Seen{len(all), bytes, seconds, at(0.5), at(0.99), at(1), p.handshakes.Load()}, nil
}

// keep sends one review after the other over one connection, or over the next where the server closes it, and
// returns how long each took.
func (p *plan) keep(next *atomic.Int64) ([]time.Duration, int, error) {
	var times []time.Duration
	var out []byte
	longest := 0
	var connection *tls.Conn
	var reader *bufio.Reader
	defer func() {
		if connection != nil {
			connection.Close()
		}
	}()
	for {
		number := next.Add(1)
		if number > p.requests {
			return times, longest, nil
		}
		uid := fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(number), number)
		out = p.request(out[:0], uid, number)
		began := time.Now()
		if connection == nil {
			var err error
			if connection, err = tls.Dial("tcp", p.address, p.tls); err != nil {
				return nil, 0, err
			}
			p.handshakes.Add(1)
			reader = bufio.NewReader(connection)
		}
		if _, err := connection.Write(out); err != nil {
			return nil, 0, err
		}
		size, closes, err := p.check(reader, uid)
		if err != nil {
			return nil, 0, err
		}
		longest = max(longest, size)
		times = append(times, time.Since(began))
		if closes {
			connection.Close()
			connection = nil
		}
	}
}

func (p *plan) request(out []byte, uid string, number int64) []byte {
	out = append(out, "POST "...)
	out = append(out, p.path...)
	out = append(out, "?timeout=10s HTTP/1.1\r\nHost: "...)
	out = append(out, p.address...)
	out = append(out, "\r\nUser-Agent: kube-apiserver-admission\r\nAccept: application/json, */*\r\n"...)
	out = append(out, "Content-Type: application/json\r\nAccept-Encoding: gzip\r\nContent-Length: "...)
	out = strconv.AppendInt(out, int64(p.length), 10)
	out = append(out, "\r\n\r\n"...)
	name := strconv.FormatInt(number%p.groups, 36)
	name = "w" + strings.Repeat("0", len(p.name)-1-len(name)) + name
	for index, part := range p.parts {
		out = append(out, part...)
		if index == len(p.isUID) {
			break
		}
		if p.isUID[index] {
			out = append(out, uid...)
		} else {
			out = append(out, name...)
		}
	}
	return out
}

// check reads one answer, which must be an injection for that uid: its size, and whether the server closes behind it.
func (p *plan) check(reader *bufio.Reader, uid string) (size int, closes bool, err error) {
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return 0, false, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, false, err
	}
	if response.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(uid)) ||
		!bytes.Contains(answer, []byte(`"patch":"`)) {
		return 0, false, fmt.Errorf("status %d: %s", response.StatusCode, answer[:min(len(answer), 300)])
	}
	return len(answer), response.Close, nil
}
