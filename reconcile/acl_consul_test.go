package reconcile_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"consular/consul"
	"consular/consul/devconsul"
	"consular/marathon/simulator"
	"consular/reconcile/settings"
)

// What is tested here is consular as README.md says to set it up where Consul
// denies by default: through its options, with a token that may do what is
// needed and nothing else.

// management is the token that may do everything.
const management = "11111111-2222-4333-8444-555555555555"

const denyByDefault = `acl {
	enabled = true
	default_policy = "deny"
	tokens {
		initial_management = "` + management + `"
		agent = "` + management + `"
	}
}`

// minimal is the policy of README.md, rule by rule.
func minimal() map[string]string {
	return map[string]string{
		"agent":   `agent_prefix "" { policy = "read" }`,
		"node":    `node_prefix "" { policy = "read" }`,
		"service": `service_prefix "" { policy = "write" }`,
		"key":     `key_prefix "consular/" { policy = "write" }`,
	}
}

// guarded is a Marathon and a Consul, and where consular's token is.
type guarded struct {
	*testing.T
	marathon *simulator.Marathon
	master   *httptest.Server
	dev      *devconsul.Cluster
	admin    *api.Client
	token    string // the file
	options  []string
}

func newGuarded(t *testing.T, config devconsul.Config, address func(*devconsul.Agent) string) *guarded {
	t.Helper()
	g := &guarded{T: t, dev: devconsul.RunConfig(t, config), token: filepath.Join(t.TempDir(), "token")}
	hosts := []string{g.dev.Server().Host}
	for _, agent := range g.dev.Clients() {
		hosts = append(hosts, agent.Host)
	}
	g.marathon = simulator.New(simulator.Config{Hosts: hosts, TaskKilling: true})
	g.master = httptest.NewServer(g.marathon.Handler())
	t.Cleanup(g.master.Close)
	g.admin = g.client(g.dev.Server())
	g.options = []string{"--marathon", g.master.URL, "--consul", address(g.dev.Server()), "--poll-interval", "1"}
	return g
}

func plainAddress(agent *devconsul.Agent) string { return agent.URL().String() }

// client returns one of the management token's, over plain HTTP.
func (g *guarded) client(agent *devconsul.Agent) *api.Client {
	g.Helper()
	client, err := api.NewClient(&api.Config{
		Scheme: "http", Address: agent.Address(), Token: management, Transport: &http.Transport{DisableKeepAlives: true},
	})
	g.must(err)
	return client
}

func (g *guarded) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

func (g *guarded) app(id string, instances int) {
	g.Helper()
	g.must(g.marathon.Create(simulator.App{
		ID: id, Instances: instances, Labels: map[string]string{"role": id}, Ports: []simulator.Port{{Name: "http"}},
		HealthChecks: []simulator.HealthCheck{{Path: "/health", GracePeriod: time.Minute}}, // checks need their rules too
	}))
	g.marathon.Probe()
}

// newToken returns the secret of a token with these rules.
func (g *guarded) newToken(rules map[string]string) string {
	g.Helper()
	name := fmt.Sprint("policy-", time.Now().UnixNano())
	text := strings.Join(slices.Sorted(maps.Values(rules)), "\n")
	policy, _, err := g.admin.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: text}, nil)
	g.must(err)
	token, _, err := g.admin.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
	g.must(err)
	return token.SecretID
}

func (g *guarded) useToken(secret string) {
	g.Helper()
	g.must(os.WriteFile(g.token, []byte(secret+"\n"), 0o600))
}

// state lists what is in Consul, whosever it is.
func (g *guarded) state() []string {
	g.Helper()
	var lines []string
	for _, agent := range append([]*devconsul.Agent{g.dev.Server()}, g.dev.Clients()...) {
		services, err := g.client(agent).Agent().Services()
		g.must(err)
		for _, s := range services {
			lines = append(lines, fmt.Sprintf("%s %s %s:%d", agent.Host, s.ID, s.Address, s.Port))
		}
	}
	keys, _, err := g.admin.KV().List("", nil)
	g.must(err)
	for _, k := range keys {
		lines = append(lines, k.Key+"="+string(k.Value))
	}
	slices.Sort(lines)
	return lines
}

