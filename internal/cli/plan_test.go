package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/preview"
	"github.com/warrener-dev/warrener/internal/topology"
	"github.com/warrener-dev/warrener/test/golden"
)

func TestShowPlan(t *testing.T) {
	report := preview.Report{
		Notes: []string{"ownership unknown, deletes not shown"},
		Clusters: []preview.Cluster{{
			Connection: "KafkaConnection orders/kafka", ID: "5L6g3nShT", Version: "4.3", Unchanged: 1204,
			Items: []preview.Item{
				{Action: preview.Create, Object: "topic a", Owners: []string{"Topic orders/a"}, Fields: []preview.Field{{Path: "partitions", Declared: "3"}}},
				{Action: preview.Change, Object: "topic b", Owners: []string{"Topic orders/b"}, Fields: []preview.Field{{Path: "partitions", Live: "3", Declared: "6"}}, Risks: []string{"keys move"}},
			},
		}, {
			Connection: "RabbitMQConnection orders/rabbitmq", ID: "rabbitmq-cluster-id-Ymyo", Version: "4.0.5", Unchanged: 7,
			Items: []preview.Item{
				{Action: preview.Held, Object: "queue shop/work", Owners: []string{"Queue orders/work"}, Fields: []preview.Field{{Path: "type", Live: "classic", Declared: "quorum"}}, Reason: "AwaitingApproval", Message: "it is replaced once that is approved"},
			},
			Approvals: []preview.Approval{
				{
					Owner: "Queue orders/work", Hash: "221ed7771d2e45e4", Generation: 2, TotalSteps: 1,
					Steps:   []preview.ApprovalStep{{Action: "Replace", Object: "queue shop/work", Fields: []preview.Field{{Path: "type", Live: "classic", Declared: "quorum"}}, Risk: "what it holds is moved"}},
					Command: "kubectl warrener approve queue/work -n orders",
				},
				{Owner: "Queue orders/new", TotalSteps: 2, Steps: []preview.ApprovalStep{}, Command: "kubectl warrener approve queue/new -n orders"},
			},
			HeldDeletions: &preview.HeldDeletions{
				Owners: []string{"Queue orders/a", "Queue orders/b", "Queue orders/c"}, Command: "kubectl warrener allow-deletes rabbitmqconnection/rabbitmq -n orders",
			},
		}},
	}
	for name, output := range map[string]planFormat{"plan.txt": "", "plan.json": "json", "plan.yaml": "yaml", "plan.md": "markdown"} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := (&app{Streams: Streams{Out: &out}}).showPlan(report, output); err != nil {
				t.Fatal(err)
			}
			golden.Check(t, filepath.Join("plan", name), out.String())
		})
	}
	var output planFormat
	if err := output.Set("xml"); err == nil {
		t.Error("xml is a format")
	}
}

// Bad manifests stop everything, with the place: half of what is meant is
// another thing.
func TestPlanOfBadManifests(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "q.yaml")
	text := "apiVersion: topology.warrener.dev/v1alpha1\nkind: Queue\nmetadata: {name: q, namespace: orders}\nspec:\n  connectionRef: {name: shop}\n  type: quorum\n  colour: red\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"UnknownField": {[]string{"plan", "--no-cluster", "-f", file}, file + ":7: Queue orders/q: unknown field spec.colour: it is left out\nwarrener: 1 problem in the manifests: nothing was done\n"},
		"Nothing":      {[]string{"plan", "--no-cluster"}, "warrener: no manifests are named: -f names files and folders, -k a kustomization\n"},
		"Prune":        {[]string{"plan", "--no-cluster", "--prune", "-f", filepath.Join("..", "..", "config", "samples", "vip.yaml")}, "warrener: --prune shows what would be deleted, and only a cluster knows that: give a kubeconfig\n"},
		"NoConnection": {[]string{"apply", "--yes", "-f", filepath.Join("..", "..", "config", "samples", "vip.yaml")}, "warrener: RabbitMQConnection default/rabbitmq is not among the manifests: add it, or say where the broker is with --rabbitmq-url\n"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			if code := d.run(c.args...); code != ExitFailed || d.err.String() != c.want {
				t.Errorf("it ended with %d:\n%s\nwant\n%s", code, d.err.String(), c.want)
			}
		})
	}
}

// recorder is a broker that takes everything and remembers it.
type recorder struct {
	engine.Broker
	applied []topology.Step
}

func (r *recorder) Apply(_ context.Context, wave []topology.Step) []topology.Outcome {
	r.applied = append(r.applied, wave...)
	out := make([]topology.Outcome, len(wave))
	for i, step := range wave {
		out[i].Step = step
	}
	return out
}

// asked is a recorder that can also be asked what it would answer.
type asked struct{ *recorder }

func (asked) Validate(context.Context, []topology.Step) []topology.Outcome { return nil }

// Without books nothing is taken away, whatever the engine thinks.
func TestKeepDeletesNothing(t *testing.T) {
	create := topology.Step{Verb: topology.VerbCreate, ID: topology.QueueID("/", "a")}
	remove := topology.Step{Verb: topology.VerbDelete, ID: topology.QueueID("/", "b")}
	update := topology.Step{Verb: topology.VerbUpdate, ID: topology.QueueID("/", "c")}
	for name, validates := range map[string]bool{"RabbitMQ": false, "Kafka": true} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{}
			var broker engine.Broker = r
			if validates {
				broker = asked{r}
			}
			kept := keep(broker)
			if _, able := kept.(engine.Validator); able != validates {
				t.Errorf("whether it can be asked: %t, want %t", able, validates)
			}
			out := kept.Apply(t.Context(), []topology.Step{create, remove, update})
			if len(out) != 3 || out[0].Err != nil || out[1].Err == nil || out[2].Err != nil || out[1].Step.ID != remove.ID {
				t.Errorf("outcomes: %+v", out)
			}
			if len(r.applied) != 2 {
				t.Errorf("the broker was sent %v", r.applied)
			}
			if out := kept.Apply(t.Context(), []topology.Step{remove}); len(out) != 1 || out[0].Err == nil || len(r.applied) != 2 {
				t.Errorf("a delete alone: %+v", out)
			}
		})
	}
}

func TestInTime(t *testing.T) {
	trouble := errors.New("trouble")
	late, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	ended, end := context.WithCancel(t.Context())
	end()
	for want, ctx := range map[string]context.Context{
		"trouble": t.Context(),
		"not done within 1m0s (--timeout gives it more): trouble": late,
		"interrupted: nothing was changed":                        ended,
	} {
		if got := inTime(ctx, trouble, time.Minute).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
