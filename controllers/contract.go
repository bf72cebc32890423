package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/contract"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Contracts are the only ConfigMaps that are written, by name and in the
// namespaces of the objects that name them. None is listed or watched.
//
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;create;patch;delete

const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "warrener"
)

// contracts writes what applications are told into ConfigMaps. The status
// writer calls it for each verdict, so its workers bound how many are written at
// a time, and no object is in two hands.
//
// A ConfigMap is read only when there is something to write: what was written
// last is remembered as a hash. After a restart that is one read a contract. A
// change by hand is put right when the contract changes, when somebody asks by
// the annotation reconcile-at, and after a restart.
type contracts struct {
	client client.Client
	reader client.Reader // uncached: a cached read would watch all ConfigMaps
	clock  engine.Clock
	// render gives the data of an object's contract. Nil: its connection is
	// gone, and with it what the contract is made of.
	render func(context.Context, v1alpha1.Object) (map[string]string, error)

	mu    sync.Mutex
	marks map[topology.OwnerKey]string
}

func newContracts(c client.Client, reader client.Reader, clock engine.Clock) *contracts {
	return &contracts{client: c, reader: reader, clock: clock, marks: map[topology.OwnerKey]string{}}
}

// publish brings the ConfigMaps of an object in line with its spec, and its
// status in line with them. An error is worth another try; what only people can
// cure is in the status.
func (w *contracts) publish(ctx context.Context, object v1alpha1.Object, v engine.Verdict, status *v1alpha1.ObjectStatus) error {
	var err error
	// Of an object that has been edited since, a newer verdict will come.
	if !v.Suspended && object.GetGeneration() == v.Owner.Generation {
		err = w.bring(ctx, object, v, status)
	}
	w.explain(object, v, status)
	return err
}

func (w *contracts) bring(ctx context.Context, object v1alpha1.Object, v engine.Verdict, status *v1alpha1.ObjectStatus) error {
	name := v1alpha1.ContractConfigMap(object)
	if name == "" {
		w.forget(v.Owner.OwnerKey)
		return w.withdraw(ctx, object, "", status)
	}
	if !v.Ready {
		return nil // what was true stays, until the new spec is
	}
	data, err := w.render(ctx, object)
	if err != nil || data == nil {
		return err
	}
	mark := markOf(object.GetUID(), name, v.Owner.ReconcileAt, data)
	if !w.marked(v.Owner.OwnerKey, mark) {
		if err := w.write(ctx, object, name, data); err != nil {
			refusal := refusalOf(err, name)
			if refusal == nil {
				return fmt.Errorf("write ConfigMap %s/%s: %w", object.GetNamespace(), name, err)
			}
			w.forget(v.Owner.OwnerKey)
			w.say(status, v.Owner.Generation, metav1.ConditionFalse, refusal.reason, refusal.message)
			return nil
		}
		w.mark(v.Owner.OwnerKey, mark)
	}
	if err := w.withdraw(ctx, object, name, status); err != nil {
		return err
	}
	status.ContractConfigMap = name
	w.say(status, v.Owner.Generation, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "ConfigMap "+name+" says what is declared")
	return nil
}

// explain keeps the condition from speaking of another generation than the rest
// of the status.
func (w *contracts) explain(object v1alpha1.Object, v engine.Verdict, status *v1alpha1.ObjectStatus) {
	name := v1alpha1.ContractConfigMap(object)
	said := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionContractPublished)
	switch {
	case name == "":
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionContractPublished)
	case said != nil && said.ObservedGeneration == v.Owner.Generation:
	case v.Suspended:
		w.say(status, v.Owner.Generation, metav1.ConditionUnknown, v1alpha1.ReasonSuspended, "ConfigMap "+name+" is left as it is until spec.suspend is false")
	default:
		w.say(status, v.Owner.Generation, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "ConfigMap "+name+" will be written once this object is Ready")
	}
}

// say sets the condition ContractPublished.
func (w *contracts) say(status *v1alpha1.ObjectStatus, generation int64, is metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionContractPublished, Status: is, ObservedGeneration: generation,
		Reason: reason, Message: clip(message), LastTransitionTime: metav1.NewTime(w.clock()),
	})
	sortConditions(status.Conditions)
}

// write creates the ConfigMap, or changes what differs in one that is the
// object's own.
func (w *contracts) write(ctx context.Context, object v1alpha1.Object, name string, data map[string]string) error {
	live := &corev1.ConfigMap{}
	err := w.reader.Get(ctx, client.ObjectKey{Namespace: object.GetNamespace(), Name: name}, live)
	switch {
	case apierrors.IsNotFound(err):
		return w.client.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: object.GetNamespace(), Name: name, Labels: map[string]string{labelManagedBy: managedBy},
				OwnerReferences: []metav1.OwnerReference{ownerReference(object)},
			},
			Data: data,
		})
	case err != nil:
		return err
	}
	owner := metav1.GetControllerOf(live)
	if !controls(object, owner) {
		return &notOwned{owner}
	}
	if maps.Equal(live.Data, data) && len(live.BinaryData) == 0 && owner.UID == object.GetUID() {
		return nil
	}
	base := live.DeepCopy()
	live.Data, live.BinaryData = data, nil
	for i := range live.OwnerReferences {
		if controller := live.OwnerReferences[i].Controller; controller != nil && *controller {
			live.OwnerReferences[i] = ownerReference(object)
		}
	}
	return w.client.Patch(ctx, live, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
}

