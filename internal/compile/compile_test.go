package compile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

var shop = ConnectionDefaults{
	Key:         topology.ConnectionKey{Kind: v1alpha1.KindRabbitMQConnection, Namespace: "orders", Name: "rabbitmq"},
	VirtualHost: "shop",
}

// parse reads a manifest as an API server without CEL would.
func parse(t testing.TB, manifest string) v1alpha1.Object {
	t.Helper()
	var header metav1.TypeMeta
	if err := yaml.Unmarshal([]byte(manifest), &header); err != nil {
		t.Fatalf("read the kind: %v\n%s", err, manifest)
	}
	for _, obj := range v1alpha1.NewObjects() {
		if obj.KindName() != header.Kind {
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(manifest), obj); err != nil {
			t.Fatalf("decode: %v\n%s", err, manifest)
		}
		return obj
	}
	t.Fatalf("no such kind: %q", header.Kind)
	return nil
}

// manifest builds one of a kind, a name and a spec in flow style.
func manifest(kind, name, spec string) string {
	return "{apiVersion: topology.warrener.dev/v1alpha1, kind: " + kind +
		", metadata: {namespace: orders, name: " + name + "}, spec: {connectionRef: {name: rabbitmq}, " + spec + "}}"
}

var ignoreUnexported = cmpopts.IgnoreUnexported(topology.VirtualHost{}, topology.Topic{})

func own(r topology.Resource) topology.Want    { return topology.Want{Resource: r} }
func shared(r topology.Resource) topology.Want { return topology.Want{Resource: r, Shareable: true} }

func bindingTo(queue, source, key string) *topology.Binding {
	return &topology.Binding{VirtualHost: "shop", Source: source, Destination: queue, DestinationType: "queue", RoutingKey: key, Arguments: topology.Arguments{}}
}

func TestEveryKindHasARow(t *testing.T) {
	for _, obj := range v1alpha1.NewObjects() {
		if _, ok := kinds[obj.KindName()]; !ok {
			t.Errorf("%s: no row in the table of kinds", obj.KindName())
		}
	}
	if len(kinds) != len(v1alpha1.NewObjects()) {
		t.Errorf("the table of kinds has %d rows for %d kinds", len(kinds), len(v1alpha1.NewObjects()))
	}
}

