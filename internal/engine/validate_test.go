package engine

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/internal/topology"
)

// judge is a broker that can be asked, and that refuses some objects.
type judge struct {
	*broker
	refuses map[topology.ID]error
	// unforeseen are refused when they come, and not when they are asked about.
	unforeseen map[topology.ID]error
}

func (j *judge) answer(step topology.Step, all ...map[topology.ID]error) error {
	for _, refuses := range all {
		if err := refuses[step.ID]; err != nil {
			return err
		}
	}
	return nil
}

func (j *judge) Validate(_ context.Context, wave []topology.Step) []topology.Outcome {
	var out []topology.Outcome
	for _, step := range wave {
		j.journal.add("ask about %s", step.ID)
		out = append(out, topology.Outcome{Step: step, Err: j.answer(step, j.refuses)})
	}
	return out
}

func (j *judge) Apply(ctx context.Context, wave []topology.Step) []topology.Outcome {
	out := j.broker.Apply(ctx, slices.DeleteFunc(slices.Clone(wave), func(s topology.Step) bool { return j.answer(s, j.refuses, j.unforeseen) != nil }))
	for _, step := range wave {
		if err := j.answer(step, j.refuses, j.unforeseen); err != nil {
			out = append(out, topology.Outcome{Step: step, Err: err})
		}
	}
	return out
}

func TestValidateBeforeTheFirstWrite(t *testing.T) {
	bad := &topology.Error{Class: topology.ClassRejected, Object: topic("b.dlt").ID(), Operation: "create topic", Reason: "INVALID_CONFIG"}
	s := newStage(t)
	j := &judge{broker: s.broker, refuses: map[topology.ID]error{topic("b.dlt").ID(): bad}}
	s.session.Broker = j
	shared := topic("shared")
	s.set(
		cr("shop/a", wants(topic("a"))),
		cr("shop/b", wants(topic("b"), topic("b.dlt")), shares(shared)),
		cr("shop/c", wants(topic("c"), topic("c.dlt")), shares(shared)),
	)
	s.journal.take()
	check(t, "one claim is refused, and the others are made", []string{
		"shop/a Ready Succeeded: topic a is as declared",
		"shop/b Stalled BrokerRejected: topic b.dlt: create topic: INVALID_CONFIG (and 1 more)",
		"shop/c Ready Succeeded: 3 broker objects are as declared",
	}, said(s.edits()))
	check(t, "what is alone needs no question; of a claim that is refused nothing is made; what another one shares is", []string{
		"ask about topic b", "ask about topic b.dlt", "ask about topic c", "ask about topic c.dlt", "ask about topic shared",
		"create topic a", "create topic c", "create topic c.dlt", "create topic shared",
	}, sortedSteps(s.journal.take()))
	if _, booked := s.shelf.saved[topic("b").ID()]; booked {
		t.Error("what is not made is on the books")
	}

	for range 3 {
		s.wait(time.Minute)
		s.sweep()
	}
	check(t, "nor is it made later, while the refusal stands", []string(nil), sortedSteps(s.journal.take()))
	if s.broker.live[topic("b").ID()] != nil {
		t.Error("topic b was made by itself")
	}

	s.set(cr("shop/b", wants(topic("b"), topic("b.dlt", "retention.ms", "1")), shares(shared), generation(2)))
	j.refuses = nil
	check(t, "an edit makes all of it", "shop/b Ready Succeeded: 3 broker objects are as declared", said(s.edits())[0])

	s.journal.take()
	s.set(cr("shop/a", wants(topic("a", "retention.ms", "1")), generation(2)))
	s.edits()
	check(t, "one change is made whole or not at all", []string{"update topic a"}, sortedSteps(s.journal.take()))
	s.set(cr("shop/a", wants(topic("a", "retention.ms", "2", "segment.ms", "2")), generation(3)))
	s.edits()
	check(t, "of several changes some might be made", []string{"ask about topic a", "update topic a"}, sortedSteps(s.journal.take()))

	j.refuses = map[topology.ID]error{topic("c.dlt").ID(): bad}
	s.set(cr("shop/c", wants(topic("c"), topic("c.dlt", "retention.ms", "soon")), shares(shared), generation(2)))
	s.edits()
	s.journal.take()
	delete(s.broker.live, topic("c").ID())
	s.wait(time.Minute)
	s.sweep()
	check(t, "what a hand took away waits with the rest of an edit that is refused", []string(nil), sortedSteps(s.journal.take()))
}

// A refusal that nobody could foresee holds back what is left of the claim.
func TestRefusedInTheEnd(t *testing.T) {
	s := newStage(t)
	j := &judge{broker: s.broker, unforeseen: map[topology.ID]error{
		topic("b.dlt").ID(): &topology.Error{Class: topology.ClassRejected, Object: topic("b.dlt").ID(), Reason: "no"},
	}}
	s.session.Broker = j
	s.broker.faults[topic("b").ID()] = []fault{refuse(topology.ClassTransient, "throttled")}
	s.set(cr("shop/b", wants(topic("b"), topic("b.dlt"))))
	s.edits()
	s.quiesce()
	if s.broker.live[topic("b").ID()] != nil {
		t.Error("topic b was made by itself")
	}
	j.unforeseen = nil
	s.wait(rejectedReview)
	s.quiesce()
	check(t, "when it is accepted the rest follows", true, s.broker.live[topic("b").ID()] != nil && s.broker.live[topic("b.dlt").ID()] != nil)
}

// sortedSteps drops what is not about topics.
func sortedSteps(lines []string) []string {
	var out []string
	for _, line := range lines {
		for _, verb := range []string{"ask about topic ", "create topic ", "update topic "} {
			if len(line) > len(verb) && line[:len(verb)] == verb {
				out = append(out, line)
			}
		}
	}
	slices.Sort(out)
	return out
}
