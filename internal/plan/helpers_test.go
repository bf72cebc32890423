package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
)

// scenario is one state of the world, and the plan that it must lead to.
type scenario struct {
	reason string
	claims []*topology.Claim
	// departed claims were there until a moment ago, and were seen to go.
	departed  []*topology.Claim
	inventory []topology.Entry
	live      []topology.Resource
	usage     map[topology.ID]topology.Usage
	unread    map[topology.ID]error
	quiet     []topology.ID
	// whole: bindings that are declared are never half made.
	whole bool
	// want is the plan as lines; see render.
	want []string
	// says are parts of the messages of what is held.
	says []string
}

func (s scenario) input() plan.Input {
	w := plan.NewWorld()
	for _, entry := range s.inventory {
		w.SetEntry(entry)
	}
	for _, claim := range slices.Concat(s.claims, s.departed) {
		w.SetClaim(claim)
	}
	for _, claim := range s.departed {
		w.RemoveClaim(claim.Owner.OwnerKey, true)
	}
	quiet := map[topology.ID]bool{}
	for _, id := range s.quiet {
		quiet[id] = true
	}
	return plan.Input{
		World: w, Quiet: quiet, Focus: w.Focus(slices.Concat(w.Claims(), w.Absent())),
		Live: &topology.Snapshot{
			Objects: objects(s.live...), Usage: s.usage, Unread: s.unread, Selection: topology.Selection{All: true, Policies: true}, WholeBindings: s.whole,
		},
	}
}

func run(t *testing.T, cases map[string]scenario) {
	t.Helper()
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			p := plan.Compute(s.input())
			if diff := cmp.Diff(s.want, render(p)); diff != "" {
				t.Errorf("%s\nplan (-want +got):\n%s", s.reason, diff)
			}
			messages := ""
			for _, h := range p.Held {
				messages += h.Message + "\n"
			}
			for _, part := range s.says {
				if !strings.Contains(messages, part) {
					t.Errorf("%s\nno message says %q:\n%s", s.reason, part, messages)
				}
			}
		})
	}
}

// render writes a plan as lines: steps in order, waves parted by "--", then the
// books and what is held.
func render(p *plan.Plan) []string {
	var out []string
	for i, wave := range p.Waves {
		if i > 0 {
			out = append(out, "--")
		}
		for _, step := range wave {
			out = append(out, renderStep(step))
		}
	}
	for _, o := range p.Operations {
		out = append(out, renderOperation(o))
	}
	for _, e := range p.Record {
		out = append(out, renderEntry(e))
	}
	list := func(word string, ids []topology.ID) {
		for _, id := range ids {
			out = append(out, word+" "+id.String())
		}
	}
	list("forget", p.Forget)
	list("adopt", p.Adopted)
	for _, r := range p.Recreated {
		out = append(out, fmt.Sprintf("recreated %s, was %s, is %s", r.ID, r.Change.To, r.Change.From))
	}
	list("usage?", p.NeedUsage)
	list("settle", p.Settling)
	for _, h := range p.Held {
		line := fmt.Sprintf("held %s %s/%s", h.Reason, h.Owner.Namespace, h.Owner.Name)
		if h.ID != (topology.ID{}) {
			line += " " + h.ID.String()
		}
		if h.Winner.Name != "" {
			line += " won by " + h.Winner.Namespace + "/" + h.Winner.Name
		}
		out = append(out, line)
	}
	return out
}

func renderStep(s topology.Step) string {
	line := string(s.Verb)
	if s.IfUnused {
		line += " if unused"
	}
	line += " " + s.ID.String()
	for _, c := range s.Changes {
		line += " " + c.Path
	}
	if s.Drift {
		line += " (drift)"
	}
	return line
}

// renderOperation names what is there and what is to be.
func renderOperation(o topology.Operation) string {
	shape := func(r topology.Resource) string {
		switch r := r.(type) {
		case *topology.Queue:
			return fmt.Sprint(r.Type, " ", r.Arguments.Canonical())
		case *replicated:
			return fmt.Sprint(r.Replicas)
		}
		return "nothing"
	}
	return fmt.Sprintf("%s %s from %s to %s", o.Kind, o.ID(), shape(o.Live), shape(o.Want))
}

// replicated is a topic whose replicas are moved gradually.
type replicated struct {
	Name     string
	Replicas int
	Config   string
}

func (r *replicated) ID() topology.ID      { return topology.TopicID(r.Name) }
func (r *replicated) Needs() []topology.ID { return nil }
func (r *replicated) Diff(live topology.Resource) []topology.Change {
	var out []topology.Change
	found := live.(*replicated)
	if found.Config != r.Config {
		out = append(out, topology.Change{Path: "config", From: found.Config, To: r.Config})
	}
	if found.Replicas != r.Replicas {
		out = append(out, topology.Change{Path: "replicas", From: fmt.Sprint(found.Replicas), To: fmt.Sprint(r.Replicas), Mode: topology.Gradual})
	}
	return out
}

func renderEntry(e topology.Entry) string {
	line := "record " + e.ID.String() + " of"
	for _, owner := range e.Owners {
		line += " " + owner.Namespace + "/" + owner.Name
	}
	if e.Deletion != topology.DeleteIfUnused {
		line += " " + string(e.Deletion)
	}
	if len(e.Fields) > 0 {
		line += " fields " + strings.Join(e.Fields, " ")
	}
	if e.TopicID != "" {
		line += " as " + e.TopicID
	}
	if e.Whole {
		line += " whole"
	}
	if e.Operation != "" {
		line += " in " + string(e.Operation)
	}
	if e.LeftBehind != "" {
		line += " left behind: " + e.LeftBehind
	}
	return line
}

