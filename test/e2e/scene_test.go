package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// scene is a stage with a RabbitMQ that works: the controller runs, and the
// connection "shop" is Ready and goes through a recorder.
type scene struct {
	*stage
	broker      *harness.RabbitMQ
	virtualHost string // the connection's, of this scene alone
	recorder    *harness.Recorder
	connection  *v1alpha1.RabbitMQConnection
}

// onRabbitMQ plays on every series of RabbitMQ: what a test finds may differ
// between them.
func onRabbitMQ(t *testing.T, play func(t *testing.T, s *scene)) {
	t.Helper()
	onBrokers(t, harness.RabbitMQs(t), play)
}

// onSomeRabbitMQ plays on one series, or on all in a long run.
func onSomeRabbitMQ(t *testing.T, play func(t *testing.T, s *scene)) {
	t.Helper()
	onBrokers(t, harness.SomeRabbitMQ(t), play)
}

func onBrokers(t *testing.T, brokers []*harness.RabbitMQ, play func(t *testing.T, s *scene)) {
	t.Helper()
	t.Parallel()
	for _, broker := range brokers {
		t.Run(broker.Version, func(t *testing.T) {
			t.Parallel()
			play(t, newScene(t, broker))
		})
	}
}

func newScene(t *testing.T, broker *harness.RabbitMQ) *scene {
	t.Helper()
	return newSceneIn(t, broker, broker.NewVirtualHost(t))
}

// newSceneIn is newScene in a virtual host that is there, as broker.User.
func newSceneIn(t *testing.T, broker *harness.RabbitMQ, virtualHost string) *scene {
	t.Helper()
	s := &scene{
		stage: newStage(t), broker: broker,
		virtualHost: virtualHost, recorder: harness.NewRecorder(t, broker.ManagementURL),
	}
	s.controller.Start(t)
	secret, connection := s.rabbit("shop", broker, s.virtualHost, s.recorder.URL)
	s.connection = connection
	s.create(secret, connection)
	s.ready(connection)
	return s
}

// listing is everything in the virtual host that the broker did not put there
// itself, one line an object, sorted.
func (s *scene) listing() []string {
	s.t.Helper()
	return listing(s.t, s.broker, s.virtualHost)
}

func listing(t testing.TB, broker *harness.RabbitMQ, virtualHost string) []string {
	t.Helper()
	type object struct {
		Name            string         `json:"name"`
		Type            string         `json:"type"`
		Durable         bool           `json:"durable"`
		AutoDelete      bool           `json:"auto_delete"`
		Internal        bool           `json:"internal"`
		Source          string         `json:"source"`
		Destination     string         `json:"destination"`
		DestinationType string         `json:"destination_type"`
		RoutingKey      string         `json:"routing_key"`
		Arguments       map[string]any `json:"arguments"`
	}
	read := func(kind, columns string) []object {
		var all []object
		// A virtual host that goes in the middle of a listing holds nothing any more.
		find(t, broker, "/api/"+kind+"/"+url.PathEscape(virtualHost)+"?columns="+columns, &all)
		return all
	}
	var out []string
	add := func(kind, name string, o object) {
		arguments, err := json.Marshal(o.Arguments)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %q durable=%t auto_delete=%t %s", kind, name, o.Durable, o.AutoDelete, arguments))
	}
	for _, o := range read("exchanges", "name,type,durable,auto_delete,internal,arguments") {
		if o.Name != "" && !strings.HasPrefix(o.Name, "amq.") {
			add(o.Type+" exchange", o.Name, o)
		}
	}
	for _, o := range read("queues", "name,durable,auto_delete,arguments") {
		add("queue", o.Name, o)
	}
	for _, o := range read("bindings", "source,destination,destination_type,routing_key,arguments") {
		if o.Source != "" {
			arguments, err := json.Marshal(o.Arguments)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("binding %q -> %s %q key %q %s", o.Source, o.DestinationType, o.Destination, o.RoutingKey, arguments))
		}
	}
	slices.Sort(out)
	return out
}

// shows waits until the virtual host holds exactly what is wanted.
func (s *scene) shows(wanted []string) {
	s.t.Helper()
	within(s.t, "the broker to hold exactly what is wanted", func(context.Context) (bool, string) {
		diff := cmp.Diff(wanted, s.listing())
		return diff == "", "(-wanted +found)\n" + diff
	})
}

// same fails the test if the virtual host does not hold what it did.
func (s *scene) same(what string, before []string) {
	s.t.Helper()
	if diff := cmp.Diff(before, s.listing()); diff != "" {
		s.t.Errorf("%s changed the broker (-before +after):\n%s", what, diff)
	}
}

// writes renders what the controller changed since a moment: "PUT path 201",
// with the virtual host left out of the path.
func (s *scene) writes(since time.Time) []string {
	var out []string
	for _, r := range harness.Calls(s.recorder.Writes(since)...) {
		out = append(out, fmt.Sprintf("%s %s %d", r.Method, strings.Replace(r.Path, "/"+url.PathEscape(s.virtualHost)+"/", "/", 1), r.Status))
	}
	return out
}

// idle fails the test if the controller writes within some sweeps.
func (s *scene) idle(sweeps int) {
	s.t.Helper()
	start := time.Now()
	time.Sleep(time.Duration(sweeps)*interval + interval/2)
	if writes := s.writes(start); len(writes) > 0 {
		s.t.Errorf("nothing was to be done, and the controller wrote %q", writes)
	}
}

// declareQueue makes a queue by hand.
func (s *scene) declareQueue(name string, kind v1alpha1.QueueType, arguments map[string]any) {
	s.t.Helper()
	all := map[string]any{"x-queue-type": string(kind)}
	for key, value := range arguments {
		all[key] = value
	}
	s.broker.Must(s.t, "PUT", queuePath(s.virtualHost, name), map[string]any{"durable": true, "arguments": all}, nil)
}

// declareExchange makes an exchange by hand.
func (s *scene) declareExchange(name, kind string) {
	s.t.Helper()
	s.broker.Must(s.t, "PUT", exchangePath(s.virtualHost, name), map[string]any{"type": kind, "durable": true, "arguments": map[string]any{}}, nil)
}

// bindingPath is where bindings to a queue are listed, made and deleted.
func bindingPath(virtualHost, source, queue string) string {
	return "/api/bindings/" + url.PathEscape(virtualHost) + "/e/" + url.PathEscape(source) + "/q/" + url.PathEscape(queue)
}

// says fails the test if a text lacks any of the parts.
func says(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
}

// arrives waits until there are exactly n events with a prefix, and returns
// them.
func (s *stage) arrives(n int, prefix string) []string {
	s.t.Helper()
	var found []string
	within(s.t, fmt.Sprintf("%d events %q", n, prefix), func(context.Context) (bool, string) {
		found = s.eventsWith(prefix)
		return len(found) == n, fmt.Sprintf("%q", found)
	})
	return found
}
