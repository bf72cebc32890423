package compile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// argument is what RabbitMQ knows about one argument of a queue or exchange.
type argument struct {
	// field of the spec that covers the argument; "" where there is none.
	field string
	// types of queues that may have it; nil: no such rule, or one that depends
	// on the version of the broker, which then says so itself.
	types []v1alpha1.QueueType
	// value is what the broker accepts.
	value valueKind
}

// valueKind is a type of argument value, in words for the person who wrote it.
type valueKind string

const (
	anInteger valueKind = "an integer"
	aString   valueKind = "a string"
	aBoolean  valueKind = "true or false"
)

var (
	classicOnly     = []v1alpha1.QueueType{v1alpha1.QueueTypeClassic}
	quorumOnly      = []v1alpha1.QueueType{v1alpha1.QueueTypeQuorum}
	streamOnly      = []v1alpha1.QueueType{v1alpha1.QueueTypeStream}
	classicOrQuorum = []v1alpha1.QueueType{v1alpha1.QueueTypeClassic, v1alpha1.QueueTypeQuorum}
)

// queueArguments are the arguments that some type of queue knows, in RabbitMQ
// 3.10, 4.0 or 4.3, as probed on brokers of these versions. Any other argument is
// stored by the broker and does nothing.
var queueArguments = map[string]argument{
	"x-queue-type":                    {field: "type", value: aString},
	"x-message-ttl":                   {field: "messageTTL", types: classicOrQuorum, value: anInteger},
	"x-expires":                       {field: "expires", types: classicOrQuorum, value: anInteger},
	"x-max-length":                    {field: "maxLength", types: classicOrQuorum, value: anInteger},
	"x-max-length-bytes":              {field: "maxLengthBytes", value: anInteger},
	"x-overflow":                      {field: "overflow", types: classicOrQuorum, value: aString},
	"x-delivery-limit":                {field: "deliveryLimit", types: quorumOnly, value: anInteger},
	"x-max-priority":                  {field: "maxPriority", types: classicOnly, value: anInteger},
	"x-single-active-consumer":        {field: "singleActiveConsumer", types: classicOrQuorum, value: aBoolean},
	"x-queue-leader-locator":          {field: "leaderLocator", value: aString}, // classic queues: from 4.0 on
	"x-quorum-initial-group-size":     {field: "initialGroupSize", types: quorumOnly, value: anInteger},
	"x-initial-cluster-size":          {field: "initialGroupSize", types: streamOnly, value: anInteger},
	"x-max-age":                       {field: "maxAge", types: streamOnly, value: aString},
	"x-stream-max-segment-size-bytes": {field: "maxSegmentSizeBytes", types: streamOnly, value: anInteger},
	argDeadLetterExchange:             {field: "deadLetter.exchange", types: classicOrQuorum, value: aString},
	argDeadLetterRoutingKey:           {field: "deadLetter.routingKey", types: classicOrQuorum, value: aString},
	argDeadLetterStrategy:             {field: "deadLetter.strategy", types: quorumOnly, value: aString},

	"x-queue-mode":           {value: aString},
	"x-queue-version":        {value: anInteger},
	"x-queue-master-locator": {value: aString},
	"x-max-in-memory-length": {value: anInteger},
	"x-max-in-memory-bytes":  {value: anInteger},

	// Known from 4.3 on; older brokers store them and do nothing.
	"x-stream-filter-size-bytes":      {value: anInteger},
	"x-consumer-timeout":              {value: anInteger},
	"x-consumer-disconnected-timeout": {value: anInteger},
	"x-delayed-retry-type":            {value: aString},
	"x-delayed-retry-min":             {value: anInteger},
	"x-delayed-retry-max":             {value: anInteger},
}

// exchangeArguments are those of the broker and of the delayed message exchange.
// Other exchange types have arguments of their own, so an unknown one is no
// reason to warn.
var exchangeArguments = map[string]argument{
	argAlternateExchange: {field: "alternateExchange", value: aString},
	"x-delayed-type":     {value: aString},
}

// bindingArguments: x-match is the only one that the broker itself reads.
var bindingArguments = map[string]argument{
	argMatch: {field: "headers.match", value: aString},
}

const (
	argAlternateExchange    = "alternate-exchange"
	argDeadLetterExchange   = "x-dead-letter-exchange"
	argDeadLetterRoutingKey = "x-dead-letter-routing-key"
	argDeadLetterStrategy   = "x-dead-letter-strategy"
	argMatch                = "x-match"
)

