package compile

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

const retryPath = "spec.retry"

// Retry is how the messages of a queue are tried again, as plain data: for
// claims, and for whoever explains them. RetryOf makes it; docs/retry.md draws
// it.
type Retry struct {
	Strategy v1alpha1.RetryStrategy
	// Queue is the queue that consumers read from.
	Queue string
	// MaxRetries is the number of redeliveries after the first delivery.
	MaxRetries int
	// Steps are the retries in order, MaxRetries of them.
	Steps []RetryStep
	// DelayQueues are the queues in which messages wait, each once, in the order
	// of their first use; none under Native.
	DelayQueues []DelayQueue
	// ClientDeclared says that clients declare the delay queues, and that
	// Warrener knows no more than their names and delays.
	ClientDeclared bool
	// DeadQueue is where a message is after the last attempt; "" if the spec only
	// refers to an exchange that is declared elsewhere.
	DeadQueue string
	// Exchanges of Tiers; nil under other strategies.
	Exchanges *TierExchanges
	// Trigger is what a consumer does to have a message tried again, GiveUp what
	// it does after the last attempt.
	Trigger, GiveUp Action
}

// Action is something that a consumer does with a message: a word for programs
// and a sentence for people.
type Action struct{ Word, Text string }

// The words of actions.
const (
	RejectNoRequeue          = "reject-no-requeue"
	RejectRequeue            = "reject-requeue"
	PublishToDelayQueue      = "publish-to-delay-queue"
	PublishToDeadLetterQueue = "publish-to-dead-letter-queue"
	PublishToRetryTopic      = "publish-to-retry-topic"
	PublishToDeadLetterTopic = "publish-to-dead-letter-topic"
)

// RetryStep is one retry.
type RetryStep struct {
	Retry int // from 1
	Delay time.Duration
	// Queue in which the message waits; "" under Native, where it stays in its
	// queue.
	Queue string
	// RoutingKey that the message has when it comes back; "" if it is the one
	// that the strategy leaves to it.
	RoutingKey string
}

// DelayQueue is a queue in which messages wait for a retry.
type DelayQueue struct {
	Name  string
	Delay time.Duration
}

// TierExchanges are the exchanges of the strategy Tiers.
type TierExchanges struct {
	// Failed takes in everything that dies on the queue, and lets rejections
	// through to Retry; the rest goes on to GiveUp.
	Failed string
	// GiveUp leads to the dead queue.
	GiveUp string
	// Retry finds the tier by the routing key, which counts the attempts; a key
	// that it does not know goes on to First.
	Retry string
	// First leads to the first tier.
	First string
	// Redeliver leads from the tiers back to the queue.
	Redeliver string
}

// names lists the exchanges.
func (x *TierExchanges) names() []string {
	return []string{x.Failed, x.GiveUp, x.Retry, x.First, x.Redeliver}
}

// AttemptKey is the routing key of a message of a queue under Tiers that is on
// its way to, or back from, its n-th delivery; from 2 on. The queue's name keeps
// it apart from the keys of users and of other queues.
func AttemptKey(queue string, n int) string {
	return "warrener." + queue + ".attempt." + strconv.Itoa(n)
}

// RetryOf says how the messages of a queue are tried again; nil if they are not.
// Of an invalid spec it says what can be told.
func RetryOf(q *v1alpha1.Queue) *Retry {
	if q.Spec.Retry == nil {
		return nil
	}
	retry, _ := retryOf(q)
	return retry
}

func retryOf(q *v1alpha1.Queue) (*Retry, []Problem) {
	spec := q.Spec.Retry
	name := q.BrokerName()
	delays, problems := retryDelays(spec)
	r := &Retry{
		Strategy: spec.Strategy, Queue: name, MaxRetries: len(delays),
		ClientDeclared: spec.Strategy == v1alpha1.RetryPublished && spec.ClientDeclares(),
		DeadQueue:      deadQueueName(q),
	}
	switch spec.Strategy {
	case v1alpha1.RetryTiers:
		r.Exchanges = &TierExchanges{
			Failed: name + ".failed", GiveUp: name + ".giveup", Retry: name + ".retry",
			First: name + ".retry.first", Redeliver: name + ".redeliver",
		}
		r.Trigger = Action{RejectNoRequeue, "reject the message: basic.reject or basic.nack with requeue=false"}
		r.GiveUp = Action{RejectNoRequeue, "the same: the broker moves the message to " + r.DeadQueue}
	case v1alpha1.RetryPublished:
		const confirmed = ", through the default exchange; acknowledge the message when the broker has confirmed the copy"
		r.Trigger = Action{PublishToDelayQueue, "publish a copy to the delay queue of this retry" + confirmed}
		r.GiveUp = Action{PublishToDeadLetterQueue, "publish a copy to " + r.DeadQueue + confirmed}
	case v1alpha1.RetryNative:
		r.Trigger = Action{RejectRequeue, "basic.reject with requeue=true; never basic.nack, which the broker does not count"}
		r.GiveUp = Action{RejectRequeue, "the same: the broker dead-letters the message"}
		if dead := q.Spec.DeadLetter; dead != nil && !dead.Creates() {
			r.DeadQueue = ""
		}
	}
	for i, delay := range delays {
		r.addStep(i+1, delay)
	}
	return r, problems
}

