package engine

import (
	"context"
	"testing"

	"github.com/warrener-dev/warrener/internal/topology"
)

// What is asked past the cache before a deletion is about that deletion.
func TestRefreshIsAboutWhatEnds(t *testing.T) {
	x, q := exchange("x"), queue("q")
	old, other := bind("x", "q", "old"), bind("x", "q", "other")
	start := func(t *testing.T) (*stage, *[]Ending) {
		s := newStage(t)
		s.set(cr("shop/x", wants(x)), cr("shop/q", wants(q, old, other)))
		s.edits()
		var asked []Ending
		s.session.Refresh = func(_ context.Context, what Ending) error { asked = append(asked, what); return nil }
		return s, &asked
	}
	t.Run("Edited", func(t *testing.T) {
		s, asked := start(t)
		s.set(cr("shop/q", wants(q, other), generation(2)))
		s.edits()
		check(t, "the binding goes, and nobody has gone", []Ending{{Objects: []topology.ID{old.ID()}}}, *asked)
	})
	t.Run("Gone", func(t *testing.T) {
		s, asked := start(t)
		s.remove(cr("shop/q"))
		s.edits()
		last := (*asked)[len(*asked)-1]
		check(t, "the breaker judges a departure, for which all count", true, last.All)
	})
	t.Run("SomethingElse", func(t *testing.T) {
		s, asked := start(t)
		s.session.Refresh = func(_ context.Context, what Ending) error {
			if *asked = append(*asked, what); len(*asked) == 1 { // a newer edit comes to light
				s.cluster.SetClaim(cr("shop/q", wants(q, old), generation(3)))
			}
			return nil
		}
		s.set(cr("shop/q", wants(q, other), generation(2)))
		s.edits()
		check(t, "another binding goes than was asked about: that is asked about, too", []Ending{
			{Objects: []topology.ID{old.ID()}}, {Objects: []topology.ID{other.ID()}},
		}, *asked)
		check(t, "and it goes", []string{"exchange shop/x", "queue shop/q", "binding shop/x -> queue q key old"}, byKind(s.broker.names()))
	})
	t.Run("SomethingElseThanABinding", func(t *testing.T) {
		s, asked := start(t)
		one, two := exchange("one"), exchange("two")
		s.set(cr("shop/both", wants(one, two)))
		s.edits()
		s.session.Refresh = func(_ context.Context, what Ending) error {
			if *asked = append(*asked, what); len(*asked) == 1 { // a newer edit comes to light
				s.cluster.SetClaim(cr("shop/both", wants(one), generation(3)))
			}
			return nil
		}
		s.set(cr("shop/both", wants(two), generation(2)))
		s.edits()
		check(t, "another exchange goes than was asked about: now all are asked", []Ending{
			{Objects: []topology.ID{one.ID()}}, {All: true},
		}, *asked)
	})
	t.Run("LessOfIt", func(t *testing.T) {
		s, asked := start(t)
		s.set(cr("shop/q", wants(q, old, other, bind("x", "q", "more")), generation(2)))
		s.edits()
		s.session.Refresh = func(_ context.Context, what Ending) error {
			*asked = append(*asked, what)
			s.cluster.SetClaim(cr("shop/q", wants(q, old, other), generation(4)))
			return nil
		}
		s.set(cr("shop/q", wants(q, old), generation(3)))
		s.edits()
		check(t, "the pass begins anew once, and what was asked about then covers what is left", []Ending{
			{Objects: []topology.ID{bind("x", "q", "more").ID(), other.ID()}}, {Objects: []topology.ID{bind("x", "q", "more").ID()}},
		}, *asked)
		check(t, "one binding goes", []string{
			"exchange shop/x", "queue shop/q", "binding shop/x -> queue q key old", "binding shop/x -> queue q key other",
		}, byKind(s.broker.names()))
	})
}
