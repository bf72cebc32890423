package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

const (
	argDeadLetterExchange   = "x-dead-letter-exchange"
	argDeadLetterRoutingKey = "x-dead-letter-routing-key"
	argDeadLetterStrategy   = "x-dead-letter-strategy"
	argMatch                = "x-match"
	argAlternateExchange    = "alternate-exchange"

	maxCount     = 1<<53 - 1 // of what a schema calls a number
	maxArguments = 64
	maxMillis    = 1<<32 - 1
)

var ageForm = regexp.MustCompile(`^[0-9]{1,15}[YMDhms]$`)

// queueSpec puts the arguments of a queue into the fields of a spec. It errs on
// what no spec can hold. Dead letters become a reference to what there is.
func queueSpec(q *topology.Queue, arguments topology.Arguments) (*v1alpha1.QueueSpec, error) {
	spec := &v1alpha1.QueueSpec{Name: q.Name, Type: v1alpha1.QueueType(q.Type), AutoDelete: q.AutoDelete}
	if !q.Durable {
		spec.Durable = new(bool)
	}
	t := &table{rest: maps.Clone(arguments)}
	spec.MessageTTL = t.millis("x-message-ttl")
	spec.Expires = t.millis("x-expires")
	spec.MaxLength = t.integer("x-max-length", 0, maxCount)
	spec.MaxLengthBytes = t.integer("x-max-length-bytes", 0, maxCount)
	spec.Overflow = v1alpha1.Overflow(t.word("x-overflow", "drop-head", "reject-publish", "reject-publish-dlx"))
	spec.DeliveryLimit = t.integer("x-delivery-limit", -1, maxCount)
	spec.MaxPriority = narrow(t.integer("x-max-priority", 1, 255))
	spec.SingleActiveConsumer = t.truth("x-single-active-consumer")
	spec.LeaderLocator = v1alpha1.LeaderLocator(t.word("x-queue-leader-locator", "client-local", "balanced"))
	size := "x-quorum-initial-group-size"
	if q.Type == topology.QueueTypeStream {
		size = "x-initial-cluster-size"
	}
	spec.InitialGroupSize = narrow(t.integer(size, 1, 255))
	if spec.MaxAge = t.word("x-max-age"); spec.MaxAge != "" && !ageForm.MatchString(spec.MaxAge) {
		t.refuse("x-max-age", "no number with one unit of Y, M, D, h, m or s")
	}
	spec.MaxSegmentSizeBytes = t.integer("x-stream-max-segment-size-bytes", 1, 3_000_000_000)
	spec.DeadLetter = t.deadLetter()
	spec.Arguments = t.others()
	if spec.Overflow == v1alpha1.OverflowRejectPublishDLX && q.Type != topology.QueueTypeClassic {
		t.refuse("x-overflow", "reject-publish-dlx, which is for classic queues")
	}
	return spec, t.err()
}

// table is a table of arguments of which one after the other is taken out.
type table struct {
	rest     topology.Arguments
	problems []string
}

func (t *table) refuse(key, why string) { t.problems = append(t.problems, key+": "+why) }

func (t *table) err() error {
	if len(t.problems) == 0 {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(t.problems, "; "))
}

// take gives an argument of type T, if it is there.
func take[T any](t *table, key, kind string) (value T, there bool) {
	raw, there := t.rest[key]
	if !there {
		return value, false
	}
	delete(t.rest, key)
	value, right := raw.(T)
	if !right {
		t.refuse(key, topology.RenderValue(raw)+" is not "+kind)
	}
	return value, right
}

func (t *table) integer(key string, least, most int64) *int64 {
	n, there := take[int64](t, key, "an integer")
	if !there {
		return nil
	}
	if n < least || n > most {
		t.refuse(key, fmt.Sprintf("%d is not from %d to %d", n, least, most))
		return nil
	}
	return &n
}

func (t *table) millis(key string) *metav1.Duration {
	n := t.integer(key, 0, maxMillis)
	if n == nil {
		return nil
	}
	return &metav1.Duration{Duration: time.Duration(*n) * time.Millisecond}
}

func (t *table) word(key string, allowed ...string) string {
	s, there := take[string](t, key, "a string")
	if there && (s == "" || len(allowed) > 0 && !slices.Contains(allowed, s)) {
		t.refuse(key, fmt.Sprintf("no field takes %q", s))
	}
	return s
}

func (t *table) truth(key string) bool {
	b, there := take[bool](t, key, "true or false")
	if there && !b {
		t.refuse(key, "false, which is not the same to the broker as none, cannot be written")
	}
	return b
}

func (t *table) deadLetter() *v1alpha1.DeadLetter {
	exchange, named := take[string](t, argDeadLetterExchange, "a string")
	key, keyed := take[string](t, argDeadLetterRoutingKey, "a string")
	strategy := t.word(argDeadLetterStrategy, "at-most-once", "at-least-once")
	if !named {
		if keyed || strategy != "" {
			t.refuse(argDeadLetterExchange, "is missing, and deadLetter needs it")
		}
		return nil
	}
	d := &v1alpha1.DeadLetter{Create: new(bool), Exchange: &exchange, Strategy: v1alpha1.DeadLetterStrategy(strategy)}
	if keyed {
		d.RoutingKey = &key
	}
	return d
}

// others are the arguments that were not taken.
func (t *table) others() v1alpha1.Arguments {
	out, err := freeArguments(t.rest)
	if err != nil {
		t.problems = append(t.problems, err.Error())
	}
	return out
}

// freeArguments are arguments as a spec holds them.
func freeArguments(from topology.Arguments) (v1alpha1.Arguments, error) {
	if len(from) == 0 {
		return nil, nil
	}
	if len(from) > maxArguments {
		return nil, fmt.Errorf("%d arguments, and a manifest has room for %d", len(from), maxArguments)
	}
	out := make(v1alpha1.Arguments, len(from))
	for _, key := range slices.Sorted(maps.Keys(from)) {
		if err := storable(from[key]); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		out[key] = v1alpha1.Value{Raw: []byte(topology.RenderValue(from[key]))}
	}
	return out, nil
}

// storable tells what Kubernetes would make another value of: it stores a float
// without a fraction as an integer, which is another value to RabbitMQ.
func storable(v any) error {
	switch v := v.(type) {
	case float64:
		text, err := json.Marshal(v)
		if err != nil || !bytes.ContainsAny(text, ".e") {
			return fmt.Errorf("%s is a float without a fraction, which Kubernetes would store as an integer", topology.RenderValue(v))
		}
	case []any:
		for _, item := range v {
			if err := storable(item); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := storable(v[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

func narrow(n *int64) *int32 {
	if n == nil {
		return nil
	}
	small := int32(*n)
	return &small
}
