package preview

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/plan"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/golden"
)

var (
	rabbit = topology.ConnectionKey{Kind: "RabbitMQConnection", Namespace: "orders", Name: "rabbitmq"}
	events = topology.ConnectionKey{Kind: "KafkaConnection", Namespace: "orders", Name: "kafka"}
)

func owner(kind, name string) topology.OwnerKey {
	return topology.OwnerKey{Kind: kind, Namespace: "orders", Name: name}
}

func queue(name, queueType string, arguments topology.Arguments) *topology.Queue {
	return &topology.Queue{VirtualHost: "shop", Name: name, Type: queueType, Durable: true, Arguments: arguments}
}

func bind(source, queue, key string) *topology.Binding {
	return &topology.Binding{VirtualHost: "shop", Source: source, Destination: queue, DestinationType: topology.DestinationQueue, RoutingKey: key}
}

func snapshot(objects ...topology.Resource) *topology.Snapshot {
	out := &topology.Snapshot{Objects: map[topology.ID]topology.Resource{}, Depths: map[topology.ID]topology.Depth{}, Selection: topology.Selection{All: true}}
	for _, object := range objects {
		out.Objects[object.ID()] = object
	}
	return out
}

func create(want topology.Resource, owners ...topology.OwnerKey) topology.Step {
	return topology.Step{Verb: topology.VerbCreate, ID: want.ID(), Want: want, Owners: owners}
}

func remove(live topology.Resource, owners ...topology.OwnerKey) topology.Step {
	return topology.Step{Verb: topology.VerbDelete, ID: live.ID(), Live: live, Owners: owners}
}

func change(want, live topology.Resource, owners ...topology.OwnerKey) topology.Step {
	return topology.Step{Verb: topology.VerbUpdate, ID: want.ID(), Want: want, Live: live, Changes: want.Diff(live), Owners: owners}
}

// everything is a report with all that a report can hold.
func everything() Report {
	orders := &topology.Exchange{VirtualHost: "shop", Name: "orders", Type: "topic", Durable: true}
	process := queue("process", "quorum", topology.Arguments{"x-message-ttl": int64(60000)})
	audit := queue("audit", "classic", nil)
	old := queue("old", "classic", nil)
	shared := &topology.Exchange{VirtualHost: "shop", Name: "dlx", Type: "direct", Durable: true}
	limits := &topology.BrokerPolicy{VirtualHost: "shop", Name: "warrener.audit", Pattern: "^audit$", ApplyTo: "queues", Definition: topology.Arguments{"max-length": int64(1000)}, Queue: "audit", QueueType: "classic"}
	wider := &topology.BrokerPolicy{VirtualHost: "shop", Name: "warrener.audit", Pattern: "^audit$", ApplyTo: "queues", Definition: topology.Arguments{"max-length": int64(100000)}, Queue: "audit", QueueType: "classic"}
	gone := bind("orders", "audit", "order.eu.*")
	live := snapshot(orders, audit, old, wider, gone, bind("orders", "audit", "order.us.*"))
	live.Depths[audit.ID()] = topology.Depth{Messages: 1204}
	live.Depths[old.ID()] = topology.Depth{Messages: 3}
	wantAudit := queue("audit", "quorum", nil)
	auditOwner, processOwner := owner("Queue", "audit"), owner("Queue", "process")
	first := Of(Input{
		Connection: rabbit, ClusterID: "rabbitmq-cluster-id-one", Version: "4.0.5", Live: live,
		Plan: &plan.Plan{
			Waves: [][]topology.Step{
				{create(process, processOwner), create(shared, processOwner, owner("Queue", "refund"), owner("Queue", "invoice"), owner("Queue", "ship"))},
				{create(bind("orders", "process", "order.*.created"), processOwner), change(limits, wider, auditOwner)},
				{remove(gone, auditOwner), remove(old, owner("Queue", "old"))},
			},
			Operations: []topology.Operation{{Kind: topology.OperationMigrate, Want: wantAudit, Live: audit, Owners: []topology.OwnerKey{auditOwner}}},
			Adopted:    []topology.ID{orders.ID()},
			Held: []plan.Held{
				{Owner: owner("Queue", "us"), ID: topology.QueueID("shop", "us"), Reason: plan.ImmutableFieldChanged, Message: "queue shop/us: the broker cannot change this", Changes: []topology.Change{{Path: "type", From: "classic", To: "quorum", Mode: topology.Replace}}},
				{Owner: owner("Queue", "two"), ID: topology.QueueID("shop", "one"), Reason: plan.Conflict, Message: "queue shop/one is owned by Queue orders/one"},
				{Owner: owner("Queue", "bad"), Reason: plan.Invalid, Message: "spec.type: it must be one of classic, quorum, stream"},
			},
		},
		Claims: map[topology.OwnerKey]*topology.Claim{
			owner("Exchange", "orders"): {Want: []topology.Want{{Resource: orders}}, Warnings: []string{"spec.internal: nobody can publish to it"}, Owner: topology.Owner{OwnerKey: owner("Exchange", "orders")}},
		},
	})
	topic := &topology.Topic{Name: "order-events", Partitions: 6, ReplicationFactor: 1, Config: map[string]string{"retention.ms": "604800000"}}
	grown := &topology.Topic{Name: "order-events", Partitions: 12, ReplicationFactor: 1, Config: map[string]string{"retention.ms": "86400000"}}
	refused := &topology.Topic{Name: "refused", Partitions: 1, Config: map[string]string{"cleanup.policy": "shred"}}
	liveTopics := snapshot(topic)
	liveTopics.Depths[topic.ID()] = topology.Depth{Messages: 1_000_000}
	second := Of(Input{
		Connection: events, ClusterID: "5L6g3nShT-eMCtK--X86sw", Version: "4.3", Live: liveTopics,
		Plan:    &plan.Plan{Waves: [][]topology.Step{{change(grown, topic, owner("Topic", "order-events")), create(refused, owner("Topic", "refused"))}}},
		Refused: []topology.Outcome{{Step: create(refused), Err: errors.New("topic refused: create topic: INVALID_CONFIG: Invalid value shred")}},
		Shares:  map[string]Share{"order-events": {Older: 799_999, Of: 1_000_000}},
	})
	return Report{Notes: []string{"ownership unknown, deletes not shown"}, Clusters: []Cluster{first, second}}
}

