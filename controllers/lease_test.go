package controllers

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

var sameError = cmpopts.EquateErrors()

// lock is a lock that anybody can write.
type lock struct {
	resourcelock.Interface
	fails  error
	record resourcelock.LeaderElectionRecord
}

func (l *lock) Identity() string { return "me" }

func (l *lock) Create(_ context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.Update(context.Background(), r)
}

func (l *lock) Update(_ context.Context, r resourcelock.LeaderElectionRecord) error {
	if l.fails == nil {
		l.record = r
	}
	return l.fails
}

func TestLease(t *testing.T) {
	mine, nobodys := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}, resourcelock.LeaderElectionRecord{}
	stored, now := &lock{}, noon
	l := NewLease(stored, 7*time.Second)
	l.clock = func() time.Time { return now }
	check(t, "who never led may not", ErrNotLeading, l.Held(), sameError)

	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(l.Create(t.Context(), mine))
	now = now.Add(6 * time.Second)
	check(t, "a renewal counts for a while", nil, l.Held(), sameError)
	must(l.Update(t.Context(), mine))
	now = now.Add(6 * time.Second)
	check(t, "and the next one from its own time", nil, l.Held(), sameError)
	stored.fails = errors.New("the API server is away")
	_ = l.Update(t.Context(), mine)
	now = now.Add(time.Second)
	check(t, "one that failed does not count", ErrNotLeading, l.Held(), sameError)

	stored.fails, stored.record = nil, resourcelock.LeaderElectionRecord{HolderIdentity: "another"}
	check(t, "who does not lead has nothing to release", ErrNotLeading, l.Update(t.Context(), nobodys), sameError)
	check(t, "the lease is the other's", "another", stored.record.HolderIdentity)

	must(l.Update(t.Context(), mine))
	must(l.Update(t.Context(), nobodys))
	check(t, "who released it does not lead", ErrNotLeading, l.Held(), sameError)
}

func TestGuard(t *testing.T) {
	var sent []string
	leading := error(nil)
	g := guard{
		next: roundTrip(func(r *http.Request) (*http.Response, error) { sent = append(sent, r.Method); return nil, nil }),
		held: func() error { return leading },
	}
	send := func(method string) error {
		_, err := g.RoundTrip(&http.Request{Method: method}) //nolint:bodyclose // there is no answer
		return err
	}
	check(t, "the leader writes", nil, send(http.MethodPatch), sameError)
	leading = ErrNotLeading
	check(t, "others do not", ErrNotLeading, send(http.MethodPut), sameError)
	check(t, "but read", nil, send(http.MethodGet), sameError)
	check(t, "what was sent", []string{http.MethodPatch, http.MethodGet}, sent)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