func TestWants(t *testing.T) {
	ptr := func(s string) *string { return &s }
	number := func(n int64) *int64 { return &n }
	cases := map[string]struct {
		reason   string
		manifest string
		want     []topology.Want
	}{
		"VirtualHostNameOnly": {
			reason:   "what is not written is nobody's business: every field stays nil",
			manifest: manifest("VirtualHost", "team", ""),
			want:     []topology.Want{own(&topology.VirtualHost{Name: "team"})},
		},
		"VirtualHostInFull": {
			reason:   "every field arrives, a limit of 0 too",
			manifest: manifest("VirtualHost", "team", "name: a/b, description: Orders, tags: [b, a], defaultQueueType: quorum, limits: {maxConnections: 0, maxQueues: 10}"),
			want: []topology.Want{own(&topology.VirtualHost{
				Name: "a/b", Description: ptr("Orders"), Tags: []string{"b", "a"}, DefaultQueueType: ptr("quorum"),
				MaxConnections: number(0), MaxQueues: number(10),
			})},
		},
		"ExchangeDefaults": {
			reason:   "durable is true without being written, and the virtual host is the connection's",
			manifest: manifest("Exchange", "orders", "type: topic"),
			want:     []topology.Want{own(&topology.Exchange{VirtualHost: "shop", Name: "orders", Type: "topic", Durable: true, Arguments: topology.Arguments{}})},
		},
		"ExchangeInFull": {
			reason:   "the alternate exchange becomes an argument; the bindings lead here",
			manifest: manifest("Exchange", "e", `virtualHost: other, name: "e é", type: x-delayed-message, durable: false, autoDelete: true, internal: true, alternateExchange: rest, arguments: {x-delayed-type: direct, big: 9007199254740993}, bindings: [{source: orders, routingKeys: ["#"]}]`),
			want: []topology.Want{
				own(&topology.Exchange{
					VirtualHost: "other", Name: "e é", Type: "x-delayed-message", AutoDelete: true, Internal: true,
					Arguments: topology.Arguments{"alternate-exchange": "rest", "x-delayed-type": "direct", "big": int64(9007199254740993)},
				}),
				shared(&topology.Binding{VirtualHost: "other", Source: "orders", Destination: "e é", DestinationType: "exchange", RoutingKey: "#", Arguments: topology.Arguments{}}),
			},
		},
		"ClassicQueueInFull": {
			reason:   "every field of a classic queue becomes the argument of RabbitMQ's name, numbers as integers",
			manifest: manifest("Queue", "q", `type: classic, durable: false, autoDelete: true, messageTTL: 1.5s, expires: 30m, maxLength: 0, maxLengthBytes: 1048576, overflow: reject-publish-dlx, maxPriority: 10, singleActiveConsumer: true, leaderLocator: balanced, arguments: {x-queue-mode: lazy}`),
			want: []topology.Want{own(&topology.Queue{
				VirtualHost: "shop", Name: "q", Type: "classic", AutoDelete: true,
				Arguments: topology.Arguments{
					"x-message-ttl": int64(1500), "x-expires": int64(1800000), "x-max-length": int64(0), "x-max-length-bytes": int64(1048576),
					"x-overflow": "reject-publish-dlx", "x-max-priority": int64(10), "x-single-active-consumer": true,
					"x-queue-leader-locator": "balanced", "x-queue-mode": "lazy",
				},
			})},
		},
		"QuorumQueue": {
			reason:   "the group size has a name of its own on a quorum queue; false and -1 are what they are",
			manifest: manifest("Queue", "q", "type: quorum, deliveryLimit: -1, initialGroupSize: 3, singleActiveConsumer: false, messageTTL: 0s"),
			want: []topology.Want{own(&topology.Queue{
				VirtualHost: "shop", Name: "q", Type: "quorum", Durable: true,
				Arguments: topology.Arguments{"x-delivery-limit": int64(-1), "x-quorum-initial-group-size": int64(3), "x-message-ttl": int64(0)},
			})},
		},
		"Stream": {
			reason:   "the group size has another name on a stream",
			manifest: manifest("Queue", "q", "type: stream, maxAge: 7D, maxLengthBytes: 5000000000, maxSegmentSizeBytes: 100000000, initialGroupSize: 1"),
			want: []topology.Want{own(&topology.Queue{
				VirtualHost: "shop", Name: "q", Type: "stream", Durable: true,
				Arguments: topology.Arguments{
					"x-max-age": "7D", "x-max-length-bytes": int64(5000000000), "x-stream-max-segment-size-bytes": int64(100000000), "x-initial-cluster-size": int64(1),
				},
			})},
		},
		"InlineBindings": {
			reason:   "one binding a key; neither keys nor headers: one with an empty key; what is written twice is one",
			manifest: manifest("Queue", "q", `type: classic, bindings: [{source: a, routingKeys: [x, z, x]}, {source: b}, {source: a, routingKeys: [z]}, {source: c, routingKeys: ["1"], arguments: {weight: 2.5}}]`),
			want: []topology.Want{
				own(&topology.Queue{VirtualHost: "shop", Name: "q", Type: "classic", Durable: true, Arguments: topology.Arguments{}}),
				shared(bindingTo("q", "a", "x")), shared(bindingTo("q", "a", "z")), shared(bindingTo("q", "b", "")),
				shared(&topology.Binding{VirtualHost: "shop", Source: "c", Destination: "q", DestinationType: "queue", RoutingKey: "1", Arguments: topology.Arguments{"weight": 2.5}}),
			},
		},
		"HeadersBinding": {
			reason:   "the values and x-match are the arguments, x-match with its default too; the key is empty",
			manifest: manifest("Queue", "q", "type: classic, bindings: [{source: vip, headers: {values: {region: EU, level: 3}}, arguments: {note: a}}, {source: vip, headers: {match: any-with-x, values: {x-a: true}}}]"),
			want: []topology.Want{
				own(&topology.Queue{VirtualHost: "shop", Name: "q", Type: "classic", Durable: true, Arguments: topology.Arguments{}}),
				shared(&topology.Binding{VirtualHost: "shop", Source: "vip", Destination: "q", DestinationType: "queue", Arguments: topology.Arguments{"x-match": "all", "region": "EU", "level": int64(3), "note": "a"}}),
				shared(&topology.Binding{VirtualHost: "shop", Source: "vip", Destination: "q", DestinationType: "queue", Arguments: topology.Arguments{"x-match": "any-with-x", "x-a": true}}),
			},
		},
		"ExchangeBinding": {
			reason:   "bindings of their own are shareable: the queue may declare the same",
			manifest: manifest("ExchangeBinding", "b", `source: orders, routingKeys: ["#", a], destination: audit, destinationType: queue`),
			want:     []topology.Want{shared(bindingTo("audit", "orders", "#")), shared(bindingTo("audit", "orders", "a"))},
		},
		"ExchangeBindingToExchange": {
			reason:   "the broker's own exchanges may be bound, they are only not managed",
			manifest: manifest("ExchangeBinding", "b", "source: amq.topic, destination: amq.fanout, destinationType: exchange"),
			want: []topology.Want{shared(&topology.Binding{
				VirtualHost: "shop", Source: "amq.topic", Destination: "amq.fanout", DestinationType: "exchange", Arguments: topology.Arguments{},
			})},
		},
		"TopicDefaults": {
			reason:   "partitions and replication that are not written stay undeclared",
			manifest: manifest("Topic", "t", ""),
			want:     []topology.Want{own(&topology.Topic{Name: "t"})},
		},
		"TopicInFull": {
			reason:   "the declared keys arrive as they are",
			manifest: manifest("Topic", "t", `name: order_events, partitions: 12, replicationFactor: 3, config: {retention.ms: "604800000"}`),
			want: []topology.Want{own(&topology.Topic{
				Name: "order_events", Partitions: 12, ReplicationFactor: 3, Config: map[string]string{"retention.ms": "604800000"},
			})},
		},
		"TopicThrottle": {
			reason:   "the throttle goes along",
			manifest: manifest("Topic", "t", "replicationFactor: 2, reassignment: {throttleBytesPerSecond: 10485760}"),
			want:     []topology.Want{own(&topology.Topic{Name: "t", ReplicationFactor: 2, Throttle: 10485760})},
		},
		"TopicAssignments": {
			reason:   "assignments say how many partitions there are; the factor stays undeclared, or every difference would be told twice",
			manifest: manifest("Topic", "t", "assignments: [{replicas: [1, 2]}, {replicas: [2, 3]}]"),
			want:     []topology.Want{own(&topology.Topic{Name: "t", Partitions: 2, Assignments: [][]int32{{1, 2}, {2, 3}}})},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			claim := Claim(parse(t, tc.manifest), shop)
			if claim.Invalid != nil {
				t.Fatalf("%s: invalid: %v", tc.reason, claim.Invalid)
			}
			if diff := cmp.Diff(tc.want, claim.Want, ignoreUnexported, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if len(claim.Warnings) > 0 {
				t.Errorf("%s: warnings: %q", tc.reason, claim.Warnings)
			}
		})
	}
}

