package kafka

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/warrener-dev/warrener/internal/topology"
)

// applying is one call of Apply or Validate under way.
type applying struct {
	*Broker
	steps    []topology.Step
	errs     []error
	validate bool // ask the broker whether it would, and change nothing
	// creator is sent creations; found by the first.
	creator requester
}

// Apply implements topology.Applier. Deletes go first, then creates, then
// updates, of which config goes before partitions; an update whose config is
// refused gets no partitions. Creation and deletion are asynchronous in Kafka:
// success means that the controller has it on record. Apply waits for a broker to
// show it, up to mostShownWait.
func (b *Broker) Apply(ctx context.Context, steps []topology.Step) []topology.Outcome {
	return b.run(ctx, steps, false)
}

// Validate asks the broker what Apply would answer, its policies included, and
// changes nothing. Kafka cannot validate a deletion: those have no error.
func (b *Broker) Validate(ctx context.Context, steps []topology.Step) []topology.Outcome {
	return b.run(ctx, steps, true)
}

func (b *Broker) run(ctx context.Context, steps []topology.Step, validate bool) []topology.Outcome {
	w := &applying{Broker: b, steps: steps, errs: make([]error, len(steps)), validate: validate}
	byVerb := map[topology.Verb][]int{}
	for i, step := range steps {
		if err := w.unfit(step); err != nil {
			w.errs[i] = err
			continue
		}
		byVerb[step.Verb] = append(byVerb[step.Verb], i)
	}
	if !validate {
		w.delete(ctx, byVerb[topology.VerbDelete])
	}
	w.create(ctx, byVerb[topology.VerbCreate])
	w.update(ctx, byVerb[topology.VerbUpdate])
	if !validate {
		w.awaitShown(ctx)
	}
	outcomes := make([]topology.Outcome, len(steps))
	for i, step := range steps {
		outcomes[i] = topology.Outcome{Step: step, Err: w.errs[i]}
	}
	return outcomes
}

// unfit refuses steps that must not, or cannot, be sent.
func (w *applying) unfit(step topology.Step) error {
	refuse := func(reason string) error {
		return w.failure(topology.ClassRejected, string(step.Verb), step.ID, reason, nil)
	}
	if step.ID.Kind != topology.KindTopic {
		return refuse("not a Kafka object: please report this as a bug")
	}
	if internal(metadataTopic{Topic: &step.ID.Name}) {
		return refuse("internal topics are never managed")
	}
	if step.Verb == topology.VerbDelete {
		return nil
	}
	want, ok := step.Want.(*topology.Topic)
	if !ok {
		return refuse(fmt.Sprintf("a %T is wanted: please report this as a bug", step.Want))
	}
	if reason := unsendable(want); reason != "" {
		return refuse(reason)
	}
	for _, change := range step.Changes {
		if _, isConfig := topology.ConfigKey(change.Path); !isConfig && change.Path != topology.PathPartitions {
			return refuse(change.Path + " cannot be changed in place")
		}
	}
	return nil
}

func (w *applying) want(step int) *topology.Topic { return w.steps[step].Want.(*topology.Topic) } //nolint:forcetypeassert // unfit has checked it

func (w *applying) job(step, records, bytes int) job {
	return job{step: step, id: w.steps[step].ID, records: records, bytes: bytes}
}

// record notes how a job went; a step keeps its first failure.
func (w *applying) record(j job, _ answer, err error) {
	if w.errs[j.step] == nil {
		w.errs[j.step] = err
	}
}

func (w *applying) create(ctx context.Context, steps []int) {
	jobs := make([]job, 0, len(steps))
	for _, i := range steps {
		want := w.want(i)
		partitions := int(want.WantedPartitions())
		if partitions <= 0 {
			partitions = assumedPartitions
		}
		bytes := len(want.Name) + 8*partitions
		for key, value := range want.Config {
			bytes += len(key) + len(value)
		}
		jobs = append(jobs, w.job(i, 1+partitions+len(want.Config), bytes))
	}
	var existing []job
	w.bulk(ctx, opCreate, jobs, w.sendCreate, func(j job, a answer, err error) {
		if a.code == kerr.TopicAlreadyExists.Code {
			existing = append(existing, j)
			return
		}
		w.record(j, a, err)
	})
	w.explainExisting(ctx, existing)
}

func (w *applying) sendCreate(ctx context.Context, jobs []job) ([]answer, error) {
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis, request.ValidateOnly = w.writeTimeout(), w.validate
	for _, j := range jobs {
		request.Topics = append(request.Topics, creation(w.want(j.step)))
	}
	if w.creator == nil {
		if err := w.findCreator(ctx); err != nil {
			return nil, err
		}
	}
	response, err := askOn[*kmsg.CreateTopicsResponse](ctx, w.Broker, w.creator, opCreate, request)
	if err != nil {
		return nil, err
	}
	answers := make(map[string]answer, len(jobs))
	for _, t := range response.Topics {
		answers[t.Topic] = answer{true, t.ErrorCode, t.ErrorMessage}
	}
	return byName(jobs, answers), nil
}

