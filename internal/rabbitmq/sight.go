package rabbitmq

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/warrener-dev/warrener/internal/topology"
)

// What a user does not see is left out of listings without a word, and 4.3
// answers 404 where older versions answer 401. So absence is believed only
// where the user is known to see: administrators see everything; users tagged
// monitoring see all virtual hosts, but the inside of those only in which they
// have permissions; everybody else sees nothing beyond the latter.

// rights are what the user's tags say.
type rights struct{ administrator, monitoring bool }

func (b *Broker) rights(c call) (rights, error) {
	var me struct {
		Tags []string `json:"tags"`
	}
	if err := c.get("whoami", &me); err != nil {
		return rights{}, err
	}
	mine := rights{
		administrator: slices.Contains(me.Tags, "administrator"),
		monitoring:    slices.Contains(me.Tags, "monitoring"),
	}
	b.insight.noteRights(mine)
	return mine, nil
}

func (r rights) seeAllVirtualHosts() bool { return r.administrator || r.monitoring }

// unlisted is why a virtual host that is not listed may exist all the same; nil
// if it cannot.
func (b *Broker) unlisted(r rights) error {
	if r.seeAllVirtualHosts() {
		return nil
	}
	return b.accessDenied("user %q sees only virtual hosts that it has permissions in: grant them, or give it the tag monitoring or administrator")
}

// inside is why the inside of a virtual host is not seen.
func (b *Broker) inside() error {
	return b.accessDenied("user %q has no permissions in this virtual host, and so does not see what is in it")
}

func (b *Broker) accessDenied(format string) error {
	return &topology.Error{Class: topology.ClassAccessDenied, Operation: "list", Reason: fmt.Sprintf(format, b.options.Username)}
}

// wellKnown is an exchange that every virtual host has and nobody can delete.
const wellKnown = "amq.direct"

// fewVirtualHosts are asked one by one; of more, one listing tells.
const fewVirtualHosts = 3

// hidden tells of each virtual host why nothing may be concluded from not
// seeing objects in it. A virtual host that is not in the answer is seen, or
// does not exist.
func (b *Broker) hidden(c call, names []string) (map[string]error, error) {
	doubtful, err := b.unseen(c, names)
	if err != nil || len(doubtful) == 0 {
		return nil, err
	}
	mine, err := b.rights(c)
	if err != nil {
		return nil, err
	}
	if mine.administrator {
		return nil, nil // sees all: they do not exist
	}
	out := map[string]error{}
	exist := map[string]bool{}
	if mine.monitoring {
		var listed []wireVirtualHost
		if err := c.get("vhosts?columns=name", &listed); err != nil {
			return nil, err
		}
		for _, v := range listed {
			exist[v.Name] = true
		}
	}
	for _, name := range doubtful {
		switch {
		case exist[name]:
			out[name] = b.inside()
		case !mine.monitoring:
			out[name] = b.unlisted(mine)
		}
	}
	return out, nil
}

// unseen returns the virtual hosts whose system exchange is not seen.
func (b *Broker) unseen(c call, names []string) ([]string, error) {
	seen := map[string]bool{}
	if many := len(names) > fewVirtualHosts || addressable(names...) != nil; many {
		var listed []wireExchange
		if err := c.within(listingFactor*c.timeout).get("exchanges?columns=name,vhost", &listed); err != nil {
			return nil, err
		}
		for _, x := range listed {
			seen[x.VirtualHost] = true
		}
	} else {
		for _, name := range names {
			var exchange wireExchange
			err := c.get(join("exchanges", name, wellKnown)+"?columns=name", &exchange)
			if err != nil && !notFound(err) && !denied(err) {
				return nil, err
			}
			seen[name] = err == nil
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return seen[name] }), nil
}

// absence judges the 404 of a request for an object in a virtual host: nil if
// the object is gone indeed, or if err is none.
func (b *Broker) absence(c call, id topology.ID, err error) error {
	if !notFound(err) || id.Scope == "" {
		return nil
	}
	reasons, err := b.sight(c, id.Scope)
	if err != nil {
		return err
	}
	return reasons
}

// sight is hidden for one virtual host, asked once in a call of Apply.
func (b *Broker) sight(c call, name string) (reason, err error) {
	look := func() (error, error) { // what was learnt, and whether
		all, err := b.hidden(c, []string{name})
		return all[name], err
	}
	memo, ok := c.ctx.Value(sightsKey{}).(*sync.Map)
	if !ok {
		return look()
	}
	type result struct{ reason, err error }
	once, _ := memo.LoadOrStore(name, sync.OnceValue(func() result {
		reason, err := look()
		return result{reason, err}
	}))
	out := once.(func() result)()
	return out.reason, out.err
}

type sightsKey struct{}

// rememberSight makes sight ask once per virtual host under this context.
func rememberSight(ctx context.Context) context.Context {
	return context.WithValue(ctx, sightsKey{}, &sync.Map{})
}

// each runs f for every item, a bounded number at a time, and stops at the
// first error.
func each[T any](ctx context.Context, limit int, items []T, f func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	for _, item := range items {
		group.Go(func() error { return f(ctx, item) })
	}
	return group.Wait()
}
