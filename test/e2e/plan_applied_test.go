package e2e

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrener-dev/warrener/api/v1alpha1"
	"github.com/warrener-dev/warrener/test/harness"
)

// Manifests are laid over the cluster as whoever applied them would: what others
// have set stays, what a manifest leaves out goes, and whom it would override is
// said.
func TestPlanOverAppliedManifests(t *testing.T) {
	t.Parallel()
	s := newScene(t, harness.RabbitMQAt(t, "4.0"))
	for name, how := range map[string]struct {
		apply []string
		note  string // about what others manage
	}{
		"ClientSide": {[]string{"apply"}, ""},
		"ServerSide": {[]string{"apply", "--server-side", "--field-manager", "gitops"}, "others manage some of it, so gitops has to apply it with --force-conflicts, as is done here: spec.deletionPolicy (conflict with \"oncall\""},
	} {
		t.Run(name, func(t *testing.T) {
			work := queue("work-"+strings.ToLower(name), "shop", v1alpha1.QueueTypeClassic)
			work.SetNamespace(s.namespace)
			work.Spec.DeadLetter = &v1alpha1.DeadLetter{}
			s.kubectl(append(how.apply, "-f", manifests(t, work))...)
			s.ready(work)
			s.kubectl("patch", "queues.topology.warrener.dev", work.Name, "--type", "merge", "-p", `{"spec":{"suspend":true}}`, "--field-manager", "oncall")

			plan := func() (harness.Answer, []string) {
				answer := s.warrener("plan", "-f", manifests(t, work), "--controller-namespace", s.home, "-o", "json")
				return answer, planOf(t, answer).lines()
			}
			work.Spec.DeadLetter = nil
			answer, lines := plan()
			if diff := cmp.Diff([]string{"held "}, lines); diff != "" || answer.Code != 0 {
				t.Errorf("suspended by somebody else, the plan ended with %d (-want +got):\n%s%s", answer.Code, diff, answer.Err)
			}
			s.kubectl("patch", "queues.topology.warrener.dev", work.Name, "--type", "merge", "-p", `{"spec":{"suspend":null,"deletionPolicy":"Retain"}}`, "--field-manager", "oncall")
			work.Spec.DeletionPolicy = v1alpha1.DeleteAlways
			answer, lines = plan()
			v, n := s.virtualHost, work.Name
			if diff := cmp.Diff([]string{
				"held exchange " + v + "/" + n + ".dlx",
				"forbidden queue " + v + "/" + n + `; arguments.x-dead-letter-exchange "` + n + `.dlx" → (unset); arguments.x-dead-letter-routing-key "` + n + `" → (unset)`,
				"held queue " + v + "/" + n + ".dead",
				"held binding " + v + "/" + n + ".dlx -> queue " + n + ".dead key " + n,
			}, lines); diff != "" || answer.Code != 2 {
				t.Errorf("what the manifest has left out: the plan ended with %d (-want +got):\n%s%s", answer.Code, diff, answer.Err)
			}
			if notes := strings.Join(planOf(t, answer).Notes, "\n"); how.note == "" && strings.Contains(notes, "others manage") || !strings.Contains(notes, how.note) {
				t.Errorf("the notes are %q, want %q", notes, how.note)
			}
		})
	}
}
