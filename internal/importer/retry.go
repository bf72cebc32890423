package importer

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

const (
	argDelayedRetryType = "x-delayed-retry-type"
	argDelayedRetryMin  = "x-delayed-retry-min"
	argDelayedRetryMax  = "x-delayed-retry-max"
)

// tiers folds the queues and exchanges of the strategy Tiers; nil if the queue
// has none. Whether all of them are there, and as they must be, compiling tells.
func (h *host) tiers(q *topology.Queue, plain *v1alpha1.QueueSpec) *v1alpha1.QueueSpec {
	d := plain.DeadLetter
	if d == nil || d.RoutingKey != nil || *d.Exchange != q.Name+".failed" {
		return nil
	}
	delays := map[int]time.Duration{}
	h.eachRetryQueue(q.Name, func(rest string) {
		number, millis, ok := strings.Cut(rest, ".")
		n, err := strconv.Atoi(number)
		if delay, valid := parseMillis(millis); ok && err == nil && valid {
			delays[n] = delay
		}
	})
	var steps []time.Duration
	for n := 1; delays[n] > 0; n++ {
		steps = append(steps, delays[n])
	}
	giveUp := h.exchanges[q.Name+".giveup"]
	if len(steps) != len(delays) || giveUp == nil {
		return nil
	}
	dead := h.boundAlone(giveUp, "")
	folded := &v1alpha1.DeadLetter{}
	if dead == nil || !describeDeadQueue(folded, q, dead) {
		return nil
	}
	out := plain.DeepCopy()
	out.DeadLetter = folded
	if *folded == (v1alpha1.DeadLetter{}) {
		out.DeadLetter = nil
	}
	if q.Type == topology.QueueTypeQuorum {
		out.Overflow = "" // Tiers sets it
	}
	return withRetry(out, v1alpha1.RetryTiers, steps)
}

// published folds the queues of the strategy Published; nil if there are none.
// The broker does not know in which order a consumer uses them: the shortest
// delay comes first.
func (h *host) published(q *topology.Queue, base *v1alpha1.QueueSpec) *v1alpha1.QueueSpec {
	var delays []time.Duration
	h.eachRetryQueue(q.Name, func(rest string) {
		if delay, ok := parseMillis(rest); ok {
			delays = append(delays, delay)
		}
	})
	slices.Sort(delays)
	return withRetry(base.DeepCopy(), v1alpha1.RetryPublished, delays)
}

// native folds the arguments of delayed retries.
func (h *host) native(base *v1alpha1.QueueSpec) *v1alpha1.QueueSpec {
	arguments := maps.Clone(base.Arguments)
	shortest, least := arguments[argDelayedRetryMin]
	longest, most := arguments[argDelayedRetryMax]
	if arguments[argDelayedRetryType].String() != `"all"` || !least || !most || base.DeliveryLimit == nil || base.DeadLetter == nil {
		return nil
	}
	limit := *base.DeliveryLimit
	initial, err := strconv.ParseInt(shortest.String(), 10, 64)
	last, err2 := strconv.ParseInt(longest.String(), 10, 64)
	if cmp.Or(err, err2) != nil || limit < 1 || limit > v1alpha1.MaxRetries || initial < 1 || last > maxMillis {
		return nil
	}
	out := base.DeepCopy()
	for _, key := range []string{argDelayedRetryType, argDelayedRetryMin, argDelayedRetryMax} {
		delete(out.Arguments, key)
	}
	if len(out.Arguments) == 0 {
		out.Arguments = nil
	}
	out.DeliveryLimit = nil
	if *out.DeadLetter == (v1alpha1.DeadLetter{}) {
		out.DeadLetter = nil // Native creates it
	}
	retries := int32(limit)
	out.Retry = &v1alpha1.Retry{Strategy: v1alpha1.RetryNative, MaxRetries: &retries, Backoff: &v1alpha1.Backoff{Initial: millis(initial)}}
	if last != initial*limit {
		longest := millis(last)
		out.Retry.Backoff.Max = &longest
	}
	return out
}

func millis(n int64) metav1.Duration {
	return metav1.Duration{Duration: time.Duration(n) * time.Millisecond}
}

// eachRetryQueue calls f with what follows <queue>.retry. in the names of queues.
func (h *host) eachRetryQueue(queue string, f func(rest string)) {
	prefix := queue + ".retry."
	for i := sort.SearchStrings(h.queueList, prefix); i < len(h.queueList); i++ {
		rest, ok := strings.CutPrefix(h.queueList[i], prefix)
		if !ok {
			return
		}
		f(rest)
	}
}

// parseMillis reads a delay as names of queues have it.
func parseMillis(text string) (time.Duration, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return time.Duration(n) * time.Millisecond, err == nil && n > 0 && n <= maxMillis && text == strconv.FormatInt(n, 10)
}

// withRetry adds a retry with these delays; nil if there is none.
func withRetry(spec *v1alpha1.QueueSpec, strategy v1alpha1.RetryStrategy, delays []time.Duration) *v1alpha1.QueueSpec {
	if len(delays) == 0 || len(delays) > v1alpha1.MaxRetries {
		return nil
	}
	spec.Retry = backoff(strategy, delays)
	if spec.Retry == nil {
		spec.Retry = listed(strategy, delays)
	}
	return spec
}

// listed writes delays one by one, the last of equal ones once.
func listed(strategy v1alpha1.RetryStrategy, delays []time.Duration) *v1alpha1.Retry {
	retry := &v1alpha1.Retry{Strategy: strategy}
	distinct := len(delays)
	for distinct > 1 && delays[distinct-1] == delays[distinct-2] {
		distinct--
	}
	for _, delay := range delays[:distinct] {
		retry.Delays = append(retry.Delays, metav1.Duration{Duration: delay})
	}
	if distinct < len(delays) {
		retry.MaxRetries = count(delays)
	}
	return retry
}

func count(delays []time.Duration) *int32 {
	n := int32(len(delays))
	return &n
}

// backoff writes delays that grow by a factor; nil if they do not. Two delays are
// no series.
func backoff(strategy v1alpha1.RetryStrategy, delays []time.Duration) *v1alpha1.Retry {
	const fewest = 3
	if len(delays) < fewest || delays[1] <= delays[0] {
		return nil
	}
	last := metav1.Duration{Duration: delays[len(delays)-1]}
	b := v1alpha1.Backoff{Initial: metav1.Duration{Duration: delays[0]}}
	if thousandths := 1000 * delays[1] / delays[0]; thousandths != 2000 {
		factor := intstr.FromInt32(int32(thousandths / 1000))
		if decimals := thousandths % 1000; decimals != 0 {
			text := strconv.FormatFloat(float64(thousandths)/1000, 'f', -1, 64)
			factor = intstr.FromString(text)
		}
		b.Factor = &factor
	}
	capped := b
	capped.Max = &last
	for _, b := range []v1alpha1.Backoff{b, capped} {
		retry := &v1alpha1.Retry{Strategy: strategy, MaxRetries: count(delays), Backoff: &b}
		steps := compile.RetryOf(&v1alpha1.Queue{Spec: v1alpha1.QueueSpec{Name: "q", Retry: retry}}).Steps
		if slices.EqualFunc(steps, delays, func(s compile.RetryStep, d time.Duration) bool { return s.Delay == d }) {
			return retry
		}
	}
	return nil
}
