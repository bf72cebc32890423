package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// told waits for a contract that holds, and returns its data.
func (s *stage) told(name string, holds func(map[string]string) bool) map[string]string {
	s.t.Helper()
	var found corev1.ConfigMap
	within(s.t, "the contract "+name, func(ctx context.Context) (bool, string) {
		err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &found)
		return err == nil && holds(found.Data), fmt.Sprintf("%v %v", err, found.Data)
	})
	return found.Data
}

// vanishes waits until there is no such ConfigMap.
func (s *stage) vanishes(name string) {
	s.t.Helper()
	within(s.t, "no ConfigMap "+name, func(ctx context.Context) (bool, string) {
		err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &corev1.ConfigMap{})
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
}

// condition waits for a status of a condition at the latest generation.
func (s *stage) condition(object client.Object, kind string, status metav1.ConditionStatus) *metav1.Condition {
	s.t.Helper()
	var is *metav1.Condition
	within(s.t, fmt.Sprintf("%s=%s on %s", kind, status, object.GetName()), func(ctx context.Context) (bool, string) {
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return false, err.Error()
		}
		observed, conditions := conditionsOf(object)
		is = meta.FindStatusCondition(conditions, kind)
		return is != nil && is.Status == status && observed == object.GetGeneration(), describe(object)
	})
	return is
}

func contracted(q *v1alpha1.Queue, configMap string) *v1alpha1.Queue {
	q.Spec.Contract = &v1alpha1.Contract{ConfigMap: configMap}
	return q
}

// A client that knows nothing but the contract asserts the queue with its
// arguments, is answered by no 406, and has a message retried and buried.
func TestContractIsEnoughForAClient(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		for _, kind := range []v1alpha1.QueueType{v1alpha1.QueueTypeClassic, v1alpha1.QueueTypeQuorum} {
			prefetch := int32(7)
			q := contracted(queue(string(kind)+".work", "shop", kind), string(kind)+"-contract")
			q.Spec.Consumer = &v1alpha1.QueueConsumer{Prefetch: &prefetch}
			q.Spec.Retry = &v1alpha1.Retry{Strategy: v1alpha1.RetryTiers, Delays: []metav1.Duration{{Duration: 200 * time.Millisecond}}}
			s.create(q)
			s.ready(q)
			data := s.told(string(kind)+"-contract", func(d map[string]string) bool { return d["consumer.prefetch"] == "7" })

			var arguments map[string]any
			must(t, json.Unmarshal([]byte(data["queueArguments"]), &arguments))
			table := amqp.Table{}
			for key, value := range arguments {
				if n, ok := value.(float64); ok {
					value = int64(n)
				}
				table[key] = value
			}
			channel := amqpChannel(t, s.broker, data["virtualHost"])
			if _, err := channel.QueueDeclare(data["queue"], data["queueDurable"] == "true", data["queueAutoDelete"] == "true", false, false, table); err != nil {
				t.Fatalf("the queue is declared otherwise: %v", err)
			}
			if data["retry.trigger"] != "reject-no-requeue" {
				t.Fatalf("retry.trigger is %q", data["retry.trigger"])
			}
			publish(t, channel, "", data["queue"], "poison")
			for range 2 { // retry.attempts
				poison := receive(t, channel, data["queue"])
				must(t, poison.Reject(false))
			}
			dead := receive(t, channel, data["deadLetter.queue"])
			must(t, dead.Ack(false))
		}
	})
}

func TestContractLife(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		mine := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "taken"}, Data: map[string]string{"queue": "mine"}}
		q := contracted(queue("work", "shop", v1alpha1.QueueTypeClassic), "first")
		s.create(mine, q)
		s.ready(q)
		s.told("first", func(d map[string]string) bool { return d["queue"] == "work" && d["virtualHost"] == s.virtualHost })

		edit(s.stage, s.connection, func(c *v1alpha1.RabbitMQConnection) { c.Spec.ClientEndpoints = []string{"amqp://rabbitmq:5672"} })
		s.told("first", func(d map[string]string) bool { return d["endpoints"] == "amqp://rabbitmq:5672" })

		edit(s.stage, q, func(q *v1alpha1.Queue) { q.Spec.Contract.ConfigMap = "second" })
		s.told("second", func(d map[string]string) bool { return d["queue"] == "work" })
		s.vanishes("first")

		edit(s.stage, q, func(q *v1alpha1.Queue) { q.Spec.Contract.ConfigMap = "taken" })
		refused := s.condition(q, v1alpha1.ConditionContractPublished, metav1.ConditionFalse)
		if refused.Reason != v1alpha1.ReasonConfigMapNotOwned {
			t.Errorf("reason %s: %s", refused.Reason, refused.Message)
		}
		s.ready(q)
		s.arrives(1, "Warning ConfigMapNotOwned")
		before := mine.GetResourceVersion()
		s.get(mine)
		if mine.GetResourceVersion() != before {
			t.Errorf("a ConfigMap of somebody else was written: %v", mine)
		}

		edit(s.stage, q, func(q *v1alpha1.Queue) { q.Spec.Contract.ConfigMap = "third" })
		s.told("third", func(d map[string]string) bool { return d["queue"] == "work" })
		edit(s.stage, q, func(q *v1alpha1.Queue) { q.Spec.Contract = nil })
		s.vanishes("third")
		s.get(mine)
		s.idle(2)
	})
}

