package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/cli"
	"github.com/warrener-dev/warrener/test/harness"
)

// Of 80 queues a quarter is less than 50, so the limit is 50.
const (
	ofBreaker   = 80
	goneAtOnce  = 60
	mostAllowed = 50
)

func nthQueue(i int) *v1alpha1.Queue {
	return queue(fmt.Sprintf("q%02d", i), "shop", v1alpha1.QueueTypeClassic)
}

// names lists q<from> to q<to - 1>.
func names(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, nthQueue(i).Name)
	}
	return out
}

func newBreakerScene(t *testing.T) *scene {
	t.Helper()
	s := newScene(t, harness.RabbitMQAt(t, "4.0"))
	s.createMany(t, ofBreaker, func(i int) client.Object { return nthQueue(i) })
	s.allReady(t, ofBreaker)
	return s
}

// removeMany deletes q<from> to q<to - 1>.
func (s *scene) removeMany(from, to int) {
	s.t.Helper()
	for i := from; i < to; i++ {
		q := nthQueue(i)
		q.Namespace = s.namespace
		s.remove(q)
	}
}

// holds waits until exactly these resources are held, and nothing else is on its
// way; it returns the id of the window.
func (s *scene) holds(t *testing.T, owners ...string) string {
	t.Helper()
	wanted := []string{}
	for _, name := range owners {
		wanted = append(wanted, "Queue "+s.namespace+"/"+name)
	}
	count := len(wanted)
	wanted = wanted[:min(count, v1alpha1.MaxHeldDeletions)]
	var held *v1alpha1.HeldDeletions
	within(t, fmt.Sprintf("%d deletions to be held", count), func(context.Context) (bool, string) {
		s.get(s.connection)
		held = s.connection.Status.HeldDeletions
		if held == nil {
			return count == 0 && !meta.IsStatusConditionTrue(s.connection.Status.Conditions, v1alpha1.ConditionDeletionHeld), "nothing is held"
		}
		found := slices.Sorted(slices.Values(held.Owners))
		same := int(held.Count) == count && cmp.Diff(wanted, found) == ""
		return same && int(s.connection.Status.PendingDeletions) == count, fmt.Sprintf("%d pending, %+v", s.connection.Status.PendingDeletions, *held)
	})
	if held == nil {
		return ""
	}
	condition := meta.FindStatusCondition(s.connection.Status.Conditions, v1alpha1.ConditionDeletionHeld)
	if condition == nil || condition.Status != metav1.ConditionTrue || condition.Reason != v1alpha1.ReasonDeletionHeld {
		t.Fatalf("no condition says it: %s", describe(s.connection))
	}
	says(t, condition.Message, fmt.Sprintf("%d resource", count), held.Owners[0],
		fmt.Sprintf("kubectl annotate --overwrite -n %s rabbitmqconnection/shop topology.warrener.dev/allow-deletes=%s", s.namespace, held.Window))
	if broken := sound(s.connection); broken != "" {
		t.Errorf("%s: %s", broken, describe(s.connection))
	}
	return held.Window
}

// queues fails the test if the broker does not hold exactly these.
func (s *scene) queues(t *testing.T, wanted []string) {
	t.Helper()
	if diff := cmp.Diff(wanted, slices.Sorted(slices.Values(queueNames(t, s.broker, s.virtualHost)))); diff != "" {
		t.Errorf("the queues on the broker (-wanted +found):\n%s", diff)
	}
}

func (s *scene) allow(window string) {
	s.t.Helper()
	edit(s.stage, s.connection, func(c *v1alpha1.RabbitMQConnection) {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.AnnotationAllowDeletes, window)
	})
}

// allowAlways allows whatever is held, for tests that delete much and are about
// something else.
func (s *scene) allowAlways() {
	key := client.ObjectKeyFromObject(s.connection)
	go func() {
		for s.t.Context().Err() == nil {
			connection := &v1alpha1.RabbitMQConnection{}
			if err := s.client.Get(s.t.Context(), key, connection); err == nil && connection.Status.HeldDeletions != nil {
				base := client.MergeFrom(connection.DeepCopy())
				metav1.SetMetaDataAnnotation(&connection.ObjectMeta, v1alpha1.AnnotationAllowDeletes, connection.Status.HeldDeletions.Window)
				_ = s.client.Patch(s.t.Context(), connection, base) // the next round tries again
			}
			time.Sleep(200 * time.Millisecond)
		}
	}()
}

