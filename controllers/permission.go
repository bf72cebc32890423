package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/topology"
)

// Namespaces are read one by one, and only for connections that select them by
// label.
//
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get

// admission is what was found about a namespace. It is good for a moment: for
// the thousand objects that are taken in together.
type admission struct {
	permitted  bool
	generation int64 // of the connection
	at         time.Time
}

const admissionGoodFor = time.Second

// permits tells whether a connection admits the objects of a namespace.
func (r *Registry) permits(ctx context.Context, s *session, c v1alpha1.Connection, namespace string) (bool, error) {
	if namespace == c.GetNamespace() {
		return true, nil
	}
	allowed := c.GetAllowedNamespaces()
	switch allowed.From {
	case v1alpha1.NamespacesFromAll:
		return true, nil
	case v1alpha1.NamespacesFromSelector:
		known, ok := s.admission(namespace)
		if ok && known.generation == c.GetGeneration() && time.Since(known.at) < admissionGoodFor {
			return known.permitted, nil
		}
		permitted, err := r.selects(ctx, allowed.Selector, namespace)
		if err == nil {
			s.admit(namespace, admission{permitted: permitted, generation: c.GetGeneration(), at: time.Now()})
		}
		return permitted, err
	}
	return false, nil
}

// selects matches the labels that a namespace has at this moment.
func (r *Registry) selects(ctx context.Context, selector *metav1.LabelSelector, namespace string) (bool, error) {
	chosen, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, nil //nolint:nilerr // nothing can match what cannot be read
	}
	var ns corev1.Namespace
	err = r.reader.Get(ctx, client.ObjectKey{Name: namespace}, &ns)
	switch {
	case apierrors.IsNotFound(err):
		return false, nil // its objects are going, too
	case err != nil:
		return false, fmt.Errorf("read namespace %s: %w", namespace, err)
	}
	return chosen.Matches(labels.Set(ns.Labels)), nil
}

// relabelled lists the objects of namespaces that a selector has come to admit,
// or ceased to, since they were last taken in: labels are not watched.
func (r *Registry) relabelled(ctx context.Context, s *session, c v1alpha1.Connection) (map[topology.OwnerKey]*departure, error) {
	if c.GetAllowedNamespaces().From != v1alpha1.NamespacesFromSelector {
		return nil, nil
	}
	objects, err := r.objectsOf(ctx, s.key)
	if err != nil {
		return nil, err
	}
	changed, news := map[topology.OwnerKey]*departure{}, map[string]bool{}
	for _, object := range objects {
		namespace := object.GetNamespace()
		if _, looked := news[namespace]; !looked {
			before, known := s.admission(namespace)
			now, err := r.permits(ctx, s, c, namespace)
			if err != nil {
				return nil, err
			}
			news[namespace] = known && before.permitted != now
		}
		if news[namespace] {
			changed[keyOf(object)] = nil
		}
	}
	return changed, nil
}

func (s *session) admission(namespace string) (admission, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.admitted[namespace]
	return a, ok
}

func (s *session) admit(namespace string, a admission) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.admitted == nil {
		s.admitted = map[string]admission{}
	}
	s.admitted[namespace] = a
}
