package reconcile_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"consular/consul"
	"consular/marathon"
	"consular/reconcile"
)

// Who looks for a task's ID in the log finds its whole story, at "info" too.

// speechless is an agent that does what it is told, and does not say so the first time.
type speechless struct {
	*fakeAgent
	asked bool
}

func (a *speechless) Deregister(ctx context.Context, id string) error {
	err := a.fakeAgent.Deregister(ctx, id)
	if !a.asked {
		a.asked, err = true, errors.New("no head of the answer within 15s")
	}
	return err
}

// What an agent has done without an answer is found done: that is told as the end of the failure.
func TestAnEndWithoutAnAnswerIsToldInTheEnd(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.replace = map[string]reconcile.Agent{h1: &speechless{fakeAgent: x.agents[h1]}}
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.connect()
		ended := taskOn(h1, "/a", "a.1")
		ended.State = marathon.TaskFailed
		x.marathon.set(func(m *fakeMarathon) { m.apps[0].Tasks = nil })
		x.tells(ended)
		time.Sleep(time.Minute)
		x.wants(h1)
		x.says(`"task":"a.1"`, `"message":"deregistered`, 1)
	}, h1)
}

// Each service of a task on a dead node is told apart.
func TestServicesOnADeadNodeAreToldApart(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.catalog.failed = map[string]bool{h2: true}
		for _, id := range []string{"z.1", "z.1:admin"} {
			x.agents[h2].services[id] = consul.Service{ID: id, Name: "z", Tags: clusterOwner.Tags("/z"), Meta: map[string]string{consul.MetaTask: "z.1"}}
		}
		x.agents[h2].gone = true
		_, sum, err := x.consular().Sync(x.Context())
		if err != nil || sum.Deregistered != 2 {
			t.Errorf("%v, %s", err, sum.String())
		}
		x.says(`"task":"z.1","id":"z.1:admin"`, "deregistered from a dead node", 1)
	}, h1, h2)
}

// A label that cannot be a key is told of when its app is read, and not only at the next resync.
func TestUnfitLabelIsToldOfAtOnce(t *testing.T) {
	inFakeCluster(t, func(x *fakeCluster) {
		x.marathon.apps = []marathon.App{appOn(h1, "/a", "a.1")}
		x.connect()
		x.marathon.set(func(m *fakeMarathon) { m.apps[0].Labels = map[string]string{"role": "api", "x/../y": "1"} })
		x.ends("/a")
		time.Sleep(time.Second)
		x.ends("/a")
		time.Sleep(time.Second)
		x.says(`"app":"/a"`, `left out: label of /a: label \"x/../y\"`, 1)
	}, h1)
}
