package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// RabbitMQVersions are the series that everything is tested on.
var RabbitMQVersions = []string{"3.10", "4.0", "4.3"}

// RabbitMQ is a running broker.
type RabbitMQ struct {
	Version       string
	ManagementURL string // http://127.0.0.1:port
	User          string
	Password      string

	// Of a private broker with TLS; the folder has ca.crt, client.crt and client.key.
	ManagementTLSURL string
	AMQPSURL         string
	TLSDir           string

	amqp     string
	instance *instance // nil for a shared broker
}

// RabbitMQs are the shared brokers, one a series.
func RabbitMQs(t testing.TB) []*RabbitMQ {
	t.Helper()
	brokers := make([]*RabbitMQ, len(RabbitMQVersions))
	for i, version := range RabbitMQVersions {
		brokers[i] = RabbitMQAt(t, version)
	}
	return brokers
}

// SomeRabbitMQ is one of the shared brokers, which the name of the test chooses,
// and all of them in a long run: for tests of what Warrener does whatever the
// series, so that a run of all tests stays short.
func SomeRabbitMQ(t testing.TB) []*RabbitMQ {
	t.Helper()
	if Long() {
		return RabbitMQs(t)
	}
	name := fnv.New32a()
	name.Write([]byte(t.Name()))
	return []*RabbitMQ{RabbitMQAt(t, RabbitMQVersions[name.Sum32()%uint32(len(RabbitMQVersions))])}
}

// RabbitMQAt is the shared broker of a series.
func RabbitMQAt(t testing.TB, version string) *RabbitMQ {
	t.Helper()
	suffix := strings.ReplaceAll(version, ".", "_")
	return &RabbitMQ{
		Version:       version,
		ManagementURL: variable(t, "WARRENER_TEST_RABBITMQ_"+suffix, "RabbitMQ "+version),
		User:          "guest",
		Password:      "guest",
		amqp:          variable(t, "WARRENER_TEST_AMQP_"+suffix, "RabbitMQ "+version),
	}
}

// RabbitMQOptions are what a private broker can have beyond a shared one.
type RabbitMQOptions struct {
	TLS       bool // TLS listeners besides the plain ones
	VerifyTLS bool // which demand a client certificate
}

// PrivateRabbitMQ starts a broker that this test may stop, kill and start again.
func PrivateRabbitMQ(t testing.TB, version string, options RabbitMQOptions) *RabbitMQ {
	t.Helper()
	var env []string
	if options.TLS || options.VerifyTLS {
		env = append(env, "TLS=1")
	}
	if options.VerifyTLS {
		env = append(env, "TLS_VERIFY=1")
	}
	i := newInstance(variable(t, "WARRENER_HACK", "a private RabbitMQ "+version), "rabbitmq.sh", "rabbitmq", env...)
	values := i.startFor(t, version, i.name)
	return &RabbitMQ{
		Version:          version,
		ManagementURL:    values["RABBITMQ_URL"],
		User:             values["RABBITMQ_USER"],
		Password:         values["RABBITMQ_PASSWORD"],
		ManagementTLSURL: values["RABBITMQ_TLS_URL"],
		AMQPSURL:         values["AMQPS_URL"],
		TLSDir:           values["TLS_DIR"],
		amqp:             values["AMQP_URL"],
		instance:         i,
	}
}

// Stop stops a private broker in an orderly way; data and ports stay.
func (r *RabbitMQ) Stop(t testing.TB) { t.Helper(); r.private(t).must(t, "stop", r.instance.name) }

// Kill ends a private broker by SIGKILL; data and ports stay.
func (r *RabbitMQ) Kill(t testing.TB) {
	t.Helper()
	r.private(t).must(t, "stop", r.instance.name, "--kill")
}

// Start starts a private broker again, and returns when its management API answers.
func (r *RabbitMQ) Start(t testing.TB) {
	t.Helper()
	r.private(t).must(t, "start", r.Version, r.instance.name)
}

