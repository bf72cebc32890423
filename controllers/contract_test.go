package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/contract"
	"github.com/warrener-dev/warrener/internal/engine"
)

// nothing was done.
var nothing []string

// agency is a registry whose API server counts what is done to ConfigMaps.
type agency struct {
	t      *testing.T
	client client.WithWatch
	r      *Registry
	events *events
	calls  []string
	// failing is what the API server answers to writes.
	failing error
}

func newAgency(t *testing.T, objects ...client.Object) *agency {
	a := &agency{t: t}
	note := func(verb string, o client.Object) error {
		if _, ok := o.(*corev1.ConfigMap); !ok {
			return nil
		}
		a.calls = append(a.calls, verb+" "+o.GetName())
		if verb == "get" {
			return nil
		}
		return a.failing
	}
	a.client = newClient(t, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			o.SetName(key.Name)
			if err := note("get", o); err != nil {
				return err
			}
			return c.Get(ctx, key, o, options...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			if err := note("create", o); err != nil {
				return err
			}
			return c.Create(ctx, o, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			if err := note("patch", o); err != nil {
				return err
			}
			return c.Patch(ctx, o, p, options...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			if err := note("delete", o); err != nil {
				return err
			}
			return c.Delete(ctx, o, options...)
		},
	}, append(objects, connectionObject())...)
	a.restart()
	return a
}

// restart forgets what a process remembers.
func (a *agency) restart() {
	a.r, a.events, _ = newRegistry(a.client)
	a.r.status.transition = func(object v1alpha1.Object, before, after v1alpha1.ObjectStatus) {
		announceObject(a.events, object, before, after)
	}
}

// tell passes a verdict on, and returns what was done to ConfigMaps for it.
func (a *agency) tell(v engine.Verdict) []string {
	a.t.Helper()
	a.calls = nil
	if err := a.r.status.write(a.t.Context(), v); err != nil {
		a.t.Fatal(err)
	}
	return a.calls
}

func (a *agency) queue(name string) *v1alpha1.Queue {
	a.t.Helper()
	var q v1alpha1.Queue
	if err := a.client.Get(a.t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, &q); err != nil {
		a.t.Fatal(err)
	}
	return &q
}

// configMap is nil if there is none.
func (a *agency) configMap(name string) *corev1.ConfigMap {
	a.t.Helper()
	var c corev1.ConfigMap
	if err := a.client.Get(a.t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, &c); err != nil {
		return nil
	}
	return &c
}

// edit changes a spec, and returns the verdict on the new one.
func (a *agency) edit(name string, change func(*v1alpha1.QueueSpec)) engine.Verdict {
	a.t.Helper()
	q := a.queue(name)
	change(&q.Spec)
	q.Generation++
	if err := a.client.Update(a.t.Context(), q); err != nil {
		a.t.Fatal(err)
	}
	v := ready(name)
	v.Owner.Generation = q.Generation
	return v
}

func contracted(name, configMap string) *v1alpha1.Queue {
	q := queueObject(name)
	q.Spec.Contract = &v1alpha1.Contract{ConfigMap: configMap}
	return q
}

func TestContractOfAQueue(t *testing.T) {
	a := newAgency(t, contracted("q", "c"))
	waiting := ready("q")
	waiting.Ready, waiting.Reason = false, engine.ReasonProgressing
	check(t, "before it is Ready, nothing is promised", nothing, a.tell(waiting))
	check(t, "but announced", "ContractPublished=False Progressing: ConfigMap c will be written once this object is Ready", conditionLines(a.queue("q").Status.Conditions)[0])
	check(t, "in the ordinary course of things", nothing, a.events.take())
	check(t, "it is looked for and made", []string{"get c", "create c"}, a.tell(ready("q")))
	check(t, "said and remembered", []string{
		"ContractPublished=True Succeeded: ConfigMap c says what is declared", "Ready=True Succeeded: queue shop/q is as declared",
	}, conditionLines(a.queue("q").Status.Conditions))
	check(t, "in the status", "c", a.queue("q").Status.ContractConfigMap)

	got := a.configMap("c")
	var document map[string]any
	if err := json.Unmarshal([]byte(got.Data[contract.Key]), &document); err != nil || document["queue"] != "q" || got.Data["queue"] != "q" {
		t.Errorf("the contract of q: %v, %v", err, got.Data)
	}
	owner := metav1.GetControllerOf(got)
	check(t, "the garbage collector takes it with the queue", []any{v1alpha1.KindQueue, "q", types.UID("uid-q")}, []any{owner.Kind, owner.Name, owner.UID})
	if owner.BlockOwnerDeletion != nil {
		t.Error("nothing blocks the deletion of the queue")
	}

	check(t, "a sweep costs nothing", nothing, a.tell(ready("q")))
	a.restart()
	check(t, "a restart one read", []string{"get c"}, a.tell(ready("q")))
	check(t, "then nothing", nothing, a.tell(ready("q")))

	edited := a.edit("q", func(s *v1alpha1.QueueSpec) {
		s.Consumer = &v1alpha1.QueueConsumer{Prefetch: new(int32)}
		*s.Consumer.Prefetch = 7
	})
	check(t, "a verdict on the spec before says nothing of this one", nothing, a.tell(ready("q")))
	check(t, "an edit is written", []string{"get c", "patch c"}, a.tell(edited))
	check(t, "and only what it changes", "7", a.configMap("c").Data["consumer.prefetch"])

	moved := a.edit("q", func(s *v1alpha1.QueueSpec) { s.Contract.ConfigMap = "d" })
	unready := moved
	unready.Ready, unready.Reason = false, engine.ReasonProgressing
	check(t, "the old contract stays until the new one stands", nothing, a.tell(unready))
	for _, condition := range a.queue("q").Status.Conditions {
		check(t, condition.Type+" speaks of the generation that the status speaks of", moved.Owner.Generation, condition.ObservedGeneration)
	}
	check(t, "then it goes", []string{"get d", "create d", "get c", "delete c"}, a.tell(moved))
	check(t, "and is forgotten", "d", a.queue("q").Status.ContractConfigMap)

	ended := a.edit("q", func(s *v1alpha1.QueueSpec) { s.Contract = nil })
	a.restart()
	check(t, "whoever runs when the field goes", []string{"get d", "delete d"}, a.tell(ended))
	if a.configMap("c") != nil || a.configMap("d") != nil {
		t.Error("a contract was left")
	}
	check(t, "no trace in the status", []any{"", []string{"Ready=True Succeeded: queue shop/q is as declared"}},
		[]any{a.queue("q").Status.ContractConfigMap, conditionLines(a.queue("q").Status.Conditions)})
	check(t, "nor a second look", nothing, a.tell(ended))
}

// What is not the object's is not touched, whatever it is.
func TestContractOverSomebodyElses(t *testing.T) {
	yes := true
	controlled := func(api, kind, name string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{APIVersion: api, Kind: kind, Name: name, UID: "uid-other", Controller: &yes}}
	}
	ours := v1alpha1.GroupVersion.String()
	for name, tc := range map[string]struct {
		reason string
		owners []metav1.OwnerReference
		labels map[string]string
		says   string
	}{
		"Nobodys":       {reason: "a person made it", says: "no object controls it"},
		"Labelled":      {reason: "a label is no ownership", labels: map[string]string{labelManagedBy: managedBy}, says: "no object controls it"},
		"AnotherQueues": {reason: "two queues want one ConfigMap", owners: controlled(ours, v1alpha1.KindQueue, "other"), says: "belongs to Queue other"},
		"ATopics":       {reason: "the same name, another kind", owners: controlled(ours, v1alpha1.KindTopic, "q"), says: "belongs to Topic q"},
		"AnotherGroups": {reason: "another operator's Queue", owners: controlled("rabbitmq.com/v1beta1", v1alpha1.KindQueue, "q"), says: "belongs to Queue q"},
		"OwnedOnly":     {reason: "an owner that does not control it", owners: []metav1.OwnerReference{{APIVersion: ours, Kind: v1alpha1.KindQueue, Name: "q", UID: "uid-q"}}, says: "no object controls it"},
	} {
		t.Run(name, func(t *testing.T) {
			foreign := &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "c", OwnerReferences: tc.owners, Labels: tc.labels},
				Data:       map[string]string{"queue": "mine"},
			}
			a := newAgency(t, contracted("q", "c"), foreign)
			before := a.configMap("c")
			check(t, "it is looked at, and left", []string{"get c"}, a.tell(ready("q")))
			check(t, tc.reason, before, a.configMap("c"))
			q := a.queue("q")
			lines := conditionLines(q.Status.Conditions)
			if len(lines) != 2 || !strings.HasPrefix(lines[0], "ContractPublished=False ConfigMapNotOwned: ConfigMap c is not written") || !strings.Contains(lines[0], tc.says) {
				t.Errorf("the status does not explain it: %q", lines)
			}
			check(t, "the broker is as declared all the same", "Ready=True Succeeded: queue shop/q is as declared", lines[1])
			check(t, "nothing is claimed", "", q.Status.ContractConfigMap)
			if said := a.events.take(); len(said) != 1 || !strings.HasPrefix(said[0], "Warning ConfigMapNotOwned Publish on shop/q") {
				t.Errorf("one Warning: %q", said)
			}
			a.tell(ready("q"))
			check(t, "told once", nothing, a.events.take())

			ended := a.edit("q", func(s *v1alpha1.QueueSpec) { s.Contract = nil })
			a.tell(ended)
			check(t, "nor is it deleted when the field goes", before, a.configMap("c"))
		})
	}
}

