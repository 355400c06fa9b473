package reconcile_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"consular/consul/devconsul"
	"consular/marathon/simulator"
	"consular/reconcile"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// explain is `consular explain`, of one app.
func (s *env) explain(asked string, changes ...func(*reconcile.Config)) plan.Explanation {
	s.t.Helper()
	told, err := s.consular(changes...).Explain(s.t.Context(), asked)
	must(s.t, err)
	if len(told) != 1 {
		s.t.Fatalf("explain %s: %d apps", asked, len(told))
	}
	var text strings.Builder
	must(s.t, told[0].WriteText(&text, false))
	s.t.Logf("$ consular explain %s\n%s", asked, text.String())
	return told[0]
}

// wantReason checks that an explanation has a reason whose text says so, and what the exit
// code would be.
func (s *env) wantReason(x plan.Explanation, kind desired.Kind, text string, code int) {
	s.t.Helper()
	if !slices.ContainsFunc(x.Reasons, func(r desired.Reason) bool { return r.Kind == kind && strings.Contains(r.Text, text) }) {
		s.t.Errorf("%s: reasons %+v, want one of kind %s that says %q", x.App, x.Reasons, kind, text)
	}
	got := 0
	switch {
	case !x.Complete():
		got = 1
	case !x.InSync():
		got = 2
	}
	if got != code {
		s.t.Errorf("%s: exit code %d, want %d", x.App, got, code)
	}
}

// statesOf are those of an explanation's services and keys, each once.
func statesOf(x plan.Explanation) string {
	states := map[plan.State]bool{}
	for _, t := range x.Tasks {
		for _, s := range t.Services {
			states[s.State] = true
		}
	}
	for _, k := range x.Keys {
		states[k.State] = true
	}
	var words []string
	for state := range states {
		words = append(words, string(state))
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// Each reason of README's "Why is it (not) there?", on a real Consul.
func TestEachReasonIsExplained(t *testing.T) {
	s := newEnv(t, theCluster(t))
	broken := web("/broken", 1)
	broken.Labels = map[string]string{"a/../b": "1", "role": "web"}
	for _, app := range []simulator.App{web("/good", 2), incumbent(), newcomer(), broken, web("/taken", 1), web("/batch/x", 1)} {
		must(t, s.marathon.Create(app))
		s.sync()
		s.marathon.Settle()
	}
	if x := s.explain("good"); !x.InSync() || !x.Complete() || statesOf(x) != "equal" {
		t.Errorf("good: %+v", x)
	}
	s.wantReason(s.explain("/a-b"), desired.KindQuarantined, "/a/b", 2)
	s.wantReason(s.explain("/broken"), desired.KindUnfit, "a/../b", 0)

	task := s.marathon.Tasks("/taken")[0]
	service := s.desired().services[task.Host+" "+task.ID]
	service.Tags, service.Meta = []string{"theirs"}, nil
	s.byHand(task.Host, service)
	x := s.explain(task.ID)
	s.wantReason(x, desired.KindConflict, "somebody else", 2)
	if statesOf(x) != "missing" {
		t.Errorf("the place is taken: %s", statesOf(x))
	}

	leaveOut := func(c *reconcile.Config) {
		c.Translation.Shaping.ExcludeApps, c.Policy.Limit = desired.Globs{"/batch/**"}, 100
	}
	x = s.explain("/batch/x", leaveOut)
	s.wantReason(x, desired.KindExcluded, "--exclude-apps", 2)
	if statesOf(x) != "left-over" {
		t.Errorf("excluded: %s", statesOf(x))
	}
	s.sync(leaveOut)
	if x = s.explain("/batch/x", leaveOut); statesOf(x) != "" {
		t.Errorf("excluded and gone: %s", statesOf(x))
	}
	s.wantReason(x, desired.KindExcluded, "--exclude-apps", 0)
	must(t, s.marathon.Create(web("/slow", 1)))
	s.marathon.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v2/apps" || r.Header.Get("X-Inner") != "" {
			return false
		}
		s.answerWith(w, r, "/slow", "state", "TASK_STAGING")
		return true
	})
	if x = s.explain(s.marathon.Tasks("/slow")[0].ID); len(x.Tasks) != 1 || x.Tasks[0].State != "TASK_STAGING" || x.Tasks[0].Host == "" {
		t.Errorf("a task that does not run yet: %+v", x)
	}
	s.marathon.Intercept(nil)
	if _, err := s.consular().Explain(t.Context(), "/goof"); err == nil || !strings.Contains(err.Error(), "the nearest: /good") {
		t.Errorf("what nobody knows: %v", err)
	}
}

func TestRemovalsThatWaitAreExplained(t *testing.T) {
	s := newEnv(t, theCluster(t))
	twelve(t, s)
	must(t, s.marathon.Destroy("/g/big"))
	s.marathon.Settle()
	x := s.explain("g-big")
	s.wantReason(x, desired.KindHeld, "would lose 8 of 12 services; a running consular lets it go", 2)
	if statesOf(x) != "left-over" {
		t.Errorf("held back: %s", statesOf(x))
	}
	// Its own answer would confirm it; there is none.
	s.marathon.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "g/big") {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	})
	anyNumber := func(c *reconcile.Config) { c.Policy.Limit = 100 }
	s.wantReason(s.explain("/g/big", anyNumber), desired.KindUnconfirmed, "could not be asked", 1)
	s.marathon.Intercept(nil)
}

func TestWhatCannotBeReadIsExplained(t *testing.T) {
	dev, err := startCluster(devconsul.Config{Clients: 2})
	must(t, err)
	t.Cleanup(func() { must(t, dev.Stop()) })
	s := newEnv(t, dev)
	must(t, s.marathon.Create(web("/web", 2)))
	must(t, s.marathon.Create(web("/old", 1)))
	s.sync()

	const forgotten = "2020-01-01T00:00:00.000Z"
	s.marathon.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.Contains(r.URL.Path, forgotten):
			w.WriteHeader(http.StatusInternalServerError)
		case r.URL.Path == "/v2/apps" && r.Header.Get("X-Inner") == "":
			s.answerWith(w, r, "/old", "version", forgotten)
		default:
			return false
		}
		return true
	})
	s.wantReason(s.explain("/old"), desired.KindUnknownDefinition, "version", 1)
	s.marathon.Intercept(nil)

	must(t, dev.Clients()[0].Kill())
	x := s.explain("/web")
	s.wantReason(x, desired.KindUnread, dev.Clients()[0].Host, 1)
	if statesOf(x) != "equal unknown" {
		t.Errorf("an agent is dead: %s", statesOf(x))
	}
}

// answerWith answers as the Marathon does, but for one field of an app's tasks.
func (s *env) answerWith(w http.ResponseWriter, r *http.Request, app, field, value string) {
	inner, err := http.NewRequestWithContext(r.Context(), http.MethodGet, s.master+r.URL.String(), http.NoBody)
	if err != nil {
		s.t.Error(err)
		return
	}
	inner.Header.Set("X-Inner", "yes")
	resp, err := http.DefaultClient.Do(inner)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer resp.Body.Close()
	var answer struct {
		Apps []map[string]any `json:"apps"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		s.t.Error(err)
	}
	for _, a := range answer.Apps {
		if tasks, is := a["tasks"].([]any); is && a["id"] == app {
			for _, t := range tasks {
				t.(map[string]any)[field] = value
			}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.t.Error(err)
	}
}
