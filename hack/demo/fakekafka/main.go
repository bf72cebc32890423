// Fakekafka is franz-go's in-memory Kafka as a process, for demos on machines
// without Java and without Docker. Nothing is proved by it: see docs and tests
// for what runs against Apache Kafka.
//
//	fakekafka PORT
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fakekafka:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("want one argument, the port, and got %d", len(arguments))
	}
	port, err := strconv.Atoi(arguments[0])
	if err != nil {
		return fmt.Errorf("port %q: %w", arguments[0], err)
	}
	cluster, err := kfake.NewCluster(kfake.Ports(port))
	if err != nil {
		return fmt.Errorf("listen on port %d: %w", port, err)
	}
	defer cluster.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	return nil
}
