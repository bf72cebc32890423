package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/shard"
)

// newShare is a registry of a replica that holds some of 32 shards.
func newShare(c client.Client, held ...int) (*Registry, *queued) {
	r, _, q := newRegistry(c)
	r.options.Shards = NewShards(c, ShardOptions{Namespace: "warrener-system", Name: "me", Shards: shard.Most}, logr.Discard())
	r.status.enter = r.entered
	r.options.Shards.renewed = time.Now()
	for _, n := range held {
		r.options.Shards.tenures[n] = &tenure{}
	}
	return r, q
}

// homesOf are the shards of the connection that has not been reached yet, and of the cluster
// behind it.
func homesOf(clusterID string) (own, cluster int) {
	key := connectionKey()
	return shard.Of(shard.Most, key.Kind, key.Namespace, key.Name), shard.Of(shard.Most, "RabbitMQ", clusterID)
}

func TestEnterIsForTheHolder(t *testing.T) {
	own, cluster := homesOf("one")
	reached := connectionObject()
	reached.Status.ClusterID = "one"
	for reason, test := range map[string]struct {
		objects []client.Object
		held    []int
		want    bool
	}{
		"a connection that was never reached is its own shard's": {[]client.Object{connectionObject()}, []int{own}, true},
		"and no cluster's":                         {[]client.Object{connectionObject()}, []int{cluster}, false},
		"one that was reached is the cluster's":    {[]client.Object{reached}, []int{cluster}, true},
		"and not its own any more":                 {[]client.Object{reached}, []int{own}, false},
		"one that does not exist is its own again": {nil, []int{own}, true},
	} {
		r, _ := newShare(newClient(t, interceptor.Funcs{}, test.objects...), test.held...)
		leave, mine, err := r.enter(t.Context(), connectionKey())
		if err != nil {
			t.Fatal(err)
		}
		check(t, reason, test.want, mine)
		check(t, reason+": it has a session", test.want, r.known(connectionKey()) != nil)
		if mine {
			check(t, "work is counted", 1, r.options.Shards.tenures[test.held[0]].running)
			leave()
			check(t, "until it is over", 0, r.options.Shards.tenures[test.held[0]].running)
		}
	}
}

func TestConnectionIsHandedOver(t *testing.T) {
	own, cluster := homesOf("one")
	c := newClient(t, interceptor.Funcs{}, connectionObject(), loginSecret())
	r, _ := newShare(c, own)
	leave, _, err := r.enter(t.Context(), connectionKey())
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	s := r.session(connectionKey())
	check(t, "its cluster is another shard's", true, r.elsewhere(s, v1alpha1.BrokerTypeRabbitMQ, "one"))
	if err := r.handOver(t.Context(), s, connectionObject(), "one"); !errors.Is(err, errElsewhere) {
		t.Fatal(err)
	}
	got, err := r.connection(t.Context(), connectionKey())
	if err != nil {
		t.Fatal(err)
	}
	check(t, "everybody can see where it belongs", cluster, r.options.Shards.home(connectionKey(), got))
	check(t, "that is news", true, r.moved(connectionObject(), got))
	check(t, "nothing is kept of it", true, r.known(connectionKey()) == nil)
	_, mine, err := r.enter(t.Context(), connectionKey())
	check(t, "and it is left alone", false, mine || err != nil)
}

func TestTakeOverLooksAtEverything(t *testing.T) {
	own, _ := homesOf("one")
	other := connectionObject()
	other.Name, other.UID = "other", "uid-other"
	r, q := newShare(newClient(t, interceptor.Funcs{}, connectionObject(), other, queueObject("orders")), own)
	r.takeOver(t.Context(), []int{own})
	want := map[Request]time.Duration{{connectionKey(), LaneSweep}: 0, {connectionKey(), LaneEdits}: 0}
	check(t, "the connections of the shard, and no others", want, q.waits)

	r, q = newShare(newClient(t, interceptor.Funcs{}, queueObject("orders"), queueObject("payments")), own)
	r.takeOver(t.Context(), []int{own})
	check(t, "objects without a connection are told", map[Request]time.Duration{{connectionKey(), LaneEdits}: 0}, q.waits)
}

// Whoever gets a shard back has others' work to find: nothing is remembered.
func TestShardIsForgotten(t *testing.T) {
	_, n := homesOf("one")
	reached := connectionObject()
	reached.Status.ClusterID = "one"
	r, _ := newShare(newClient(t, interceptor.Funcs{}, reached, queueObject("orders")), n)
	leave, _, err := r.enter(t.Context(), connectionKey())
	if err != nil {
		t.Fatal(err)
	}
	leave()
	s := r.session(connectionKey())
	s.cluster, s.clusterID, s.up = r.cluster(v1alpha1.BrokerTypeRabbitMQ, "one"), "one", true
	connectionUp.WithLabelValues(s.key.String()).Set(1)
	r.status.contracts.mark(owner("orders"), "written")
	other := r.cluster(v1alpha1.BrokerTypeRabbitMQ, "another one, of another shard")

	r.forgetShard(t.Context(), n)
	check(t, "the session is closed", true, r.known(s.key) == nil && !s.up)
	check(t, "its metrics are withdrawn", false, connectionUp.DeleteLabelValues(s.key.String()))
	check(t, "contracts are read again", false, r.status.contracts.marked(owner("orders"), "written"))
	check(t, "the cluster is read anew", 1, len(r.clusters))
	check(t, "others stay", true, r.cluster(v1alpha1.BrokerTypeRabbitMQ, "another one, of another shard") == other)
}

func TestStatusIsWrittenByTheHolder(t *testing.T) {
	own, _ := homesOf("one")
	for reason, test := range map[string]struct {
		held []int
		want int
	}{"the holder writes": {[]int{own}, 1}, "others do not": {nil, 0}} {
		patches := 0
		c := newClient(t, interceptor.Funcs{SubResourcePatch: func(ctx context.Context, under client.Client, sub string, o client.Object, p client.Patch, options ...client.SubResourcePatchOption) error {
			patches++
			return under.SubResource(sub).Patch(ctx, o, p, options...)
		}}, connectionObject(), queueObject("orders"))
		r, _ := newShare(c, test.held...)
		if err := r.status.write(t.Context(), ready("orders")); err != nil {
			t.Fatal(err)
		}
		check(t, reason, test.want, patches)
	}
}

// Of what others work on nothing piles up but what was deleted a moment ago: if they
// are dead, it counts how it ended.
func TestEndsAreKeptForAWhile(t *testing.T) {
	i := newIntake()
	key := connectionKey()
	recent, old := &departure{last: queueObject("b"), seen: noon.Add(10 * time.Second)}, &departure{last: queueObject("c"), seen: noon.Add(-time.Second)}
	i.add(key, owner("a"), nil)
	i.add(key, owner("b"), recent)
	i.add(key, owner("c"), old)
	check(t, "it is looked at again", 10*time.Second, i.keepEnds(key, noon))
	check(t, "what was deleted a moment ago stays", true, len(i.changed[key]) == 1 && i.changed[key][owner("b")] == recent)
	check(t, "and goes in the end", time.Duration(0), i.keepEnds(key, noon.Add(time.Minute)))
	check(t, "nothing is left", 0, len(i.changed))
}