// Evaluate evaluates an Erlang expression in a private broker.
func (r *RabbitMQ) Evaluate(t testing.TB, expression string) {
	t.Helper()
	i := r.private(t)
	i.must(t, "ctl", i.name, "eval", expression)
}

func (r *RabbitMQ) private(t testing.TB) *instance {
	t.Helper()
	if r.instance == nil {
		t.Fatal("a shared broker is not ours to stop: use PrivateRabbitMQ")
	}
	return r.instance
}

// AMQPURL is the address for an AMQP client with this virtual host.
func (r *RabbitMQ) AMQPURL(virtualHost string) string {
	return r.amqp + "/" + url.PathEscape(virtualHost)
}

// Do sends a request to the management API and returns status and body. The path starts with /api and is escaped by
// the caller; body is nil, a string, or anything that encodes as JSON.
func (r *RabbitMQ) Do(t testing.TB, method, path string, body any) (int, []byte) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		status, answer, err := r.do(t.Context(), method, path, body)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		if method != http.MethodGet || status != http.StatusInternalServerError || attempt == readAttempts {
			return status, answer
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// readAttempts is how often something is read: RabbitMQ answers 500 to the reader
// of an object, or of a list, from which something goes in that moment.
const readAttempts = 5

// Must is Do for requests that have to succeed; into, unless nil, takes the decoded answer.
func (r *RabbitMQ) Must(t testing.TB, method, path string, body, into any) {
	t.Helper()
	status, answer := r.Do(t, method, path, body)
	if status >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

func (r *RabbitMQ) do(ctx context.Context, method, path string, body any) (int, []byte, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Minute)
		defer cancel()
	}
	var content []byte
	switch value := body.(type) {
	case nil:
	case string:
		content = []byte(value)
	default:
		var err error
		if content, err = json.Marshal(value); err != nil {
			return 0, nil, fmt.Errorf("encode the body: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, r.ManagementURL+path, bytes.NewReader(content))
	if err != nil {
		return 0, nil, err
	}
	request.SetBasicAuth(r.User, r.Password)
	request.Header.Set("Content-Type", "application/json")
	response, err := management.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// NewVirtualHost creates a virtual host that is deleted with the test.
func (r *RabbitMQ) NewVirtualHost(t testing.TB) string {
	t.Helper()
	name := unique(t)
	r.Must(t, http.MethodPut, "/api/vhosts/"+name, map[string]any{}, nil)
	r.Must(t, http.MethodPut, "/api/permissions/"+name+"/"+url.PathEscape(r.User), everything, nil)
	r.deleteLater(t, "/api/vhosts/"+name)
	return name
}

var management = &http.Client{Transport: BrokerTransport()}

var everything = map[string]string{"configure": ".*", "write": ".*", "read": ".*"}

// NewUser creates a user with the tags (comma separated: administrator, management, …) and all permissions in the
// virtual hosts. It is deleted with the test.
func (r *RabbitMQ) NewUser(t testing.TB, tags string, virtualHosts ...string) (name, password string) {
	t.Helper()
	name, password = unique(t), "secret-"+unique(t)
	r.SetPassword(t, name, password, tags)
	r.deleteLater(t, "/api/users/"+name)
	for _, host := range virtualHosts {
		r.Must(t, http.MethodPut, "/api/permissions/"+url.PathEscape(host)+"/"+name, everything, nil)
	}
	return name, password
}

// SetPassword creates or changes a user.
func (r *RabbitMQ) SetPassword(t testing.TB, name, password, tags string) {
	t.Helper()
	r.Must(t, http.MethodPut, "/api/users/"+url.PathEscape(name), map[string]string{"password": password, "tags": tags}, nil)
}

func (r *RabbitMQ) deleteLater(t testing.TB, path string) {
	t.Cleanup(func() {
		// A virtual host goes with its queues, one after the other.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		status, answer, err := r.do(ctx, http.MethodDelete, path, nil)
		switch {
		case err != nil && r.instance != nil: // a private broker may be down by now
		case err != nil || status >= 300 && status != http.StatusNotFound:
			t.Errorf("DELETE %s: %d %s %v", path, status, answer, err)
		}
	})
}
