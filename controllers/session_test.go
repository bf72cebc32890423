package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/dial"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

func TestTrouble(t *testing.T) {
	s := &session{key: connectionKey()}
	if _, known := s.inTrouble(); known {
		t.Error("a session that has not tried yet is in no trouble")
	}
	fail := func(message string, at time.Time) (trouble, bool) {
		return s.fail(v1alpha1.ReasonConnectionUnavailable, message, false, at)
	}
	_, news := fail("refused", noon)
	check(t, "the first trouble is news", true, news)
	got, news := fail("refused", noon.Add(time.Second))
	check(t, "the same again is not", false, news)
	check(t, "it counts and keeps its beginning", trouble{reason: v1alpha1.ReasonConnectionUnavailable, message: "refused", since: noon, tries: 2}, got, cmp.AllowUnexported(trouble{}))
	_, news = fail("timed out", noon)
	check(t, "another message is", true, news)
	s.recover()
	if _, known := s.inTrouble(); known {
		t.Error("a session that works is in no trouble")
	}
	got, news = fail("timed out", noon.Add(time.Minute))
	check(t, "losing it again is news, even for the same reason", true, news)
	check(t, "before a sweep went through, it is still the old trouble", 4, got.tries)
	check(t, "and as old as that", noon, got.since)
	s.swept()
	check(t, "a sweep of a session that failed meanwhile ends nothing", 5, first(fail("timed out", noon)).tries)
	s.recover()
	s.swept()
	got, _ = fail("refused", noon.Add(time.Hour))
	check(t, "after a sweep it is a new one", trouble{reason: v1alpha1.ReasonConnectionUnavailable, message: "refused", since: noon.Add(time.Hour), tries: 1}, got, cmp.AllowUnexported(trouble{}))
}

func first[A, B any](a A, _ B) A { return a }

func TestSpareCredentials(t *testing.T) {
	s := &session{key: connectionKey(), adapter: &silent{}}
	s.cluster = engine.NewCluster(nil, time.Now)
	works := func() bool { _, _, ok := s.working(); return ok }
	check(t, "not connected yet", false, works())
	s.recover()
	check(t, "connected", true, works())
	s.fail(v1alpha1.ReasonSecretNotFound, "gone", false, time.Now())
	check(t, "a namespace that is deleted takes its Secret first", true, works())
	s.fail(v1alpha1.ReasonConnectionUnavailable, "refused", false, time.Now())
	check(t, "a broker that is away is away", false, works())
	s.fail(v1alpha1.ReasonSecretNotFound, "gone", false, time.Now())
	check(t, "credentials that did not work are no spare ones", false, works())
}

func TestPacing(t *testing.T) {
	r, _, _ := newRegistry(nil)
	for _, c := range []struct {
		reason      string
		trouble     trouble
		least, most time.Duration
	}{
		{"soon at first", trouble{reason: v1alpha1.ReasonConnectionUnavailable, tries: 1}, 250 * time.Millisecond, 500 * time.Millisecond},
		{"then later", trouble{reason: v1alpha1.ReasonConnectionUnavailable, tries: 4}, 2 * time.Second, 4 * time.Second},
		{"and never rarer than it is to be noticed", trouble{reason: v1alpha1.ReasonConnectionUnavailable, tries: 1000}, longestProbe / 2, longestProbe},
		{"a Secret may come", trouble{reason: v1alpha1.ReasonSecretNotFound, tries: 1000}, authRetry - time.Second, authRetry},
		{"credentials may be corrected", trouble{reason: v1alpha1.ReasonAuthenticationFailed, tries: 1}, authRetry - time.Second, authRetry},
		{"permissions may be granted", trouble{reason: v1alpha1.ReasonAccessDenied, tries: 1}, authRetry - time.Second, authRetry},
		{"the certificate in a Secret may be corrected", trouble{reason: v1alpha1.ReasonInvalidSpec, tries: 1}, 30 * time.Second, 30 * time.Second},
	} {
		for range 50 {
			if got := r.retryConnect(c.trouble).RequeueAfter; got < c.least || got > c.most {
				t.Fatalf("%s: the next attempt is in %s, want %s to %s", c.reason, got, c.least, c.most)
			}
		}
	}
	own := connectionObject()
	own.Spec.Interval = &metav1.Duration{Duration: time.Hour}
	for want, c := range map[time.Duration]v1alpha1.Connection{time.Minute: connectionObject(), time.Hour: own} {
		check(t, "the interval", want, r.intervalOf(c))
	}
}

func TestTroubleReason(t *testing.T) {
	for _, c := range []struct {
		err     error
		reason  string
		stalled bool
	}{
		{&dial.Missing{Message: "no"}, v1alpha1.ReasonSecretNotFound, false},
		{fmt.Errorf("wrapped: %w", &dial.Bad{Message: "no"}), v1alpha1.ReasonInvalidSpec, true},
		{&changedCluster{"a", "b"}, v1alpha1.ReasonClusterChanged, true},
		{&topology.Error{Class: topology.ClassAuthentication}, v1alpha1.ReasonAuthenticationFailed, false},
		{&topology.Error{Class: topology.ClassAccessDenied}, v1alpha1.ReasonAccessDenied, false},
		{&topology.Error{Class: topology.ClassTransport}, v1alpha1.ReasonConnectionUnavailable, false},
		{errors.New("anything else"), v1alpha1.ReasonConnectionUnavailable, false},
	} {
		reason, stalled := troubleReason(c.err)
		check(t, fmt.Sprintf("%T: whether an edit of the connection cures it", c.err), []any{c.reason, c.stalled}, []any{reason, stalled})
	}
}

