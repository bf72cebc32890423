package kafka

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
)

func createSteps(names ...string) []topology.Step {
	out := make([]topology.Step, len(names))
	for i, name := range names {
		out[i] = topology.Step{Verb: topology.VerbCreate, ID: topology.TopicID(name), Want: &topology.Topic{Name: name, Partitions: 1}}
	}
	return out
}

func numbered(n int, prefix string) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%04d", prefix, i)
	}
	return names
}

// Each code that an operator may meet, on one topic of a batch of three.
func TestClassOfEachCode(t *testing.T) {
	cluster, bootstrap := inMemory(t)
	b := connect(t, Options{BootstrapServers: bootstrap})
	for _, c := range []struct {
		err  *kerr.Error
		want topology.Class
	}{
		{kerr.InvalidTopicException, topology.ClassRejected},
		{kerr.InvalidPartitions, topology.ClassRejected},
		{kerr.InvalidReplicationFactor, topology.ClassRejected},
		{kerr.InvalidReplicaAssignment, topology.ClassRejected},
		{kerr.InvalidConfig, topology.ClassRejected},
		{kerr.InvalidRequest, topology.ClassRejected},
		{kerr.PolicyViolation, topology.ClassRejected},
		{kerr.TopicAuthorizationFailed, topology.ClassAccessDenied},
		{kerr.ClusterAuthorizationFailed, topology.ClassAccessDenied},
		{kerr.UnsupportedVersion, topology.ClassUnsupported},
		{kerr.ThrottlingQuotaExceeded, topology.ClassTransient},
		{kerr.RequestTimedOut, topology.ClassTransient},
		{kerr.UnknownServerError, topology.ClassTransient},
		{kerr.ReassignmentInProgress, topology.ClassTransient},
		{kerr.BrokerNotAvailable, topology.ClassTransport},
	} {
		t.Run(c.err.Message, func(t *testing.T) {
			bad := c.err.Message
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Topic: bad, Err: c.err})
			outcomes := b.Apply(t.Context(), createSteps(bad+"-before", bad, bad+"-after"))
			(*failure)(nil).check(t, "the one before", outcomes[0].Err)
			(&failure{Class: c.want, Operation: opCreate, Words: []string{"topic " + bad, c.err.Message}}).check(t, "the one", outcomes[1].Err)
			(*failure)(nil).check(t, "the one after", outcomes[2].Err)
		})
	}
}

func TestDeletionDisabledSaysWhatToDo(t *testing.T) {
	cluster, bootstrap := inMemory(t, kfake.SeedTopics(1, "events"))
	b := connect(t, Options{BootstrapServers: bootstrap})
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DeleteTopics}, Topic: "events", Err: kerr.TopicDeletionDisabled})
	outcome := b.Apply(t.Context(), []topology.Step{{Verb: topology.VerbDelete, ID: topology.TopicID("events")}})[0]
	(&failure{Class: topology.ClassRejected, Operation: opDelete, Words: []string{"delete.topic.enable", "Retain"}}).check(t, "advice", outcome.Err)
}

// A request that is refused as a whole is taken apart until the offenders are
// found, in few requests.
func TestWholeRefusalsAreTakenApart(t *testing.T) {
	refuse := func(request *kmsg.CreateTopicsRequest, err *kerr.Error, message string) *kmsg.CreateTopicsResponse {
		response := request.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, asked := range request.Topics {
			answered := kmsg.NewCreateTopicsResponseTopic()
			answered.Topic, answered.ErrorCode, answered.ErrorMessage = asked.Topic, err.Code, kmsg.StringPtr(message)
			response.Topics = append(response.Topics, answered)
		}
		return response
	}
	const excessive = "Unable to perform excessively large batch operation."
	for name, c := range map[string]struct {
		reason   string
		err      *kerr.Error
		message  string
		offends  func(request *kmsg.CreateTopicsRequest) bool
		failed   int
		requests int // at most, the first of which creates nothing (findCreator)
	}{
		"Cap": {
			reason: "a cap on records lower than expected is found by halving",
			err:    kerr.PolicyViolation, message: excessive,
			offends: func(r *kmsg.CreateTopicsRequest) bool { return len(r.Topics) > 30 }, failed: 0, requests: 8,
		},
		"Policy": {
			reason: "a policy of the cluster is about each topic: nothing to take apart",
			err:    kerr.PolicyViolation, message: "topics must be named after a team",
			offends: func(*kmsg.CreateTopicsRequest) bool { return true }, failed: 100, requests: 2,
		},
		"Poison": {
			reason: "one topic that spoils the request fails alone",
			err:    kerr.InvalidRequest, message: "no",
			offends: func(r *kmsg.CreateTopicsRequest) bool {
				for _, asked := range r.Topics {
					if asked.Topic == "Poison0042" {
						return true
					}
				}
				return false
			}, failed: 1, requests: 16,
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, bootstrap := inMemory(t)
			var seen requests
			b := connect(t, Options{BootstrapServers: bootstrap, OnRequest: seen.observe})
			cluster.ControlKey(int16(kmsg.CreateTopics), func(request kmsg.Request) (kmsg.Response, error, bool) {
				cluster.KeepControl()
				if r := request.(*kmsg.CreateTopicsRequest); c.offends(r) {
					return refuse(r, c.err, c.message), nil, true
				}
				return nil, nil, false
			})
			failed := 0
			for _, outcome := range b.Apply(t.Context(), createSteps(numbered(100, name)...)) {
				if outcome.Err != nil {
					failed++
					(&failure{Class: topology.ClassRejected, Words: []string{c.message[:len(c.message)-1]}}).check(t, c.reason, outcome.Err)
				}
			}
			if n := seen.take()["CreateTopics"]; failed != c.failed || n > c.requests {
				t.Errorf("%s: %d failed in %d requests, want %d in at most %d", c.reason, failed, n, c.failed, c.requests)
			}
		})
	}
}