func TestOwnerAndPolicy(t *testing.T) {
	created := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	q := &v1alpha1.Queue{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "orders", Name: "q", UID: types.UID("u"), Generation: 7, CreationTimestamp: created,
			Annotations: map[string]string{v1alpha1.AnnotationHandOverTo: "billing/q", v1alpha1.AnnotationReconcileAt: "now"},
		},
		Spec: v1alpha1.QueueSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: "rabbitmq", Namespace: "messaging"}, Type: v1alpha1.QueueTypeClassic,
			DeletionPolicy: v1alpha1.DeleteAlways,
			Policies:       v1alpha1.Policies{AdoptionPolicy: v1alpha1.AdoptNever, DriftPolicy: v1alpha1.DriftReport, Suspend: true},
		},
	}
	got := Claim(q, ConnectionDefaults{})
	want := topology.Claim{
		Owner: topology.Owner{
			OwnerKey: topology.OwnerKey{Kind: "Queue", Namespace: "orders", Name: "q"}, UID: "u", Generation: 7, Created: created.Time, ReconcileAt: "now",
		},
		Connection: topology.ConnectionKey{Kind: "RabbitMQConnection", Namespace: "messaging", Name: "rabbitmq"},
		Want:       []topology.Want{own(&topology.Queue{VirtualHost: "/", Name: "q", Type: "classic", Durable: true, Arguments: topology.Arguments{}})},
		Policy:     topology.Policy{Deletion: topology.Delete, Adoption: topology.AdoptNever, Drift: topology.DriftReport, Update: topology.UpdateRefuse, HandOverTo: "billing/q"},
		Suspended:  true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("without defaults of a connection, the reference and \"/\" stand in (-want +got):\n%s", diff)
	}
}