// Dead letters are seen within a drift check, and their going too; the status
// says so twice, however many there were.
func TestDeadLettersPresent(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		channel := amqpChannel(t, s.broker, s.virtualHost)
		for _, kind := range []v1alpha1.QueueType{v1alpha1.QueueTypeClassic, v1alpha1.QueueTypeQuorum} {
			q := queue(string(kind)+".work", "shop", kind)
			q.Spec.DeadLetter = &v1alpha1.DeadLetter{}
			plain := queue(string(kind)+".plain", "shop", kind)
			s.create(q, plain)
			s.ready(q, plain)
			dead := q.Name + ".dead"
			s.condition(q, v1alpha1.ConditionDeadLettersPresent, metav1.ConditionFalse)

			publish(t, channel, "", dead, "one", "two")
			s.condition(q, v1alpha1.ConditionDeadLettersPresent, metav1.ConditionTrue)
			label := fmt.Sprintf("queue=%q", dead)
			within(t, "the depth of "+dead, func(context.Context) (bool, string) {
				n, found := metric(t, s.controller, "warrener_queue_messages", label)
				return found == 1 && n == 2, fmt.Sprintf("%v in %d series", n, found)
			})
			version := q.GetResourceVersion()
			publish(t, channel, "", dead, "three")
			within(t, "the third", func(context.Context) (bool, string) {
				n, _ := metric(t, s.controller, "warrener_queue_messages", label)
				return n == 3, fmt.Sprint(n)
			})
			s.get(q)
			if q.GetResourceVersion() != version {
				t.Error("one more dead letter changed the object")
			}
			for range 3 {
				letter := receive(t, channel, dead)
				must(t, letter.Ack(false))
			}
			s.condition(q, v1alpha1.ConditionDeadLettersPresent, metav1.ConditionFalse)
			s.get(plain)
			if _, conditions := conditionsOf(plain); meta.FindStatusCondition(conditions, v1alpha1.ConditionDeadLettersPresent) != nil {
				t.Error("a queue without dead letters speaks of them")
			}
		}
	})
}

func TestContractAndDeadLettersOfATopic(t *testing.T) {
	t.Parallel()
	s := newKafkaScene(t)
	orders := s.topic("orders", 3, nil)
	orders.Spec.Retry = &v1alpha1.TopicRetry{Delays: []metav1.Duration{{Duration: 5 * time.Second}}}
	orders.Spec.Consumer = &v1alpha1.TopicConsumer{Group: "billing"}
	orders.Spec.Contract = &v1alpha1.Contract{ConfigMap: "orders"}
	s.create(orders)
	s.ready(orders)
	data := s.told("orders", func(d map[string]string) bool { return d["topic"] == orders.BrokerName() })
	dlt := orders.BrokerName() + ".dlt"
	for key, want := range map[string]string{
		"partitions": "3", "deadLetter.topic": dlt, "retry.topics": orders.BrokerName() + ".retry.5s", "retry.delaysMs": "5000",
		"groupInstanceId.pattern": "billing-{pod}", "endpoints": strings.Join(s.broker.Bootstrap, ","),
	} {
		if data[key] != want {
			t.Errorf("%s is %q, want %q", key, data[key], want)
		}
	}
	s.condition(orders, v1alpha1.ConditionDeadLettersPresent, metav1.ConditionFalse)
	s.produce(named(dlt), 4)
	s.condition(orders, v1alpha1.ConditionDeadLettersPresent, metav1.ConditionTrue)
	within(t, "the depth of the topic for dead letters", func(context.Context) (bool, string) {
		n, found := metric(t, s.controller, "warrener_dead_letter_topic_messages", fmt.Sprintf("topic=%q", dlt))
		return found == 1 && n == 4, fmt.Sprintf("%v in %d series", n, found)
	})
	// Reading takes nothing out of a topic; retention does.
	version := orders.GetResourceVersion()
	s.produce(named(dlt), 1)
	within(t, "the fifth", func(context.Context) (bool, string) {
		n, _ := metric(t, s.controller, "warrener_dead_letter_topic_messages", fmt.Sprintf("topic=%q", dlt))
		return n == 5, fmt.Sprint(n)
	})
	s.get(orders)
	if orders.GetResourceVersion() != version {
		t.Error("one more dead letter changed the object")
	}
	s.purge(dlt)
	s.condition(orders, v1alpha1.ConditionDeadLettersPresent, metav1.ConditionFalse)
}