// freeArguments adds the arguments of the free table at path to those that
// fields have set. Owner is the path of what the fields in known belong to.
func (d *draft) freeArguments(into topology.Arguments, owner, path string, given v1alpha1.Arguments, known map[string]argument) {
	for _, key := range slices.Sorted(maps.Keys(given)) {
		where := at(path, key)
		d.shortString(where, key)
		about, isKnown := known[key]
		if isKnown && about.field != "" {
			d.problem(where, "write %s.%s instead", owner, about.field)
			continue
		}
		value, ok := d.value(where, given[key])
		if !ok {
			continue
		}
		if _, set := into[key]; set {
			d.problem(where, "is set already by %s.retry: remove it here", owner)
			continue
		}
		if isKnown && !about.value.holds(value) {
			d.problem(where, "%s", about.value.refusal(value))
			continue
		}
		into[key] = value
	}
}

// value decodes one argument or header value. RabbitMQ refuses null everywhere,
// in the arguments of a binding with an internal error.
func (d *draft) value(path string, given v1alpha1.Value) (any, bool) {
	value, err := topology.ParseValue([]byte(given.String()))
	if err != nil {
		d.problem(path, "RabbitMQ cannot store this value: %s", shorten(err.Error()))
		return nil, false
	}
	if hasNull(value) {
		d.problem(path, "RabbitMQ refuses null: write a value, or leave it out")
		return nil, false
	}
	return value, true
}

func hasNull(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return slices.ContainsFunc(v, hasNull)
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), hasNull)
	}
	return false
}

func (k valueKind) holds(v any) bool {
	switch v.(type) {
	case int64:
		return k == anInteger
	case string:
		return k == aString
	case bool:
		return k == aBoolean
	}
	return false
}

// refusal says what to write instead of a value of another type, where that can
// be told from the value.
func (k valueKind) refusal(v any) string {
	text := shorten(topology.RenderValue(v)) + " is not " + string(k) + ", and RabbitMQ takes nothing else here"
	switch v := v.(type) {
	case string:
		_, notInteger := strconv.ParseInt(v, 10, 64)
		if k == anInteger && notInteger == nil || k == aBoolean && (v == "true" || v == "false") {
			return text + ": write " + v + " without quotes"
		}
	case float64:
		if k == anInteger && v == float64(int64(v)) {
			return text + ": write " + strconv.FormatInt(int64(v), 10)
		}
	}
	return text
}

// warnUnknown points at arguments that no type of queue acts on.
func (d *draft) warnUnknown(path string, given v1alpha1.Arguments) {
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if _, isKnown := queueArguments[key]; isKnown {
			continue
		}
		hint := ""
		if about, almost := queueArguments["x-"+strings.ToLower(strings.TrimPrefix(key, "x-"))]; almost && about.field != "" {
			hint = "; if you mean spec." + about.field + ", write that"
		}
		d.warn(at(path, key), "no queue type of RabbitMQ 3.10 to 4.3 knows this argument: the broker stores it and does nothing with it%s", hint)
	}
}

// maxMillis is the longest time that RabbitMQ accepts, in milliseconds.
const maxMillis = 1<<32 - 1

// wholeMillis tells what is wrong with a time span that RabbitMQ is to count;
// nil if nothing is.
func wholeMillis(path string, span time.Duration, least time.Duration) *Problem {
	switch {
	case span < least:
		return &Problem{Field: path, Message: fmt.Sprintf("%s is too short: write at least %dms", span, least.Milliseconds())}
	case span%time.Millisecond != 0:
		return &Problem{Field: path, Message: fmt.Sprintf("%s is not a whole number of milliseconds, and RabbitMQ has no finer unit: write %s", span, span.Round(time.Millisecond))}
	case span.Milliseconds() > maxMillis:
		return &Problem{Field: path, Message: fmt.Sprintf("%s is longer than RabbitMQ can wait: write at most %dms, about 49 days", span, int64(maxMillis))}
	}
	return nil
}

// setMillis sets a time span if there is one.
func (d *draft) setMillis(into topology.Arguments, key, path string, span *metav1.Duration, least time.Duration) {
	if span == nil {
		return
	}
	if problem := wholeMillis(path, span.Duration, least); problem != nil {
		d.problems = append(d.problems, *problem)
		return
	}
	into[key] = span.Milliseconds()
}

// setInteger sets a number if there is one.
func setInteger[N int32 | int64](into topology.Arguments, key string, n *N) {
	if n != nil {
		into[key] = int64(*n)
	}
}

// setString sets a text if there is one.
func setString[S ~string](into topology.Arguments, key string, s S) {
	if s != "" {
		into[key] = string(s)
	}
}
