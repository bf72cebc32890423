package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// desk is a status writer in front of an API server and a cache that can lag.
type desk struct {
	*statusWriter
	server client.WithWatch

	mu sync.Mutex
	// cached is what the cache shows instead of the server, while it lags.
	cached *v1alpha1.Queue
	// fails is what the next patch answers.
	fails   error
	patches []string
	// underWay counts the patches under way, by object.
	underWay map[string]int
	retried  chan topology.OwnerKey
	said     []string
}

func newDesk(t *testing.T, objects ...client.Object) *desk {
	t.Helper()
	d := &desk{server: newClient(t, interceptor.Funcs{}, objects...), retried: make(chan topology.OwnerKey, 10), underWay: map[string]int{}}
	lagging := interceptor.NewClient(d.server, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.cached != nil {
				d.cached.DeepCopyInto(o.(*v1alpha1.Queue))
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			data, err := patch.Data(o)
			if err != nil {
				return err
			}
			d.mu.Lock()
			d.patches = append(d.patches, o.GetName()+" "+string(data))
			err, d.fails = d.fails, nil
			d.underWay[o.GetName()]++
			if d.underWay[o.GetName()] > 1 {
				t.Errorf("two workers write %s at a time", o.GetName())
			}
			d.mu.Unlock()
			time.Sleep(time.Millisecond) // as a server takes
			defer func() {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.underWay[o.GetName()]--
			}()
			if err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, o, patch, opts...)
		},
	})
	clock := func() time.Time { return noon }
	d.statusWriter = newStatusWriter(lagging, newContracts(lagging, d.server, clock), logr.Discard(), clock)
	d.retry = func(key topology.OwnerKey) { d.retried <- key }
	d.transition = func(o v1alpha1.Object, before, after v1alpha1.ObjectStatus) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.said = append(d.said, fmt.Sprintf("%s %v -> %v", o.GetName(), conditionLines(before.Conditions), conditionLines(after.Conditions)))
	}
	return d
}

// run starts the writer until the test is over.
func (d *desk) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = d.Start(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func (d *desk) write(t *testing.T, v engine.Verdict) {
	t.Helper()
	if err := d.statusWriter.write(t.Context(), v); err != nil {
		t.Fatal(err)
	}
}

func (d *desk) stored(t *testing.T, name string) v1alpha1.ObjectStatus {
	t.Helper()
	var q v1alpha1.Queue
	if err := d.server.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, &q); err != nil {
		t.Fatal(err)
	}
	return q.Status
}

func waiting(name string) engine.Verdict {
	v := ready(name)
	v.Ready, v.Reason, v.Message = false, v1alpha1.ReasonDependencyNotReady, "waits"
	return v
}

func TestStatusIsWrittenIfItSaysSomethingNew(t *testing.T) {
	d := newDesk(t, queueObject("q"))
	d.write(t, ready("q"))
	check(t, "the verdict", []string{"Ready=True Succeeded: queue shop/q is as declared"}, conditionLines(d.stored(t, "q").Conditions))
	check(t, "and what it owns", []string{"queue shop/q"}, d.stored(t, "q").Owns)
	d.write(t, ready("q"))
	check(t, "the same again is not written", 1, len(d.patches))
	check(t, "nor announced", []string{"q [] -> [Ready=True Succeeded: queue shop/q is as declared]"}, d.said)
	d.write(t, waiting("q"))
	check(t, "something else is", 2, len(d.patches))
}

func TestOwnLastWordIsNewerThanTheCache(t *testing.T) {
	d := newDesk(t, queueObject("q"))
	var stale v1alpha1.Queue
	if err := d.server.Get(t.Context(), client.ObjectKeyFromObject(queueObject("q")), &stale); err != nil {
		t.Fatal(err)
	}
	d.cached = &stale
	d.write(t, ready("q"))
	d.write(t, ready("q"))
	check(t, "the cache does not know it yet, the writer does", 1, len(d.patches))
	d.write(t, waiting("q"))
	d.write(t, ready("q"))
	check(t, "back to what the cache shows, nearly: it is written all the same", 3, len(d.patches))
	check(t, "no condition of an older word is left", []string{"Ready=True Succeeded: queue shop/q is as declared"}, conditionLines(d.stored(t, "q").Conditions))

	d.cached = nil // it has caught up
	somebody := queueObject("q")
	if err := d.server.Get(t.Context(), client.ObjectKeyFromObject(somebody), somebody); err != nil {
		t.Fatal(err)
	}
	somebody.Status = v1alpha1.ObjectStatus{}
	if err := d.server.Status().Update(t.Context(), somebody); err != nil {
		t.Fatal(err)
	}
	d.write(t, ready("q"))
	check(t, "what somebody else wiped out is written again", []string{"Ready=True Succeeded: queue shop/q is as declared"}, conditionLines(d.stored(t, "q").Conditions))
	check(t, "and a cache that has caught up is believed", 4, len(d.patches))
}