func TestPolicyDefaults(t *testing.T) {
	common := topology.Policy{Deletion: topology.DeleteIfUnused, Adoption: topology.AdoptIfIdentical, Drift: topology.DriftCorrect}
	retain, grows, refuses := common, common, common
	refuses.Update = topology.UpdateRefuse
	retain.Deletion = topology.Retain
	grows.PartitionGrowth = topology.GrowWhenEmpty
	cases := map[string]struct {
		reason, manifest string
		want             topology.Policy
		connection       string
	}{
		"VirtualHost": {"a virtual host holds everything of a team, so it stays", manifest("VirtualHost", "a", ""), retain, "RabbitMQConnection"},
		"Queue":       {"a queue goes if it is unused, and is not replaced", manifest("Queue", "a", "type: classic"), refuses, "RabbitMQConnection"},
		"Topic":       {"a topic grows while it is empty", manifest("Topic", "a", ""), grows, "KafkaConnection"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			obj := parse(t, tc.manifest)
			claim := Claim(obj, ConnectionDefaults{})
			if diff := cmp.Diff(tc.want, claim.Policy); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if claim.Connection.Kind != tc.connection || claim.Connection != ConnectionOf(obj) {
				t.Errorf("the connection is %v, want a %s", claim.Connection, tc.connection)
			}
		})
	}
}

// What the connection requires no object can do without, and an object can ask for
// more. The steps of an approval are known while their plan stands beside it.
func TestApproval(t *testing.T) {
	for _, tc := range []struct {
		connection, object v1alpha1.ApprovalPolicy
		want               topology.Approval
	}{
		{"", "", ""},
		{v1alpha1.ApprovalNone, v1alpha1.ApprovalNone, ""},
		{"", v1alpha1.ApprovalRequired, topology.ApprovalRequired},
		{v1alpha1.ApprovalRequired, v1alpha1.ApprovalNone, topology.ApprovalRequired},
		{v1alpha1.ApprovalRequired, "", topology.ApprovalRequired},
	} {
		obj := parse(t, manifest("Queue", "q", "type: classic")).(*v1alpha1.Queue)
		obj.Spec.Approval = tc.object
		claim := Claim(obj, ConnectionDefaults{Approval: tc.connection})
		if claim.Policy.Approval != tc.want || claim.Invalid != nil {
			t.Errorf("connection %q, object %q: %q, want %q (%v)", tc.connection, tc.object, claim.Policy.Approval, tc.want, claim.Invalid)
		}
	}
	obj := parse(t, manifest("Queue", "q", "type: classic")).(*v1alpha1.Queue)
	obj.Spec.Approval = "Maybe"
	if claim := Claim(obj, ConnectionDefaults{}); claim.Invalid == nil || !strings.Contains(claim.Invalid.Error(), "spec.approval") {
		t.Errorf("misspelt, it is %v", claim.Invalid)
	}
	obj.Status.Plan = &v1alpha1.Plan{Hash: "h2", Generation: 3, Covers: []string{"aa"}}
	for approved, want := range map[string]topology.Approved{"": {}, "h1": {Hash: "h1"}, "h2": {Hash: "h2", Generation: 3, Steps: []string{"aa"}}} {
		obj.Status.ApprovedPlan = approved
		if diff := cmp.Diff(want, Claim(obj, ConnectionDefaults{}).Approved); diff != "" {
			t.Errorf("approved %q (-want +got):\n%s", approved, diff)
		}
	}
}

