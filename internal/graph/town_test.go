package graph

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/internal/compile"
)

var (
	rabbitmq = v1alpha1.ConnectionReference{Name: "rabbitmq"}
	kafka    = v1alpha1.ConnectionReference{Name: "kafka"}
	areas    = []string{"orders", "payments", "stock", "shipping", "accounts", "catalogue", "pricing", "search", "support", "fraud"}
	steps    = []string{"created", "changed", "cancelled", "paid", "refunded", "packed", "sent", "returned", "audited", "archived"}
)

// town is a platform of about n custom resources, as companies have them: an
// exchange for each area, queues that want some of its keys, and topics; some
// retry, some share a dead-letter exchange, some audit everything.
func town(n int) []Source {
	var objects []v1alpha1.Object
	add := func(o v1alpha1.Object) {
		o.SetNamespace("town")
		objects = append(objects, o)
	}
	for i := 0; len(objects) < n; i++ {
		area := areas[i%len(areas)]
		if i >= len(areas) {
			area += fmt.Sprint("-", i/len(areas)+1)
		}
		exchange := &v1alpha1.Exchange{ObjectMeta: metav1.ObjectMeta{Name: area}}
		exchange.Spec.ConnectionRef, exchange.Spec.Type = rabbitmq, []v1alpha1.ExchangeType{"topic", "fanout", "direct"}[i%3]
		add(exchange)
		for q := 0; q < 3+i*5%9 && len(objects) < n; q++ {
			queue := &v1alpha1.Queue{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s.%s", area, steps[q%len(steps)])}}
			queue.Spec.ConnectionRef, queue.Spec.Type = rabbitmq, v1alpha1.QueueTypeQuorum
			binding := v1alpha1.BindingSource{Source: area}
			if exchange.Spec.Type != "fanout" {
				binding.RoutingKeys = []string{fmt.Sprintf("%s.%s", area, steps[q%len(steps)])}
			}
			queue.Spec.Bindings = append(queue.Spec.Bindings, binding)
			if q == 2 && i > 0 {
				other := v1alpha1.BindingSource{Source: areas[i%len(areas)/2], RoutingKeys: []string{"#"}}
				queue.Spec.Bindings = append(queue.Spec.Bindings, other)
			}
			switch (i + q) % 4 {
			case 0:
				retries := int32(3 + q%3)
				queue.Spec.Retry = &v1alpha1.Retry{Strategy: v1alpha1.RetryTiers, MaxRetries: &retries,
					Backoff: &v1alpha1.Backoff{Initial: metav1.Duration{Duration: time.Second}, Factor: &intstr.IntOrString{IntVal: 2}}}
			case 1, 2:
				shared := area + ".dlx"
				queue.Spec.DeadLetter = &v1alpha1.DeadLetter{Exchange: &shared}
			}
			add(queue)
		}
		for range 2 {
			if len(objects) >= n {
				break
			}
			partitions := int32(3 * (1 + i%4))
			topic := &v1alpha1.Topic{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%s", area, steps[len(objects)%len(steps)])}}
			topic.Spec.ConnectionRef, topic.Spec.Partitions = kafka, &partitions
			if i%3 == 0 {
				topic.Spec.Retry = &v1alpha1.TopicRetry{Delays: []metav1.Duration{{Duration: time.Second}, {Duration: time.Minute}}}
			}
			add(topic)
		}
	}
	var sources []Source
	for _, o := range objects {
		sources = append(sources, Source{Claim: compile.Claim(o, compile.ConnectionDefaults{VirtualHost: "town"})})
	}
	return sources
}
