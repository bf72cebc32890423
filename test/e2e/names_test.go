package e2e

import (
	"context"
	"fmt"
	"net/url"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
)

// Names that a careless client mangles: with spaces, slashes, percent, plus,
// accents and dots. They are created, read back without a difference, and
// deleted, in a virtual host whose name is no better.
func TestAwkwardNames(t *testing.T) {
	names := []string{
		"with space", "/leading/and/trailing/", "100%", "%2F", "a+b=c&d", "é ü 日本 🐇", ".hidden", "...", "a.b..c", "?query#fragment",
		`quote"back\slash'`, " padded ", "semi;colon,comma", "tab\tin", "amqp://not-a-url", "*.#",
	}
	onRabbitMQ(t, func(t *testing.T, s *scene) {
		hostName := s.virtualHost + "/é +%2F x.y/"
		defer s.broker.Do(t, "DELETE", "/api/vhosts/"+url.PathEscape(hostName), nil)
		host := &v1alpha1.VirtualHost{
			ObjectMeta: metav1.ObjectMeta{Name: "awkward"},
			Spec: v1alpha1.VirtualHostSpec{
				ConnectionRef: ref("shop"), Name: hostName, Description: "é/%20 +", Tags: []string{"a b", "c/d"},
				DeletionPolicy: v1alpha1.DeleteIfUnused,
			},
		}
		s.create(host)
		objects := []client.Object{host}
		for i, name := range names {
			e := exchange(fmt.Sprintf("exchange-%02d", i), "shop", "topic")
			e.Spec.Name, e.Spec.VirtualHost = name, hostName
			e.Spec.AlternateExchange = names[(i+1)%len(names)]
			h := exchange(fmt.Sprintf("headers-%02d", i), "shop", "headers")
			h.Spec.Name, h.Spec.VirtualHost = name+".headers", hostName
			q := queue(fmt.Sprintf("queue-%02d", i), "shop", v1alpha1.QueueTypeClassic)
			q.Spec.Name, q.Spec.VirtualHost = name, hostName
			q.Spec.DeadLetter = &v1alpha1.DeadLetter{}
			q.Spec.Bindings = []v1alpha1.BindingSource{
				{Source: name, RoutingKeys: names},
				{Source: name + ".headers", Headers: &v1alpha1.HeaderBinding{Values: v1alpha1.Arguments{name: v1alpha1.MustValue(name), "n": v1alpha1.MustValue(1)}}},
			}
			b := binding(fmt.Sprintf("binding-%02d", i), "shop", name, names[(i+1)%len(names)]+".headers", name)
			b.Spec.DestinationType, b.Spec.VirtualHost = v1alpha1.DestinationExchange, hostName
			objects = append(objects, e, h, q, b)
		}
		s.create(objects[1:]...)
		s.ready(objects...)
		for _, name := range names {
			for _, path := range []string{queuePath(hostName, name), exchangePath(hostName, name), queuePath(hostName, name+".dead")} {
				if !find(t, s.broker, path, nil) {
					t.Errorf("no %s", path)
				}
			}
		}
		s.idle(2)
		s.ready(objects...)

		// One of the keys goes, and nothing else does.
		before := listing(t, s.broker, hostName)
		first := objects[3].(*v1alpha1.Queue)
		edit(s.stage, first, func(q *v1alpha1.Queue) { q.Spec.Bindings[0].RoutingKeys = names[:len(names)-1] })
		s.ready(first)
		within(t, "one binding to go", func(context.Context) (bool, string) {
			now := listing(t, s.broker, hostName)
			return len(now) == len(before)-1, fmt.Sprintf("%d of %d objects", len(now), len(before))
		})

		s.remove(objects...)
		within(t, "the virtual host to be gone", func(context.Context) (bool, string) {
			if !find(t, s.broker, "/api/vhosts/"+url.PathEscape(hostName), nil) {
				return true, ""
			}
			return false, fmt.Sprintf("%q", listing(t, s.broker, hostName))
		})
		s.nothingOwned()
	})
}