func TestOutputs(t *testing.T) {
	report := everything()
	var text bytes.Buffer
	Text(&text, report, nil)
	golden.Check(t, "everything.txt", text.String())
	golden.Check(t, "everything.md", Markdown(report))
	encoded, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "everything.json", string(encoded)+"\n")
	var coloured bytes.Buffer
	Text(&coloured, report, func(action Action, text string) string { return "<" + string(action) + ">" + text })
	if n := strings.Count(coloured.String(), "<create>"); n != report.Counts()[Create] {
		t.Errorf("%d creates are painted, want %d", n, report.Counts()[Create])
	}
}

func TestNothingToDo(t *testing.T) {
	q := queue("q", "quorum", nil)
	report := Report{Clusters: []Cluster{Of(Input{
		Connection: rabbit, Version: "4.0.5", Plan: &plan.Plan{}, Live: snapshot(q),
		Claims: map[topology.OwnerKey]*topology.Claim{owner("Queue", "q"): {Want: []topology.Want{{Resource: q}}}},
	})}}
	if report.Changes() || report.Failed() {
		t.Error("there is something to do")
	}
	var text bytes.Buffer
	Text(&text, report, nil)
	golden.Check(t, "nothing.txt", text.String())
	golden.Check(t, "nothing.md", Markdown(report))
}

// A suspended resource is left alone on purpose: that is no change.
func TestChanges(t *testing.T) {
	for name, c := range map[string]struct {
		item            Item
		changes, failed bool
	}{
		"Create":    {Item{Action: Create}, true, false},
		"Suspended": {Item{Action: Held, Reason: "Suspended"}, false, false},
		"Held":      {Item{Action: Held, Reason: "DependencyNotReady"}, true, false},
		"Invalid":   {Item{Action: Invalid, Reason: "InvalidSpec"}, true, true},
		"Refused":   {Item{Action: Forbidden, Reason: "BrokerRejected"}, true, true},
		"Forbidden": {Item{Action: Forbidden, Reason: "ImmutableFieldChanged"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			report := Report{Clusters: []Cluster{{Items: []Item{c.item}}}}
			if report.Changes() != c.changes || report.Failed() != c.failed {
				t.Errorf("changes %t, failed %t, want %t, %t", report.Changes(), report.Failed(), c.changes, c.failed)
			}
		})
	}
}