// withdraw deletes the ConfigMap that the contract was written to before, unless
// it is the one that is wanted now, or has come to belong to somebody else.
func (w *contracts) withdraw(ctx context.Context, object v1alpha1.Object, wanted string, status *v1alpha1.ObjectStatus) error {
	name := status.ContractConfigMap
	if name == "" || name == wanted {
		return nil
	}
	live := &corev1.ConfigMap{}
	err := w.reader.Get(ctx, client.ObjectKey{Namespace: object.GetNamespace(), Name: name}, live)
	if err == nil && controls(object, metav1.GetControllerOf(live)) {
		uid, version := live.GetUID(), live.GetResourceVersion()
		err = w.client.Delete(ctx, live, client.Preconditions{UID: &uid, ResourceVersion: &version})
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete ConfigMap %s/%s: %w", object.GetNamespace(), name, err)
	}
	status.ContractConfigMap = ""
	return nil
}

// ownerReference makes the garbage collector delete the ConfigMap with its
// object. It does not block the object's deletion: that would need the right to
// set finalizers, and nothing hangs here.
func ownerReference(object v1alpha1.Object) metav1.OwnerReference {
	controller := true
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: object.KindName(),
		Name: object.GetName(), UID: object.GetUID(), Controller: &controller,
	}
}

// controls tells whether an owner is the object: by name, as everywhere. One that
// was deleted and applied again goes on owning.
func controls(object v1alpha1.Object, owner *metav1.OwnerReference) bool {
	if owner == nil || owner.Kind != object.KindName() || owner.Name != object.GetName() {
		return false
	}
	group, err := schema.ParseGroupVersion(owner.APIVersion)
	return err == nil && group.Group == v1alpha1.GroupVersion.Group
}

// notOwned: the ConfigMap is somebody else's, or nobody's.
type notOwned struct{ owner *metav1.OwnerReference }

func (e *notOwned) Error() string {
	if e.owner == nil {
		return "it exists already, and no object controls it"
	}
	return fmt.Sprintf("it exists already, and belongs to %s %s", e.owner.Kind, e.owner.Name)
}

type refusal struct{ reason, message string }

// refusalOf tells what only people can cure; nil for what may pass by itself.
func refusalOf(err error, name string) *refusal {
	if foreign, ok := err.(*notOwned); ok { //nolint:errorlint // made one call away, and wrapped by nobody
		return &refusal{v1alpha1.ReasonConfigMapNotOwned, fmt.Sprintf(
			"ConfigMap %s is not written: %s; name another one in spec.contract.configMap, or delete this one", name, foreign)}
	}
	switch {
	case apierrors.IsForbidden(err):
		return &refusal{v1alpha1.ReasonAccessDenied, "ConfigMap " + name + " is not written: " + err.Error()}
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return &refusal{v1alpha1.ReasonConfigMapRefused, "ConfigMap " + name + " is not written: " + err.Error()}
	}
	return nil
}

// markOf is a hash of all that a ConfigMap is written for.
func markOf(uid types.UID, name, reconcileAt string, data map[string]string) string {
	hash := sha256.New()
	encoder := json.NewEncoder(hash)
	_ = encoder.Encode([]string{string(uid), name, reconcileAt}) // neither a hash nor text fails
	_ = encoder.Encode(data)
	return hex.EncodeToString(hash.Sum(nil))
}

func (w *contracts) marked(key topology.OwnerKey, mark string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.marks[key] == mark
}

func (w *contracts) mark(key topology.OwnerKey, mark string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.marks[key] = mark
}

// forget makes the next write look first.
func (w *contracts) forget(key topology.OwnerKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.marks, key)
}

// contractOf renders an object's contract from its connection: what the broker
// is, and where applications find it.
func (r *Registry) contractOf(ctx context.Context, object v1alpha1.Object) (map[string]string, error) {
	key := compile.ConnectionOf(object)
	c, err := r.connection(ctx, key)
	if err != nil || c == nil {
		return nil, err
	}
	what := compile.ContractOf(object, r.session(key).defaults())
	if what == nil {
		return nil, nil
	}
	return contract.Render(what, clientEndpoints(c))
}

// clientEndpoints are where applications connect to.
func clientEndpoints(c v1alpha1.Connection) []string {
	switch c := c.(type) {
	case *v1alpha1.RabbitMQConnection:
		return slices.Clone(c.Spec.ClientEndpoints)
	case *v1alpha1.KafkaConnection:
		return slices.Clone(c.Spec.BootstrapServers)
	}
	return nil
}
