package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// Namespaces are read one by one, and only for connections that select them by
// label.
//
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get

// permits tells whether a connection admits the objects of a namespace.
func (r *Registry) permits(ctx context.Context, c v1alpha1.Connection, namespace string) (bool, error) {
	if namespace == c.GetNamespace() {
		return true, nil
	}
	allowed := c.GetAllowedNamespaces()
	switch allowed.From {
	case v1alpha1.NamespacesFromAll:
		return true, nil
	case v1alpha1.NamespacesFromSelector:
		selector, err := metav1.LabelSelectorAsSelector(allowed.Selector)
		if err != nil {
			return false, nil // nothing can match what cannot be read
		}
		var ns corev1.Namespace
		if err := r.reader.Get(ctx, client.ObjectKey{Name: namespace}, &ns); err != nil {
			return false, fmt.Errorf("read namespace %s: %w", namespace, err)
		}
		return selector.Matches(labels.Set(ns.Labels)), nil
	}
	return false, nil
}
