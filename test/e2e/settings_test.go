package e2e

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// Settings that stand in a policy work on the broker, and change while messages
// are in the queue, which stays the queue that it is.
func TestSettingsChangeInPlace(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		channel := amqpChannel(t, s.broker, s.virtualHost)
		for _, kind := range bothTypes {
			work := queue(string(kind)+".work", "shop", kind)
			work.Spec.Settings = v1alpha1.SettingsPolicy
			work.Spec.MaxLength, work.Spec.Overflow = pointer(int64(5)), v1alpha1.OverflowRejectPublish
			work.Spec.DeadLetter = &v1alpha1.DeadLetter{}
			s.create(work)
			s.ready(work)
			if found := s.queueNamed(work.Name); len(found.Arguments) > 1 || found.Arguments["x-max-length"] != nil {
				t.Errorf("%s has arguments %v", work.Name, found.Arguments)
			}
			s.governs(work.Name, map[string]any{
				"max-length": 5., "overflow": "reject-publish", "dead-letter-exchange": work.Name + ".dlx", "dead-letter-routing-key": work.Name,
			})
			for i := range 5 {
				publish(t, channel, "", work.Name, fmt.Sprint(i))
			}
			s.refuses(channel, work.Name)
			held := ready(t, channel, work.Name) // a quorum queue takes one more

			start := time.Now()
			edit(s.stage, work, func(q *v1alpha1.Queue) {
				q.Spec.MaxLength, q.Spec.MessageTTL = pointer(int64(100)), &metav1.Duration{Duration: 100 * time.Millisecond}
			})
			s.ready(work)
			wanted := []string{"PUT /api/policies/" + "warrener." + work.Name + " 204"}
			if diff := cmp.Diff(wanted, s.writes(start)); diff != "" {
				t.Errorf("what was written (-wanted +found):\n%s", diff)
			}
			time.Sleep(300 * time.Millisecond) // longer than the new time: what waits keeps its own
			for i := range held {
				message := receive(t, channel, work.Name)
				if i < 5 && string(message.Body) != fmt.Sprint(i) {
					t.Errorf("message %d is %q", i, message.Body)
				}
				must(t, message.Ack(false))
			}
			publish(t, channel, "", work.Name, "expired")
			dead := receive(t, channel, work.Name+".dead")
			must(t, dead.Ack(false))
			checkDeath(t, dead, "expired", work.Name, "", work.Name)

			s.remove(work)
			within(t, work.Name+" and its policy to go", func(context.Context) (bool, string) {
				left := find(t, s.broker, queuePath(s.virtualHost, work.Name), nil)
				names := s.policyNames()
				return !left && len(names) == 0, fmt.Sprintf("queue %t, policies %q", left, names)
			})
		}
	})
}

// A length that would cost messages waits until somebody accepts that, or until
// it costs none.
func TestShrinkingAwaitsApproval(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		channel := amqpChannel(t, s.broker, s.virtualHost)
		for _, kind := range bothTypes {
			work := queue(string(kind)+".work", "shop", kind)
			work.Spec.Settings, work.Spec.MaxLength = v1alpha1.SettingsPolicy, pointer(int64(100))
			s.create(work)
			s.ready(work)
			publish(t, channel, "", work.Name, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
			s.counts(work.Name, 10)
			edit(s.stage, work, func(q *v1alpha1.Queue) { q.Spec.MaxLength = pointer(int64(3)) })
			message := s.stalled(work, v1alpha1.ReasonAwaitingApproval)
			says(t, message, "max-length: 100 on the broker, 3 declared", "7 of the 10 messages", "would be dropped")
			s.idle(1)
			if n := ready(t, channel, work.Name); n != 10 {
				t.Errorf("%s holds %d of 10 messages before anybody accepted a loss", work.Name, n)
			}
			_, rest, _ := strings.Cut(message, v1alpha1.AnnotationAcceptLoss+"=")
			consent, _, _ := strings.Cut(rest, ",")
			edit(s.stage, work, func(q *v1alpha1.Queue) { q.Annotations = map[string]string{v1alpha1.AnnotationAcceptLoss: consent} })
			s.ready(work)
			within(t, "the queue to drop what was accepted", func(context.Context) (bool, string) {
				n := ready(t, channel, work.Name)
				return n == 3, fmt.Sprint(n)
			})

			s.counts(work.Name, 3)
			// The consent is good for that change only; and without a loss nobody asks.
			edit(s.stage, work, func(q *v1alpha1.Queue) { q.Spec.MaxLength = pointer(int64(2)) })
			says(t, s.stalled(work, v1alpha1.ReasonAwaitingApproval), "1 of the 3 messages")
			must(t, receive(t, channel, work.Name).Ack(false))
			s.ready(work)
			s.governs(work.Name, map[string]any{"max-length": 2.})
			if n := ready(t, channel, work.Name); n != 2 {
				t.Errorf("%s holds %d of 2 messages", work.Name, n)
			}
		}
	})
}