func (r *Retry) addStep(n int, delay time.Duration) {
	step := RetryStep{Retry: n, Delay: delay}
	millis := strconv.FormatInt(delay.Milliseconds(), 10)
	switch r.Strategy {
	case v1alpha1.RetryTiers:
		// The delay is part of the name: a tier with another delay is another
		// queue, and the old one can drain.
		step.Queue = r.Queue + ".retry." + strconv.Itoa(n) + "." + millis
		step.RoutingKey = AttemptKey(r.Queue, n+1)
	case v1alpha1.RetryPublished:
		step.Queue, step.RoutingKey = r.Queue+".retry."+millis, r.Queue
	}
	r.Steps = append(r.Steps, step)
	if step.Queue == "" {
		return
	}
	for _, known := range r.DelayQueues {
		if known.Name == step.Queue {
			return
		}
	}
	r.DelayQueues = append(r.DelayQueues, DelayQueue{Name: step.Queue, Delay: delay})
}

// retryDelays are the delays before each retry. The schema says most of what is
// wrong here too; this is for what never passed an API server.
func retryDelays(spec *v1alpha1.Retry) ([]time.Duration, []Problem) {
	wrong := func(field, format string, args ...any) ([]time.Duration, []Problem) {
		return nil, []Problem{{Field: retryPath + field, Message: fmt.Sprintf(format, args...)}}
	}
	switch {
	case (spec.Backoff != nil) == (len(spec.Delays) > 0):
		return wrong("", "write either backoff, for delays that grow, or delays, one by one")
	case spec.Backoff != nil && spec.MaxRetries == nil:
		return wrong(".maxRetries", "backoff goes on for ever: write maxRetries")
	case spec.MaxRetries != nil && (*spec.MaxRetries < 1 || *spec.MaxRetries > v1alpha1.MaxRetries):
		return wrong(".maxRetries", "%d is not from 1 to %d", *spec.MaxRetries, v1alpha1.MaxRetries)
	case len(spec.Delays) > v1alpha1.MaxRetries:
		return wrong(".delays", "%d entries, and at most %d retries are possible", len(spec.Delays), v1alpha1.MaxRetries)
	case spec.MaxRetries != nil && int(*spec.MaxRetries) < len(spec.Delays):
		return wrong(".delays", "%d entries for %d retries: remove those that are never used, or raise maxRetries", len(spec.Delays), *spec.MaxRetries)
	}
	if spec.Backoff != nil {
		return backoffDelays(spec.Strategy, spec.Backoff, int(*spec.MaxRetries))
	}
	delays := make([]time.Duration, 0, v1alpha1.MaxRetries)
	var problems []Problem
	for i, delay := range spec.Delays {
		if problem := wholeMillis(index(retryPath+".delays", i), delay.Duration, time.Millisecond); problem != nil {
			problems = append(problems, *problem)
		}
		delays = append(delays, delay.Duration)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	if spec.MaxRetries != nil {
		for len(delays) < int(*spec.MaxRetries) {
			delays = append(delays, delays[len(delays)-1])
		}
	}
	return delays, nil
}

// backoffDelays computes exactly: floating point would round differently on
// another processor, and a delay is part of a queue's name.
func backoffDelays(strategy v1alpha1.RetryStrategy, backoff *v1alpha1.Backoff, retries int) ([]time.Duration, []Problem) {
	const path = retryPath + ".backoff"
	if problem := wholeMillis(path+".initial", backoff.Initial.Duration, time.Millisecond); problem != nil {
		return nil, []Problem{*problem}
	}
	longest := int64(maxMillis)
	if backoff.Max != nil {
		if problem := wholeMillis(path+".max", backoff.Max.Duration, time.Millisecond); problem != nil {
			return nil, []Problem{*problem}
		}
		longest = backoff.Max.Milliseconds()
	}
	if backoff.Initial.Milliseconds() > longest {
		return nil, []Problem{{Field: path + ".max", Message: fmt.Sprintf("%s is shorter than initial: write a longer one, or a shorter initial", backoff.Max.Duration)}}
	}
	factor, ok := thousandths(backoff.Factor)
	if !ok {
		return nil, []Problem{{Field: path + ".factor", Message: fmt.Sprintf("%s is no factor from 1 to 100: write an integer such as 2, or a string with up to three decimals such as \"1.5\"", quote(backoff.Factor.String()))}}
	}
	delays := make([]time.Duration, retries)
	exact := new(big.Rat).SetInt64(backoff.Initial.Milliseconds())
	first, times := new(big.Rat).Set(exact), big.NewRat(factor, 1000)
	for i := range delays {
		millis := min(rounded(exact), longest)
		if backoff.Max == nil && rounded(exact) > longest {
			return nil, []Problem{{Field: path, Message: fmt.Sprintf("the delay before retry %d is longer than RabbitMQ can wait, about 49 days: write max", i+1)}}
		}
		delays[i] = time.Duration(millis) * time.Millisecond
		if strategy == v1alpha1.RetryNative {
			exact.Add(exact, first)
		} else {
			exact.Mul(exact, times)
		}
	}
	return delays, nil
}

// rounded is the nearest integer, the higher one of two.
func rounded(exact *big.Rat) int64 {
	half := new(big.Rat).Add(exact, big.NewRat(1, 2))
	whole := new(big.Int).Quo(half.Num(), half.Denom())
	if !whole.IsInt64() {
		return math.MaxInt64
	}
	return whole.Int64()
}

// thousandths reads a factor; none is 2.
func thousandths(factor *intstr.IntOrString) (int64, bool) {
	if factor == nil {
		return 2000, true
	}
	if factor.Type == intstr.Int {
		return int64(factor.IntVal) * 1000, factor.IntVal >= 1 && factor.IntVal <= 100
	}
	whole, decimals, _ := strings.Cut(factor.StrVal, ".")
	digits := whole + (decimals + "000")[:3]
	if whole == "" || len(decimals) > 3 || strings.HasSuffix(factor.StrVal, ".") || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n >= 1000 && n <= 100_000
}