func TestAnswersThatLackATopic(t *testing.T) {
	cluster, bootstrap := inMemory(t, kfake.SeedTopics(1, "a", "b"))
	b := connect(t, Options{BootstrapServers: bootstrap})
	cluster.ControlKey(int16(kmsg.CreateTopics), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return request.ResponseKind(), nil, true
	})
	outcome := b.Apply(t.Context(), createSteps("t"))[0]
	(&failure{Class: topology.ClassTransient, Operation: opCreate, Words: []string{"does not mention"}}).check(t, "silence is no success", outcome.Err)

	cluster.ControlKey(int16(kmsg.DescribeConfigs), func(request kmsg.Request) (kmsg.Response, error, bool) {
		return request.ResponseKind(), nil, true
	})
	snapshot := observe(t, b, topology.Selection{All: true})
	if _, presence := snapshot.Look(topology.TopicID("a")); presence != topology.Unknown {
		t.Errorf("a topic without config is %v, want unknown: half of it would be taken for all", presence)
	}
}

func TestObserveInPart(t *testing.T) {
	cluster, bootstrap := inMemory(t, kfake.SeedTopics(2, "fine", "unsettled", "vanishing", "forbidden"))
	b := connect(t, Options{BootstrapServers: bootstrap})
	cluster.Fault(
		kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "unsettled", Err: kerr.LeaderNotAvailable, When: aboutTopics},
		kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Resource: "vanishing", Err: kerr.UnknownTopicOrPartition},
		kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Resource: "forbidden", Err: kerr.TopicAuthorizationFailed},
	)
	var ids []topology.ID
	for _, name := range []string{"fine", "unsettled", "vanishing", "forbidden", "absent"} {
		ids = append(ids, topology.TopicID(name))
	}
	snapshot := observe(t, b, topology.Selection{IDs: ids})
	got := map[string]topology.Presence{}
	for _, id := range ids {
		_, got[id.Name] = snapshot.Look(id)
	}
	want := map[string]topology.Presence{
		"fine": topology.Present, "unsettled": topology.Unknown, "vanishing": topology.Unknown, "forbidden": topology.Unknown, "absent": topology.Absent,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("one topic's trouble is its own (-want +got)\n%s", diff)
	}
	for name, class := range map[string]topology.Class{"unsettled": topology.ClassTransient, "vanishing": topology.ClassPending, "forbidden": topology.ClassAccessDenied} {
		if got := topology.ClassOf(snapshot.Unread[topology.TopicID(name)]); got != class {
			t.Errorf("%s: class %s, want %s", name, got, class)
		}
	}
}

// aboutTopics leaves alone what the client asks for itself.
func aboutTopics(request kmsg.Request) bool { return len(request.(*kmsg.MetadataRequest).Topics) > 0 }

func TestUsageInDoubtIsUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		fault kfake.Fault
		words string
	}{
		"Offsets":     {kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "t", Err: kerr.NotLeaderForPartition, Count: -1}, "NOT_LEADER_FOR_PARTITION"},
		"OneEnd":      {kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "t", Err: kerr.NotLeaderForPartition, Count: -1, When: asksLatest}, "NOT_LEADER_FOR_PARTITION"},
		"OnePart":     {kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "t", Partitions: []int32{1}, Err: kerr.TopicAuthorizationFailed, Count: -1}, "Describe on topic t"},
		"GroupList":   {kfake.Fault{Keys: []kmsg.Key{kmsg.ListGroups}, TopLevel: true, Err: kerr.CoordinatorNotAvailable, Count: -1}, "COORDINATOR_NOT_AVAILABLE"},
		"Permissions": {kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeCluster}, TopLevel: true, Err: kerr.ClusterAuthorizationFailed, Count: -1}, "CLUSTER_AUTHORIZATION_FAILED"},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, bootstrap := inMemory(t, kfake.SeedTopics(2, "t"))
			b := connect(t, Options{BootstrapServers: bootstrap})
			id := topology.TopicID("t")
			selection := topology.Selection{Usage: []topology.ID{id}}
			if use := observe(t, b, selection).Usage[id]; use.Unknown {
				t.Fatal("unknown without a fault")
			}
			cluster.Fault(c.fault)
			if use := observe(t, b, selection).Usage[id]; !use.Unknown || use.Messages != 0 {
				t.Errorf("usage is %+v, want unknown", use)
			}
			outcome := b.Apply(t.Context(), []topology.Step{{Verb: topology.VerbDelete, ID: id, IfUnused: true}})[0]
			if outcome.Err == nil {
				t.Fatal("deleted in doubt")
			}
			(&failure{Class: topology.ClassOf(outcome.Err), Operation: opDelete, Words: []string{"cannot tell whether it is used", c.words}}).check(t, name, outcome.Err)
		})
	}
}

func TestOffsetsThatAreNotAnswered(t *testing.T) {
	cluster, bootstrap := inMemory(t, kfake.SeedTopics(2, "t"))
	b := connect(t, Options{BootstrapServers: bootstrap})
	cluster.ControlKey(int16(kmsg.ListOffsets), func(request kmsg.Request) (kmsg.Response, error, bool) {
		return request.ResponseKind(), nil, true
	})
	id := topology.TopicID("t")
	if use := observe(t, b, topology.Selection{Usage: []topology.ID{id}}).Usage[id]; !use.Unknown {
		t.Errorf("an answer without the topic makes it look empty: %+v", use)
	}
}

func asksLatest(request kmsg.Request) bool {
	return request.(*kmsg.ListOffsetsRequest).Topics[0].Partitions[0].Timestamp == latest
}

func TestSensitiveConfigIsNotCompared(t *testing.T) {
	live := &topology.Topic{Name: "t"}
	readConfig(live, []kmsg.DescribeConfigsResponseResourceConfig{
		{Name: "retention.ms", Value: kmsg.StringPtr("1"), Source: kmsg.ConfigSourceDynamicTopicConfig},
		{Name: "vendor.key", IsSensitive: true, Source: kmsg.ConfigSourceDynamicTopicConfig},
		{Name: "segment.ms", Value: kmsg.StringPtr("2"), Source: kmsg.ConfigSourceDynamicDefaultBrokerConfig},
		{Name: "cleanup.policy", Value: kmsg.StringPtr("delete"), Source: kmsg.ConfigSourceDefaultConfig},
	})
	want := &topology.Topic{Name: "t", Config: map[string]string{"retention.ms": "1", "vendor.key": "secret"}}
	if changes := want.Diff(live); len(changes) > 0 {
		t.Errorf("a value that nobody can read would be written for ever: %v", changes)
	}
	released := (&topology.Topic{Name: "t"}).Releasing([]string{"config.vendor.key", "config.segment.ms"})
	if diff := cmp.Diff([]topology.Change{{Path: "config.vendor.key", From: "(hidden)", To: topology.Unset}}, released.Diff(live)); diff != "" {
		t.Errorf("set on the topic: unset; set on the brokers: not ours (-want +got)\n%s", diff)
	}
}

func TestPasswordsNeverShow(t *testing.T) {
	b := connect(t, Options{BootstrapServers: []string{"a:1"}, Mechanism: Plain, Username: "u", Password: "hunter2"})
	err := b.codeError(opCreate, topology.TopicID("t"), kerr.PolicyViolation.Code, kmsg.StringPtr("the policy saw\n hunter2"))
	(&failure{Class: topology.ClassRejected, Words: []string{"the policy saw [password] (POLICY_VIOLATION)"}}).check(t, "whatever the broker says", err)
}
