package rabbitmq

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

func update(want, live topology.Resource) topology.Step {
	return topology.Step{Verb: topology.VerbUpdate, ID: want.ID(), Want: want, Live: live, Changes: want.Diff(live)}
}

// What is written is what is read back, whatever the queue is called: created,
// changed and deleted.
func TestPolicyRoundTrip(t *testing.T) {
	onEach(t, func(t *testing.T, _ *harness.RabbitMQ, b *Broker, vh string) {
		everyKey := map[string]topology.Arguments{
			"classic": {"message-ttl": int64(0), "expires": int64(3_600_000), "max-length": int64(0), "max-length-bytes": int64(1 << 40), "overflow": "reject-publish-dlx", "dead-letter-exchange": "", "dead-letter-routing-key": ""},
			"quorum":  {"message-ttl": int64(4294967295), "overflow": "reject-publish", "delivery-limit": int64(5), "dead-letter-exchange": "x", "dead-letter-strategy": "at-least-once"},
			"stream":  {"max-length-bytes": int64(1_000_000), "max-age": "7D"},
		}
		for _, name := range []string{"plain", "a/b c%2F", "q+[0-9]*(x)?^$|\\", "é ü", "..", "#", strings.Repeat("n", 255)} {
			for kind, definition := range everyKey {
				want := topology.QueuePolicy(vh, name+kind[:1], kind, definition)
				if len(want.Queue) > 255 {
					want = topology.QueuePolicy(vh, name[:254]+kind[:1], kind, definition)
				}
				apply(t, b, create(want))
				few := observe(t, b, topology.Selection{IDs: []topology.ID{want.ID()}})
				all := observe(t, b, topology.Selection{All: true, Policies: true})
				for how, snapshot := range map[string]*topology.Snapshot{"few": few, "all": all} {
					live, presence := snapshot.Look(want.ID())
					if presence != topology.Present {
						t.Fatalf("%s, %s: presence %v", want.ID(), how, presence)
					}
					if changes := want.Diff(live); len(changes) > 0 {
						t.Errorf("%s, %s: %s", want.ID(), how, topology.DescribeChanges(changes))
					}
					if why := snapshot.Policies.Overrules(want); why != "" {
						t.Errorf("%s, %s: overruled: %s", want.ID(), how, why)
					}
				}
				live, _ := few.Look(want.ID())
				changed := *want
				changed.Definition = topology.Arguments{"max-length-bytes": int64(7)}
				apply(t, b, update(&changed, live))
				if live, _ = look(t, b, want.ID()); len(changed.Diff(live)) > 0 {
					t.Errorf("changed: %s", topology.DescribeChanges(changed.Diff(live)))
				}
				apply(t, b, remove(want.ID()), remove(topology.PolicyID(vh, "never there")))
				if _, presence := look(t, b, want.ID()); presence != topology.Absent {
					t.Errorf("%s is deleted, presence %v", want.ID(), presence)
				}
			}
		}
	})
}

// A pattern matches its queue on the broker too, and no other; and the tables of
// what makes a broker skip a policy are right.
func TestPolicyAppliesOnTheBroker(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		definitions := map[string]topology.Arguments{
			"classic": {"message-ttl": int64(5000), "expires": int64(3_600_000), "max-length": int64(5), "max-length-bytes": int64(500), "overflow": "reject-publish", "dead-letter-exchange": "x", "dead-letter-routing-key": "k"},
			"quorum":  {"message-ttl": int64(5000), "expires": int64(3_600_000), "max-length": int64(5), "max-length-bytes": int64(500), "overflow": "reject-publish", "dead-letter-exchange": "x", "dead-letter-routing-key": "k", "dead-letter-strategy": "at-least-once", "delivery-limit": int64(5)},
			"stream":  {"max-length-bytes": int64(1_000_000), "max-age": "7D"},
		}
		var policies, queues []topology.Step // in this order: what a new stream does not answer meanwhile takes long
		want := map[string]string{}
		for kind, definition := range definitions {
			for _, name := range []string{kind, kind + " a/b", kind + "q+[0-9](x)?^$|\\é"} {
				policy := topology.QueuePolicy(vh, name, kind, definition)
				policies = append(policies, create(policy))
				queues = append(queues, create(&topology.Queue{VirtualHost: vh, Name: name, Type: kind, Durable: true}),
					create(&topology.Queue{VirtualHost: vh, Name: name + "-not", Type: kind, Durable: true}))
				want[name], want[name+"-not"] = policy.Name, ""
			}
		}
		apply(t, b, policies...)
		apply(t, b, queues...)
		var found map[string]string
		deadline := time.Now().Add(30 * time.Second)
		harness.Eventually(t, "the broker to tell which policies apply", func() bool { // it takes its time, but for 4.3
			var listed []struct{ Name, Policy string }
			server.Must(t, "GET", "/api/queues/"+url.PathEscape(vh), nil, &listed)
			found = map[string]string{}
			for _, q := range listed {
				found[q.Name] = q.Policy
			}
			return cmp.Equal(want, found) || time.Now().After(deadline)
		})
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("policies of queues (-want +found):\n%s", diff)
		}
	})
}

