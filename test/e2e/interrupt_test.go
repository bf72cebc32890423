package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/cli"
	"github.com/warrener-dev/warrener/test/harness"
)

// stuck is a broker that answers no request that a test chooses, from the first
// one on that was told of.
type stuck struct {
	*harness.Recorder
	reached chan struct{} // has something once a request is stuck
}

// newStuck lets all requests through but those.
func newStuck(t *testing.T, broker *harness.RabbitMQ, holds func(*http.Request) bool) *stuck {
	t.Helper()
	s := &stuck{Recorder: harness.NewRecorder(t, broker.ManagementURL), reached: make(chan struct{}, 100)}
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) }) // before the recorder's own end, which waits for them
	s.Disturb(func(target http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !holds(r) {
				target.ServeHTTP(w, r)
				return
			}
			s.reached <- struct{}{}
			select {
			case <-ended:
			case <-r.Context().Done():
			}
		})
	})
	return s
}

func (s *stuck) waits(t *testing.T) {
	t.Helper()
	select {
	case <-s.reached:
	case <-time.After(harness.Patience):
		t.Fatal("no request came to be stuck")
	}
}

func start(t *testing.T, args ...string) *harness.Running {
	t.Helper()
	return harness.StartCLI(t, nil, append([]string{"--kubeconfig", withoutCluster}, args...)...)
}

// Ctrl-C in the middle: the broker does not answer, and the command says what was
// done, what was not, and what to do.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	broker := harness.RabbitMQAt(t, "4.0")
	d := newDesk(t, broker)
	direct := d.queueOf(t, v1alpha1.QueueTypeClassic, "")

	t.Run("Plan", func(t *testing.T) {
		slow := newStuck(t, broker, func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/queues") })
		running := start(t, "plan", "-f", direct, "--rabbitmq-url", slow.URL)
		slow.waits(t)
		running.Interrupt()
		answer := running.Wait()
		if want := "warrener: interrupted: nothing was changed\n"; answer.Code != cli.ExitFailed || answer.Err != want || answer.Out != "" {
			t.Errorf("it ended with %d: %q, %q, want %q", answer.Code, answer.Out, answer.Err, want)
		}
	})

	t.Run("Apply", func(t *testing.T) {
		slow := newStuck(t, broker, func(r *http.Request) bool {
			return r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/bindings/")
		})
		running := start(t, "apply", "--yes", "-f", direct, "--rabbitmq-url", slow.URL)
		slow.waits(t)
		running.Interrupt()
		answer := running.Wait()
		says(t, answer.Out, "\ncreated  exchange "+d.virtualHost+"/orders\n", "\ncreated  queue "+d.virtualHost+"/work\n",
			"\nfailed   binding "+d.virtualHost+"/orders -> queue work key k: create: no answer",
			"\n0 resources as declared, 2 objects made or changed.\nNot as declared:\n"+
				"  Exchange default/orders: interrupted before it was seen to be as declared\n  Queue default/work: interrupted before it was seen to be as declared\n")
		says(t, answer.Err, "interrupted: what is being written is waited for. A second Ctrl-C ends at once", "interrupted: what is listed above was done, and the same command goes on from here")
		if answer.Code != cli.ExitFailed || strings.Contains(answer.Out+answer.Err, "context canceled") {
			t.Errorf("it ended with %d:\n%s\n%s", answer.Code, answer.Out, answer.Err)
		}
		if again := harness.CLI(t, withoutCluster, "apply", "--yes", "-f", direct); again.Code != cli.ExitDone || !strings.Contains(again.Out, "1 object made or changed") {
			t.Errorf("the same command does not go on: %+v", again)
		}
	})

	t.Run("Twice", func(t *testing.T) {
		grown := d.queueOf(t, v1alpha1.QueueTypeQuorum, v1alpha1.UpdateRecreate)
		slow := newStuck(t, broker, func(r *http.Request) bool { return r.Method == http.MethodDelete })
		running := start(t, "apply", "--yes", "-f", grown, "--rabbitmq-url", slow.URL)
		slow.waits(t)
		ended := make(chan harness.Answer, 1)
		go func() { ended <- running.Wait() }()
		for { // the first one is heard when it is heard
			running.Interrupt()
			select {
			case answer := <-ended:
				if answer.Code != -1 { // nobody waited for the broker
					t.Errorf("the second Ctrl-C did not end it at once: %+v", answer)
				}
			case <-time.After(200 * time.Millisecond):
				continue
			}
			break
		}
		if again := harness.CLI(t, withoutCluster, "apply", "--yes", "-f", grown); again.Code != cli.ExitDone {
			t.Errorf("the next one does not go on: %+v", again)
		}
	})
}
