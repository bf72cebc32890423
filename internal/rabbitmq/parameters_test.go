package rabbitmq

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/harness"
)

func TestParameters(t *testing.T) {
	onEach(t, func(t *testing.T, server *harness.RabbitMQ, b *Broker, vh string) {
		server.Must(t, http.MethodPut, "/api/operator-policies/"+vh+"/cap", map[string]any{"pattern": "^", "definition": map[string]any{"max-length": 10}, "apply-to": "queues"}, nil)
		server.Must(t, http.MethodPut, "/api/vhost-limits/"+vh+"/max-queues", map[string]any{"value": 100}, nil)
		own := func(all []Parameter) []Parameter {
			var out []Parameter
			for _, p := range all {
				if p.VirtualHost == vh {
					out = append(out, p)
				}
			}
			return out
		}
		all, err := b.Parameters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []Parameter{{Component: ComponentOperatorPolicy, VirtualHost: vh, Name: "cap"}}
		if diff := cmp.Diff(want, own(all)); diff != "" {
			t.Errorf("limits are no parameters, the operator policy is (-want +got):\n%s", diff)
		}
		name, password := server.NewUser(t, "management", vh)
		if _, err := connect(t, server, name, password).Parameters(t.Context()); topology.ClassOf(err) != topology.ClassAccessDenied {
			t.Errorf("a user without the tag policymaker: %v, want an error of access", err)
		}
	})
}
