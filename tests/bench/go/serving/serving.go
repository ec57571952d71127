// Package serving is what every reference server has in common: TLS, HTTP/1.1, a log line and a counter.
package serving

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// Answer is the body of a response, and what the log says of the request.
type Answer struct {
	Body             []byte
	UID, Name, Group string
}

// Review answers the bytes of an AdmissionReview; template is the content of the file that -template names.
type Review func(body []byte) (Answer, error)

// Run serves reviews at /mutate/pods until the process is ended.
func Run(prepare func(template []byte) (Review, error)) {
	listen := flag.String("listen", "127.0.0.1:9443", "HOST:PORT")
	certificate := flag.String("tls-cert", "", "PEM file of the chain")
	key := flag.String("tls-key", "", "PEM file of the key")
	template := flag.String("template", "", "JSON file with what a Pod gains")
	flag.Parse()
	if err := run(*listen, *certificate, *key, *template, prepare); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(listen, certificate, key, template string, prepare func([]byte) (Review, error)) error {
	content, err := os.ReadFile(template)
	if err != nil {
		return err
	}
	review, err := prepare(content)
	if err != nil {
		return err
	}
	var answered atomic.Int64
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "reference_admission_requests_total %d\n", answered.Load())
	})
	mux.HandleFunc("POST /mutate/pods", func(w http.ResponseWriter, request *http.Request) {
		began := time.Now()
		body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, 16<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer, err := review(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if _, err := w.Write(answer.Body); err != nil {
			return
		}
		answered.Add(1)
		log.Info("injected", "uid", answer.UID, "name", answer.Name, "group", answer.Group,
			"microseconds", time.Since(began).Microseconds())
	})
	server := http.Server{
		Addr:      listen,
		Handler:   mux,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}},
	}
	// API servers call webhooks over HTTP/1.1 only.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	server.Protocols = protocols
	return server.ListenAndServeTLS(certificate, key)
}
