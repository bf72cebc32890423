package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/cli"
	"github.com/warrener-dev/warrener/test/harness"
)

// warrener runs the command line in the namespace of the stage.
func (s *stage) warrener(args ...string) harness.Answer {
	s.t.Helper()
	return harness.CLI(s.t, s.plane.Kubeconfig, append(args, "-n", s.namespace)...)
}

// A queue with a message is left behind. The command line shows it; applying its
// resource again takes it back; and what is forgotten on purpose is nobody's, and
// stands on the broker with its message.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.RabbitMQAt(t, "4.0"))
	work := func() *v1alpha1.Queue {
		q := queue("work", "shop", v1alpha1.QueueTypeClassic)
		q.Spec.DeadLetter = &v1alpha1.DeadLetter{}
		return q
	}
	empty := queue("empty", "shop", v1alpha1.QueueTypeClassic)
	first := work()
	s.create(first, empty)
	s.ready(first, empty)
	if none := s.warrener("status", "--left-behind", "--exit-code"); none.Code != cli.ExitDone || none.Out != "" || !strings.Contains(none.Err, "Nothing was left behind") {
		t.Errorf("nothing was left behind yet: %+v", none)
	}
	channel := amqpChannel(t, s.broker, s.virtualHost)
	publish(t, channel, "", "work", "precious")
	before := s.listing()

	leave := func(q *v1alpha1.Queue) {
		t.Helper()
		s.remove(q)
		within(t, "the queue to be left behind", func(context.Context) (bool, string) {
			s.get(s.connection)
			return s.connection.Status.LeftBehindCount == 4, describe(s.connection)
		})
	}
	leave(first)
	object, owner := "queue "+s.virtualHost+"/work", "Queue "+s.namespace+"/work"
	shown := s.warrener("status", "--left-behind", "--exit-code")
	t.Logf("\n%s", shown.Out)
	says(t, shown.Out, object, owner, "it holds messages", "goes or stays with "+object, "forget '"+owner+"' -n "+s.namespace)
	if shown.Code != cli.ExitFound {
		t.Errorf("it ended with %d", shown.Code)
	}
	var listed struct {
		LeftBehind []struct {
			Owner string `json:"owner"`
			Since string `json:"since"`
		} `json:"leftBehind"`
	}
	must(t, json.Unmarshal([]byte(s.warrener("status", "--left-behind", "-o", "json").Out), &listed))
	if len(listed.LeftBehind) != 4 || listed.LeftBehind[0].Owner != owner || listed.LeftBehind[0].Since == "" {
		t.Errorf("as JSON: %+v", listed)
	}
	status := s.warrener("status", "-A")
	t.Logf("\n%s", status.Out)
	says(t, status.Out, "left 4 objects behind")

	again := work()
	s.create(again)
	s.ready(again)
	s.same("taking a queue back", before)
	within(t, "nothing to be left behind", func(context.Context) (bool, string) {
		answer := s.warrener("status", "--left-behind", "--exit-code")
		return answer.Code == cli.ExitDone, answer.Out
	})
	if n := ready(t, channel, "work"); n != 1 {
		t.Errorf("it came back with %d messages", n)
	}

	leave(again)
	wrong := s.warrener("forget", "queue "+s.virtualHost+"/empty", "--yes")
	says(t, wrong.Err, "nothing called", "/empty")
	if asked := s.warrener("forget", object); asked.Code != cli.ExitDeclined || wrong.Code != cli.ExitFailed {
		t.Errorf("unconfirmed: %+v; of something that was not left behind: %+v", asked, wrong)
	}
	forgotten := s.warrener("forget", object, "--yes")
	t.Logf("\n%s", forgotten.Out)
	says(t, forgotten.Out, "Forgotten.", object)
	if forgotten.Code != cli.ExitDone {
		t.Fatalf("it ended with %d: %s", forgotten.Code, forgotten.Err)
	}
	if entries := s.inventory(); len(entries) != 1 || !strings.HasSuffix(entries[0], " empty") {
		t.Errorf("the inventory has %q", entries)
	}
	s.arrives(1, "Normal Forgotten RabbitMQConnection/shop")
	s.idle(2)
	s.same("forgetting a queue", before)
	if n := ready(t, channel, "work"); n != 1 {
		t.Errorf("it stands there with %d messages", n)
	}

	// A request is carried out once: it is no standing order.
	third := work()
	s.create(third)
	s.ready(third)
	leave(third)
	s.idle(1)
	if entries := s.inventory(); len(entries) != 5 {
		t.Errorf("an old request was carried out again: %q", entries)
	}
}