// heldInInventory counts the lines of the inventory that say who is held.
func (s *stage) heldInInventory(t *testing.T) int {
	t.Helper()
	var list v1alpha1.BrokerInventoryList
	must(t, s.client.List(t.Context(), &list, client.InNamespace(s.home)))
	n := 0
	for _, inventory := range list.Items {
		for _, line := range inventory.Departures {
			if strings.Contains(line, " held=") {
				n++
			}
		}
	}
	return n
}

// 60 of 80 queues are deleted, 5 a second: the first 50 go, the others stay,
// over a restart too, until somebody allows it.
func TestBreakerHoldsASlowPrune(t *testing.T) {
	t.Parallel()
	s := newBreakerScene(t)
	pace := time.NewTicker(200 * time.Millisecond)
	defer pace.Stop()
	for i := range goneAtOnce {
		<-pace.C
		s.removeMany(i, i+1)
		if i < mostAllowed { // on a busy machine the controller may not keep up with five a second
			within(t, "the queue to go", s.absent(s.broker, queuePath(s.virtualHost, nthQueue(i).Name)))
		}
	}
	window := s.holds(t, names(mostAllowed, goneAtOnce)...)
	s.queues(t, names(mostAllowed, ofBreaker))
	if n := s.heldInInventory(t); n != goneAtOnce-mostAllowed {
		t.Errorf("%d are held in the inventory", n)
	}
	left := nthQueue(mostAllowed)
	left.Namespace = s.namespace
	if err := s.client.Get(t.Context(), client.ObjectKeyFromObject(left), left); !apierrors.IsNotFound(err) {
		t.Errorf("a resource whose deletion is held is to be gone all the same: %v", err)
	}
	s.ready(s.connection) // everything else goes on
	says(t, s.arrives(1, "Warning DeletionHeld")[0], "RabbitMQConnection/shop", "allow-deletes=")
	within(t, "the metric to tell", func(context.Context) (bool, string) {
		sum, found := metric(t, s.controller, "warrener_deletions_held", "/shop")
		return found == 1 && sum == goneAtOnce-mostAllowed, fmt.Sprint(sum)
	})

	s.controller.Kill()
	s.removeMany(goneAtOnce, goneAtOnce+1) // unseen: it joins
	start := time.Now()
	s.controller.Start(t)
	later := s.holds(t, names(mostAllowed, goneAtOnce+1)...)
	s.idle(2)
	if writes := s.writes(start); len(writes) > 0 {
		t.Errorf("a restart had %q written", writes)
	}

	// The id that was read first covers what was held then.
	s.allow(window)
	s.shows(s.only(goneAtOnce, ofBreaker))
	if again := s.holds(t, names(goneAtOnce, goneAtOnce+1)...); again != later {
		t.Errorf("the window of what is left is %s and was %s", again, later)
	}
	s.allow(later)
	s.shows(s.only(goneAtOnce+1, ofBreaker))
	s.holds(t)
	s.arrives(1, "Normal DeletionHeld")
	s.arrives(1, "Warning DeletionHeld") // one, and not one for each that joined
	within(t, "the metric to tell", func(context.Context) (bool, string) {
		sum, found := metric(t, s.controller, "warrener_deletions_held", "/shop")
		return found == 1 && sum == 0, fmt.Sprint(sum)
	})

	// The count begins anew.
	s.removeMany(goneAtOnce+1, goneAtOnce+2)
	s.shows(s.only(goneAtOnce+2, ofBreaker))
}

// only is the listing of q<from> to q<to - 1>.
func (s *scene) only(from, to int) []string {
	var out []string
	for _, name := range names(from, to) {
		out = append(out, fmt.Sprintf(`queue %q durable=true auto_delete=false {"x-queue-type":"classic"}`, name))
	}
	return out
}

