package kafka

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/warrener-dev/warrener/internal/topology"
)

// Mechanism is how a client proves who it is, in the API's words.
type Mechanism string

// Mechanisms. A client certificate (Options.TLS) counts as None.
const (
	None        Mechanism = ""
	Plain       Mechanism = "Plain"
	ScramSha256 Mechanism = "ScramSha256"
	ScramSha512 Mechanism = "ScramSha512"
)

// DefaultTimeout bounds one request.
const DefaultTimeout = 10 * time.Second

// Options say how to reach a cluster and as whom.
type Options struct {
	// BootstrapServers are host:port; 9092 where the port is missing.
	BootstrapServers []string
	Mechanism        Mechanism
	Username         string
	Password         string
	// TLS switches TLS on; with certificates in it, mutual TLS.
	TLS *tls.Config
	// Timeout bounds each request, retries and connecting included;
	// DefaultTimeout if zero, and never under 300 ms.
	Timeout time.Duration
	// OnRequest, if set, hears of every request and every attempt to connect
	// (api "Connect"). It must be quick and safe for concurrent use.
	OnRequest func(api string, err error, took time.Duration)
	// Permit, if set, is asked before every request that can change something.
	Permit topology.Permit
	// Dialer replaces the TCP dialer, TLS is done on top of it; for tests.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
}

// Broker is one Kafka cluster as seen through one connection. It is safe for
// concurrent use.
type Broker struct {
	options Options
	client  *kgo.Client
	admin   *kadm.Client
	// lastDialFailure explains a deadline: the client goes on trying other
	// brokers and in the end only knows that time ran out.
	lastDialFailure atomic.Pointer[dialFailure]
	// answered: with these options it was reached, so they are not what is wrong now.
	answered atomic.Bool
	// reassigning is held while one topic's replicas are seen to.
	reassigning sync.Mutex
	// lastRate is the throttle that was set last, and has not been taken off since.
	lastRate atomic.Int64
	reader   reader
}

// New prepares a connection without making one. The error is about the options.
func New(options Options) (*Broker, error) {
	if len(options.BootstrapServers) == 0 {
		return nil, errors.New("no bootstrap server given")
	}
	options.Timeout = max(cmp.Or(options.Timeout, DefaultTimeout), 300*time.Millisecond)
	login, err := options.login()
	if err != nil {
		return nil, err
	}
	b := &Broker{options: options}
	settings := []kgo.Opt{
		kgo.ClientID("warrener"),
		kgo.SoftwareNameAndVersion("warrener", "v1alpha1"),
		kgo.SeedBrokers(options.BootstrapServers...),
		kgo.Dialer(b.dial),
		kgo.RequestTimeoutOverhead(options.Timeout),
		kgo.RetryTimeout(options.Timeout),
		kgo.RequestRetries(4),
		kgo.RetryBackoffFn(func(tries int) time.Duration {
			return min(time.Second, 50*time.Millisecond<<min(tries, 5))
		}),
		// Every observation asks for metadata itself; what the client does in
		// the background would only knock at dead brokers.
		kgo.MetadataMaxAge(time.Hour),
		kgo.DisableClientMetrics(),
	}
	if login != nil {
		settings = append(settings, kgo.SASL(login))
	}
	if options.OnRequest != nil {
		settings = append(settings, kgo.WithHooks(requestHook{options.OnRequest}))
	}
	if b.client, err = kgo.NewClient(settings...); err != nil {
		return nil, fmt.Errorf("connection options: %w", err)
	}
	b.admin = kadm.NewClient(b.client)
	return b, nil
}

// Close drops all connections. Requests under way fail.
func (b *Broker) Close() { b.client.Close() }