// A comment that is longer than GitHub takes is refused as a whole, and then
// nobody sees anything.
func TestMarkdownFits(t *testing.T) {
	items := func(n int, risk string) []Item {
		var out []Item
		for i := range n {
			item := Item{Action: Create, Object: fmt.Sprintf("queue shop/q%05d", i), Owners: []string{fmt.Sprintf("Queue orders/q%05d", i)}}
			if risk != "" {
				item.Risks = []string{risk}
			}
			out = append(out, item)
		}
		return out
	}
	for name, report := range map[string]Report{
		"Many":         {Clusters: []Cluster{{Connection: "RabbitMQConnection a/b", Items: items(5000, "")}}},
		"ManyRisks":    {Clusters: []Cluster{{Connection: "RabbitMQConnection a/b", Items: items(5000, "keys move")}}},
		"ManyClusters": {Clusters: []Cluster{{Connection: "RabbitMQConnection a/b", Items: items(3000, "é")}, {Connection: "KafkaConnection a/b", Items: items(3000, "")}}},
		"ManyWarnings": {Clusters: []Cluster{{Connection: "RabbitMQConnection a/b", Warnings: strings.Split(strings.Repeat("w\n", 40_000), "\n")}}},
	} {
		t.Run(name, func(t *testing.T) {
			text := Markdown(report)
			if n := utf8.RuneCountInString(text); n > MaxComment {
				t.Errorf("%d characters, want %d at most", n, MaxComment)
			}
			if len(report.Clusters[0].Items) > 0 && !strings.Contains(text, "more: see the output of the job") {
				t.Error("it does not say that something was left out")
			}
			for _, open := range []string{"<details>"} {
				if strings.Count(text, open) != strings.Count(text, strings.Replace(open, "<", "</", 1)) {
					t.Errorf("%s is not closed", open)
				}
			}
		})
	}
}

// What brokers and people name must not become markup, or call people.
func TestMarkdownIsInert(t *testing.T) {
	const evil = "a```b</details><img src=x>@everyone\n# title"
	text := Markdown(Report{Clusters: []Cluster{{
		Connection: "RabbitMQConnection a/b",
		Items:      []Item{{Action: Held, Object: evil, Owners: []string{evil}, Message: evil, Risks: []string{evil}, Fields: []Field{{Path: evil, Live: evil, Declared: evil}}}},
	}}})
	outside, inCode, fence := "", false, ""
	for _, line := range strings.Split(text, "\n") {
		switch {
		case !inCode && strings.HasPrefix(line, "```"):
			inCode, fence = true, strings.TrimSuffix(line, "diff")
		case inCode && line == fence:
			inCode = false
		case !inCode && !strings.HasPrefix(line, "- **held** `"):
			outside += line + "\n"
		}
	}
	if inCode || strings.Contains(outside, "<img") || strings.Contains(outside, "@everyone") || strings.Contains(outside, "\n# title") || strings.Count(text, "\n</details>") != 1 {
		t.Errorf("something gets out:\n%s", text)
	}
}

func TestShrinks(t *testing.T) {
	topic := func(retention string) *topology.Topic {
		t := &topology.Topic{Name: "t", Partitions: 1, Config: map[string]string{}}
		if retention != "" {
			t.Config["retention.ms"] = retention
		}
		return t
	}
	for name, c := range map[string]struct {
		from, to string
		want     map[string]time.Duration
	}{
		"Shorter":       {"604800000", "86400000", map[string]time.Duration{"t": 24 * time.Hour}},
		"Longer":        {"86400000", "604800000", map[string]time.Duration{}},
		"FromDefault":   {"", "86400000", map[string]time.Duration{"t": 24 * time.Hour}},
		"FromUnlimited": {"-1", "86400000", map[string]time.Duration{"t": 24 * time.Hour}},
		"ToUnlimited":   {"86400000", "-1", map[string]time.Duration{}},
		"Overflow":      {"-1", "9223372036854775807", map[string]time.Duration{"t": 9223372036854 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Shrinks([]topology.Step{change(topic(c.to), topic(c.from))})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The bindings of a queue that is being replaced are a part of that, and no
// items of their own.
func TestReplacementTakesItsBindings(t *testing.T) {
	live, want, moved := queue("q", "classic", nil), queue("q", "quorum", nil), bind("orders", "q", "k")
	held := plan.Held{Owner: owner("Queue", "q"), ID: moved.ID(), Reason: plan.Migrating, Missing: live.ID(), Message: "led elsewhere"}
	for name, c := range map[string]struct {
		operations []topology.Operation
		want       Action
	}{
		"UnderWay":     {[]topology.Operation{{Kind: topology.OperationMigrate, Want: want, Live: live}}, Replace},
		"ByAnotherOne": {nil, Held},
	} {
		t.Run(name, func(t *testing.T) {
			items := Of(Input{Plan: &plan.Plan{Operations: c.operations, Held: []plan.Held{held}}, Live: snapshot(live, moved)}).Items
			if len(items) != 1 || items[0].Action != c.want {
				t.Errorf("%+v, want one to %s", items, c.want)
			}
		})
	}
}