// 60 of 80 queues are deleted while no controller runs: none goes, and applying
// them again is as if nothing had been.
func TestBreakerUndone(t *testing.T) {
	t.Parallel()
	s := newBreakerScene(t)
	channel := amqpChannel(t, s.broker, s.virtualHost)
	for i := range 5 {
		publish(t, channel, "", nthQueue(i).Name, "a", "b", "c")
	}
	before := s.listing()
	s.controller.Stop()
	s.removeMany(0, goneAtOnce)
	start := time.Now()
	s.controller.Start(t)
	s.holds(t, names(0, goneAtOnce)...)
	s.queues(t, names(0, ofBreaker))

	// A plan tells of what is held, and not of what its manifests take back.
	one, again := nthQueue(0), []client.Object{}
	for i := range goneAtOnce {
		again = append(again, nthQueue(i))
		again[i].SetNamespace(s.namespace)
	}
	one.Namespace = s.namespace
	plan := func(objects ...client.Object) harness.Answer {
		return s.warrener("plan", "-f", manifests(t, objects...), "--controller-namespace", s.home)
	}
	held := plan(one)
	says(t, held.Out, "What 59 custom resources declared stays until somebody decides: unusually many went at once",
		"of             Queue "+s.namespace+"/q01, ", "to delete      kubectl warrener allow-deletes rabbitmqconnection/shop -n "+s.namespace)
	if held.Code != cli.ExitFound {
		t.Errorf("a plan with held deletions ended with %d: %s", held.Code, held.Err)
	}
	if undone := plan(again...); undone.Code != cli.ExitDone || strings.Contains(undone.Out, "unusually many") {
		t.Errorf("a plan that takes everything back: %+v", undone)
	}

	s.createMany(t, goneAtOnce, func(i int) client.Object { return nthQueue(i) })
	s.allReady(t, ofBreaker)
	s.holds(t)
	s.same("a prune that was undone", before)
	if writes := s.writes(start); len(writes) > 0 {
		t.Errorf("it wrote to the broker: %q", writes)
	}
	for i := range 5 {
		for _, body := range []string{"a", "b", "c"} {
			message, ok, err := channel.Get(nthQueue(i).Name, true)
			must(t, err)
			if !ok || string(message.Body) != body {
				t.Errorf("%s gives %q (%t), not %q", nthQueue(i).Name, message.Body, ok, body)
			}
		}
	}
	if n := s.heldInInventory(t); n != 0 {
		t.Errorf("%d are held in the inventory", n)
	}
}

// The connection goes with its queues, as it does with a namespace: what is held
// stays on the books, and goes when a connection returns that allows it.
func TestBreakerOutlivesItsConnection(t *testing.T) {
	t.Parallel()
	s := newBreakerScene(t)
	s.controller.Stop() // nothing may be seen one by one
	s.removeMany(0, goneAtOnce)
	s.controller.Start(t)
	s.holds(t, names(0, goneAtOnce)...)
	s.remove(s.connection)
	s.removeMany(goneAtOnce, ofBreaker)
	within(t, "all of them to be held in the inventory", func(context.Context) (bool, string) {
		n := s.heldInInventory(t)
		return n == ofBreaker, fmt.Sprint(n)
	})
	within(t, "an event on the inventory", func(context.Context) (bool, string) {
		events := s.eventsWith("Warning DeletionHeld BrokerInventory/")
		return len(events) == 1, fmt.Sprintf("%q", s.events())
	})
	s.queues(t, names(0, ofBreaker))

	_, again := s.rabbit("shop", s.broker, s.virtualHost, s.recorder.URL)
	s.connection = again
	s.create(again)
	s.holds(t, names(0, ofBreaker)...)
	says(t, s.warrener("status").Out, "80 deletions", "allow-deletes rabbitmqconnection/shop -n "+s.namespace)
	asked := s.warrener("allow-deletes", "shop")
	says(t, asked.Out, "holds 80 deletions", "Queue "+s.namespace+"/q00", "and 30 more")
	if asked.Code != cli.ExitDeclined || s.warrener("status", "--exit-code").Code != cli.ExitFound {
		t.Errorf("with nobody to confirm it ended with %d: %s", asked.Code, asked.Err)
	}
	s.queues(t, names(0, ofBreaker))
	allowed := s.warrener("allow-deletes", "wrc/shop", "--yes")
	says(t, allowed.Out, "nothing is held any more")
	if allowed.Code != cli.ExitDone {
		t.Errorf("it ended with %d: %s", allowed.Code, allowed.Err)
	}
	s.shows(nil)
	s.holds(t)
}
