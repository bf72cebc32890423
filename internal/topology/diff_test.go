package topology_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/topology"
)

func TestDiff(t *testing.T) {
	type R = topology.Resource
	var (
		x = func(change func(*topology.Exchange)) R {
			e := &topology.Exchange{VirtualHost: "shop", Name: "x", Type: "topic", Durable: true, Arguments: topology.Arguments{"alternate-exchange": "y"}}
			change(e)
			return e
		}
		q = func(change func(*topology.Queue)) R {
			q := &topology.Queue{VirtualHost: "shop", Name: "q", Type: "quorum", Durable: true, Arguments: topology.Arguments{"x-max-length": int64(1)}}
			change(q)
			return q
		}
		v = func(change func(*topology.VirtualHost)) R {
			v := &topology.VirtualHost{Name: "shop"}
			change(v)
			return v
		}
		k = func(change func(*topology.Topic)) R {
			k := &topology.Topic{Name: "t", Partitions: 3, ReplicationFactor: 2, Config: map[string]string{"a": "1"}}
			change(k)
			return k
		}
		sameX, sameQ = func(*topology.Exchange) {}, func(*topology.Queue) {}
		noV, sameK   = func(*topology.VirtualHost) {}, func(*topology.Topic) {}
		empty, text  = "", "text"
		ten          = int64(10)
	)
	cases := map[string]struct {
		reason     string
		want, live R
		changes    []string
	}{
		"ExchangeSame": {reason: "equal", want: x(sameX), live: x(sameX)},
		"ExchangeEverything": {
			reason: "nothing about an exchange can be changed", want: x(sameX),
			live: x(func(e *topology.Exchange) {
				e.Type, e.Durable, e.AutoDelete, e.Internal, e.Arguments = "fanout", false, true, true, topology.Arguments{"z": int64(1)}
			}),
			changes: []string{
				`arguments.alternate-exchange: (unset) on the broker, "y" declared: replace`, "arguments.z: 1 on the broker, (unset) declared: replace",
				"auto_delete: true on the broker, false declared: replace", "durable: false on the broker, true declared: replace",
				"internal: true on the broker, false declared: replace", "type: fanout on the broker, topic declared: replace",
			},
		},
		"QueueSame":     {reason: "After is no property of the queue", want: q(func(q *topology.Queue) { q.After = []topology.ID{topology.ExchangeID("shop", "dlx")} }), live: q(sameQ)},
		"QueueNoTable":  {reason: "no arguments are empty arguments", want: q(func(q *topology.Queue) { q.Arguments = nil }), live: q(func(q *topology.Queue) { q.Arguments = topology.Arguments{} })},
		"QueueArgument": {reason: "the broker tells 1 from 1.0", want: q(sameQ), live: q(func(q *topology.Queue) { q.Arguments = topology.Arguments{"x-max-length": 1.0} }), changes: []string{"arguments.x-max-length: 1.0 on the broker, 1 declared: replace"}},
		"QueueEverything": {
			reason: "nor about a queue", want: q(sameQ),
			live: q(func(q *topology.Queue) { q.Type, q.Durable, q.AutoDelete, q.Exclusive = "classic", false, true, true }),
			changes: []string{
				"auto_delete: true on the broker, false declared: replace", "durable: false on the broker, true declared: replace",
				"exclusive: true on the broker, false declared: replace", "type: classic on the broker, quorum declared: replace",
			},
		},
		"BindingSame": {reason: "the broker's handles are no property", want: &topology.Binding{Source: "x"}, live: &topology.Binding{Source: "x", PropertiesKeys: []string{"~"}}},
		"OtherKind":   {reason: "only a broken adapter gives another kind", want: q(sameQ), live: x(sameX), changes: []string{"kind: *topology.Exchange on the broker, *topology.Queue declared: forbidden"}},
		"VirtualHostNothingDeclared": {
			reason: "what is not declared is not compared", want: v(noV),
			live: v(func(v *topology.VirtualHost) {
				v.Description, v.Tags, v.DefaultQueueType, v.MaxQueues = &text, []string{"a"}, &text, &ten
			}),
		},
		"VirtualHostEmpty": {
			reason: "empty and left out are the same", live: v(noV),
			want: v(func(v *topology.VirtualHost) { v.Description, v.Tags = &empty, []string{} }),
		},
		"VirtualHostTags": {
			reason: "the order of tags does not count", want: v(func(v *topology.VirtualHost) { v.Tags = []string{"a", "b"} }),
			live: v(func(v *topology.VirtualHost) { v.Tags = []string{"b", "a"} }),
		},
		"VirtualHostTagWithComma": {
			reason: "one tag with a comma is not two", want: v(func(v *topology.VirtualHost) { v.Tags = []string{"a,b"} }),
			live: v(func(v *topology.VirtualHost) { v.Tags = []string{"a", "b"} }), changes: []string{`tags: [a,b] on the broker, ["a,b"] declared: in place`},
		},
		"VirtualHostFields": {
			reason: "all of it can be changed", live: v(func(v *topology.VirtualHost) { v.MaxQueues = &ten }),
			want: v(func(v *topology.VirtualHost) {
				v.Description, v.DefaultQueueType, v.MaxConnections, v.MaxQueues = &text, &text, &ten, new(int64)
			}),
			changes: []string{
				"default_queue_type: (unset) on the broker, text declared: in place", `description: (unset) on the broker, "text" declared: in place`,
				"limits.max-connections: (unset) on the broker, 10 declared: in place", "limits.max-queues: 10 on the broker, 0 declared: in place",
			},
		},
		"VirtualHostReleasing": {
			reason: "what was declared is to be unset; a default queue type cannot be, and what is declared again is not",
			want:   v(func(v *topology.VirtualHost) { v.MaxQueues = &ten }).(topology.Partial).Releasing([]string{"description", "default_queue_type", "limits.max-queues", "tags", "limits.max-connections"}),
			live: v(func(v *topology.VirtualHost) {
				v.Description, v.DefaultQueueType, v.MaxQueues, v.Tags = &text, &text, &ten, []string{}
			}),
			changes: []string{`description: "text" on the broker, (unset) declared: in place`},
		},
		"TopicSame":       {reason: "keys that are not declared are nobody's business", want: k(sameK), live: k(func(k *topology.Topic) { k.Config = map[string]string{"a": "1", "b": "2"} })},
		"TopicUndeclared": {reason: "nor are counts that are left out", want: k(func(k *topology.Topic) { k.Partitions, k.ReplicationFactor = 0, 0 }), live: k(sameK)},
		"TopicGrows":      {reason: "partitions can be added", want: k(func(k *topology.Topic) { k.Partitions = 4 }), live: k(sameK), changes: []string{"partitions: 3 on the broker, 4 declared: in place"}},
		"TopicShrinks":    {reason: "and not be taken away", want: k(func(k *topology.Topic) { k.Partitions = 2 }), live: k(sameK), changes: []string{"partitions: 3 on the broker, 2 declared: forbidden"}},
		"TopicReplicas":   {reason: "replicas are moved over time", want: k(func(k *topology.Topic) { k.ReplicationFactor = 3 }), live: k(sameK), changes: []string{"replicationFactor: 2 on the broker, 3 declared: gradual"}},
		"TopicMoving": {
			reason: "in the middle of a change partitions differ, and the smallest count that is right is not enough",
			want:   k(sameK),
			live: k(func(k *topology.Topic) {
				k.ReplicationFactor, k.Assignments = 2, [][]int32{{1, 2}, {2, 3, 1}, {3, 1}}
			}),
			changes: []string{"replicationFactor: 2 to 3 on the broker, 2 declared: gradual"},
		},
		"TopicThrottle": {reason: "a throttle is about the way, and no difference", want: k(func(k *topology.Topic) { k.Throttle = 1 }), live: k(sameK)},
		"TopicConfig": {
			reason:  "config is compared as text, key by key",
			want:    k(func(k *topology.Topic) { k.Config = map[string]string{"a": "2", "b": "1"} }),
			live:    k(sameK),
			changes: []string{"config.a: 1 on the broker, 2 declared: in place", "config.b: (unset) on the broker, 1 declared: in place"},
		},
		"TopicReleasing": {
			reason:  "a key that was declared is to be unset, if it is set and not declared again",
			want:    k(sameK).(topology.Partial).Releasing([]string{"config.a", "config.b", "config.c", "partitions"}),
			live:    k(func(k *topology.Topic) { k.Config = map[string]string{"a": "1", "b": "2", "d": "3"} }),
			changes: []string{"config.b: 2 on the broker, (unset) declared: in place"},
		},
		"TopicAssignments": {
			reason: "assignments say how many partitions there are, and where",
			want: k(func(k *topology.Topic) {
				k.Partitions, k.ReplicationFactor, k.Assignments = 0, 0, [][]int32{{1}, {2}, {3}, {1}}
			}),
			live:    k(func(k *topology.Topic) { k.Assignments = [][]int32{{1}, {3}, {3}} }),
			changes: []string{"assignments[1]: [3] on the broker, [2] declared: gradual", "partitions: 3 on the broker, 4 declared: in place"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, change := range c.want.Diff(c.live) {
				got = append(got, fmt.Sprintf("%s: %s", change, map[topology.Mode]string{topology.InPlace: "in place", topology.Gradual: "gradual", topology.Replace: "replace", topology.Forbidden: "forbidden"}[change.Mode]))
				if change.Mode == topology.Forbidden && change.Why == "" {
					t.Errorf("%s: nothing says why", change)
				}
			}
			if diff := cmp.Diff(c.changes, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestDeclaredFields(t *testing.T) {
	description := "d"
	for want, partial := range map[string]topology.Partial{
		"[config.a config.b]": &topology.Topic{Config: map[string]string{"b": "", "a": ""}},
		"[]":                  &topology.Topic{Partitions: 3},
		"[description tags]":  &topology.VirtualHost{Description: &description, Tags: []string{}},
	} {
		if got := fmt.Sprint(partial.DeclaredFields()); got != want {
			t.Errorf("%+v declares %s; want %s", partial, got, want)
		}
	}
	released := (&topology.Topic{Config: map[string]string{"a": "1"}}).Releasing([]string{"config.b", "config.a"})
	if diff := cmp.Diff([]string{"b"}, released.(*topology.Topic).ReleasedConfig()); diff != "" {
		t.Errorf("released config (-want +got):\n%s", diff)
	}
}

func TestDescribeChanges(t *testing.T) {
	var changes []topology.Change
	for i := range 9 {
		changes = append(changes, topology.Change{Path: fmt.Sprint(i), From: "a", To: "b"})
	}
	got := topology.DescribeChanges(changes)
	want := "0: a on the broker, b declared; 1: a on the broker, b declared; 2: a on the broker, b declared; 3: a on the broker, b declared; " +
		"4: a on the broker, b declared; 5: a on the broker, b declared; 6: a on the broker, b declared; 7: a on the broker, b declared; and more"
	if got != want {
		t.Errorf("got %s", got)
	}
}

func TestLook(t *testing.T) {
	q := &topology.Queue{VirtualHost: "shop", Name: "q"}
	s := &topology.Snapshot{
		Objects: map[topology.ID]topology.Resource{q.ID(): q},
		Unread:  map[topology.ID]error{topology.VirtualHostID("closed"): fmt.Errorf("denied"), topology.QueueID("shop", "mine"): fmt.Errorf("denied")},
	}
	for id, want := range map[topology.ID]topology.Presence{
		q.ID(): topology.Present, topology.QueueID("shop", "other"): topology.Absent, topology.QueueID("shop", "mine"): topology.Unknown,
		topology.QueueID("closed", "q"): topology.Unknown, topology.VirtualHostID("closed"): topology.Unknown, topology.VirtualHostID("shop"): topology.Absent,
	} {
		if _, got := s.Look(id); got != want {
			t.Errorf("%s: presence %d, want %d", id, got, want)
		}
	}
}
