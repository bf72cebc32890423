package scale

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/test/harness"
)

// BenchmarkLostExchange has somebody delete an exchange by hand, and with it its
// bindings: one drift check makes it whole.
func BenchmarkLostExchange(b *testing.B) {
	for b.Loop() {
		s := newScene(b)
		bindings := scaled(b, 1000)
		size := size{queues: max(bindings/10, 1), exchanges: 1, bindings: bindings}
		s.fill(size)
		s.loseExchange(size).report(b)
	}
}

// loseExchange loses the first exchange of those that a scene was filled with.
func (s *scene) loseExchange(size size) *row {
	s.tb.Helper()
	bindings := (size.bindings + size.exchanges - 1) / size.exchanges
	limits := []time.Duration{s.redeclare(size)}
	exchange := s.exchange()
	s.broker.Must(s.tb, "DELETE", exchange, nil, nil)
	end := s.profiles.during(s.tb, "lost-exchange")
	start := time.Now()
	mark := s.askForSweep()
	s.until("the exchange to be whole", func() bool { return s.bindingsOf(exchange) == bindings })
	took := time.Since(start)
	s.swept(mark)
	s.settle(time.Second)
	end()
	requests, passes := s.requests.Requests(start), 0
	for _, request := range requests {
		if isSweepStart(request) {
			passes++
		}
	}
	limits = append(limits, s.redeclare(size))

	r := &row{ID: "lost-exchange", Workload: fmt.Sprintf("an exchange deleted by hand, with its %d bindings: until it is whole", bindings), Objects: size.objects(), Figure: took.Seconds(), Unit: "s"}
	r.limitedBy(mean(limits).Seconds(), "the same requests, as fast as the broker takes them")
	r.count("drift checks", passes)
	r.count("requests to the broker", len(requests))
	r.count("writes to the broker", len(s.requests.Writes(start)))
	if passes != 1 {
		s.tb.Errorf("%d drift checks, and not one, made the exchange whole", passes)
	}
	if writes := len(harness.Calls(s.requests.Writes(start)...)); writes != bindings+1 {
		s.tb.Errorf("%d declarations for an exchange and %d bindings", writes, bindings)
	}
	return r
}

func (s *scene) exchange() string {
	return "/api/exchanges/" + url.PathEscape(s.host) + "/exchange-0"
}

// bindingsOf is 0 while there is no such exchange.
func (s *scene) bindingsOf(exchange string) int {
	s.tb.Helper()
	if status, _ := s.broker.Do(s.tb, "GET", exchange, nil); status != 200 {
		return 0
	}
	var list []struct{}
	s.broker.Must(s.tb, "GET", exchange+"/bindings/source", nil, &list)
	return len(list)
}

// redeclare deletes the exchange and puts it back before anybody notices.
func (s *scene) redeclare(size size) time.Duration {
	s.tb.Helper()
	s.broker.Must(s.tb, "DELETE", s.exchange(), nil, nil)
	start := time.Now()
	s.broker.Must(s.tb, "PUT", s.exchange(), map[string]any{"type": exchangeType(), "durable": true, "auto_delete": false, "internal": false, "arguments": map[string]any{}}, nil)
	var numbers []int
	for i := 0; i < size.bindings; i += size.exchanges {
		numbers = append(numbers, i)
	}
	inParallel(s.tb, numbers, func(i int) error {
		path := fmt.Sprintf("/api/bindings/%s/e/exchange-0/q/queue-%d", url.PathEscape(s.host), i%size.queues)
		s.broker.Must(s.tb, "POST", path, map[string]any{"routing_key": fmt.Sprintf("key.%d", i), "arguments": map[string]any{}}, nil)
		return nil
	})
	return time.Since(start)
}