func TestContractIsLookedForAgain(t *testing.T) {
	foreign := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "c"}}
	a := newAgency(t, contracted("q", "c"), foreign)
	a.tell(ready("q"))
	if err := a.client.Delete(t.Context(), a.configMap("c")); err != nil {
		t.Fatal(err)
	}
	check(t, "once the other is gone, the next sweep writes it", []string{"get c", "create c"}, a.tell(ready("q")))

	mine := a.configMap("c")
	mine.Data["queue"] = "by hand"
	if err := a.client.Update(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	asked := ready("q")
	asked.Owner.ReconcileAt = "now"
	check(t, "who asks gets it put right", []string{"get c", "patch c"}, a.tell(asked))
	check(t, "in full", "q", a.configMap("c").Data["queue"])
}

// Where applications connect to is the connection's to say.
func TestContractFollowsItsConnection(t *testing.T) {
	a := newAgency(t, contracted("q", "c"))
	a.tell(ready("q"))
	var c v1alpha1.RabbitMQConnection
	if err := a.client.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "broker"}, &c); err != nil {
		t.Fatal(err)
	}
	c.Spec.ClientEndpoints = []string{"amqps://rabbitmq:5671"}
	if err := a.client.Update(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	check(t, "another address is written", []string{"get c", "patch c"}, a.tell(ready("q")))
	check(t, "as it is", "amqps://rabbitmq:5671", a.configMap("c").Data["endpoints"])
	for key, value := range a.configMap("c").Data {
		if strings.Contains(value, "login") || strings.Contains(value, "15672") {
			t.Errorf("%s tells how Warrener connects: %s", key, value)
		}
	}
	if err := a.client.Delete(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	check(t, "without a connection there is nothing to say", nothing, a.tell(ready("q")))
	if a.configMap("c") == nil {
		t.Error("what was said stays")
	}
}

// A queue that was deleted and applied again goes on owning its contract.
func TestContractOfAQueueThatIsBack(t *testing.T) {
	a := newAgency(t, contracted("q", "c"))
	a.tell(ready("q"))
	q := a.queue("q")
	if err := a.client.Delete(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	again := contracted("q", "c")
	again.UID = "uid-again"
	if err := a.client.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	v := ready("q")
	v.Owner.UID = "uid-again"
	check(t, "it is taken over before the garbage collector finds it", []string{"get c", "patch c"}, a.tell(v))
	check(t, "by the new one", types.UID("uid-again"), metav1.GetControllerOf(a.configMap("c")).UID)
}

func TestContractThatCannotBeWritten(t *testing.T) {
	resource := schema.GroupResource{Resource: "configmaps"}
	for name, tc := range map[string]struct {
		reason string
		err    error
		want   string
	}{
		"Forbidden": {"a right is missing: a person must grant it", apierrors.NewForbidden(resource, "c", errors.New("no rule")), "ContractPublished=False AccessDenied: "},
		"Invalid":   {"a person must change something", apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "c", nil), "ContractPublished=False ConfigMapRefused: "},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAgency(t, contracted("q", "c"))
			a.failing = tc.err
			a.tell(ready("q"))
			if got := conditionLines(a.queue("q").Status.Conditions)[0]; !strings.HasPrefix(got, tc.want) {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
			a.failing = nil
			check(t, "it is tried again with the next verdict", []string{"get c", "create c"}, a.tell(ready("q")))
		})
	}
	t.Run("Unavailable", func(t *testing.T) {
		a := newAgency(t, contracted("q", "c"))
		a.failing = apierrors.NewInternalError(errors.New("etcd"))
		if err := a.r.status.write(t.Context(), ready("q")); err == nil {
			t.Error("what passes by itself is tried again soon")
		}
		check(t, "and the status is written all the same", []string{
			"ContractPublished=False Progressing: ConfigMap c will be written once this object is Ready", "Ready=True Succeeded: queue shop/q is as declared",
		}, conditionLines(a.queue("q").Status.Conditions))
	})
}

// A suspended object is left alone, its contract too.
func TestContractOfASuspendedQueue(t *testing.T) {
	a := newAgency(t, contracted("q", "c"))
	a.tell(ready("q"))
	v := a.edit("q", func(s *v1alpha1.QueueSpec) { s.Contract, s.Suspend = nil, true })
	v.Ready, v.Suspended, v.Reason = false, true, v1alpha1.ReasonSuspended
	check(t, "nothing is written", nothing, a.tell(v))
	if a.configMap("c") == nil {
		t.Error("nor deleted")
	}
}
