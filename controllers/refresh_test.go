package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

// A deletion among ten thousand objects must not read them all: what is known in
// the version that the API server names is not read.
func TestRefreshReadsWhatIsNew(t *testing.T) {
	known, edited, unseen, elsewhere := queueObject("known"), queueObject("edited"), queueObject("unseen"), queueObject("elsewhere")
	elsewhere.Spec.ConnectionRef.Name = "other"
	connection := connectionObject()
	cache := newClient(t, interceptor.Funcs{}, connection, known.DeepCopy(), edited.DeepCopy(), elsewhere.DeepCopy())
	edited.Generation = 2
	var read []string
	server := newClient(t, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			read = append(read, key.Name)
			return c.Get(ctx, key, o, opts...)
		},
	}, connection, known, edited, unseen, elsewhere)

	r, _, _ := newRegistry(cache)
	r.reader = server
	s := r.session(connectionKey())
	s.cluster = r.cluster(v1alpha1.BrokerTypeRabbitMQ, "one")
	gone := queueObject("gone")
	for _, object := range []*v1alpha1.Queue{queueObject("known"), queueObject("edited"), gone} {
		claim, err := r.claim(t.Context(), object, connection, s)
		if err != nil {
			t.Fatal(err)
		}
		s.cluster.SetClaim(claim)
	}
	s.cluster.RemoveClaim(owner("gone"), true)

	if err := r.refresh(t.Context(), s.cluster, v1alpha1.BrokerTypeRabbitMQ, engine.Ending{All: true}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(read)
	if want := []string{"edited", "unseen"}; !slices.Equal(read, want) {
		t.Errorf("read %v, want %v", read, want)
	}
	for name, generation := range map[string]int64{"known": 1, "edited": 2, "unseen": 1} {
		if claim := s.cluster.Claim(owner(name)); claim == nil || claim.Owner.Generation != generation {
			t.Errorf("%s: claim %+v, want one of generation %d", name, claim, generation)
		}
	}
	for _, name := range []string{"elsewhere", "gone"} {
		if claim := s.cluster.Claim(topology.OwnerKey{Kind: v1alpha1.KindQueue, Namespace: "shop", Name: name}); claim != nil {
			t.Errorf("%s has a claim: %+v", name, claim)
		}
	}
}

// While thousands go, hundreds of those that a listing names go before it is read: what was
// seen to go is not asked for, one by one.
func TestRefreshReadsNothingOfTheDeparted(t *testing.T) {
	gone, again, missed, connection := queueObject("gone"), queueObject("again"), queueObject("missed"), connectionObject()
	again.UID = "uid-another"
	var read []string
	server := newClient(t, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			read = append(read, key.Name)
			return c.Get(ctx, key, o, opts...)
		},
	}, connection, gone, again, missed)
	r, _, _ := newRegistry(newClient(t, interceptor.Funcs{}, connection))
	r.reader = server
	s := r.session(connectionKey())
	s.cluster = engine.NewCluster(&owning{owner("gone"), owner("again"), owner("missed")}, time.Now)
	for name, witnessed := range map[string]bool{"gone": true, "again": true, "missed": false} {
		claim, err := r.claim(t.Context(), queueObject(name), connection, s)
		if err != nil {
			t.Fatal(err)
		}
		s.cluster.SetClaim(claim)
		if _, err := s.cluster.Edits(t.Context(), engine.Session{Broker: &silent{}}); err != nil { // reads the inventory
			t.Fatal(err)
		}
		s.cluster.RemoveClaim(owner(name), witnessed)
	}

	if err := r.refresh(t.Context(), s.cluster, v1alpha1.BrokerTypeRabbitMQ, engine.Ending{All: true}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(read)
	check(t, "another of that name, and whose end nobody saw, are looked for", []string{"again", "missed"}, read)
	for name, want := range map[string]bool{"gone": false, "again": true, "missed": true} {
		check(t, name+" has a claim", want, s.cluster.Claim(owner(name)) != nil)
	}
}

// owning is an inventory in which each owner has the queue of its name.
type owning []topology.OwnerKey

func (o owning) Load(context.Context) (topology.Inventory, topology.Departures, error) {
	inventory := topology.Inventory{}
	for _, key := range o {
		id := topology.QueueID("shop", key.Name)
		inventory[id] = topology.Entry{ID: id, Owners: []topology.OwnerKey{key}, Connection: connectionKey()}
	}
	return inventory, topology.Departures{}, nil
}

