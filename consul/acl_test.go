package consul

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/consul/api"
)

// An answer that ACLs cut short must never look like an empty Consul.
func TestAnswersCutShortByACLs(t *testing.T) {
	address := protected.get(t).Server().URL()
	admin := connect(t, address, withToken(management))
	register(t, admin.Main(), Service{ID: "web.1", Name: "web", Address: "10.0.0.1"})
	set(t, admin.Labels(), Key{Service: "web", Label: "a", Value: "1"})
	register(t, admin.Main(), Service{ID: "foreign", Name: "foreign", Address: "10.0.0.1"})
	set(t, admin.Labels(), Key{Service: "foreign", Label: "a", Value: "1"})
	weak := token(t, admin, `service_prefix "web" { policy = "write" } key_prefix "consular/web" { policy = "write" }`)

	for name, secret := range map[string]string{"anonymous": "", "weak": weak} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, address, withToken(secret))
			_, err := c.Main().Services(t.Context())
			wantFiltered(t, err, "service:read")
			_, err = c.Labels().List(t.Context())
			wantFiltered(t, err, "key:read")
		})
	}
	t.Run("unknown token", func(t *testing.T) {
		_, err := connect(t, address, withToken(strings.ReplaceAll(management, "1", "9"))).Main().Services(t.Context())
		wantForbidden(t, err, "service:read")
	})
	t.Run("enough", func(t *testing.T) {
		if _, err := admin.Main().Services(t.Context()); err != nil {
			t.Error(err)
		}
		if keys, err := admin.Labels().List(t.Context()); err != nil || len(keys) != 2 {
			t.Errorf("%v, %v", keys, err)
		}
	})
}

func TestForbiddenWritesNameThePermission(t *testing.T) {
	address := protected.get(t).Server().URL()
	admin := connect(t, address, withToken(management))
	readOnly := token(t, admin, `service_prefix "" { policy = "read" } key_prefix "" { policy = "read" }`)
	c := connect(t, address, withToken(readOnly))

	wantForbidden(t, c.Main().Register(t.Context(), Service{ID: "no", Name: "no", Address: "10.0.0.1"}), "service:write")
	change := KeyChange{Key: Key{Service: "no", Label: "a", Value: "1"}}
	wantForbidden(t, c.Labels().Apply(t.Context(), "no", []KeyChange{change}), "key:write")
	change.Key.Value = strings.Repeat("x", maxKeyValue)
	wantForbidden(t, c.Labels().Apply(t.Context(), "no", []KeyChange{change}), "key:write")
}

// The library would send these tokens, and read the file, for every agent.
func TestEnvironmentOfConsulDoesNotLeakIn(t *testing.T) {
	t.Setenv("CONSUL_HTTP_TOKEN", management)
	c := connect(t, protected.get(t).Server().URL())
	if _, err := c.Main().Services(t.Context()); !errors.Is(err, ErrFiltered) {
		t.Errorf("want an anonymous request, got: %v", err)
	}
	t.Setenv("CONSUL_HTTP_TOKEN_FILE", "/nowhere/token")
	t.Setenv("CONSUL_HTTP_ADDR", "nowhere.invalid:1")
	t.Setenv("CONSUL_HTTP_SSL", "true")
	t.Setenv("CONSUL_CACERT", "/nowhere/ca.pem")
	c = connect(t, protected.get(t).Server().URL(), withToken(management))
	if _, err := c.Main().Services(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTokenIsAskedForEachTime(t *testing.T) {
	current := ""
	c := connect(t, protected.get(t).Server().URL(), func(c *Config) { c.Token = func() string { return current } })
	if _, err := c.Main().Services(t.Context()); !errors.Is(err, ErrFiltered) {
		t.Errorf("without a token: %v", err)
	}
	current = management
	if _, err := c.Main().Services(t.Context()); err != nil {
		t.Errorf("with a token: %v", err)
	}
}

func wantFiltered(t *testing.T, err error, permission string) {
	t.Helper()
	if !errors.Is(err, ErrFiltered) || !strings.Contains(err.Error(), permission) {
		t.Errorf("want ErrFiltered that names %s, got: %v", permission, err)
	}
}

func wantForbidden(t *testing.T, err error, permission string) {
	t.Helper()
	status, ok := errors.AsType[api.StatusError](err)
	if !ok || status.Code != 403 || !strings.Contains(err.Error(), permission) || strings.Contains(err.Error(), "\n") {
		t.Errorf("want a 403 that names %s, got: %v", permission, err)
	}
}

// token returns the secret of a new token with the rules.
func token(t *testing.T, admin *Cluster, rules string) string {
	t.Helper()
	return newToken(t, admin, rules).SecretID
}

// policies are how many have been made: their names must differ.
var policies atomic.Int32

func newToken(t *testing.T, admin *Cluster, rules string) *api.ACLToken {
	t.Helper()
	acl := admin.Main().client.ACL()
	name := fmt.Sprintf("%s-%d", strings.ReplaceAll(t.Name(), "/", "-"), policies.Add(1))
	policy, _, err := acl.PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := acl.TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
