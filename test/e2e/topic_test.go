package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// Somebody deletes a topic and creates it again: it is told once, the new one is
// converged, and driftPolicy: Report only shows it.
func TestTopicRecreated(t *testing.T) {
	t.Parallel()
	s := newKafkaScene(t)
	corrected, reported := s.topic("corrected", 2, map[string]string{"retention.ms": "86400000"}), s.topic("reported", 2, nil)
	reported.Spec.DriftPolicy = v1alpha1.DriftReport
	s.create(corrected, reported)
	s.ready(corrected, reported)
	// Suspended, or a sweep might find it missing and create it first.
	edit(s.stage, corrected, func(c *v1alpha1.Topic) { c.Spec.Suspend = true })
	s.reaches(corrected, metav1.ConditionUnknown, v1alpha1.ReasonSuspended)
	s.swap(corrected)
	edit(s.stage, corrected, func(c *v1alpha1.Topic) { c.Spec.Suspend = false })
	s.swap(reported)

	told := s.arrives(1, "Warning "+v1alpha1.ReasonRecreated+" Topic/"+corrected.Name)
	says(t, told[0], "topic "+corrected.BrokerName(), "was deleted and created again by somebody else", "topic id ")
	within(t, "the new topic to be as declared", func(context.Context) (bool, string) {
		found := s.describe(corrected)
		return len(found) == 3 && found[0] == "2 partitions" && found[2] == "retention.ms=86400000", fmt.Sprint(found)
	})
	s.ready(corrected)
	within(t, "Drifted to name the id", func(context.Context) (bool, string) {
		s.get(reported)
		drifted := meta.FindStatusCondition(reported.Status.Conditions, v1alpha1.ConditionDrifted)
		// A sweep between the two calls of swap tells that it is missing.
		told := drifted != nil && strings.Contains(drifted.Message, "topicId: ") && strings.Contains(drifted.Message, " before: it was deleted and created again")
		return told, describe(reported)
	})
	time.Sleep(2 * interval) // nothing may come of these
	s.arrives(1, "Warning "+v1alpha1.ReasonRecreated)
	edit(s.stage, reported, func(r *v1alpha1.Topic) { r.Spec.DriftPolicy = v1alpha1.DriftCorrect })
	s.arrives(2, "Warning "+v1alpha1.ReasonRecreated)
	s.ready(reported)
}

// swap deletes a topic by hand and creates another one of the name.
func (s *kafkaScene) swap(t *v1alpha1.Topic) {
	s.t.Helper()
	ctx := s.t.Context()
	_, err := s.admin.DeleteTopics(ctx, t.BrokerName())
	must(s.t, err)
	within(s.t, "the topic to be created by hand", func(context.Context) (bool, string) {
		_, err := s.admin.CreateTopic(ctx, 2, 1, nil, t.BrokerName())
		return err == nil, fmt.Sprint(err)
	})
}

// Of a topic with topics for retries nothing is made while one of them is
// refused, and nothing is changed.
func TestTopicIsMadeWhole(t *testing.T) {
	t.Parallel()
	s := newKafkaScene(t)
	orders := s.topic("orders", 2, map[string]string{"retention.ms": "86400000"})
	orders.Spec.Retry = &v1alpha1.TopicRetry{}
	orders.Spec.Retry.DeadLetter.Config = map[string]string{"retention.ms": "soon"}
	s.create(orders)
	says(t, s.stalled(orders, v1alpha1.ReasonBrokerRejected), orders.BrokerName()+".dlt", "retention.ms", "and 1 more")
	time.Sleep(2 * interval) // sweeps must not make it either
	if found := s.describe(orders); found != nil {
		t.Errorf("the topic was made by itself: %v", found)
	}
	edit(s.stage, orders, func(o *v1alpha1.Topic) { o.Spec.Retry.DeadLetter.Config = nil })
	s.ready(orders)
	before := s.describe(orders)

	edit(s.stage, orders, func(o *v1alpha1.Topic) {
		o.Spec.Config = map[string]string{"retention.ms": "1", "cleanup.policy": "dry"}
		*o.Spec.Partitions = 5
	})
	says(t, s.stalled(orders, v1alpha1.ReasonBrokerRejected), "cleanup.policy")
	dlt := s.topic("orders.dlt", 2, nil)
	if found := fmt.Sprint(s.describe(orders)); found != fmt.Sprint(before) {
		t.Errorf("half of an edit: %s, before it %s", found, before)
	}
	if found := s.describe(dlt); len(found) != 2 || found[0] != "2 partitions" {
		t.Errorf("the topic for dead letters grew alone: %v", found)
	}
}
