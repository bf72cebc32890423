package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
)

const (
	// askAgain is the time between two attempts to reach the API server.
	askAgain = time.Second
	// askTimeout bounds one attempt.
	askTimeout = 5 * time.Second
)

// awaitAPIServer returns when the API server answers, or with the context. A
// leader that lost its lease because the API server was away ends, and is started
// again while it is still away: ending again and again, it would be held back for
// minutes by whoever starts it. Until then it is alive, and not ready.
func awaitAPIServer(ctx context.Context, config *rest.Config, probes string) error {
	own := rest.CopyConfig(config)
	own.Timeout = askTimeout
	server, err := discovery.NewDiscoveryClientForConfig(own)
	if err != nil {
		return fmt.Errorf("set up a client of the API server: %w", err)
	}
	_, err = server.ServerVersion()
	if err == nil {
		return nil
	}
	closeServer, failed := serveAlive(ctx, probes)
	if failed != nil {
		return failed
	}
	defer closeServer()
	log := ctrl.Log.WithName("setup")
	for ; err != nil; _, err = server.ServerVersion() {
		log.Info("waiting for the API server", "server", config.Host, "error", err.Error())
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the API server: %w", ctx.Err())
		case <-time.After(askAgain):
		}
	}
	return nil
}

// serveAlive answers the liveness probe until it is closed; everything else is
// not ready.
func serveAlive(ctx context.Context, address string) (closeServer func(), err error) {
	if address == "" || address == "0" {
		return func() {}, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve probes: %w", err)
	}
	server := &http.Server{
		ReadHeaderTimeout: askTimeout,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/healthz" {
				http.Error(w, "waiting for the API server", http.StatusServiceUnavailable)
			}
		}),
	}
	go func() { _ = server.Serve(listener) }() // until it is closed
	return func() { _ = server.Close() }, nil
}
