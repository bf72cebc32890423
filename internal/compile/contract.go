package compile

import (
	"cmp"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// maxPrefetch is what basic.qos has room for.
const maxPrefetch = 65535

// Contract is what applications need to know of a queue or topic, as plain data.
// ContractOf makes it, package contract renders it, docs/contract.md explains
// it.
type Contract struct {
	// Queue or Topic is set, not both.
	Queue *QueueContract
	Topic *TopicContract
}

// QueueContract is the contract of a queue.
type QueueContract struct {
	// Queue as it is declared, x-queue-type among its arguments: who declares it
	// like this meets no difference.
	Queue topology.Queue
	// Exchanges that spec.bindings take messages from, sorted.
	Exchanges []string
	// DeadLetterQueue, likewise; nil if Warrener creates none.
	DeadLetterQueue *topology.Queue
	// Retry is nil if messages are not tried again.
	Retry *Retry
	// Prefetch that is recommended; 0 if none is.
	Prefetch int
}

// TopicContract is the contract of a topic.
type TopicContract struct {
	Name string
	// Partitions is 0 if the broker decides.
	Partitions int
	// Retry is nil if there are no topics for retries and dead letters.
	Retry *TopicRetry
	// Group that is recommended; "" if none is.
	Group string
	// GroupInstanceID is a pattern: {pod} stands for the name of the pod, and
	// {group} for the group where none is recommended.
	GroupInstanceID string
}

// ContractOf says what applications are told of an object; nil if its spec wants
// no contract.
func ContractOf(obj v1alpha1.Object, conn ConnectionDefaults) *Contract {
	if v1alpha1.ContractConfigMap(obj) == "" {
		return nil
	}
	switch obj := obj.(type) {
	case *v1alpha1.Queue:
		return &Contract{Queue: queueContract(obj, conn)}
	case *v1alpha1.Topic:
		return &Contract{Topic: topicContract(obj)}
	}
	return nil
}

func queueContract(q *v1alpha1.Queue, conn ConnectionDefaults) *QueueContract {
	claim := Claim(q, conn)
	c := &QueueContract{Retry: RetryOf(q)}
	for _, want := range claim.Want {
		queue, ok := want.Resource.(*topology.Queue)
		if ok && queue.Name == q.BrokerName() {
			c.Queue = asClientsDeclare(queue)
		}
		if ok && queue.ID() == claim.DeadLetters {
			dead := asClientsDeclare(queue)
			c.DeadLetterQueue = &dead
		}
	}
	for i := range q.Spec.Bindings {
		c.Exchanges = append(c.Exchanges, q.Spec.Bindings[i].Source)
	}
	slices.Sort(c.Exchanges)
	c.Exchanges = slices.Compact(c.Exchanges)
	if consumer := q.Spec.Consumer; consumer != nil && consumer.Prefetch != nil {
		c.Prefetch = int(*consumer.Prefetch)
	}
	return c
}

// asClientsDeclare is a queue with its type among the arguments.
func asClientsDeclare(queue *topology.Queue) topology.Queue {
	out := *queue
	out.Arguments = topology.Arguments{"x-queue-type": queue.Type}
	maps.Copy(out.Arguments, queue.Arguments)
	return out
}

func topicContract(t *v1alpha1.Topic) *TopicContract {
	c := &TopicContract{Name: t.BrokerName(), Partitions: len(t.Spec.Assignments), Retry: TopicRetryOf(t)}
	if t.Spec.Partitions != nil {
		c.Partitions = int(*t.Spec.Partitions)
	}
	if t.Spec.Consumer != nil {
		c.Group = t.Spec.Consumer.Group
	}
	// The name of a StatefulSet's pod stays when the pod is replaced, and that
	// is what a static member is.
	c.GroupInstanceID = cmp.Or(c.Group, "{group}") + "-{pod}"
	return c
}

// contract checks the name of a ConfigMap, for what never passed an API server.
func (d *draft) contract(obj v1alpha1.Object) {
	name := v1alpha1.ContractConfigMap(obj)
	if name == "" {
		return
	}
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		d.problem("spec.contract.configMap", "%s is no name of a ConfigMap: write at most 253 lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit", quote(name))
	}
}
