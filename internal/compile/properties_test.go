package compile

import (
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// word draws from few names, so that names meet.
var word = rapid.SampledFrom([]string{"", "a", "b", "a.dlx", "a.dead", "amq.x", "x-match", "x-message-ttl", "ü ñ"})

var arguments = rapid.Custom(func(t *rapid.T) v1alpha1.Arguments {
	values := rapid.SampledFrom([]string{`1`, `1.0`, `"1"`, `true`, `null`, `[1,{"a":2}]`, `1e400`, `99999999999999999999`})
	return rapid.MapOfN(word, rapid.Map(values, func(s string) v1alpha1.Value { return v1alpha1.Value{Raw: []byte(s)} }), 0, 3).Draw(t, "arguments")
})

var source = rapid.Custom(func(t *rapid.T) v1alpha1.BindingSource {
	s := v1alpha1.BindingSource{
		Source:      word.Draw(t, "source"),
		RoutingKeys: rapid.SliceOfN(word, 0, 3).Draw(t, "keys"),
		Arguments:   arguments.Draw(t, "binding arguments"),
	}
	if rapid.Bool().Draw(t, "has headers") {
		s.Headers = &v1alpha1.HeaderBinding{Values: arguments.Draw(t, "headers")}
	}
	return s
})

var deadLetter = rapid.Custom(func(t *rapid.T) *v1alpha1.DeadLetter {
	d := &v1alpha1.DeadLetter{Queue: word.Draw(t, "dead queue"), QueueType: rapid.SampledFrom([]v1alpha1.DeadLetterQueueType{"", "classic", "quorum"}).Draw(t, "dead type")}
	if rapid.Bool().Draw(t, "create is written") {
		create := rapid.Bool().Draw(t, "create")
		d.Create = &create
	}
	if rapid.Bool().Draw(t, "exchange is written") {
		exchange := word.Draw(t, "dead exchange")
		d.Exchange = &exchange
	}
	return d
})

var retries = rapid.Custom(func(t *rapid.T) *v1alpha1.Retry {
	span := rapid.Map(rapid.SampledFrom([]time.Duration{-1, 0, 1, time.Millisecond, time.Second, 1500 * time.Millisecond, 2000 * time.Hour}),
		func(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} })
	r := &v1alpha1.Retry{
		Strategy: rapid.SampledFrom([]v1alpha1.RetryStrategy{"", "Tiers", "Published", "Native"}).Draw(t, "strategy"),
		Delays:   rapid.SliceOfN(span, 0, 3).Draw(t, "delays"),
	}
	if rapid.Bool().Draw(t, "has backoff") {
		factor := intstr.Parse(rapid.SampledFrom([]string{"0", "1", "3", "1.5", ".5", "1.", "-1", "1e3", "101"}).Draw(t, "factor"))
		r.Backoff = &v1alpha1.Backoff{Initial: span.Draw(t, "initial"), Factor: &factor}
	}
	if rapid.Bool().Draw(t, "has maxRetries") {
		n := rapid.Int32Range(-1, 25).Draw(t, "maxRetries")
		r.MaxRetries = &n
	}
	return r
})