var birth = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type option func(*topology.Claim)

// cr is a claim by namespace/name, born at birth.
func cr(name string, options ...option) *topology.Claim {
	c := &topology.Claim{
		Owner:      topology.Owner{OwnerKey: key(name), Created: birth},
		Connection: broker,
		Policy:     topology.Policy{Deletion: topology.DeleteIfUnused, Adoption: topology.AdoptIfIdentical, Drift: topology.DriftCorrect, PartitionGrowth: topology.GrowWhenEmpty},
	}
	for _, o := range options {
		o(c)
	}
	return c
}

var broker = topology.ConnectionKey{Kind: "RabbitMQConnection", Namespace: "shop", Name: "broker"}

func key(name string) topology.OwnerKey {
	namespace, name, _ := strings.Cut(name, "/")
	return topology.OwnerKey{Kind: "Queue", Namespace: namespace, Name: name}
}

// wants are explicit, shares are shareable.
func wants(resources ...topology.Resource) option { return wanting(false, resources) }

func shares(resources ...topology.Resource) option { return wanting(true, resources) }

func wanting(shareable bool, resources []topology.Resource) option {
	return func(c *topology.Claim) {
		for _, r := range resources {
			c.Want = append(c.Want, topology.Want{Resource: r, Shareable: shareable})
		}
	}
}

func bornAfter(hours int) option {
	return func(c *topology.Claim) { c.Owner.Created = birth.Add(time.Duration(hours) * time.Hour) }
}

func invalid(c *topology.Claim)   { c.Invalid = fmt.Errorf("spec.arguments: not good") }
func suspended(c *topology.Claim) { c.Suspended = true }
func settled(c *topology.Claim)   { c.Settled = true }

func deletion(p topology.DeletionPolicy) option {
	return func(c *topology.Claim) { c.Policy.Deletion = p }
}
func adoption(p topology.AdoptionPolicy) option {
	return func(c *topology.Claim) { c.Policy.Adoption = p }
}
func updating(p topology.UpdatePolicy) option {
	return func(c *topology.Claim) { c.Policy.Update = p }
}
func growth(p topology.PartitionGrowth) option {
	return func(c *topology.Claim) { c.Policy.PartitionGrowth = p }
}
func handOver(to string) option       { return func(c *topology.Claim) { c.Policy.HandOverTo = to } }
func reportsDrift(c *topology.Claim)  { c.Policy.Drift = topology.DriftReport }
func correctsDrift(c *topology.Claim) { c.Policy.Drift = topology.DriftCorrect }
func ids(rs ...topology.Resource) []topology.ID {
	var out []topology.ID
	for _, r := range rs {
		out = append(out, r.ID())
	}
	return out
}

// owned is what the inventory has after a claim was converged.
func owned(claims ...*topology.Claim) []topology.Entry {
	entries := map[topology.ID]topology.Entry{}
	for _, c := range claims {
		for _, want := range c.Want {
			id := want.Resource.ID()
			e := entries[id]
			e.ID, e.Connection, e.Deletion, e.HandOverTo = id, c.Connection, c.Policy.Deletion, c.Policy.HandOverTo
			e.Owners = append(e.Owners, c.Owner.OwnerKey)
			slices.SortFunc(e.Owners, topology.OwnerKey.Compare)
			if partial, ok := want.Resource.(topology.Partial); ok {
				e.Fields = partial.DeclaredFields()
			}
			entries[id] = e
		}
	}
	var out []topology.Entry
	for _, e := range entries {
		out = append(out, e)
	}
	return out
}

// objects are live, in a virtual host that is there.
func objects(resources ...topology.Resource) map[topology.ID]topology.Resource {
	out := map[topology.ID]topology.Resource{shop.ID(): shop}
	for _, r := range resources {
		out[r.ID()] = r
	}
	return out
}

var shop = &topology.VirtualHost{Name: "shop"}

func queue(name string, arguments ...any) *topology.Queue {
	return &topology.Queue{VirtualHost: "shop", Name: name, Type: "classic", Durable: true, Arguments: table(arguments)}
}

func quorum(name string, arguments ...any) *topology.Queue {
	q := queue(name, arguments...)
	q.Type = "quorum"
	return q
}

func table(pairs []any) topology.Arguments {
	out := topology.Arguments{}
	for i := 0; i+1 < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out
}

func exchange(name, kind string) *topology.Exchange {
	return &topology.Exchange{VirtualHost: "shop", Name: name, Type: kind, Durable: true}
}

// bind leads from an exchange to a queue.
func bind(source, destination, routingKey string) *topology.Binding {
	return &topology.Binding{VirtualHost: "shop", Source: source, Destination: destination, DestinationType: "queue", RoutingKey: routingKey}
}

func topic(name string, partitions int32, config ...string) *topology.Topic {
	out := &topology.Topic{Name: name, Partitions: partitions, Config: map[string]string{}}
	for i := 0; i+1 < len(config); i += 2 {
		out.Config[config[i]] = config[i+1]
	}
	return out
}

type used = map[topology.ID]topology.Usage
