package controllers

import (
	"time"

	"github.com/go-logr/logr"

	"github.com/warrener-dev/warrener/internal/engine"
	"github.com/warrener-dev/warrener/internal/topology"
)

// mostFailuresLogged bounds what one pass writes: the statuses say the rest.
const mostFailuresLogged = 5

// logPass writes one line for a pass that changed something, and one for each
// of its first failures. Errors of brokers carry no secret; see topology.Error.
func logPass(log logr.Logger, key topology.ConnectionKey, lane Lane, report *engine.Report, took time.Duration) {
	if len(report.Outcomes) == 0 {
		return
	}
	done := map[topology.Verb]int{}
	failed := 0
	for _, outcome := range report.Outcomes {
		if outcome.Err == nil {
			done[outcome.Step.Verb]++
			continue
		}
		failed++
		if failed <= mostFailuresLogged {
			log.Info("step failed", "connection", key.String(), "verb", outcome.Step.Verb,
				"object", outcome.Step.ID.String(), "class", topology.ClassOf(outcome.Err), "error", outcome.Err.Error())
		}
	}
	log.Info("pass", "connection", key.String(), "lane", lane,
		"created", done[topology.VerbCreate], "updated", done[topology.VerbUpdate], "deleted", done[topology.VerbDelete],
		"failed", failed, "owners", len(report.Verdicts), "took", took.Round(time.Millisecond).String())
}