// Another policy with a higher priority is reported and not fought; what is
// changed by hand in ours is put right.
func TestRivalPolicies(t *testing.T) {
	onSomeRabbitMQ(t, func(t *testing.T, s *scene) {
		work := queue("work", "shop", v1alpha1.QueueTypeClassic)
		work.Spec.Settings, work.Spec.MaxLength = v1alpha1.SettingsPolicy, pointer(int64(100))
		s.create(work)
		s.ready(work)
		declared := map[string]any{"max-length": 100.}

		rival := map[string]any{"pattern": "^w", "apply-to": "queues", "priority": 2000, "definition": map[string]any{"message-ttl": 60000}}
		s.broker.Must(t, "PUT", s.policyPath("rival"), rival, nil)
		says(t, s.stalled(work, v1alpha1.ReasonConflict), "policy "+s.virtualHost+"/rival", "priority 2000", "settings: Arguments")
		late := queue("warren", "shop", v1alpha1.QueueTypeClassic)
		late.Spec.Settings, late.Spec.MaxLength = v1alpha1.SettingsPolicy, pointer(int64(1))
		s.create(late)
		s.stalled(late, v1alpha1.ReasonConflict)
		if find(t, s.broker, queuePath(s.virtualHost, late.Name), nil) {
			t.Error("a queue came without its limits")
		}
		s.idle(1)
		if names := s.policyNames(); len(names) != 2 {
			t.Errorf("policies %q", names)
		}
		s.broker.Must(t, "DELETE", s.policyPath("rival"), nil, nil)
		s.ready(work, late)

		limit := map[string]any{"pattern": "^work", "apply-to": "queues", "priority": 0, "definition": map[string]any{"max-length": 7}}
		operators := "/api/operator-policies/" + url.PathEscape(s.virtualHost) + "/cap"
		s.broker.Must(t, "PUT", operators, limit, nil)
		says(t, s.stalled(work, v1alpha1.ReasonConflict), `operator policy "cap"`, "max-length: 7, which counts and not 100")
		s.broker.Must(t, "DELETE", operators, nil, nil)
		s.ready(work)

		mine := s.policyPath("warrener.work")
		s.broker.Must(t, "PUT", mine, map[string]any{"pattern": "^other", "apply-to": "queues", "priority": 1, "definition": map[string]any{"max-length": 200, "expires": 3600000}}, nil)
		s.governsSoon("work", declared)
		s.arrives(1, corrected+" Queue/work")
		s.broker.Must(t, "DELETE", mine, nil, nil)
		s.governsSoon("work", declared)
		s.ready(work)
		s.idle(1)

		// What stands already and is identical is taken over, and nothing is written.
		s.declareQueue("old", v1alpha1.QueueTypeClassic, nil)
		s.broker.Must(t, "PUT", s.policyPath("warrener.old"), map[string]any{"pattern": "^old$", "apply-to": "queues", "priority": 1000, "definition": map[string]any{"max-length": 100}}, nil)
		old, start := queue("old", "shop", v1alpha1.QueueTypeClassic), time.Now()
		old.Spec.Settings, old.Spec.MaxLength = v1alpha1.SettingsPolicy, pointer(int64(100))
		s.create(old)
		s.ready(old)
		if writes := s.writes(start); len(writes) > 0 {
			t.Errorf("adoption wrote %q", writes)
		}
	})
}