func TestMalformedHandOver(t *testing.T) {
	for _, heir := range []string{"", "q", "/q", "billing/", "a/b/c"} {
		obj := parse(t, manifest("Queue", "q", "type: classic"))
		obj.SetAnnotations(map[string]string{v1alpha1.AnnotationHandOverTo: heir})
		claim := Claim(obj, shop)
		if claim.Policy.HandOverTo != "" || len(claim.Warnings) != 1 || !strings.Contains(claim.Warnings[0], "write namespace/name") {
			t.Errorf("%q: handed over to %q, warnings %q; want nobody and one warning", heir, claim.Policy.HandOverTo, claim.Warnings)
		}
	}
}

func TestSettled(t *testing.T) {
	condition := func(kind string, status metav1.ConditionStatus, generation int64) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, ObservedGeneration: generation}
	}
	cases := map[string]struct {
		reason   string
		observed int64
		with     []metav1.Condition
		want     bool
	}{
		"New":           {"nobody has looked at it", -1, nil, false},
		"Ready":         {"this generation was converged", 3, []metav1.Condition{condition("Ready", "True", 3)}, true},
		"Edited":        {"Ready speaks of the generation before", 2, []metav1.Condition{condition("Ready", "True", 2)}, false},
		"NotReady":      {"it was tried and did not succeed", 3, []metav1.Condition{condition("Ready", "False", 3)}, false},
		"Drifted":       {"drift is only reported of what was converged", 3, []metav1.Condition{condition("Ready", "False", 3), condition("Drifted", "True", 3)}, true},
		"DriftedBefore": {"the drift was that of another generation", 3, []metav1.Condition{condition("Ready", "False", 3), condition("Drifted", "True", 2)}, false},
		"NoDrift":       {"a condition that is not true says nothing", 3, []metav1.Condition{condition("Drifted", "False", 3)}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			obj := parse(t, manifest("Queue", "q", "type: classic"))
			obj.SetGeneration(3)
			*obj.GetStatus() = v1alpha1.ObjectStatus{ObservedGeneration: tc.observed, Conditions: tc.with}
			if got := Claim(obj, shop).Settled; got != tc.want {
				t.Errorf("settled is %v: %s", got, tc.reason)
			}
		})
	}
}

// problemsOf is what a claim is invalid for, nil for a valid one.
func problemsOf(t testing.TB, claim topology.Claim) []string {
	t.Helper()
	if claim.Invalid == nil {
		return nil
	}
	var invalid *InvalidSpec
	if !errors.As(claim.Invalid, &invalid) || len(invalid.Problems) == 0 {
		t.Fatalf("Invalid is %T %v, want an *InvalidSpec with problems", claim.Invalid, claim.Invalid)
	}
	problems := make([]string, len(invalid.Problems))
	for i, p := range invalid.Problems {
		problems[i] = p.String()
	}
	return problems
}
