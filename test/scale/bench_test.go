package scale

import (
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// The workload of the first measurement: 2,100 custom resources.
var small = size{queues: 1000, exchanges: 100, bindings: 1000}

// BenchmarkCreate measures from the first create to all Ready, against the
// same objects created and patched once without a controller, and then what an
// idle pass over them costs. Run it with -benchtime=1x.
func BenchmarkCreate(b *testing.B) {
	for b.Loop() {
		plane := harness.SharedControlPlane(b)
		plane.InstallCRDs(b, filepath.Join(harness.Root(b), "config", "crd", "bases"))
		c := newClient(b, plane.Config)

		before := measureLimit(b, plane, c)
		broker := harness.RabbitMQAt(b, "4.0")
		recorder := harness.NewRecorder(b, broker.ManagementURL)
		namespace, virtualHost := plane.NewNamespace(b), broker.NewVirtualHost(b)
		controller := harness.NewController(b, plane.LeastPrivilege(b, namespace), namespace)
		controller.Start(b)
		const interval = 10 * time.Second
		for _, o := range connection(namespace, broker, recorder.URL, virtualHost, interval) {
			if err := c.Create(b.Context(), o); err != nil {
				b.Fatal(err)
			}
		}
		objects := workload(namespace, small)
		seen := watchReady(b, c, namespace, len(objects))
		start := time.Now()
		createAll(b, c, objects)
		created := time.Since(start)
		seen.wait(b, 5*time.Minute)
		took := time.Since(start)
		after := measureLimit(b, plane, c)
		unloaded := (before + after) / 2

		r := result{
			objects: small.objects(), limit: unloaded, created: created, took: took,
			requests: len(recorder.Requests(start)), rss: controller.PeakRSS(b),
		}
		r.idle(b, c, namespace, recorder, controller, interval)
		b.ReportMetric(unloaded.Seconds(), "limit-s")
		b.ReportMetric(took.Seconds(), "ready-s")
		b.ReportMetric(took.Seconds()/unloaded.Seconds(), "ratio")
		b.ReportMetric(float64(r.idleRequests), "idle-requests")
		r.write(b)
	}
}

// measureLimit takes the limit in a namespace of its own.
func measureLimit(b *testing.B, plane *harness.ControlPlane, c client.Client) time.Duration {
	b.Helper()
	return limit(b, c, workload(plane.NewNamespace(b), small))
}

// idle watches several sweeps with nothing to do: no write anywhere.
func (r *result) idle(b *testing.B, c client.Client, namespace string, recorder *harness.Recorder, controller *harness.Controller, interval time.Duration) {
	b.Helper()
	time.Sleep(2 * time.Second) // the last statuses arrive in the cache
	versions := resourceVersions(b, c, namespace)
	start, cpu := time.Now(), controller.CPU(b)
	time.Sleep(3 * interval)
	sweeps := 0
	for _, request := range recorder.Requests(start) {
		if request.Method == "GET" && filepath.Base(request.Path) != "" && isSweepStart(request.Path) {
			sweeps++
		}
	}
	if sweeps == 0 {
		b.Fatal("no sweep within three intervals")
	}
	r.idleSweeps = sweeps
	r.idleRequests = (len(recorder.Requests(start)) + sweeps - 1) / sweeps
	r.idleCPU = (controller.CPU(b) - cpu) / time.Duration(sweeps)
	if writes := recorder.Writes(start); len(writes) > 0 {
		b.Errorf("an idle pass wrote to the broker: %v", writes)
	}
	if r.idleRequests > 10 {
		b.Errorf("an idle pass took %d requests", r.idleRequests)
	}
	for key, version := range resourceVersions(b, c, namespace) {
		if versions[key] != version {
			b.Errorf("an idle pass wrote %s", key)
		}
	}
}

// resourceVersions tells of every object in the namespace whether it was
// written, inventory included.
func resourceVersions(b *testing.B, c client.Client, namespace string) map[string]string {
	b.Helper()
	out := map[string]string{}
	for _, list := range v1alpha1.NewObjectLists() {
		if err := c.List(b.Context(), list.(client.ObjectList), client.InNamespace(namespace)); err != nil {
			b.Fatal(err)
		}
		for _, o := range list.Objects() {
			out[o.KindName()+"/"+o.GetName()] = o.GetResourceVersion()
		}
	}
	var inventories v1alpha1.BrokerInventoryList
	if err := c.List(b.Context(), &inventories, client.InNamespace(namespace)); err != nil {
		b.Fatal(err)
	}
	for _, o := range inventories.Items {
		out["BrokerInventory/"+o.Name] = o.ResourceVersion
	}
	return out
}
