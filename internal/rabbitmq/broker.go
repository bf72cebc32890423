package rabbitmq

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Defaults of Options, and the deadlines that have no option.
const (
	DefaultTimeout     = 10 * time.Second
	DefaultConcurrency = 8
	// probeTimeout is short: a dead broker must be known as dead before anybody
	// waits for it.
	probeTimeout = 5 * time.Second
	// listingFactor stretches Timeout for listings, whose size is unknown.
	listingFactor = 3
)

// Options say how to reach a broker and as whom.
type Options struct {
	// Endpoint of the management API: http://host:port or https://host:port,
	// with a path if a proxy adds one, and without user or password.
	Endpoint string
	Username string
	Password string
	// TLS for https endpoints: authorities, client certificate, server name.
	TLS *tls.Config
	// Timeout bounds one request, its answer included. Listings get three
	// times as long.
	Timeout time.Duration
	// Concurrency is how many requests one call of Observe or Apply has under
	// way at a time.
	Concurrency int
	// OnRequest, if set, hears of every request: its operation ("declare
	// queue") and the HTTP status, which is 0 when no answer came. It must be
	// quick and safe for concurrent use.
	OnRequest func(method, operation string, status int, took time.Duration)
	// Permit, if set, is asked before every request that can change something.
	Permit topology.Permit
	// Transport replaces the HTTP transport; for tests.
	Transport http.RoundTripper
}

// Broker is one RabbitMQ cluster as one user sees it. It is safe for concurrent
// use.
type Broker struct {
	options  Options
	endpoint *url.URL
	base     http.RoundTripper
	// sizes of the listings, as they were last.
	sizes sizes
	// insight into the broker, from whatever it has answered.
	insight insight
	// recent consumers, for depths.
	recent recentReaders
	// edited is when a few steps were last applied.
	edited atomic.Pointer[time.Time]
	// uncertain bindings, until they are settled.
	uncertain uncertainties
	// migrations that are under way.
	migrations migrations
}

var (
	_ topology.Observer = (*Broker)(nil)
	_ topology.Applier  = (*Broker)(nil)
)

// New prepares a connection. It sends nothing.
func New(options Options) (*Broker, error) {
	endpoint, err := parseEndpoint(options.Endpoint)
	if err != nil {
		return nil, err
	}
	options.Timeout = cmp.Or(options.Timeout, DefaultTimeout)
	options.Concurrency = cmp.Or(options.Concurrency, DefaultConcurrency)
	base := options.Transport
	if base == nil {
		base = pooledTransport(options)
	}
	return &Broker{options: options, endpoint: endpoint, base: base}, nil
}

// parseEndpoint never quotes the endpoint in an error: it could carry a
// password.
func parseEndpoint(text string) (*url.URL, error) {
	endpoint, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("endpoint: not a URL")
	case endpoint.User != nil:
		return nil, errors.New("endpoint: user and password do not belong in the URL")
	case endpoint.Scheme != "http" && endpoint.Scheme != "https":
		return nil, errors.New("endpoint: it must begin with http:// or https://")
	case endpoint.Hostname() == "":
		return nil, errors.New("endpoint: it has no host")
	case endpoint.RawQuery != "" || endpoint.Fragment != "":
		return nil, errors.New("endpoint: it must end with the path, without ? and #")
	}
	path := strings.TrimSuffix(strings.TrimRight(endpoint.EscapedPath(), "/"), "/api")
	return url.Parse(endpoint.Scheme + "://" + endpoint.Host + path)
}

// Close closes idle connections. Requests under way finish.
func (b *Broker) Close() {
	if closer, ok := b.base.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// Info is what a probe finds out about a cluster.
type Info struct {
	// ClusterID is RabbitMQ's internal_cluster_id, the same through every node
	// and address; or "endpoint:host:port" where the user may not read it.
	ClusterID string
	// ClusterName is for people; anybody can change it.
	ClusterName string
	// Version of RabbitMQ, such as 4.0.5.
	Version string
	// Warning tells what the user should know about this connection; empty in
	// good order.
	Warning string
}

// Probe asks the broker who it is: two requests, five seconds at most.
func (b *Broker) Probe(ctx context.Context) (Info, error) {
	var overview struct {
		ClusterName    string `json:"cluster_name"`
		Version        string `json:"rabbitmq_version"`
		ProductVersion string `json:"product_version"`
	}
	const about = "overview?disable_stats=true&columns=cluster_name,rabbitmq_version,product_version"
	c := b.call(ctx, "probe").within(min(probeTimeout, b.options.Timeout))
	if err := c.get(about, &overview); err != nil {
		return Info{}, b.classify(c.operation, topology.ID{}, err)
	}
	if overview.Version == "" {
		return Info{}, &topology.Error{Class: topology.ClassTransport, Operation: c.operation,
			Reason: fmt.Sprintf("%s answers, but not as RabbitMQ's management API", b.host())}
	}
	b.insight.noteVersion(overview.Version)
	info := Info{ClusterName: overview.ClusterName, Version: cmp.Or(overview.ProductVersion, overview.Version)}
	id, err := b.clusterID(c)
	if err != nil {
		return Info{}, b.classify(c.operation, topology.ID{}, err)
	}
	if info.ClusterID = id; id == "" {
		info.ClusterID = "endpoint:" + b.host() + b.endpoint.EscapedPath()
		info.Warning = fmt.Sprintf("user %q may not read internal_cluster_id, so the endpoint stands for the cluster: "+
			"give it the tag policymaker or administrator, or two connections to one cluster are taken for two clusters", b.options.Username)
	}
	return info, nil
}

// clusterID is empty where the user may not read it: that takes the tag
// policymaker or administrator.
func (b *Broker) clusterID(c call) (string, error) {
	var parameter struct {
		Value string `json:"value"`
	}
	err := c.get("global-parameters/internal_cluster_id", &parameter)
	if denied(err) || notFound(err) {
		return "", nil
	}
	return parameter.Value, err
}

// host is host:port with the port always there, in lower case: the normalised
// endpoint.
func (b *Broker) host() string {
	port := b.endpoint.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[b.endpoint.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(b.endpoint.Hostname()), port)
}