func (o Options) login() (sasl.Mechanism, error) {
	switch o.Mechanism {
	case None:
		return nil, nil
	case Plain:
		return plain.Auth{User: o.Username, Pass: o.Password}.AsMechanism(), nil
	case ScramSha256:
		return scram.Auth{User: o.Username, Pass: o.Password}.AsSha256Mechanism(), nil
	case ScramSha512:
		return scram.Auth{User: o.Username, Pass: o.Password}.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("unknown mechanism %q: one of Plain, ScramSha256, ScramSha512", o.Mechanism)
}

// Info is what a probe learns.
type Info struct {
	// ClusterID is Kafka's own, unique and permanent.
	ClusterID string
	// Version of the broker that answered, as far as its set of requests
	// tells: "4.3", or "at least 4.4" for one newer than this client.
	Version string
	// MetadataVersion is the level of the feature metadata.version, which all
	// brokers agreed on; 0 where there is none.
	MetadataVersion int16
	// Brokers is the number of live brokers.
	Brokers int
}

// Probe connects, authenticates and reads who is there. Its error is always a
// *topology.Error.
func (b *Broker) Probe(ctx context.Context) (Info, error) {
	const operation = "connect"
	cluster, err := b.describeBrokers(ctx, operation)
	if err != nil {
		return Info{}, err
	}
	versions, err := ask[*kmsg.ApiVersionsResponse](ctx, b, operation, kmsg.NewPtrApiVersionsRequest())
	if err != nil {
		return Info{}, err
	}
	info := Info{Brokers: len(cluster.Brokers), Version: version(versions)}
	if cluster.ClusterID != nil {
		info.ClusterID = *cluster.ClusterID
	}
	for _, feature := range versions.FinalizedFeatures {
		if feature.Name == "metadata.version" {
			info.MetadataVersion = feature.MaxVersionLevel
		}
	}
	return info, nil
}

// describeBrokers asks any broker which ones are up, and has the client know them.
func (b *Broker) describeBrokers(ctx context.Context, operation string) (*kmsg.MetadataResponse, error) {
	request := kmsg.NewPtrMetadataRequest()
	request.Topics = []kmsg.MetadataRequestTopic{} // none; nil would be all
	return ask[*kmsg.MetadataResponse](ctx, b, operation, request)
}

// version turns the guess "v4.3" into "4.3", "between v3.8 and v3.9" likewise.
func version(r *kmsg.ApiVersionsResponse) string {
	words := strings.Fields(kversion.FromApiVersionsResponse(r).VersionGuess())
	for i, word := range words {
		words[i] = strings.TrimPrefix(word, "v")
	}
	return strings.Join(words, " ")
}

// ask sends one request to whichever broker it is for, within the timeout, and
// classifies the failure of the whole.
func ask[R kmsg.Response](ctx context.Context, b *Broker, operation string, request kmsg.Request) (R, error) {
	return askOn[R](ctx, b, b.client, operation, request)
}

// askOn does the same through one broker.
func askOn[R kmsg.Response](ctx context.Context, b *Broker, on requester, operation string, request kmsg.Request) (R, error) {
	var none R
	timeout := b.options.Timeout
	if changes(request) {
		var err error
		if timeout, err = b.options.Permit.Grant(ctx, operation, destroys(request), timeout); err != nil {
			return none, err
		}
		giveUpBefore(request, timeout)
		defer func() { b.reader.changes(time.Now()) }()
	}
	started := time.Now()
	response, err := await(ctx, timeout, func(ctx context.Context) (kmsg.Response, error) {
		return on.Request(ctx, request)
	})
	if err != nil {
		return none, b.wholeError(operation, err, started)
	}
	b.answered.Store(true)
	typed, ok := response.(R)
	if !ok {
		return none, &topology.Error{
			Class: topology.ClassTransport, Operation: operation,
			Reason: fmt.Sprintf("the broker's answer is a %T", response),
		}
	}
	return typed, nil
}

// changes tells whether a request can change something.
func changes(request kmsg.Request) bool {
	switch request.(type) {
	case *kmsg.MetadataRequest, *kmsg.ApiVersionsRequest, *kmsg.DescribeConfigsRequest, *kmsg.DescribeClusterRequest,
		*kmsg.ListOffsetsRequest, *kmsg.ListGroupsRequest, *kmsg.DescribeGroupsRequest, *kmsg.OffsetFetchRequest,
		*kmsg.FindCoordinatorRequest, *kmsg.ListPartitionReassignmentsRequest:
		return false
	}
	return true
}

// destroys tells whether a request takes something away.
func destroys(request kmsg.Request) bool {
	_, topics := request.(*kmsg.DeleteTopicsRequest)
	return topics
}

// giveUpBefore has the broker give up on a request before the client hangs up.
func giveUpBefore(request kmsg.Request, timeout time.Duration) {
	bounded, ok := request.(interface {
		kmsg.TimeoutRequest
		kmsg.SetTimeoutRequest
	})
	if ok {
		bounded.SetTimeout(min(bounded.Timeout(), answerWithin(timeout)))
	}
}

// await makes a call end with its context. The client does not see to that: a
// request waits for the handshake of its connection, and for those before it.
func await[T any](ctx context.Context, limit time.Duration, call func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	done := make(chan result, 1)
	go func() {
		defer cancel()
		value, err := call(limited)
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-limited.Done():
	}
	select {
	case r := <-done: // it ended by itself, and that says more
		return r.value, r.err
	default:
		var none T
		return none, limited.Err()
	}
}

type requester interface {
	Request(ctx context.Context, request kmsg.Request) (kmsg.Response, error)
}

// writeTimeout is how long brokers may take over an administrative request, so
// that they give up before the client hangs up.
func (b *Broker) writeTimeout() int32 { return answerWithin(b.options.Timeout) }

func answerWithin(timeout time.Duration) int32 { return int32((timeout * 9 / 10).Milliseconds()) }