// want lists what should be there.
func (g *guarded) want() []string {
	var lines []string
	for _, task := range g.marathon.Tasks("") {
		lines = append(lines, fmt.Sprintf("%s %s %s:%d", task.Host, task.ID, task.Host, task.Ports[0]))
	}
	for _, app := range g.marathon.Apps() {
		lines = append(lines, "consular/"+strings.TrimPrefix(app.ID, "/")+"/role="+app.Labels["role"])
	}
	slices.Sort(lines)
	return lines
}

func (g *guarded) wantState(want []string) {
	g.Helper()
	if have := g.state(); !slices.Equal(have, want) {
		g.Errorf("in Consul is\n  %s\nwant\n  %s", strings.Join(have, "\n  "), strings.Join(want, "\n  "))
	}
}

// configure reads options as main does.
func (g *guarded) configure(log zerolog.Logger, options ...string) settings.Settings {
	g.Helper()
	var s settings.Settings
	app := &cli.App{Flags: settings.Flags(), Action: func(c *cli.Context) (err error) {
		s, err = settings.Read(c, settings.NoteRotation(log))
		return err
	}}
	g.must(app.Run(slices.Concat([]string{"consular"}, g.options, options)))
	closeIdle(g.T, s)
	return s
}

// closeIdle leaves no connection behind.
func closeIdle(t *testing.T, s settings.Settings) {
	t.Helper()
	for _, rt := range []http.RoundTripper{s.Consul.Transport, s.Marathon.Transport, s.Stream.Transport} {
		t.Cleanup((&http.Client{Transport: rt}).CloseIdleConnections)
	}
}

// sync is the command sync, and plan before it. It returns what could not be
// read, by the plan, and all of the log at debug.
func (g *guarded) sync(options ...string) (unread []string, log string, clean bool) {
	g.Helper()
	var journal logBuffer
	logger := zerolog.New(&journal)
	s := g.configure(logger, options...)
	r, err := s.Reconciler(logger)
	g.must(err)
	plan, sum, err := r.Sync(g.Context())
	g.must(err)
	for _, u := range plan.Unread {
		unread = append(unread, u.What+": "+u.Err)
	}
	return unread, journal.String(), sum.Clean()
}

func TestMinimalPolicyDoesTheWholeJob(t *testing.T) {
	g := newGuarded(t, devconsul.Config{Clients: 1, HCL: denyByDefault, Token: management}, plainAddress)
	t.Setenv("CONSUL_HTTP_TOKEN", management) // a file wins
	g.useToken(g.newToken(minimal()))
	job := func(options ...string) {
		t.Helper()
		if unread, log, clean := g.sync(options...); !clean || len(unread) > 0 {
			t.Errorf("not clean: %q\n%s", unread, log)
		}
		g.wantState(g.want())
	}
	g.app("/web", 3)
	g.app("/api", 2)
	job("--consul-token-file", g.token)
	g.must(g.marathon.Scale("/web", 1))
	g.must(g.marathon.Destroy("/api"))
	g.must(g.marathon.Relabel("/web", map[string]string{"role": "other"}))
	job("--consul-token-file", g.token)
	g.app("/late", 1)
	t.Setenv("CONSUL_HTTP_TOKEN_FILE", g.token)
	job()
	g.must(g.marathon.Destroy("/late"))
	t.Setenv("CONSUL_HTTP_TOKEN_FILE", "")
	job()
}

