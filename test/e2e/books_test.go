package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// bookkeeping is a scene whose resources say Delete, with a message in each
// queue: whatever is deleted by mistake is lost.
type bookkeeping struct {
	*scene
	all    []client.Object
	before []string
}

func newBookkeeping(t *testing.T) *bookkeeping {
	t.Helper()
	b := &bookkeeping{scene: newScene(t, harness.RabbitMQAt(t, "4.0"))}
	b.all = b.declarations()
	b.create(b.all...)
	b.ready(b.all...)
	for _, name := range []string{"work", "gone"} {
		publish(t, amqpChannel(t, b.broker, b.virtualHost), "", name, "precious")
	}
	b.before = b.listing()
	return b
}

// declarations are the resources, as a person has them in a repository.
func (b *bookkeeping) declarations() []client.Object {
	orders, work := exchange("orders", "shop", "topic"), queue("work", "shop", v1alpha1.QueueTypeClassic)
	gone, unused := queue("gone", "shop", v1alpha1.QueueTypeClassic), exchange("unused", "shop", "fanout")
	work.Spec.DeadLetter = &v1alpha1.DeadLetter{}
	work.Spec.Bindings = []v1alpha1.BindingSource{{Source: "orders", RoutingKeys: []string{"a"}}}
	for _, policy := range []*v1alpha1.DeletionPolicy{&orders.Spec.DeletionPolicy, &work.Spec.DeletionPolicy, &gone.Spec.DeletionPolicy, &unused.Spec.DeletionPolicy} {
		*policy = v1alpha1.DeleteAlways
	}
	return []client.Object{orders, work, gone, unused}
}

// loseBooks deletes the inventory.
func (b *bookkeeping) loseBooks() {
	for _, shard := range b.inventories(b.t) {
		b.remove(&shard)
	}
}

// untouched fails the test if the broker was written to since, or is not as it
// was.
func (b *bookkeeping) untouched(since time.Time) {
	b.t.Helper()
	time.Sleep(2 * interval)
	b.same("the loss of the inventory", b.before)
	if writes := b.writes(since); len(writes) > 0 {
		b.t.Errorf("the controller wrote %q", writes)
	}
	if got := ready(b.t, amqpChannel(b.t, b.broker, b.virtualHost), "gone"); got != 1 {
		b.t.Errorf("the queue held 1 message and holds %d", got)
	}
}

// The inventory is lost while no controller runs, and two resources with it: what
// they declared is nobody's, and what is identical to a declaration is adopted.
func TestInventoryLost(t *testing.T) {
	t.Parallel()
	b := newBookkeeping(t)
	b.controller.Kill()
	b.loseBooks()
	b.remove(b.all[2:]...)
	start := time.Now()
	b.controller.Start(t)
	b.holdsBooks(6)
	b.untouched(start)
	b.ready(b.all[:2]...)
}

// holdsBooks waits until the inventory has a number of entries.
func (b *bookkeeping) holdsBooks(entries int) {
	b.t.Helper()
	within(b.t, fmt.Sprintf("an inventory of %d entries", entries), func(context.Context) (bool, string) {
		found := b.inventory()
		return len(found) == entries, fmt.Sprintf("%q", found)
	})
}

// The same while it runs: it finds out before it deletes.
func TestInventoryLostMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBookkeeping(t)
	start := time.Now()
	b.loseBooks()
	b.remove(b.all[2:]...)
	b.holdsBooks(6)
	b.untouched(start)
	b.ready(b.all[:2]...)
}

// An inventory from a backup names what has come to belong to others since then.
func TestInventoryRestored(t *testing.T) {
	t.Parallel()
	b := newBookkeeping(t)
	backup := b.inventories(t)
	edit(b.stage, b.all[2], func(o client.Object) { o.(*v1alpha1.Queue).Spec.DeletionPolicy = v1alpha1.Retain })
	edit(b.stage, b.all[3], func(o client.Object) { o.(*v1alpha1.Exchange).Spec.DeletionPolicy = v1alpha1.Retain })
	b.ready(b.all...)
	b.remove(b.all[2:]...)
	b.holdsBooks(6)

	b.controller.Kill()
	b.loseBooks()
	for _, shard := range backup {
		shard.ObjectMeta = metav1.ObjectMeta{Namespace: shard.Namespace, Name: shard.Name, Labels: shard.Labels}
		b.create(&shard)
	}
	start := time.Now()
	b.controller.Start(t)
	b.holdsBooks(6)
	b.untouched(start)
	b.ready(b.all[:2]...)
	// The books are kept on: what is deleted now goes.
	b.remove(b.all[:2]...)
	b.shows(slices.DeleteFunc(slices.Clone(b.before), func(line string) bool {
		return line != `fanout exchange "unused" durable=true auto_delete=false {}` && line != `queue "gone" durable=true auto_delete=false {"x-queue-type":"classic"}`
	}))
}

// Resources come back from a backup, without their status and to an empty
// inventory, fewer than there were: they adopt, and nothing is deleted.
func TestRestoredFromBackup(t *testing.T) {
	t.Parallel()
	b := newBookkeeping(t)
	b.controller.Kill()
	b.remove(b.all...)
	b.remove(b.connection)
	b.loseBooks()
	start := time.Now()
	b.controller.Start(t)
	restored := b.declarations()[:2]
	_, connection := b.rabbit("shop", b.broker, b.virtualHost, b.recorder.URL)
	b.create(restored...)
	b.create(connection)
	b.ready(append(restored, connection)...)
	b.holdsBooks(6)
	b.untouched(start)
	b.arrives(2, "Normal Adopted")
}

// Resources that go while no controller runs are swept at the next start. What
// their policy became, nobody knows: Delete counts as DeleteIfUnused.
func TestSweptAtTheStart(t *testing.T) {
	t.Parallel()
	b := newBookkeeping(t)
	kafka := harness.SharedKafka(t)
	events := b.kafka("events", kafka.Bootstrap...)
	prefix := kafka.NewTopicPrefix(t)
	used, empty := topic(prefix+"used", "events", 1), topic(prefix+"empty", "events", 1)
	used.Spec.DeletionPolicy = v1alpha1.DeleteAlways
	b.create(events, used, empty)
	b.ready(events, used, empty)
	produce(t, kafka, used.BrokerName())

	b.controller.Kill()
	b.remove(append(b.all, used, empty)...)
	b.controller.Start(t)
	wanted := slices.DeleteFunc(slices.Clone(b.before), func(line string) bool { return line == `fanout exchange "unused" durable=true auto_delete=false {}` })
	within(t, "the queues with messages to be left behind", func(context.Context) (bool, string) {
		b.get(b.connection)
		return b.connection.Status.PendingDeletions == 0 && b.connection.Status.LeftBehindCount == int32(len(wanted)), fmt.Sprintf("%+v", b.connection.Status)
	})
	b.shows(wanted)
	within(t, "the empty topic to go, and the other to be left behind", func(ctx context.Context) (bool, string) {
		topics, err := kafka.Admin(t).ListTopics(ctx)
		must(t, err)
		b.get(events)
		return !topics.Has(empty.BrokerName()) && topics.Has(used.BrokerName()) && events.Status.LeftBehindCount == 1, fmt.Sprintf("%+v", events.Status)
	})
}
