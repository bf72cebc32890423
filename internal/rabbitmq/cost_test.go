package rabbitmq

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// An idle look at everything is a handful of reads, and no write.
func TestRequestsOfAnObservation(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		other := server.NewVirtualHost(t)
		var all []topology.Step
		for i := range 40 {
			for _, host := range []string{vh, other} {
				all = append(all,
					create(&topology.Queue{VirtualHost: host, Name: fmt.Sprint("q", i), Type: "classic", Durable: true}),
					create(&topology.Exchange{VirtualHost: host, Name: fmt.Sprint("x", i), Type: "direct", Durable: true}))
			}
		}
		apply(t, b, all...)
		ids := func(steps []topology.Step) []topology.ID {
			var out []topology.ID
			for _, step := range steps {
				out = append(out, step.ID)
			}
			return out
		}
		policy := create(topology.QueuePolicy(vh, "q0", "classic", topology.Arguments{"max-length": int64(1)}))
		apply(t, b, policy)
		recorder := harness.NewRecorder(t, server.ManagementURL)
		through := open(t, Options{Endpoint: recorder.URL, Username: server.User, Password: server.Password})
		missing := topology.QueueID(vh, "missing")
		// Others use this broker too: where the cluster's listings are long, one each is cheaper.
		twoListings := 2
		for _, collection := range []string{"queues", "exchanges"} {
			var rows []struct{}
			if server.Must(t, "GET", "/api/"+collection+"?columns=name", nil, &rows); len(rows) >= len(all)/2*rowsPerRead {
				twoListings += len(all) / 2
			}
		}
		for name, tc := range map[string]struct {
			reason    string
			selection topology.Selection
			most      int
		}{
			"everything":               {reason: "whatever there is", selection: topology.Selection{All: true}, most: 6},
			"everything with usage":    {reason: "whatever there is", selection: topology.Selection{All: true, Usage: append(ids(all), topology.VirtualHostID(vh), topology.VirtualHostID(other))}, most: 9},
			"everything with depths":   {reason: "totals and consumers", selection: topology.Selection{All: true, Depths: ids(all)}, most: 8},
			"everything with policies": {reason: "policies and operator policies", selection: topology.Selection{All: true, Policies: true}, most: 8},
			"one":                      {reason: "itself", selection: topology.Selection{IDs: ids(all[:1])}, most: 1},
			"one missing":              {reason: "and whether it would be seen", selection: topology.Selection{IDs: []topology.ID{missing}}, most: 2},
			"one missing of two":       {reason: "the other proves the view", selection: topology.Selection{IDs: append(ids(all[:1]), missing)}, most: 2},
			"a policy":                 {reason: "itself, and the operators' policies", selection: topology.Selection{IDs: []topology.ID{policy.ID, all[0].ID}}, most: 3},
			"a dozen":                  {reason: "one each", selection: topology.Selection{IDs: ids(all[:12])}, most: 12},
			"all of them":              {reason: "two listings of everything", selection: topology.Selection{IDs: ids(all)}, most: twoListings},
			"virtual hosts":            {reason: "two listings", selection: topology.Selection{IDs: []topology.ID{topology.VirtualHostID(vh), topology.VirtualHostID(other)}}, most: 2},
		} {
			since := time.Now()
			snapshot := observe(t, through, tc.selection)
			if n := len(recorder.Requests(since)); n > tc.most {
				t.Errorf("%s: %d requests, want at most %d: %s\n%v", name, n, tc.most, tc.reason, recorder.Requests(since))
			}
			for _, id := range tc.selection.IDs {
				if _, presence := snapshot.Look(id); (presence == topology.Present) == (id == missing) {
					t.Errorf("%s: %s: presence %v", name, id, presence)
				}
			}
		}
		if writes := recorder.Writes(time.Time{}); len(writes) > 0 {
			t.Errorf("writes: %v", writes)
		}
	})
}

func TestMutualTLS(t *testing.T) {
	server := harness.PrivateRabbitMQ(t, "4.0", harness.RabbitMQOptions{VerifyTLS: true})
	pem, err := os.ReadFile(filepath.Join(server.TLSDir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(pem)
	certificate, err := tls.LoadX509KeyPair(filepath.Join(server.TLSDir, "client.crt"), filepath.Join(server.TLSDir, "client.key"))
	if err != nil {
		t.Fatal(err)
	}
	probe := func(config *tls.Config) (Info, error) {
		return open(t, Options{Endpoint: server.ManagementTLSURL, Username: server.User, Password: server.Password, TLS: config}).Probe(t.Context())
	}
	if info, err := probe(&tls.Config{RootCAs: authorities, Certificates: []tls.Certificate{certificate}}); err != nil || info.Version == "" {
		t.Errorf("with a client certificate: %+v, %v", info, err)
	}
	_, err = probe(&tls.Config{RootCAs: authorities})
	wantError(t, err, topology.ClassAuthentication, server.Password+"!", "tls.clientCertificateSecretRef")
	_, err = probe(nil)
	wantError(t, err, topology.ClassTransport, server.Password+"!", "tls.caRef")
}

// BenchmarkApply declares and deletes classic queues on each version, beside
// the same declarations as bare requests.
func BenchmarkApply(b *testing.B) {
	for _, server := range harness.RabbitMQs(b) {
		b.Run(server.Version, func(b *testing.B) {
			broker := connect(b, server, server.User, server.Password)
			const n = 1000
			var limit, declare, again, read, removed time.Duration
			for b.Loop() {
				vh := server.NewVirtualHost(b)
				steps := make([]topology.Step, n)
				for i := range steps {
					steps[i] = create(&topology.Queue{VirtualHost: vh, Name: fmt.Sprint("q", i), Type: "classic", Durable: true})
				}
				limit += plainPuts(b, server, n)
				begin := time.Now()
				apply(b, broker, steps...)
				declare += time.Since(begin)
				begin = time.Now()
				apply(b, broker, steps...)
				again += time.Since(begin)
				begin = time.Now()
				observe(b, broker, topology.Selection{All: true})
				read += time.Since(begin)
				for i := range steps {
					steps[i] = removeUnused(steps[i].ID)
				}
				begin = time.Now()
				apply(b, broker, steps...)
				removed += time.Since(begin)
			}
			per := func(d time.Duration) float64 { return float64(b.N*n) / d.Seconds() }
			b.ReportMetric(per(limit), "plainPuts/s")
			b.ReportMetric(per(declare), "declared/s")
			b.ReportMetric(per(again), "redeclared/s")
			b.ReportMetric(per(removed), "deletedIfUnused/s")
			b.ReportMetric(read.Seconds()*1000/float64(b.N), "ms/observe")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// plainPuts is the limit: requests whose answers nobody looks at.
func plainPuts(b *testing.B, server *harness.RabbitMQ, n int) time.Duration {
	b.Helper()
	vh := server.NewVirtualHost(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: DefaultConcurrency}}
	defer client.CloseIdleConnections()
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	begin := time.Now()
	err := each(b.Context(), DefaultConcurrency, numbers, func(ctx context.Context, i int) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("%s/api/queues/%s/q%d", server.ManagementURL, vh, i),
			strings.NewReader(`{"durable":true,"arguments":{"x-queue-type":"classic"}}`))
		if err != nil {
			return err
		}
		request.SetBasicAuth(server.User, server.Password)
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
	if err != nil {
		b.Fatalf("plain PUTs: %v", err)
	}
	return time.Since(begin)
}