func TestClusterChanged(t *testing.T) {
	for name, c := range map[string]struct {
		was, is, accepts string
		want             bool
	}{
		"First": {"", "one", "", false}, "Same": {"one", "one", "", false}, "Moved": {"one", "two", "", true},
		"Accepted": {"one", "two", "two", false}, "OtherAccepted": {"one", "two", "three", true},
	} {
		t.Run(name, func(t *testing.T) {
			connection := connectionObject()
			connection.Annotations = map[string]string{v1alpha1.AnnotationAcceptCluster: c.accepts}
			check(t, "a DNS entry that moved leads to nothing being written", c.want, clusterChanged(connection, c.was, c.is) != nil)
		})
	}
}

// A broker that answers a probe and fails every listing must be paced like one
// that is away: found well and lost in turn, it would be asked without a pause.
func TestHalfABrokerIsPaced(t *testing.T) {
	connection := connectionObject()
	c := newClient(t, interceptor.Funcs{}, connection, loginSecret())
	r, recorded, waiting := newRegistry(c)
	m, err := readMaterial(t.Context(), c, connection)
	if err != nil {
		t.Fatal(err)
	}
	broker := &silent{reading: &topology.Error{Class: topology.ClassTransport, Operation: "list queues", Reason: "500"}}
	s := r.session(connectionKey())
	s.adapter, s.fingerprint = broker, m.Fingerprint
	sweep, last := Request{connectionKey(), LaneSweep}, time.Duration(0)
	for try := range 12 {
		waiting.waits = nil
		result, err := r.Reconcile(t.Context(), sweep)
		if err != nil {
			t.Fatal(err)
		}
		last = max(result.RequeueAfter, waiting.waits[sweep])
		if floor := 125 * time.Millisecond; last < floor {
			t.Fatalf("attempt %d is followed by the next in %s", try, last)
		}
	}
	if last < longestProbe/2 {
		t.Errorf("after 12 attempts the next is in %s, want at least %s", last, longestProbe/2)
	}
	check(t, "one outage, one Warning", []string{"Warning ConnectionUnavailable Reconcile on shop/broker: list queues: 500"}, recorded.take())

	broker.reading = nil
	if _, err := r.Reconcile(t.Context(), sweep); err != nil {
		t.Fatal(err)
	}
	var got v1alpha1.RabbitMQConnection
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(connection), &got); err != nil {
		t.Fatal(err)
	}
	check(t, "it is well again", []string{"Ready=True Succeeded: RabbitMQ 4.3.0"}, conditionLines(got.Status.Conditions))
	check(t, "and said so", []string{"Normal Succeeded Reconcile on shop/broker: RabbitMQ 4.3.0"}, recorded.take())
	check(t, "the next trouble starts from the beginning", 1, first(s.fail("x", "y", false, noon)).tries)
}

// An API server that is away is no news of the broker: it is tried again, and
// neither the session nor a status says that the broker were away.
func TestAPIServerAwayIsNoTroubleOfTheBroker(t *testing.T) {
	connection := connectionObject()
	c := newClient(t, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
			if _, secret := into.(*corev1.Secret); secret {
				return errors.New("connection refused")
			}
			return c.Get(ctx, key, into, options...)
		},
	}, connection, loginSecret())
	r, recorded, _ := newRegistry(c)
	s := r.session(connectionKey())
	s.recover()
	_, err := r.sweep(t.Context(), connectionKey())
	if err == nil {
		t.Error("the sweep is not tried again")
	}
	_, trouble := s.inTrouble()
	check(t, "whether the session is in trouble", false, trouble)
	check(t, "it is no event of the connection", 0, len(recorded.take()))
	var now v1alpha1.RabbitMQConnection
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(connection), &now); err != nil {
		t.Fatal(err)
	}
	check(t, "conditions", connection.Status.Conditions, now.Status.Conditions)
}

// A hundred connections that have begun together do not check together.
func TestChecksAreSpread(t *testing.T) {
	const interval, parts = time.Minute, 6
	spread := map[time.Duration]int{}
	for i := range 600 {
		key := topology.ConnectionKey{Kind: v1alpha1.KindRabbitMQConnection, Namespace: "shop", Name: fmt.Sprint(i)}
		first := untilCheck(key, interval, noon)
		if first < interval/10 || first > interval+interval/10 {
			t.Fatalf("%s: the first check after %s", key, first)
		}
		then := noon.Add(first)
		check(t, "from then on once an interval", interval, untilCheck(key, interval, then))
		check(t, "whatever a check takes", interval-time.Second, untilCheck(key, interval, then.Add(time.Second)))
		spread[(first%interval)/(interval/parts)]++
	}
	for part := range time.Duration(parts) {
		if n := spread[part]; n < 50 || n > 150 {
			t.Errorf("of 600 checks %d come in the %dth sixth of an interval", n, part+1)
		}
	}
}