func (o owning) Write(context.Context, []topology.Entry, []topology.ID, *topology.Departures) error {
	return nil
}

// A deletion asks about what it deletes, and lists nothing whole.
func TestRefreshAsksAboutWhatEnds(t *testing.T) {
	gone, stays, wants, other := queueObject("gone"), queueObject("stays"), queueObject("wants"), queueObject("other")
	wants.Spec.DeadLetter = &v1alpha1.DeadLetter{Queue: "gone"}
	binding := &v1alpha1.ExchangeBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "binding", Generation: 1}}
	binding.Spec = v1alpha1.ExchangeBindingSpec{
		ConnectionRef: queueObject("").Spec.ConnectionRef, BindingSource: v1alpha1.BindingSource{Source: "orders"}, Destination: "gone", DestinationType: "queue",
	}
	stored := []v1alpha1.Object{stays, wants, other, binding}
	queueGone, exchange := topology.QueueID("shop", "gone"), topology.ExchangeID("shop", "gone.dlx")
	many := engine.Ending{}
	for i := range mostQuestions {
		many.Objects = append(many.Objects, topology.QueueID("shop", fmt.Sprintf("q%d", i)))
	}
	unable := func(field string) error { return apierrors.NewBadRequest("field label not supported: " + field) }
	cases := map[string]struct {
		reason string
		what   engine.Ending
		fails  func(field string) error
		watch  []string
		whole  bool // everything is listed
		found  []string
	}{
		"Queue":    {reason: "who declares it, for dead letters too, binds it, or owned it", what: engine.Ending{Objects: []topology.ID{queueGone}, Owners: []topology.OwnerKey{owner("stays")}}, found: []string{"binding", "stays", "wants"}},
		"Hidden":   {reason: "what is not watched cannot be asked for", what: engine.Ending{Objects: []topology.ID{queueGone}, Owners: []topology.OwnerKey{owner("stays")}}, watch: []string{"elsewhere"}},
		"Exchange": {reason: "lists name it", what: engine.Ending{Objects: []topology.ID{queueGone, exchange}}, whole: true, found: []string{"binding", "other", "stays", "wants"}},
		"All":      {reason: "the engine says so", what: engine.Ending{All: true, Objects: []topology.ID{queueGone}}, whole: true, found: []string{"binding", "other", "stays", "wants"}},
		"Many":     {reason: "to list is cheaper then", what: many, whole: true, found: []string{"binding", "other", "stays", "wants"}},
		"Unable":   {reason: "the CRDs of an older version select by name alone", what: engine.Ending{Objects: []topology.ID{queueGone}}, fails: unable, whole: true, found: []string{"binding", "other", "stays", "wants"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			whole := false
			var mu sync.Mutex
			server := newClient(t, interceptor.Funcs{
				List: func(ctx context.Context, w client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
					var options client.ListOptions
					options.ApplyOptions(opts)
					if options.FieldSelector == nil {
						mu.Lock()
						whole = true
						mu.Unlock()
						return w.List(ctx, list, opts...)
					}
					by := options.FieldSelector.Requirements()[0]
					if c.fails != nil {
						return c.fails(by.Field)
					}
					// The fake cannot select metadata by what the spec says.
					answer := list.(*metav1.PartialObjectMetadataList)
					for _, object := range stored {
						if object.KindName()+"List" == answer.Kind && harness.Selects(object, by.Field, by.Value) && (options.Namespace == "" || options.Namespace == object.GetNamespace()) {
							answer.Items = append(answer.Items, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
								Namespace: object.GetNamespace(), Name: object.GetName(), UID: object.GetUID(), Generation: object.GetGeneration(),
							}})
						}
					}
					return nil
				},
			}, connectionObject(), stays, wants, other, binding)
			r, _, _ := newRegistry(server)
			r.options.WatchNamespaces = c.watch
			s := r.session(connectionKey())
			s.cluster = r.cluster(v1alpha1.BrokerTypeRabbitMQ, "one")
			if err := r.refresh(t.Context(), s.cluster, v1alpha1.BrokerTypeRabbitMQ, c.what); err != nil {
				t.Fatal(err)
			}
			var found []string
			for _, object := range []v1alpha1.Object{gone, stays, wants, other, binding} {
				if s.cluster.Claim(keyOf(object)) != nil {
					found = append(found, object.GetName())
				}
			}
			slices.Sort(found)
			check(t, c.reason, c.found, found)
			check(t, "everything is listed", c.whole, whole)
		})
	}
}