// findCreator finds the broker that creations are for, the controller, which is
// sent each once. The client would send it again when the answer does not come in
// time, and be told that the topic exists: it would seem to be somebody else's. A
// connection that has died in the meantime is found out, and replaced, by creating
// nothing first.
func (w *applying) findCreator(ctx context.Context) error {
	if w.validate {
		w.creator = w.client
		return nil
	}
	response, err := w.describeBrokers(ctx, opCreate)
	if err != nil {
		return err
	}
	nothing := kmsg.NewPtrCreateTopicsRequest()
	nothing.TimeoutMillis, nothing.ValidateOnly = w.writeTimeout(), true
	if _, err := askOn[*kmsg.CreateTopicsResponse](ctx, w.Broker, w.node(response.ControllerID), opCreate, nothing); err != nil {
		return err
	}
	w.creator = w.client.Broker(int(response.ControllerID))
	return nil
}

func byName(jobs []job, answers map[string]answer) []answer {
	out := make([]answer, len(jobs))
	for i, j := range jobs {
		out[i] = answers[j.id.Name]
	}
	return out
}

// explainExisting tells a topic that appeared in between from one that the user
// cannot see: the second would be "created" for ever.
func (w *applying) explainExisting(ctx context.Context, jobs []job) {
	if len(jobs) == 0 {
		return
	}
	names := make([]string, len(jobs))
	for i, j := range jobs {
		names[i] = j.id.Name
	}
	_, unread, err := w.readTopics(ctx, names)
	for _, j := range jobs {
		why := unread[j.id.Name]
		switch {
		case err != nil:
			w.errs[j.step] = about(err, j.id)
		case topology.ClassOf(why) == topology.ClassAccessDenied:
			w.errs[j.step] = w.failure(topology.ClassAccessDenied, opCreate, j.id,
				fmt.Sprintf("the topic exists, and %s may not see it: it needs the ACL operation Describe on topic %s", w.who(), j.id.Name), why)
		default:
			w.errs[j.step] = w.failure(topology.ClassExists, opCreate, j.id, reasonExistsNow, kerr.TopicAlreadyExists)
		}
	}
}

func (w *applying) update(ctx context.Context, steps []int) {
	var configs []job
	for _, i := range steps {
		if keys := configChanges(w.steps[i], w.want(i)).Configs; len(keys) > 0 {
			bytes := len(w.steps[i].ID.Name)
			for _, key := range keys {
				bytes += len(key.Name)
				if key.Value != nil {
					bytes += len(*key.Value)
				}
			}
			configs = append(configs, w.job(i, len(keys), bytes))
		}
	}
	w.bulk(ctx, opAlterConfig, configs, w.sendConfigs, w.record)

	var partitions []job
	for _, i := range steps {
		grows := slices.ContainsFunc(w.steps[i].Changes, func(c topology.Change) bool { return c.Path == topology.PathPartitions })
		if !grows || w.errs[i] != nil {
			continue
		}
		live, ok := w.steps[i].Live.(*topology.Topic)
		if !ok {
			w.errs[i] = w.failure(topology.ClassRejected, opAddPartitions, w.steps[i].ID, "the step does not say how many there are: please report this as a bug", nil)
			continue
		}
		more := max(1, int(w.want(i).WantedPartitions()-live.Partitions))
		partitions = append(partitions, w.job(i, more, len(w.steps[i].ID.Name)+8*more))
	}
	w.bulk(ctx, opAddPartitions, partitions, w.sendPartitions, w.record)
}

func (w *applying) sendConfigs(ctx context.Context, jobs []job) ([]answer, error) {
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.ValidateOnly = w.validate
	for _, j := range jobs {
		request.Resources = append(request.Resources, configChanges(w.steps[j.step], w.want(j.step)))
	}
	response, err := ask[*kmsg.IncrementalAlterConfigsResponse](ctx, w.Broker, opAlterConfig, request)
	if err != nil {
		return nil, err
	}
	answers := make(map[string]answer, len(jobs))
	for _, r := range response.Resources {
		answers[r.ResourceName] = answer{true, r.ErrorCode, r.ErrorMessage}
	}
	return byName(jobs, answers), nil
}

func (w *applying) sendPartitions(ctx context.Context, jobs []job) ([]answer, error) {
	request := kmsg.NewPtrCreatePartitionsRequest()
	request.TimeoutMillis, request.ValidateOnly = w.writeTimeout(), w.validate
	for _, j := range jobs {
		live := w.steps[j.step].Live.(*topology.Topic) //nolint:forcetypeassert // update has checked it
		request.Topics = append(request.Topics, growth(w.want(j.step), live))
	}
	response, err := ask[*kmsg.CreatePartitionsResponse](ctx, w.Broker, opAddPartitions, request)
	if err != nil {
		return nil, err
	}
	answers := make(map[string]answer, len(jobs))
	for _, t := range response.Topics {
		answers[t.Topic] = answer{true, t.ErrorCode, t.ErrorMessage}
	}
	return byName(jobs, answers), nil
}
