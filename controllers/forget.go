package controllers

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// forget carries out a request to strike what was left behind off the inventory,
// once.
func (r *Registry) forget(ctx context.Context, s *session, c v1alpha1.Connection, broker adapter, cluster *engine.Cluster) error {
	mark, what := forgetting(c.GetAnnotations()[v1alpha1.AnnotationForgetLeftBehind])
	if mark == "" || mark == c.GetStatus().LastHandledForget || mark == s.lastForget() {
		return nil
	}
	forgotten, unknown, err := cluster.Forget(ctx, r.engineSession(s, c, broker, cluster), what)
	if err != nil {
		return err
	}
	s.forgot(mark)
	if len(forgotten) > 0 {
		ids := make([]topology.ID, len(forgotten))
		for i, entry := range forgotten {
			ids[i] = entry.ID
		}
		r.log.Info("forgotten on request; it stays on the broker", "connection", s.key.String(), "objects", len(ids))
		record(r.events, c, corev1.EventTypeNormal, v1alpha1.ReasonForgotten, "Forget",
			"forgotten on request, and nobody's from now on; it stays on the broker: "+engine.Describe(ids))
	}
	if len(unknown) > 0 {
		record(r.events, c, corev1.EventTypeWarning, v1alpha1.ReasonForgotten, "Forget", fmt.Sprintf(
			"nothing of that name was left behind through %s: %s", s.key, strings.Join(unknown, "; ")))
	}
	return nil
}

// forgetting reads the value of the annotation: a mark, and what is meant.
func forgetting(value string) (mark string, what engine.Forgetting) {
	value = strings.TrimSpace(value)
	at := strings.IndexAny(value, " \n")
	if at < 0 {
		return "", engine.Forgetting{} // asks for nothing
	}
	mark = value[:min(at, mostMark)]
	for line := range strings.Lines(value[at:]) {
		switch name := strings.TrimSpace(line); name {
		case "":
		case "all":
			what.All = true
		default:
			what.Names = append(what.Names, name)
		}
	}
	return mark, what
}

// mostMark is what the status holds of a mark.
const mostMark = 256

func (s *session) lastForget() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handledForget
}

func (s *session) forgot(mark string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handledForget = mark
}
