package scale

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// BenchmarkDeadConnections measures edits on connections that work, without and
// with others whose broker swallows what it is sent.
func BenchmarkDeadConnections(b *testing.B) {
	for b.Loop() {
		all := max(scaled(b, 100), 8)
		newScene(b).deadConnections(all-max(all/20, 1), max(all/20, 1), scaled(b, 500)).report(b)
	}
}

func (s *scene) deadConnections(live, dead, edits int) *row {
	s.tb.Helper()
	const interval = 10 * time.Second
	s.start()
	clusters := newClusters(s.tb, s.requests.URL)
	secret := connection(s.namespace, s.broker, "", s.host, interval)[0]
	s.create(secret)
	var objects []v1alpha1.Object
	var bindings []*v1alpha1.ExchangeBinding
	for i := range live {
		_, its := s.cluster(fmt.Sprintf("live-%d", i), clusters.URL, s.broker.NewVirtualHost(s.tb), interval)
		objects = append(objects, its...)
		bindings = append(bindings, its[len(its)-1].(*v1alpha1.ExchangeBinding))
	}
	seen := watchReady(s.tb, s.client, s.namespace, len(objects))
	createAll(s.tb, s.client, objects)
	seen.wait(s.tb, patience)
	seen.stop()
	e := s.newEditor(bindings)
	defer e.stop()
	e.edit(len(bindings)) // each session has been used once
	limit := latencyRow("", "", e.edit(edits))

	hole := harness.NewProxy(s.tb, "127.0.0.1:1")
	hole.Blackhole()
	var connections []v1alpha1.Connection
	for i := range dead {
		c, its := s.cluster(fmt.Sprintf("dead-%d", i), "http://"+hole.Addr(), "nowhere", interval)
		createAll(s.tb, s.client, its)
		connections = append(connections, c)
	}
	for _, c := range connections {
		s.until(c.GetName()+" to be known as dead", func() bool {
			if err := s.client.Get(s.tb.Context(), client.ObjectKeyFromObject(c), c); err != nil {
				s.tb.Fatal(err)
			}
			return len(c.GetStatus().Conditions) > 0 && !isConnectionReady(c)
		})
	}
	end := s.profiles.during(s.tb, "dead-connections")
	r := latencyRow("dead-connections", fmt.Sprintf("%d connections, and %d whose broker does not answer: one edit on a live one, p99", live, dead), e.edit(edits))
	end()
	r.Objects, r.AimRatio = len(objects), 1.25
	r.limitedBy(limit.Figure, "the same without the dead ones")
	r.more("p50 without the dead ones", limit.Details[0].Value, "ms")
	r.more("peak RSS", mebibytes(s.controller.PeakRSS(s.tb)), "MiB")
	return r
}

// cluster creates a connection to a cluster of its own and makes, for the caller
// to create, an exchange, a queue and a binding between them.
func (s *scene) cluster(name, endpoint, host string, interval time.Duration) (*v1alpha1.RabbitMQConnection, []v1alpha1.Object) {
	s.tb.Helper()
	c := connection(s.namespace, s.broker, endpoint+"/"+name, host, interval)[1].(*v1alpha1.RabbitMQConnection)
	c.Name = name
	s.create(c)
	ref := v1alpha1.ConnectionReference{Name: name}
	meta := metav1.ObjectMeta{Namespace: s.namespace, Name: name}
	return c, []v1alpha1.Object{
		&v1alpha1.Exchange{ObjectMeta: meta, Spec: v1alpha1.ExchangeSpec{ConnectionRef: ref, VirtualHost: host, Type: "topic"}},
		&v1alpha1.Queue{ObjectMeta: meta, Spec: v1alpha1.QueueSpec{ConnectionRef: ref, VirtualHost: host, Type: v1alpha1.QueueTypeClassic}},
		&v1alpha1.ExchangeBinding{ObjectMeta: meta, Spec: v1alpha1.ExchangeBindingSpec{
			ConnectionRef: ref, VirtualHost: host, Destination: name, DestinationType: v1alpha1.DestinationQueue,
			BindingSource: v1alpha1.BindingSource{Source: name, RoutingKeys: []string{"key"}},
		}},
	}
}

// newClusters makes many clusters of one: under http://…/name the cluster is
// called name. It ends with the test.
func newClusters(tb testing.TB, target string) *httptest.Server {
	tb.Helper()
	to, err := url.Parse(target)
	if err != nil {
		tb.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Transport: harness.BrokerTransport(),
		Rewrite: func(request *httputil.ProxyRequest) {
			_, path, _ := strings.Cut(strings.TrimPrefix(request.In.URL.EscapedPath(), "/"), "/")
			request.SetURL(to)
			request.Out.URL.RawPath = "/" + path
			request.Out.URL.Path, _ = url.PathUnescape("/" + path)
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if path == "api/global-parameters/internal_cluster_id" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"name":"internal_cluster_id","value":%q}`, name) //nolint:gosec // no browser reads it
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	tb.Cleanup(server.Close)
	return server
}