// One rule is missing at a time: consular says which, and removes nothing on the
// grounds of an answer that Consul has cut short.
func TestEveryMissingRuleIsNamed(t *testing.T) {
	g := newGuarded(t, devconsul.Config{Clients: 1, HCL: denyByDefault, Token: management}, plainAddress)
	file := []string{"--consul-token-file", g.token}
	full := g.newToken(minimal())
	g.app("/web", 2)
	const services, keys = " gone.", "consular/gone/"
	for _, test := range []struct {
		name, change, rule string
		// plan and log are what each must say.
		plan, log string
		// kept is what must still be there of an app that is gone, whatever else
		// is right again.
		kept []string
	}{
		{"no agent rule", "agent", "", "agent:read", "agent:read", []string{services}},
		{"no node rule", "node", "", "node:read", "node:read", nil},
		{"no service rule", "service", "", "service:read", "service:read", []string{services}},
		{"services of a name only", "service", `service_prefix "web" { policy = "write" }`, "service:read", "service:read", []string{services}},
		{"services read only", "service", `service_prefix "" { policy = "read" }`, "", "service:write", []string{services}},
		{"no key rule", "key", "", "key:read", "key:read", []string{keys}},
		{"keys of a name only", "key", `key_prefix "consular/web/" { policy = "write" }`, "key:read", "key:read", []string{keys}},
		{"keys read only", "key", `key_prefix "consular/" { policy = "read" }`, "", "key:write", []string{keys}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.drift(full)
			rules := minimal()
			rules[test.change] = test.rule
			g.useToken(g.newToken(rules))
			g.wantRefused(t, test.plan, test.log, test.kept, file...)
		})
	}
	t.Run("unknown token", func(t *testing.T) {
		g.drift(full)
		g.useToken(strings.ReplaceAll(management, "1", "9"))
		g.wantRefused(t, "ACL not found", "ACL not found", []string{services, keys}, file...)
	})
	t.Run("no token", func(t *testing.T) {
		g.drift(full)
		g.wantRefused(t, "no token was sent", "lacks permission 'agent:read'", []string{services, keys})
	})
	g.useToken(full)
	if _, log, clean := g.sync(file...); !clean {
		t.Errorf("with all rules again: not clean\n%s", log)
	}
	g.wantState(g.want())
}

// drift makes Consul right with a token that may do it, and wrong again: an app
// is gone from Marathon, and another has changed.
func (g *guarded) drift(token string) {
	g.Helper()
	g.useToken(token)
	g.app("/gone", 2)
	if _, log, clean := g.sync("--consul-token-file", g.token); !clean {
		g.Fatalf("not clean:\n%s", log)
	}
	g.wantState(g.want())
	g.must(g.marathon.Destroy("/gone"))
	g.must(g.marathon.Restart("/web"))
	g.marathon.Probe()
}

// wantRefused wants a resync that says what it may not do, and what is kept of
// what was there before still to be there.
func (g *guarded) wantRefused(t *testing.T, inPlan, inLog string, kept []string, options ...string) {
	t.Helper()
	before := g.state()
	unread, log, clean := g.sync(options...)
	if clean {
		t.Error("the summary is clean, and sync exits 0")
	}
	if inPlan != "" && !strings.Contains(strings.Join(unread, "\n"), inPlan) {
		t.Errorf("plan could not read %q, want a word of %s", unread, inPlan)
	}
	if !strings.Contains(log, inLog) {
		t.Errorf("the log does not name %s:\n%s", inLog, log)
	}
	have := g.state()
	for _, line := range before {
		keep := slices.ContainsFunc(kept, func(part string) bool { return strings.Contains(line, part) })
		if keep && !slices.Contains(have, line) {
			t.Errorf("removed: %s\nlog:\n%s", line, log)
		}
	}
}

