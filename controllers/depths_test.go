package controllers

import (
	"fmt"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// The condition changes when the first dead letter comes and when the last is
// gone, and at no other time.
func TestDeadLettersPresentFlipsAtZero(t *testing.T) {
	dead, other := topology.QueueID("shop", "q.dead"), topology.QueueID("shop", "other.dead")
	verdict := func(where topology.ID, known, present bool) engine.Verdict {
		v := ready("q")
		v.DeadLetters = engine.DeadLetters{Where: where, Known: known, Present: present}
		return v
	}
	empty, holds := "DeadLettersPresent=False Empty: queue shop/q.dead holds no message", "DeadLettersPresent=True HoldsMessages: queue shop/q.dead holds messages"
	status, now := v1alpha1.ObjectStatus{}, noon
	for i, step := range []struct {
		reason  string
		verdict engine.Verdict
		want    string
		changes bool
	}{
		{"nobody has asked yet", verdict(dead, false, false), "", true},
		{"a sweep found none", verdict(dead, true, false), empty, true},
		{"the next one too", verdict(dead, true, false), empty, false},
		{"an edit leaves what was said", verdict(dead, false, false), empty, false},
		{"the first", verdict(dead, true, true), holds, true},
		{"more of them", verdict(dead, true, true), holds, false},
		{"an edit leaves it", verdict(dead, false, false), holds, false},
		{"the last is gone", verdict(dead, true, false), empty, true},
		{"they end elsewhere now, and nobody has looked there", verdict(other, false, false), "", true},
		{"back again", verdict(dead, true, true), holds, true},
		{"no such place any more", verdict(topology.ID{}, false, false), "", true},
	} {
		now = now.Add(time.Minute)
		after := objectStatus(now, status, "q", step.verdict)
		got := ""
		for _, line := range conditionLines(after.Conditions) {
			if line != "Ready=True Succeeded: queue shop/q is as declared" {
				got += line
			}
		}
		check(t, fmt.Sprintf("step %d: %s", i, step.reason), step.want, got)
		same := true
		if len(after.Conditions) != len(status.Conditions) {
			same = false
		}
		for j := range after.Conditions {
			same = same && after.Conditions[j] == status.Conditions[j]
		}
		check(t, fmt.Sprintf("step %d: whether the status is written", i), step.changes, !same)
		status = after
	}
	away := engine.Verdict{Reason: v1alpha1.ReasonConnectionUnavailable, KeepOwns: true}
	status = objectStatus(noon, status, "q", verdict(dead, true, true))
	check(t, "a broker that is away says nothing of its queues", holds, conditionLines(objectStatus(noon, status, "q", away).Conditions)[0])
}

func TestQueueMetrics(t *testing.T) {
	c := &depthCollector{of: map[topology.ConnectionKey]map[topology.ID]topology.Depth{}}
	read := func() []string { t.Helper(); return gather(t, c) }
	events := topology.ConnectionKey{Kind: v1alpha1.KindKafkaConnection, Namespace: "shop", Name: "events"}
	c.set(connectionKey(), map[topology.ID]topology.Depth{
		topology.QueueID("shop", "q"):      {Messages: 3, Consumers: 2},
		topology.QueueID("shop", "stream"): {Messages: topology.UnknownCount, Consumers: 1},
	})
	c.set(events, map[topology.ID]topology.Depth{topology.TopicID("t.dlt"): {Messages: 5, Consumers: topology.UnknownCount}})
	check(t, "what is not known has no series", []string{
		"warrener_dead_letter_topic_messages connection=KafkaConnection shop/events topic=t.dlt 5",
		"warrener_queue_consumers connection=RabbitMQConnection shop/broker queue=q virtual_host=shop 2",
		"warrener_queue_consumers connection=RabbitMQConnection shop/broker queue=stream virtual_host=shop 1",
		"warrener_queue_messages connection=RabbitMQConnection shop/broker queue=q virtual_host=shop 3",
	}, read())
	c.set(connectionKey(), map[topology.ID]topology.Depth{topology.QueueID("shop", "new"): {}})
	c.set(events, nil)
	check(t, "what is gone is gone", []string{
		"warrener_queue_consumers connection=RabbitMQConnection shop/broker queue=new virtual_host=shop 0",
		"warrener_queue_messages connection=RabbitMQConnection shop/broker queue=new virtual_host=shop 0",
	}, read())
}