// A length that comes with reject-publish costs a backlog nothing, on a queue
// without a policy and on one that has one already. Without the first of the two
// writes a classic queue keeps 3 of 10.
func TestOverflowComesBeforeLength(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		channel := dial(t, server, vh)
		for _, kind := range []string{"classic", "quorum"} {
			for name, c := range map[string]struct {
				live, want topology.Arguments
				writes     int
			}{
				"first":   {want: topology.Arguments{"max-length": int64(3), "overflow": "reject-publish"}, writes: 2},
				"bytes":   {want: topology.Arguments{"max-length-bytes": int64(30), "overflow": "reject-publish"}, writes: 2},
				"changed": {live: topology.Arguments{"max-length": int64(20)}, want: topology.Arguments{"max-length": int64(3), "overflow": "reject-publish"}, writes: 2},
				"shrinks": {live: topology.Arguments{"max-length": int64(20), "overflow": "reject-publish"}, want: topology.Arguments{"max-length": int64(3), "overflow": "reject-publish"}, writes: 1},
				"back":    {live: topology.Arguments{"max-length": int64(3), "overflow": "reject-publish"}, want: topology.Arguments{"max-length": int64(20)}, writes: 1},
			} {
				queue := &topology.Queue{VirtualHost: vh, Name: kind + "." + name, Type: kind, Durable: true}
				apply(t, b, create(queue))
				publish(t, channel, queue.Name, 10)
				var live topology.Resource
				if c.live != nil {
					live = topology.QueuePolicy(vh, queue.Name, kind, c.live)
					apply(t, b, create(live))
				}
				counted := &counter{}
				through := open(t, Options{Endpoint: server.ManagementURL, Username: server.User, Password: server.Password, OnRequest: counted.hook})
				want := topology.QueuePolicy(vh, queue.Name, kind, c.want)
				if live == nil {
					apply(t, through, create(want))
				} else {
					apply(t, through, update(want, live))
				}
				if n := counted.writes.Load(); n != int64(c.writes) {
					t.Errorf("%s: %d writes, want %d", queue.Name, n, c.writes)
				}
				if c.want["overflow"] != nil { // it is in effect
					harness.Eventually(t, queue.Name+" to refuse", func() bool { return !offer(t, channel, queue.Name) })
				}
				if n := waiting(t, channel, queue.Name); n < 10 {
					t.Errorf("%s holds %d of 10 messages", queue.Name, n)
				}
			}
		}
		fresh := topology.QueuePolicy(vh, "fresh", "classic", topology.Arguments{"max-length": int64(3), "overflow": "reject-publish"})
		counted := &counter{}
		apply(t, open(t, Options{Endpoint: server.ManagementURL, Username: server.User, Password: server.Password, OnRequest: counted.hook}), create(fresh))
		if n := counted.writes.Load(); n != 1 {
			t.Errorf("a policy without a queue took %d writes", n)
		}
	})
}

// Policies can be read by everybody and written by policymakers.
func TestPolicyWithoutTheTag(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, admin *Broker, vh string) {
		want := topology.QueuePolicy(vh, "q", "classic", topology.Arguments{"max-length": int64(3)})
		user, password := server.NewUser(t, "management", vh)
		b := connect(t, server, user, password)
		err := attempt(t, b, create(want))
		wantError(t, err, topology.ClassAccessDenied, password, "policy "+vh+"/warrener.q", "tag policymaker", fmt.Sprintf("user %q", user))
		apply(t, admin, create(want))
		if live, presence := look(t, b, want.ID()); presence != topology.Present || len(want.Diff(live)) > 0 {
			t.Errorf("presence %v: %v", presence, live)
		}
		wantError(t, attempt(t, b, remove(want.ID())), topology.ClassAccessDenied, password, "tag policymaker")

		maker, password := server.NewUser(t, "policymaker", vh)
		b = connect(t, server, maker, password)
		changed := *want
		changed.Definition = topology.Arguments{"max-length": int64(4)}
		apply(t, b, update(&changed, want), remove(topology.PolicyID(vh, "other")))
		apply(t, b, remove(want.ID()))

		stranger, password := server.NewUser(t, "policymaker")
		b = connect(t, server, stranger, password)
		if _, presence := look(t, b, want.ID()); presence != topology.Unknown {
			t.Errorf("who does not see the virtual host says presence %v", presence)
		}
	})
}

// Somebody else's policies and operator policies are seen, by few and by all.
func TestRivalsAreSeen(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		want := topology.QueuePolicy(vh, "q", "classic", topology.Arguments{"max-length": int64(30)})
		apply(t, b, create(want))
		says := func(part string) {
			t.Helper()
			for _, selection := range []topology.Selection{{IDs: []topology.ID{want.ID()}}, {All: true, Policies: true}} {
				if got := observe(t, b, selection).Policies.Overrules(want); got == "" != (part == "") || !strings.Contains(got, part) {
					t.Errorf("all=%t: %q, want %q", selection.All, got, part)
				}
			}
		}
		says("")
		rival := map[string]any{"pattern": "^q", "apply-to": "queues", "priority": 2000, "definition": map[string]any{"message-ttl": 60000}}
		server.Must(t, "PUT", "/api/policies/"+vh+"/rival", rival, nil)
		says("policy " + vh + "/rival")
		server.Must(t, "DELETE", "/api/policies/"+vh+"/rival", nil, nil)
		says("")
		rival["definition"] = map[string]any{"max-length": 20}
		server.Must(t, "PUT", "/api/operator-policies/"+vh+"/cap", rival, nil)
		says(`operator policy "cap"`)
		if _, there := observe(t, b, topology.Selection{All: true, Policies: true}).Objects[topology.PolicyID(vh, "cap")]; there {
			t.Error("an operator policy passes for a policy")
		}
	})
}