// Reading must be broad, for a filtered answer proves nothing; writing may be narrow.
func TestBroadReadAndNarrowWrite(t *testing.T) {
	g := newGuarded(t, devconsul.Config{HCL: denyByDefault, Token: management}, plainAddress)
	rules := minimal()
	rules["service"] = `service_prefix "" { policy = "read" }
		service_prefix "shop" { policy = "write" }`
	g.useToken(g.newToken(rules))
	g.must(g.admin.Agent().ServiceRegister(&api.AgentServiceRegistration{ID: "foreign", Name: "foreign", Port: 1}))
	g.app("/shop", 2)
	if unread, log, clean := g.sync("--consul-token-file", g.token); !clean {
		t.Errorf("not clean: %q\n%s", unread, log)
	}
	g.app("/other", 1)
	if _, log, clean := g.sync("--consul-token-file", g.token); clean || !strings.Contains(log, `service:write`) {
		t.Errorf("clean: %t\n%s", clean, log)
	}
	for _, line := range g.state() {
		if strings.Contains(line, " other.") {
			t.Errorf("registered: %s", line)
		}
	}
}

// A token is revoked and another put in its place, while consular runs.
func TestTokenRotatesWhileRunning(t *testing.T) {
	g := newGuarded(t, devconsul.Config{HCL: denyByDefault, Token: management}, plainAddress)
	first := g.newToken(minimal())
	g.useToken(first)
	g.app("/web", 2)
	var journal logBuffer
	logger := zerolog.New(&journal)
	stop := g.run(g.configure(logger, "--consul-token-file", g.token), logger)
	defer stop()
	g.converges(&journal)

	second := g.newToken(minimal())
	g.useToken(second)
	self, _, err := g.admin.ACL().TokenReadSelf(&api.QueryOptions{Token: first})
	g.must(err)
	_, err = g.admin.ACL().TokenDelete(self.AccessorID, nil)
	g.must(err)
	g.app("/late", 2)
	g.must(g.marathon.Destroy("/web"))
	g.converges(&journal)

	log := journal.String()
	if !strings.Contains(log, "read again: it has changed") {
		t.Errorf("the log does not tell of the new token:\n%s", log)
	}
	for _, secret := range []string{first, second, management} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has a token:\n%s", log)
		}
	}
}

// An operator rotates a token: the file has the new one, the old one is deleted, and an
// agent syncs what it has anew, as it does when it comes back. Every service is still in
// the catalog, for each was registered with the new token meanwhile.
func TestRotatedTokenLosesNoService(t *testing.T) {
	g := newGuarded(t, devconsul.Config{Clients: 1, HCL: denyByDefault, Token: management}, plainAddress)
	first := g.newToken(minimal())
	g.useToken(first)
	g.app("/web", 4)
	var journal logBuffer
	logger := zerolog.New(&journal)
	s := g.configure(logger, "--consul-token-file", g.token)
	s.Stays = true
	defer g.run(s, logger)()
	g.converges(&journal)
	named := func(secret string) func() bool {
		self, _, err := g.admin.ACL().TokenReadSelf(&api.QueryOptions{Token: secret})
		g.must(err)
		return func() bool {
			found, _, err := g.admin.Catalog().Service("web", "", nil)
			g.must(err)
			return len(found) == 4 && !slices.ContainsFunc(found, func(s *api.CatalogService) bool {
				return s.ServiceMeta[consul.MetaToken] != self.AccessorID
			})
		}
	}
	g.eventually(named(first), journal.String)

	second := g.newToken(minimal())
	g.useToken(second)
	g.eventually(named(second), journal.String)
	self, _, err := g.admin.ACL().TokenReadSelf(&api.QueryOptions{Token: first})
	g.must(err)
	_, err = g.admin.ACL().TokenDelete(self.AccessorID, nil)
	g.must(err)
	client := g.dev.Clients()[0]
	g.must(errors.Join(client.Stop(), client.Restart()))
	g.eventually(named(second), journal.String)
}

// eventually waits for what only the polls of a running consular bring about.
func (g *guarded) eventually(is func() bool, otherwise func() string) {
	g.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			g.Fatalf("not within 30 s: %s", otherwise())
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-g.Context().Done():
			g.Fatal(g.Context().Err())
		}
	}
}
