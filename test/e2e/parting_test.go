package e2e

import (
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// A resource is gone at once, whatever is away at that moment; its broker object
// goes when it can be reached, and what was there all the time stays.
func TestDeletionsPend(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		// away takes something away, and back gives it back.
		away, back func(s *scene, proxy *harness.Proxy)
		// restart: the controller, which forgets what it knew.
		restart bool
		// known is what the connection says before anything is deleted.
		known string
		// pends: nothing can be deleted while it is away.
		pends bool
	}{
		"broker away": {
			reason: "the deletion waits in the inventory", pends: true, known: v1alpha1.ReasonConnectionUnavailable,
			away: func(_ *scene, proxy *harness.Proxy) { proxy.Refuse() },
			back: func(_ *scene, proxy *harness.Proxy) { proxy.Forward() },
		},
		"broker away, controller restarted": {
			reason: "the deletion outlives the process", pends: true, restart: true,
			away: func(_ *scene, proxy *harness.Proxy) { proxy.Refuse() },
			back: func(_ *scene, proxy *harness.Proxy) { proxy.Forward() },
		},
		"Secret gone": {
			reason: "the last good credentials serve for a minute", known: v1alpha1.ReasonSecretNotFound,
			away: func(s *scene, _ *harness.Proxy) { s.remove(s.credentials("shop", "", "")) },
			back: func(*scene, *harness.Proxy) {},
		},
		"Secret gone, controller restarted": {
			reason: "nobody knows the credentials any more", pends: true, restart: true,
			away: func(s *scene, _ *harness.Proxy) { s.remove(s.credentials("shop", "", "")) },
			back: func(s *scene, _ *harness.Proxy) { s.create(s.credentials("shop", s.broker.User, s.broker.Password)) },
		},
		"connection gone": {
			reason: "it serves for a minute more",
			away:   func(s *scene, _ *harness.Proxy) { s.remove(s.connection) },
			back:   func(*scene, *harness.Proxy) {},
		},
		"connection gone, controller restarted": {
			reason: "nobody knows the way any more", pends: true, restart: true,
			away: func(s *scene, _ *harness.Proxy) { s.remove(s.connection) },
			back: func(s *scene, proxy *harness.Proxy) {
				_, connection := s.rabbit("shop", s.broker, s.virtualHost, "http://"+proxy.Addr())
				s.create(connection)
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := harness.RabbitMQAt(t, "4.0")
			s := &scene{stage: newStage(t), broker: broker, virtualHost: broker.NewVirtualHost(t)}
			s.controller.Start(t)
			proxy := harness.NewProxy(t, hostOf(broker))
			secret, connection := s.rabbit("shop", broker, s.virtualHost, "http://"+proxy.Addr())
			s.connection = connection
			stays, goes := exchange("stays", "shop", "topic"), queue("goes", "shop", v1alpha1.QueueTypeClassic)
			goes.Spec.DeadLetter = &v1alpha1.DeadLetter{}
			s.create(secret, connection, stays, goes)
			s.ready(connection, stays, goes)
			s.unhindered()

			if c.restart {
				s.controller.Kill()
			}
			c.away(s, proxy)
			if c.known != "" {
				s.reaches(s.connection, metav1.ConditionFalse, c.known)
			}
			s.remove(goes)
			if err := s.client.Get(t.Context(), client.ObjectKeyFromObject(goes), goes); !apierrors.IsNotFound(err) {
				t.Errorf("the resource lingers: %v, finalizers %q", err, goes.Finalizers)
			}
			if c.restart {
				s.controller.Start(t)
			}
			if c.pends {
				time.Sleep(2 * interval)
				if !find(t, broker, queuePath(s.virtualHost, "goes"), nil) {
					t.Fatalf("%s, and the queue is gone", c.reason)
				}
			}
			c.back(s, proxy)
			within(t, "the queue to go: "+c.reason, s.absent(broker, queuePath(s.virtualHost, "goes")))
			within(t, "what belongs to it to go", s.absent(broker, exchangePath(s.virtualHost, "goes.dlx")))
			if !find(t, broker, exchangePath(s.virtualHost, "stays"), nil) {
				t.Error("what is declared is gone")
			}
		})
	}
}