var anyObject = rapid.Custom(func(t *rapid.T) v1alpha1.Object {
	meta := metav1.ObjectMeta{Namespace: "n", Name: "a"}
	sources := rapid.SliceOfN(source, 0, 4).Draw(t, "bindings")
	switch rapid.SampledFrom(v1alpha1.NewObjects()).Draw(t, "kind").(type) {
	case *v1alpha1.VirtualHost:
		return &v1alpha1.VirtualHost{ObjectMeta: meta, Spec: v1alpha1.VirtualHostSpec{Name: word.Draw(t, "name")}}
	case *v1alpha1.Exchange:
		return &v1alpha1.Exchange{ObjectMeta: meta, Spec: v1alpha1.ExchangeSpec{
			Name: word.Draw(t, "name"), Type: "topic", AlternateExchange: word.Draw(t, "alternate"), Arguments: arguments.Draw(t, "args"), Bindings: sources,
		}}
	case *v1alpha1.ExchangeBinding:
		return &v1alpha1.ExchangeBinding{ObjectMeta: meta, Spec: v1alpha1.ExchangeBindingSpec{
			BindingSource: source.Draw(t, "source"), Destination: word.Draw(t, "destination"), DestinationType: "queue",
		}}
	case *v1alpha1.Topic:
		return &v1alpha1.Topic{ObjectMeta: meta, Spec: v1alpha1.TopicSpec{
			Name: word.Draw(t, "name"), Config: rapid.MapOfN(word, word, 0, 3).Draw(t, "config"),
		}}
	default:
		q := &v1alpha1.Queue{ObjectMeta: meta, Spec: v1alpha1.QueueSpec{
			Name: word.Draw(t, "name"), Type: rapid.SampledFrom([]v1alpha1.QueueType{"classic", "quorum", "stream"}).Draw(t, "type"),
			Arguments: arguments.Draw(t, "args"), Bindings: sources,
		}}
		if rapid.Bool().Draw(t, "has dead letters") {
			q.Spec.DeadLetter = deadLetter.Draw(t, "dead letters")
		}
		if rapid.Bool().Draw(t, "has retry") {
			q.Spec.Retry = retries.Draw(t, "retry")
		}
		return q
	}
})

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obj := anyObject.Draw(t, "object")
		before := obj.DeepCopyObject()
		claim := Claim(obj, shop)
		if diff := cmp.Diff(before, obj); diff != "" {
			t.Fatalf("compiling changed the object (-before +after):\n%s", diff)
		}
		again := Claim(obj.DeepCopyObject().(v1alpha1.Object), shop)
		if diff := cmp.Diff(claim, again, ignoreUnexported); diff != "" {
			t.Fatalf("the same object makes another claim (-first +second):\n%s", diff)
		}
		checkClaim(t, claim)
	})
}

type failer interface{ Fatalf(string, ...any) }

// checkClaim holds for every claim, valid or not.
func checkClaim(t failer, claim topology.Claim) {
	if len(claim.Want) == 0 {
		t.Fatalf("the claim wants nothing: %v", claim.Invalid)
	}
	seen := map[topology.ID]bool{}
	for _, want := range claim.Want {
		if seen[want.Resource.ID()] {
			t.Fatalf("%s is wanted twice", want.Resource.ID())
		}
		seen[want.Resource.ID()] = true
	}
	if claim.Invalid != nil {
		text := claim.Invalid.Error()
		if text == "" || len(text) > 4096 || !utf8.ValidString(text) {
			t.Fatalf("the error is no text for a status: %d bytes, %q", len(text), text)
		}
		return
	}
	for _, want := range claim.Want {
		// A wanted object equals itself, or it would be written for ever.
		if changes := want.Resource.Diff(want.Resource); len(changes) > 0 {
			t.Fatalf("%s differs from itself: %s", want.Resource.ID(), topology.DescribeChanges(changes))
		}
		for _, need := range want.Resource.Needs() {
			if need == want.Resource.ID() {
				t.Fatalf("%s needs itself", need)
			}
		}
		if queue, ok := want.Resource.(*topology.Queue); ok {
			if _, twice := queue.Arguments["x-queue-type"]; twice {
				t.Fatalf("%s says its type twice", queue.ID())
			}
		}
	}
}

// FuzzArguments feeds any JSON object to the three places that take one.
func FuzzArguments(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"x-message-ttl":1000}`, `{"x-max-in-memory-length":"3"}`, `{"a":[1,{"b":null}],"c":1e400}`, `{"é\u0000":-0.0}`,
		`{"x-match":"any","":9223372036854775807}`, `{"x-queue-version":2.0,"X-Max-Length":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var given v1alpha1.Arguments
		if json.Unmarshal(raw, &given) != nil {
			t.Skip("not a JSON object")
		}
		binding := v1alpha1.BindingSource{Source: "s", Arguments: given}
		headers := v1alpha1.BindingSource{Source: "s", Headers: &v1alpha1.HeaderBinding{Values: given}}
		claim := Claim(&v1alpha1.Queue{Spec: v1alpha1.QueueSpec{
			Name: "q", Type: v1alpha1.QueueTypeQuorum, Arguments: given, Bindings: []v1alpha1.BindingSource{binding, headers},
		}}, shop)
		checkClaim(t, claim)
		if claim.Invalid != nil {
			return
		}
		queue := claim.Want[0].Resource.(*topology.Queue)
		if len(queue.Arguments) != len(given) {
			t.Fatalf("%d arguments were given and %d arrive: %s", len(given), len(queue.Arguments), queue.Arguments.Canonical())
		}
		back, err := topology.ParseArguments([]byte(queue.Arguments.Canonical()))
		if err != nil || !back.Equal(queue.Arguments) {
			t.Fatalf("%s does not survive a round trip: %v", queue.Arguments.Canonical(), err)
		}
	})
}
