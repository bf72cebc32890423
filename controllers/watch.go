package controllers

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
	"github.com/warrener-dev/warrener/internal/topology"
)

// +kubebuilder:rbac:groups=topology.warrener.dev,resources=virtualhosts;exchanges;queues;exchangebindings;topics;rabbitmqconnections;kafkaconnections,verbs=get;list;watch

// Lane separates what people wait for from what checks everything.
type Lane string

// The lanes of a connection; see package engine.
const (
	LaneEdits      Lane = "edits"
	LaneRollOut    Lane = "rollout"
	LaneSweep      Lane = "sweep"
	LaneOperations Lane = "operations"
)

// Request asks for one lane of one connection to run.
type Request struct {
	Connection topology.ConnectionKey
	Lane       Lane
}

type queue = workqueue.TypedRateLimitingInterface[Request]

// connectionField indexes objects by the connection that they name.
const connectionField = "spec.connectionRef"

// indexByConnection is the index function of connectionField.
func indexByConnection(o client.Object) []string {
	return []string{compile.ConnectionOf(o.(v1alpha1.Object)).String()}
}

// keyOf names an object as an owner of broker objects.
func keyOf(o v1alpha1.Object) topology.OwnerKey {
	return topology.OwnerKey{Kind: o.KindName(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

func keyOfConnection(c v1alpha1.Connection) topology.ConnectionKey {
	return topology.ConnectionKey{Kind: c.KindName(), Namespace: c.GetNamespace(), Name: c.GetName()}
}

// watchObjects turns events on objects into intake. Status patches, our own
// above all, are not news.
func (r *Registry) watchObjects(c cache.Cache, kind v1alpha1.Object) source.TypedSource[Request] {
	note := func(o client.Object, end *departure, q queue) {
		object := o.(v1alpha1.Object)
		connection := compile.ConnectionOf(object)
		r.intake.add(connection, keyOf(object), end)
		q.Add(Request{connection, LaneEdits})
	}
	return source.TypedKind(c, client.Object(kind), handler.TypedFuncs[client.Object, Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[client.Object], q queue) {
			note(e.Object, nil, q)
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[client.Object], q queue) {
			r.status.heard(keyOf(e.ObjectNew.(v1alpha1.Object)))
			if changed(e.ObjectOld, e.ObjectNew) {
				note(e.ObjectNew, nil, q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[client.Object], q queue) {
			r.status.heard(keyOf(e.Object.(v1alpha1.Object)))
			end := &departure{seen: time.Now()}
			if !e.DeleteStateUnknown {
				end.last = e.Object.(v1alpha1.Object)
			}
			note(e.Object, end, q)
		},
	})
}

// watchConnections runs the lanes of a connection that changed.
func (r *Registry) watchConnections(c cache.Cache, kind v1alpha1.Connection) source.TypedSource[Request] {
	both := []Lane{LaneSweep, LaneEdits}
	note := func(o client.Object, q queue, lanes []Lane) {
		for _, lane := range lanes {
			q.Add(Request{keyOfConnection(o.(v1alpha1.Connection)), lane})
		}
	}
	return source.TypedKind(c, client.Object(kind), handler.TypedFuncs[client.Object, Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[client.Object], q queue) { note(e.Object, q, both) },
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[client.Object], q queue) {
			switch {
			case asksForMore(e.ObjectOld, e.ObjectNew), r.moved(e.ObjectOld.(v1alpha1.Connection), e.ObjectNew.(v1alpha1.Connection)):
				note(e.ObjectNew, q, both)
			case changed(e.ObjectOld, e.ObjectNew):
				// A look at everything would keep what may go now waiting.
				note(e.ObjectNew, q, []Lane{LaneEdits})
			}
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[client.Object], q queue) { note(e.Object, q, both) },
	})
}

// changed tells whether an update is more than a status of our own: a new spec,
// another object under the same name, an annotation that asks for something, or
// an approval.
func changed(old, now metav1.Object) bool {
	return asksForMore(old, now) || old.GetAnnotations()[v1alpha1.AnnotationAllowDeletes] != now.GetAnnotations()[v1alpha1.AnnotationAllowDeletes]
}

// asksForMore tells whether an update is news, other than that deletions may go.
func asksForMore(old, now metav1.Object) bool {
	if old.GetGeneration() != now.GetGeneration() || old.GetUID() != now.GetUID() {
		return true
	}
	if approvedPlan(old) != approvedPlan(now) {
		return true
	}
	before, after := old.GetAnnotations(), now.GetAnnotations()
	for _, name := range []string{
		v1alpha1.AnnotationReconcileAt, v1alpha1.AnnotationAcceptCluster, v1alpha1.AnnotationHandOverTo,
		v1alpha1.AnnotationForgetLeftBehind, v1alpha1.AnnotationAcceptLoss,
	} {
		if before[name] != after[name] {
			return true
		}
	}
	return false
}

// approvedPlan is the one thing in a status that a person writes.
func approvedPlan(o metav1.Object) string {
	if object, ok := o.(v1alpha1.Object); ok {
		return object.GetStatus().ApprovedPlan
	}
	return ""
}