// What has a word, or gets one, is not told of trouble that has come since: it is no news.
func TestWhoHasAWord(t *testing.T) {
	another, edited := ready("q"), ready("q")
	another.Owner.UID, edited.Owner.Generation = "uid-another", 2
	for name, tc := range map[string]struct {
		reason string
		before func(*desk)
		want   bool
	}{
		"New":         {"nobody has said anything yet", func(*desk) {}, false},
		"Queued":      {"a verdict waits to be written", func(d *desk) { d.add([]engine.Verdict{ready("q")}) }, true},
		"InHand":      {"it is being written", func(d *desk) { d.add([]engine.Verdict{ready("q")}); d.next(false) }, true},
		"Written":     {"it has been, which the cache does not show yet", func(d *desk) { d.write(t, ready("q")) }, true},
		"OfAnother":   {"the verdict is on one that had the name before", func(d *desk) { d.add([]engine.Verdict{another}) }, false},
		"OfOtherSpec": {"the verdict is on another generation", func(d *desk) { d.add([]engine.Verdict{edited}); d.next(true) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			d, object := newDesk(t, queueObject("q")), queueObject("q")
			if err := d.server.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
				t.Fatal(err)
			}
			d.cached = object.DeepCopy()
			tc.before(d)
			check(t, tc.reason, tc.want, d.hasWord(object))
		})
	}
}

func TestStatusOfWhatIsGone(t *testing.T) {
	d := newDesk(t, queueObject("q"))
	d.write(t, ready("unknown"))
	another := ready("q")
	another.Owner.UID = "uid-of-its-predecessor"
	d.write(t, another)
	check(t, "a verdict on another object is no verdict on this one", 0, len(d.patches))

	d.write(t, ready("q"))
	d.fails = apierrors.NewNotFound(schema.GroupResource{Resource: "queues"}, "q")
	d.write(t, waiting("q"))
	check(t, "an object that went meanwhile needs no status", 2, len(d.patches))
	d.write(t, waiting("q"))
	check(t, "what was said is remembered until the cache shows it", 1, len(d.recent))
	if err := d.server.Delete(t.Context(), queueObject("q")); err != nil {
		t.Fatal(err)
	}
	d.write(t, ready("q"))
	check(t, "what was said of it is forgotten", 0, len(d.recent))
}

func TestRecreatedObjectStartsAnew(t *testing.T) {
	d := newDesk(t, queueObject("q"))
	d.write(t, ready("q"))
	next := queueObject("q")
	next.UID, next.ResourceVersion = "uid-q2", "1"
	d.cached = next // older by number, and another object
	v := ready("q")
	v.Owner.UID = "uid-q2"
	status, version := d.present(owner("q"), next)
	check(t, "its predecessor's status is not its own", v1alpha1.ObjectStatus{}, status)
	check(t, "nor is its version", "1", version)
}

func TestLatestVerdictWins(t *testing.T) {
	d := newDesk(t, queueObject("q"), queueObject("r"))
	d.add([]engine.Verdict{waiting("q"), waiting("r")})
	d.add([]engine.Verdict{ready("q")})
	d.run(t)
	eventually(t, "both are written", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.said) == 2 })
	check(t, "the latest of the two", []string{"Ready=True Succeeded: queue shop/q is as declared"}, conditionLines(d.stored(t, "q").Conditions))
}

func TestFailedPatchIsTriedAgain(t *testing.T) {
	d := newDesk(t, queueObject("q"))
	d.fails = errors.New("etcd is away")
	d.run(t)
	d.add([]engine.Verdict{ready("q")})
	select {
	case key := <-d.retried:
		check(t, "the object is looked at once more", owner("q"), key)
	case <-time.After(10 * time.Second):
		t.Fatal("nobody tries again")
	}
	check(t, "what was not written was not said", 0, len(d.recent))
	d.add([]engine.Verdict{ready("q")})
	eventually(t, "it is written then", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.said) == 1 })
}

// Many verdicts on few objects at once: no object is in two hands, and the last
// word stands.
func TestManyVerdictsAtOnce(t *testing.T) {
	var objects []client.Object
	for i := range 5 {
		objects = append(objects, queueObject(fmt.Sprintf("q%d", i)))
	}
	d := newDesk(t, objects...)
	d.run(t)
	var adders sync.WaitGroup
	for i := range 5 {
		adders.Go(func() {
			for n := range 40 {
				v := waiting(fmt.Sprintf("q%d", i))
				v.Message = fmt.Sprintf("waits for the %dth time", n)
				d.add([]engine.Verdict{v})
				time.Sleep(100 * time.Microsecond)
			}
		})
	}
	adders.Wait()
	for i := range 5 {
		eventually(t, "the last word stands", func() bool {
			c := d.stored(t, fmt.Sprintf("q%d", i)).Conditions
			return len(c) == 2 && c[0].Message == "waits for the 39th time"
		})
	}
}

// While an edit is under way, the statuses of what is new wait, and keep no writer from that
// of the edit.
func TestStatusesGiveWayToEdits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := []client.Object{queueObject("edited")}
		var fresh []engine.Verdict
		for i := range 2 * statusWriters {
			name := fmt.Sprintf("q%d", i)
			objects, fresh = append(objects, queueObject(name)), append(fresh, waiting(name))
		}
		d := newDesk(t, objects...)
		d.run(t)
		done := d.courtesy.Edit()
		d.add(fresh)
		synctest.Wait()
		edited := waiting("edited")
		edited.Owner.Generation = 2
		d.add([]engine.Verdict{edited})
		written := func() (names []string) {
			time.Sleep(100 * time.Millisecond)
			d.mu.Lock()
			defer d.mu.Unlock()
			for _, patch := range d.patches {
				name, _, _ := strings.Cut(patch, " ")
				names = append(names, name)
			}
			return names
		}
		if got := written(); !slices.Equal(got, []string{"edited"}) {
			t.Errorf("during the edit the statuses of %q are written, want the edited one's", got)
		}
		done()
		if got := written(); len(got) != len(objects) {
			t.Errorf("after the edit %d statuses are written, want all %d", len(got), len(objects))
		}
	})
}

func eventually(t *testing.T, reason string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatal("not within a minute: " + reason)
}
