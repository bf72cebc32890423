package scale

import (
	"net/url"
	"testing"
	"time"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// BenchmarkOffline creates everything while the controller is off, and measures
// from its start to all Ready, against a definitions upload of the same objects
// and one status patch each.
func BenchmarkOffline(b *testing.B) {
	for b.Loop() {
		s := newScene(b)
		size := sizeOf(scaled(b, 10500))
		objects := workload(s.namespace, size)
		createAll(b, s.client, objects)
		s.connect(seldom)
		seen := watchReady(b, s.client, s.namespace, len(objects))
		before := measureUpload(s, size)
		start := time.Now()
		synced := s.start()
		end := s.profiles.during(b, "offline")
		seen.wait(b, patience)
		took := time.Since(start)
		end()
		limit := mean([]time.Duration{before, measureUpload(s, size)})

		r := &row{ID: "offline", Workload: "created while the controller is off: its start to all Ready", Objects: len(objects), Figure: took.Seconds(), Unit: "s", AimRatio: 1.5}
		r.limitedBy(limit.Seconds(), "a definitions upload of the same, and one status patch each")
		r.more("start to synced caches", synced.Seconds(), "s")
		r.more("peak RSS", mebibytes(s.controller.PeakRSS(b)), "MiB")
		r.more("CPU", s.controller.CPU(b).Seconds(), "s")
		r.count("requests to the broker", len(s.requests.Requests(start)))
		r.count("status writes", seen.written())
		if n := seen.written(); n != len(objects) {
			b.Errorf("%d status writes for %d objects", n, len(objects))
		}
		r.report(b)
	}
}

// measureUpload takes the limit in a virtual host and a namespace of its own.
func measureUpload(s *scene, size size) time.Duration {
	s.tb.Helper()
	objects := workload(s.plane.NewNamespace(s.tb), size)
	createAll(s.tb, s.client, objects)
	host := s.broker.NewVirtualHost(s.tb)
	start := time.Now()
	s.broker.Must(s.tb, "POST", "/api/definitions/"+url.PathEscape(host), definitions(objects), nil)
	inParallel(s.tb, objects, func(o v1alpha1.Object) error { return patchStatus(s.tb.Context(), s.client, o) })
	return time.Since(start)
}

// definitions are what a broker takes for a workload.
func definitions(objects []v1alpha1.Object) map[string]any {
	type object = map[string]any
	// None of them is null: the broker answers that with 500.
	exchanges, queues, bindings := []object{}, []object{}, []object{}
	for _, o := range objects {
		switch o := o.(type) {
		case *v1alpha1.Exchange:
			exchanges = append(exchanges, object{"name": o.BrokerName(), "type": o.Spec.Type, "durable": true, "auto_delete": false, "internal": false, "arguments": object{}})
		case *v1alpha1.Queue:
			queues = append(queues, object{"name": o.BrokerName(), "durable": true, "auto_delete": false, "arguments": object{"x-queue-type": o.Spec.Type}})
		case *v1alpha1.ExchangeBinding:
			for _, key := range o.Spec.RoutingKeys {
				bindings = append(bindings, object{"source": o.Spec.Source, "destination": o.Spec.Destination, "destination_type": "queue", "routing_key": key, "arguments": object{}})
			}
		}
	}
	return map[string]any{"exchanges": exchanges, "queues": queues, "bindings": bindings}
}