// A length that comes with reject-publish costs a backlog nothing, and settings
// that come to a queue with messages neither.
func TestOverflowBeforeLength(t *testing.T) {
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		channel := amqpChannel(t, s.broker, s.virtualHost)
		for _, kind := range bothTypes {
			work := queue(string(kind)+".work", "shop", kind)
			s.create(work)
			s.ready(work)
			publish(t, channel, "", work.Name, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
			start := time.Now()
			edit(s.stage, work, func(q *v1alpha1.Queue) {
				q.Spec.Settings, q.Spec.MaxLength, q.Spec.Overflow = v1alpha1.SettingsPolicy, pointer(int64(3)), v1alpha1.OverflowRejectPublish
			})
			s.ready(work)
			policy := "PUT /api/policies/warrener." + work.Name
			if diff := cmp.Diff([]string{policy + " 201", policy + " 204"}, s.writes(start)); diff != "" {
				t.Errorf("what was written (-wanted +found):\n%s", diff)
			}
			s.refuses(channel, work.Name)
			for i := range 10 {
				message := receive(t, channel, work.Name)
				if string(message.Body) != fmt.Sprint(i) {
					t.Errorf("message %d is %q", i, message.Body)
				}
				must(t, message.Ack(false))
			}
		}
	})
}

func pointer[T any](v T) *T { return &v }

func (s *scene) policyPath(name string) string {
	return "/api/policies/" + url.PathEscape(s.virtualHost) + "/" + url.PathEscape(name)
}

func (s *scene) policyNames() []string {
	s.t.Helper()
	var all []struct{ Name string }
	s.broker.Must(s.t, "GET", "/api/policies/"+url.PathEscape(s.virtualHost), nil, &all)
	var out []string
	for _, p := range all {
		out = append(out, p.Name)
	}
	return out
}

func (s *scene) queueNamed(name string) brokerQueue {
	s.t.Helper()
	var found brokerQueue
	s.broker.Must(s.t, "GET", queuePath(s.virtualHost, name), nil, &found)
	return found
}

// policyOf renders the policy of a queue; "" if there is none.
func (s *scene) policyOf(queue string) string {
	s.t.Helper()
	var found struct {
		Pattern    string         `json:"pattern"`
		ApplyTo    string         `json:"apply-to"`
		Priority   int            `json:"priority"`
		Definition map[string]any `json:"definition"`
	}
	if !find(s.t, s.broker, s.policyPath("warrener."+queue), &found) {
		return ""
	}
	return fmt.Sprintf("%s %s %d %v", found.Pattern, found.ApplyTo, found.Priority, found.Definition)
}

func policyText(queue string, definition map[string]any) string {
	return fmt.Sprintf("^%s$ queues 1000 %v", strings.ReplaceAll(queue, ".", `\.`), definition)
}

// governs fails the test if the policy of a queue is not as wanted.
func (s *scene) governs(queue string, definition map[string]any) {
	s.t.Helper()
	if got, want := s.policyOf(queue), policyText(queue, definition); got != want {
		s.t.Errorf("policy %q, want %q", got, want)
	}
}

func (s *scene) governsSoon(queue string, definition map[string]any) {
	s.t.Helper()
	within(s.t, "the policy of "+queue+" to be as declared", func(context.Context) (bool, string) {
		got := s.policyOf(queue)
		return got == policyText(queue, definition), got
	})
}

// refuses waits until a queue takes no more; a quorum queue is late by a few.
func (s *scene) refuses(channel *amqp.Channel, queue string) {
	s.t.Helper()
	within(s.t, queue+" to refuse", func(ctx context.Context) (bool, string) {
		confirmation, err := channel.PublishWithDeferredConfirmWithContext(ctx, "", queue, false, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte("more")})
		must(s.t, err)
		taken, err := confirmation.WaitContext(ctx)
		must(s.t, err)
		return !taken, "it took one more"
	})
}
